"""Who stands near whom, and what those people buy: relations as links between visitors.

In: the tables `relations` and `visitors`. Out: `links_of`, a sparse matrix of weights between
visitors that `GraphPropagation` carries purchases along, and `SocialModel`, what serving knows:
each visitor's people and what they buy, with its lift over what everybody buys.

Consent counts on both sides: a visitor without it neither speaks for others nor hears of them, and
nothing is told of fewer than `min_people` people, so that no single one can be read from it. A
group, household or other id that is no visitor links its members with each other.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import scipy.sparse as sp

from components.contracts.artefacts import read_manifest
from components.contracts.errors import ArtefactError
from components.recommend.history import IntArray, Log, distinct_pairs

ARTEFACT = "social"
RECENT_DAYS = 91
SHRINK = 5.0  # buyers by which a lift is damped


def links_of(
    relations: pl.DataFrame, visitors: pl.DataFrame, visitor_ids: Sequence[str]
) -> sp.csr_matrix:
    """Return (B, B) weights: row u says whose purchases speak for u.

    Args:
        relations: the canonical table.
        visitors: with `consent`.
        visitor_ids: dense order.
    """
    n = len(visitor_ids)
    consents = set(visitors.filter(pl.col("consent"))["visitor_id"])
    place = {v: i for i, v in enumerate(visitor_ids) if v in consents}
    everybody = set(visitor_ids)
    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    groups: dict[str, list[tuple[int, float]]] = {}
    for one, other, weight in relations.select("visitor_id", "other_id", "weight").iter_rows():
        if one not in place:
            continue
        if other in place:
            rows.append(place[one])
            columns.append(place[other])
            weights.append(float(weight or 0.0))
        elif other not in everybody:
            groups.setdefault(other, []).append((place[one], float(weight or 0.0)))
    for members in groups.values():
        for one, weight in members:
            for other, _ in members:
                if other != one:
                    rows.append(one)
                    columns.append(other)
                    weights.append(weight / max(len(members) - 1, 1))
    made = sp.csr_matrix((weights, (rows, columns)), shape=(n, n), dtype=np.float32)
    made.setdiag(0.0)
    made.eliminate_zeros()
    return made


def enough_people(links: sp.csr_matrix, min_people: int) -> sp.csr_matrix:
    """Return the links without the rows of visitors who have too few people.

    >>> enough_people(sp.csr_matrix([[0, 1, 1], [1, 0, 0], [0, 0, 0]]), 2).nnz
    2
    """
    many = np.diff(links.indptr) >= min_people
    made = sp.csr_matrix(sp.diags(many.astype(np.float32)) @ links)
    made.eliminate_zeros()
    return made


def shuffled(links: sp.csr_matrix, seed: int) -> sp.csr_matrix:
    """Return links of the same shape between other people: visitors change places at random."""
    order = np.random.default_rng(seed).permutation(links.shape[0])
    return sp.csr_matrix(links[order][:, order])


def graph_links(links: sp.csr_matrix, hops: float = 0.5) -> sp.csr_matrix:
    """Return each visitor's people and, for less, theirs: two layers of propagation.

    Args:
        links: weights between visitors.
        hops: weight of the second layer beside the first.
    """
    total = np.maximum(np.asarray(links.sum(axis=1)).ravel(), 1e-9)
    first = sp.csr_matrix(sp.diags(1.0 / total) @ links)
    second = sp.csr_matrix(first @ first)
    second.setdiag(0.0)
    return sp.csr_matrix(first + hops * second, dtype=np.float32)


@dataclass(frozen=True)
class SocialModel:
    """What serving knows of relations.

    Attributes:
        people: visitor id to the ids of his people; only those who consented.
        bought: visitor id to the products he bought within 13 weeks.
        popularity: product id to the share of all visitors who did.
        min_people: below which nothing is told.
    """

    people: Mapping[str, tuple[str, ...]]
    bought: Mapping[str, tuple[str, ...]]
    popularity: Mapping[str, float]
    min_people: int

    def liked(
        self,
        visitor_id: str | None,
        *,
        without: Collection[str] = (),
        top: int = 20,
    ) -> list[tuple[str, int, float]]:
        """Return what a visitor's people buy more than everybody does.

        Args:
            visitor_id: who asks.
            without: people who no longer count, such as forgotten ones.
            top: products at most.

        Returns:
            (product_id, how many of his people bought it, damped lift), highest lift first; each
            was bought by at least `min_people`.
        """
        people = [p for p in self.people.get(visitor_id or "", ()) if p not in set(without)]
        if len(people) < self.min_people:
            return []
        counts: dict[str, int] = {}
        for person in people:
            for product in self.bought.get(person, ()):
                counts[product] = counts.get(product, 0) + 1
        found = []
        for product, count in counts.items():
            usual = self.popularity.get(product, 0.0) * len(people)
            lift = (count + SHRINK * usual / len(people)) / max(
                usual + SHRINK * usual / len(people), 1e-9
            )
            if count >= self.min_people and lift > 1.0:
                found.append((product, count, float(lift)))
        return sorted(found, key=lambda f: (-f[2], f[0]))[:top]

    def save(self, folder: Path) -> None:
        """Write `social.json`."""
        stored = {
            "people": dict(sorted(self.people.items())),
            "bought": dict(sorted(self.bought.items())),
            "popularity": dict(sorted(self.popularity.items())),
            "min_people": self.min_people,
        }
        (folder / "social.json").write_text(json.dumps(stored))

    @classmethod
    def load(cls, artefacts: Path) -> Self | None:
        """Read the artefact of a release; None if it has none.

        Raises:
            ArtefactError: it is there but altered or unreadable.
        """
        folder = artefacts / ARTEFACT
        if not (folder / "manifest.json").is_file():
            return None
        read_manifest(folder)
        try:
            stored = json.loads((folder / "social.json").read_text())
            return cls(
                {v: tuple(p) for v, p in stored["people"].items()},
                {v: tuple(p) for v, p in stored["bought"].items()},
                stored["popularity"],
                int(stored["min_people"]),
            )
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{folder}: cannot be read ({error}).") from error


def build_social(
    links: sp.csr_matrix,
    log: Log,
    visitor_ids: Sequence[str],
    product_ids: Sequence[str],
    *,
    min_people: int,
) -> SocialModel:
    """Put together what serving knows; empty where nobody has enough people."""
    kept = enough_people(links, min_people)
    recent = log.take(log.day > int(log.day.max(initial=0)) - RECENT_DAYS)
    involved = np.zeros(len(visitor_ids), dtype=bool)
    involved[np.unique(kept.indices)] = True
    people: dict[str, tuple[str, ...]] = {}
    for row in np.flatnonzero(np.diff(kept.indptr)).tolist():
        theirs: IntArray = kept.indices[kept.indptr[row] : kept.indptr[row + 1]]
        people[visitor_ids[row]] = tuple(visitor_ids[int(p)] for p in np.sort(theirs))
    pairs = distinct_pairs(recent.visitor, recent.group)
    rate = np.bincount(pairs[1], minlength=len(product_ids)) / max(len(visitor_ids), 1)
    bought: dict[str, list[str]] = {}
    named: set[int] = set()
    for visitor, product in pairs.T.tolist():
        if involved[visitor]:
            bought.setdefault(str(visitor_ids[visitor]), []).append(str(product_ids[product]))
            named.add(product)
    return SocialModel(
        people,
        {v: tuple(p) for v, p in bought.items()},
        {product_ids[p]: round(float(rate[p]), 6) for p in sorted(named)},
        min_people,
    )
