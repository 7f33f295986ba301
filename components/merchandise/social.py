"""Stage `social`: what the accepted tables say of relations, and what relations are worth.

In: accepted tables, and synthetic shops whose friends buy alike by construction. Out:
`artefacts/social` (empty where the shop has no relations, as the default data have none) and
`reports/social.json`: on the synthetic shops, purchases of products new to a visitor ranked by the
graph without relations, with them, and with the same relations between other people; the last must
gain nothing. So too for visitors of whom three purchases are known, and for newcomers, of whom only
their people are. The weight of relations is chosen on the weeks before the test. What was bought
before is left out: habit foretells it, and no friend adds to that.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from components.contracts.artefacts import Layout, writing_artefact
from components.contracts.params import IngestParams, Params, SocialParams, SyntheticSource
from components.data import synthetic
from components.data.parquet import read_table
from components.evaluate.bootstrap import mean_interval, paired_interval
from components.evaluate.metrics import ndcg_at_k
from components.evaluate.report import write_report
from components.recommend.graph import GraphPropagation
from components.recommend.history import IntArray
from components.recommend.shop_data import read_shop
from components.recommend.social import (
    ARTEFACT,
    build_social,
    enough_people,
    graph_links,
    links_of,
    shuffled,
)

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
SLICES: dict[str, int | None] = {"all": None, "three purchases known": 3, "newcomers": 0}
TEST_WEEKS = 4
RANK = 24
K = 10


@dataclass(frozen=True)
class Trial:
    """One synthetic shop in dense form: per visitor the products of each week, and the links."""

    visitor: IntArray
    product: IntArray
    week: IntArray
    links: sp.csr_matrix
    n_visitors: int
    n_products: int

    def sequences(self, before: int) -> list[IntArray]:
        """Return per visitor what he bought before a week, oldest first."""
        rows = self.week < before
        order = np.argsort(self.visitor[rows], kind="stable")
        bounds = np.searchsorted(self.visitor[rows][order], np.arange(1, self.n_visitors))
        return np.split(self.product[rows][order], bounds)

    def wanted(self, week: int, until: int) -> list[IntArray]:
        """Return per visitor the distinct products bought in weeks [week, until)."""
        rows = (self.week >= week) & (self.week < until)
        found: list[list[int]] = [[] for _ in range(self.n_visitors)]
        for v, p in zip(self.visitor[rows].tolist(), self.product[rows].tolist(), strict=True):
            found[v].append(p)
        return [np.unique(np.array(f, dtype=np.int64)) for f in found]


def trial_shop(section: SocialParams, seed: int) -> Trial:
    """Make a synthetic shop and read its purchases and relations."""
    size = SyntheticSource(
        visitors=section.visitors, products=section.products, weeks=section.weeks
    )
    tables, _ = synthetic.build(IngestParams(source="synthetic", seed=seed, synthetic=size))
    visitors = sorted(tables["visitors"]["visitor_id"])
    products = sorted(tables["products"]["product_id"])
    bought = tables["events"].filter(pl.col("kind") == "purchase").sort("at", "event_id")
    place = {v: i for i, v in enumerate(visitors)}
    item = {p: i for i, p in enumerate(products)}
    start = bought["at"].min()
    week = ((bought["at"] - start).dt.total_days() // 7).to_numpy()
    return Trial(
        np.array([place[v] for v in bought["visitor_id"]], dtype=np.int64),
        np.array([item[p] for p in bought["product_id"]], dtype=np.int64),
        week.astype(np.int64),
        links_of(tables["relations"], tables["visitors"], visitors),
        len(visitors),
        len(products),
    )


def ndcgs(scores: NDArray[Any], wanted: list[IntArray]) -> NDArray[np.float64]:
    """Return (B,) NDCG@10 over the full catalogue; NaN for visitors who bought nothing then."""
    order = np.lexsort((np.tile(np.arange(scores.shape[1]), (len(scores), 1)), -scores), axis=1)
    out = np.full(len(scores), np.nan)
    for row, truth in enumerate(wanted):
        if len(truth):
            hits = np.isin(order[row, :K], truth)
            out[row] = float(ndcg_at_k(hits[None, :], np.array([len(truth)]), K)[0])
    return out


def ranked(
    trial: Trial,
    links: sp.csr_matrix | None,
    weights: tuple[float, ...],
    cut: int,
    until: int,
    *,
    known: int | None,
) -> dict[float, NDArray[np.float64]]:
    """Rank what visitors buy in [cut, until) from the weeks before.

    Args:
        trial: the shop.
        links: between visitors; None for none.
        weights: of the people's part beside the visitor's own, which is standardised likewise.
        cut: first week asked about.
        until: first week no longer asked about.
        known: how many of a visitor's last purchases may be looked at, None for all; at 0 he is as
            one who just came, and popularity stands for what he bought. Products among the known
            ones are left out.

    Returns:
        Weight to (B,) NDCG@10.
    """
    history = trial.sequences(cut)
    model = GraphPropagation(rank=RANK, social=1.0, history=50)
    model.fit(history, trial.n_products, relations=links)
    everybody = np.arange(trial.n_visitors)
    nothing = [np.zeros(0, dtype=np.int64)] * trial.n_visitors
    mine = history if known is None else [s[len(s) - min(known, len(s)) :] for s in history]
    if known == 0:
        bought = np.bincount(np.concatenate(history), minlength=trial.n_products)
        own = np.tile(np.log1p(bought), (trial.n_visitors, 1))
    else:
        own = model.score(mine)
    near = model.score(nothing, visitors=everybody) if links is not None else np.zeros_like(own)
    wanted = [np.setdiff1d(w, h) for w, h in zip(trial.wanted(cut, until), mine, strict=True)]
    out: dict[float, NDArray[np.float64]] = {}
    for weight in weights:
        scores = standard(own) + weight * standard(near)
        for row, seen in enumerate(mine):
            scores[row, seen] = -np.inf
        out[weight] = ndcgs(scores, wanted)
    return out


def standard(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return (B, V) scores with mean 0 and deviation 1 in each row; a row of one value is 0."""
    centred = np.asarray(scores, dtype=np.float64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    return centred / np.maximum(centred.std(axis=1, keepdims=True), 1e-9)


def judge(section: SocialParams) -> list[dict[str, Any]]:
    """Run the trial and return its report rows."""
    trials = [trial_shop(section, section.seed + n) for n in range(section.shops)]
    true = [graph_links(enough_people(t.links, section.min_people)) for t in trials]
    false = [shuffled(link, section.seed + n) for n, link in enumerate(true)]
    rows: list[dict[str, Any]] = []
    for name, known in SLICES.items():
        found: dict[str, list[NDArray[np.float64]]] = {"none": [], "true": [], "shuffled": []}
        chosen = {"none": 0.0}
        for kind, links in (("true", true), ("shuffled", false)):
            valid: dict[float, list[NDArray[np.float64]]] = {w: [] for w in WEIGHTS}
            for trial, link in zip(trials, links, strict=True):
                until = int(trial.week.max()) + 1 - TEST_WEEKS
                tried = ranked(trial, link, WEIGHTS, until - TEST_WEEKS, until, known=known)
                for weight, value in tried.items():
                    valid[weight].append(value)
            means = {w: float(np.nanmean(np.concatenate(v))) for w, v in valid.items()}
            chosen[kind] = max(WEIGHTS, key=lambda w: (round(means[w], 5), -w))
        for trial, link, other in zip(trials, true, false, strict=True):
            until = int(trial.week.max()) + 1
            has = np.diff(link.indptr) > 0
            for kind, used in (("none", None), ("true", link), ("shuffled", other)):
                weight = chosen[kind]
                tried = ranked(trial, used, (weight,), until - TEST_WEEKS, until, known=known)
                found[kind].append(np.where(has, tried[weight], np.nan))
        joined = {kind: np.concatenate(parts) for kind, parts in found.items()}
        for kind, label in (
            ("true", "graph with relations"), ("none", "graph without relations"),
            ("shuffled", "graph with shuffled relations"),
        ):  # fmt: skip
            mean = mean_interval(joined[kind], n=section.bootstrap, seed=section.seed)
            row: dict[str, Any] = {
                "model": label, "shipped": kind == "true", "slice": name,
                "n": int((~np.isnan(joined[kind])).sum()), "ndcg@10": mean.mean,
                "ndcg@10_low": mean.low, "ndcg@10_high": mean.high, "weight": chosen[kind],
            }  # fmt: skip
            if kind != "none":
                gain = paired_interval(
                    joined[kind], joined["none"], n=section.bootstrap, seed=section.seed
                )
                row |= {"gain_over_none": gain.mean, "gain_over_none_low": gain.low,
                        "gain_over_none_high": gain.high}  # fmt: skip
            rows.append(row)
    return rows


def run(params: Params, layout: Layout) -> None:
    """Run the trial, read the shop's own relations, write both.

    Raises:
        TableError: a required table is absent.
    """
    section = params.social
    shop = read_shop(layout.tables)
    links = links_of(
        read_table("relations", layout.tables), read_table("visitors", layout.tables),
        shop.visitor_ids,
    )  # fmt: skip
    model = build_social(
        links, shop.log, shop.visitor_ids, shop.columns.product_ids, min_people=section.min_people
    )
    rows = judge(section)
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="social",
        stage=ARTEFACT,
        seed=section.seed,
        params=section.model_dump(),
        packages=("numpy", "scipy"),
    ) as folder:
        model.save(folder)
    write_report(
        layout.reports / "social.json",
        protocol="Relations on synthetic shops whose friends buy alike six times as often",
        dataset=f"synthetic, {section.shops} shops of seeds {section.seed} to "
        f"{section.seed + section.shops - 1}; nothing in them is real",
        split=f"the last {TEST_WEEKS} weeks; weight of relations chosen on the {TEST_WEEKS} before",
        cut_off=f"week {section.weeks - TEST_WEEKS + 1}",
        n=sum(int(r["n"]) for r in rows if r["shipped"] and r["slice"] == "all"),
        seed=section.seed,
        rows=rows,
        own={
            "dataset": params.ingest.source, "relations": int(links.nnz),
            "visitors_with_enough_people": len(model.people),
        },
    )  # fmt: skip
