"""Offers and who uses them: pairs of visitor and offer, described as of a day, and P(redeem).

In: a purchase `Log`, the offer tables and earlier redemptions, all before the day. Out: features of
(visitor, offer) pairs, the same offline and in service, and a model that turns them into calibrated
chances. Nothing after the day enters a feature; labels are made by the stage that trains. What an
offer gives is no feature: the default source estimates it from redemptions, later ones included.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError
from components.data.parquet import read_table
from components.data.trees import read_trees
from components.recommend.history import FloatArray, IntArray, Log, day_of, dense, distinct_pairs
from components.recommend.ranker import Calibration

ARTEFACT = "train_promotions"
MODEL_NAME = "promotions.json"
NEVER = 730.0  # days since something that never happened
SMOOTHING = 50.0  # received offers that an offer's own redemption rate is worth

FEATURES = (
    "own_lines_4w", "own_lines_13w", "own_lines", "own_products", "own_days_since", "own_days",
    "own_discounted", "redeemed_alike",
    "type_lines_13w", "type_lines", "type_share", "type_days_since",
    "category_lines_13w", "category_lines", "category_share",
    "trips_4w", "trips_13w", "lines_13w", "discounted_share", "days_since_trip",
    "redeemed", "received", "redeemed_rate",
    "offer_products", "offer_popularity", "offer_redeemed", "offer_narrowness",
    "offers_beside", "campaign_type", "campaign_days",
)  # fmt: skip
F = {name: place for place, name in enumerate(FEATURES)}


@dataclass(frozen=True)
class OfferTable:
    """Offers in dense form.

    Attributes:
        promotion_ids: (J,) ids.
        campaign: (J,) dense campaign.
        campaign_ids: ids of the campaigns in dense order.
        campaign_type: (J,) the source's type as a number: place of its name among the sorted names.
        starts: (J,) UTC day on which the offer begins.
        ends: (J,) first UTC day on which it no longer holds.
        value: (J,) what it gives, in minor units; NaN if its mechanics name no amount.
        products: (J, V) 1 where the offer names the product.
    """

    promotion_ids: tuple[str, ...]
    campaign: IntArray
    campaign_ids: tuple[str, ...]
    campaign_type: IntArray
    starts: IntArray
    ends: IntArray
    value: FloatArray
    products: sp.csr_matrix

    def __len__(self) -> int:
        """Return J."""
        return len(self.promotion_ids)

    def take(self, rows: IntArray) -> "OfferTable":
        """Return the chosen offers; campaigns keep their numbers."""
        return replace(
            self,
            promotion_ids=tuple(self.promotion_ids[int(j)] for j in rows),
            campaign=self.campaign[rows],
            campaign_type=self.campaign_type[rows],
            starts=self.starts[rows],
            ends=self.ends[rows],
            value=self.value[rows],
            products=self.products[rows],
        )


def read_offers(tables: Path, product_ids: Sequence[str]) -> OfferTable:
    """Read offers from canonical tables (or from a release's catalogue folder).

    Args:
        tables: folder with `promotions` and `promotion_products`.
        product_ids: dense order of products; others are left out.
    """
    rows = read_table("promotions", tables).sort("promotion_id")
    ids = tuple(rows["promotion_id"])
    names = read_table("promotion_products", tables)
    offer = dense(names["promotion_id"], ids)
    product = dense(names["product_id"], product_ids)
    known = (offer >= 0) & (product >= 0)
    shape = (len(ids), len(product_ids))
    matrix = sp.csr_matrix(
        (np.ones(known.sum(), np.float32), (offer[known], product[known])), shape
    )
    campaign = rows["campaign_id"].fill_null("")
    campaign_ids = tuple(sorted(campaign.unique()))
    kinds = tuple(sorted(rows["campaign_type"].fill_null("").unique()))
    return OfferTable(
        promotion_ids=ids,
        campaign=dense(campaign, campaign_ids),
        campaign_ids=campaign_ids,
        campaign_type=dense(rows["campaign_type"].fill_null(""), kinds),
        starts=np.array([day_of(at) for at in rows["starts_at"]], dtype=np.int64),
        ends=np.array([day_of(at) for at in rows["ends_at"]], dtype=np.int64),
        value=np.array([_value(text) for text in rows["mechanics"]], dtype=np.float32),
        products=matrix,
    )


def _value(mechanics: str) -> float:
    found = json.loads(mechanics)
    is_amount = found.get("kind") == "amount" and isinstance(found.get("value"), int | float)
    return float(found["value"]) if is_amount else float("nan")


@dataclass(frozen=True)
class Shelf:
    """What is known of products: dense type and category of each, (V,)."""

    type_of: IntArray
    category_of: IntArray

    def members(self, of: IntArray) -> sp.csr_matrix:
        """Return (V, G) with a 1 where the product belongs to the group."""
        n = len(of)
        width = int(of.max(initial=-1)) + 1
        return sp.csr_matrix((np.ones(n, np.float32), (np.arange(n), of)), (n, width))


@dataclass(frozen=True)
class Past:
    """Offers received and redeemed before a day.

    Attributes:
        redeemed: (B,) redemptions of each visitor.
        received: (B,) campaigns each visitor was in.
        alike: (B, V) 1 where the visitor redeemed an offer that names the product.
    """

    redeemed: FloatArray
    received: FloatArray
    alike: sp.csr_matrix


@dataclass(frozen=True)
class OfferFacts:
    """What all visitors together say of each offer before a day, (J,) each.

    Attributes:
        popularity: share of visitors who bought one of its products within 13 weeks.
        redeemed: how often offers on its products were redeemed per offer received, smoothed.
    """

    popularity: FloatArray
    redeemed: FloatArray


def offer_facts(
    log: Log,
    offers: OfferTable,
    today: int,
    n_visitors: int,
    redeemed_of: FloatArray,
    received_of: FloatArray,
) -> OfferFacts:
    """Compute what all visitors say of each offer.

    Args:
        log: everybody's rows before `today`.
        offers: the offers asked about.
        today: UTC day.
        n_visitors: how many there are.
        redeemed_of: (V,) earlier redemptions of offers that name the product.
        received_of: (V,) how often such offers were received.
    """
    recent = log.day >= today - 91
    bought = _matrix(log.visitor[recent], log.group[recent], None, n_visitors, offers.products)
    reached = np.asarray((bought @ offers.products.T > 0).sum(axis=0)).ravel()
    base = redeemed_of.sum() / max(received_of.sum(), 1.0)
    rate = (redeemed_of + SMOOTHING * base) / (received_of + SMOOTHING)
    size = np.maximum(np.asarray(offers.products.sum(axis=1)).ravel(), 1.0)
    return OfferFacts(
        (reached / max(n_visitors, 1)).astype(np.float32),
        np.asarray(offers.products @ rate / size, dtype=np.float32),
    )


def _matrix(
    visitor: IntArray,
    group: IntArray,
    amount: NDArray[Any] | None,
    n_visitors: int,
    products: sp.csr_matrix,
) -> sp.csr_matrix:
    """Sum amounts by visitor and product; without amounts, mark pairs that occur."""
    data = np.ones(len(visitor), np.float32) if amount is None else amount.astype(np.float32)
    made = sp.csr_matrix((data, (visitor, group)), (n_visitors, products.shape[1]))
    if amount is None:
        made.data[:] = 1.0
    return made


def describe_pairs(
    log: Log,
    offers: OfferTable,
    facts: OfferFacts,
    shelf: Shelf,
    past: Past,
    *,
    today: int,
    n_visitors: int,
) -> FloatArray:
    """Describe every pair of a visitor and an offer as of the beginning of a day.

    Args:
        log: the visitors' rows, renumbered 0 to B - 1; rows of `today` or later are not looked at.
        offers: J offers.
        facts: of these offers.
        shelf: types and categories.
        past: of these visitors.
        today: UTC day.
        n_visitors: B.

    Returns:
        (B, J, F) in the order of `FEATURES`.
    """
    log = log.take(log.day < today)
    n, j = n_visitors, len(offers)
    out = np.zeros((n, j, len(FEATURES)), dtype=np.float32)
    age = today - log.day
    month, quarter = age <= 28, age <= 91
    m = offers.products.T.tocsr()  # (V, J)

    def total(rows: NDArray[np.bool_] | slice, group: sp.csr_matrix | None = None) -> sp.csr_matrix:
        made = _matrix(log.visitor[rows], log.group[rows], log.amount[rows], n, offers.products)
        return made if group is None else made @ group

    every = slice(None)
    own, own_quarter = total(every), total(quarter)
    out[..., F["own_lines_4w"]] = (total(month) @ m).toarray()
    out[..., F["own_lines_13w"]] = (own_quarter @ m).toarray()
    out[..., F["own_lines"]] = own_lines = (own @ m).toarray()
    out[..., F["own_products"]] = (_matrix(
        log.visitor, log.group, None, n, offers.products) @ m).toarray()  # fmt: skip
    since, days = _own_days(log, m, today, n)
    out[..., F["own_days_since"]], out[..., F["own_days"]] = since, days
    saved = _matrix(log.visitor, log.group, log.amount * log.discounted, n, offers.products)
    out[..., F["own_discounted"]] = np.divide(
        (saved @ m).toarray(), own_lines, out=np.zeros_like(own_lines), where=own_lines > 0
    )
    size = np.maximum(np.asarray(offers.products.sum(axis=1)).ravel(), 1.0)
    out[..., F["redeemed_alike"]] = (past.alike @ m).toarray() / size
    lines = np.bincount(log.visitor, log.amount, n)
    for name, of in (("type", shelf.type_of), ("category", shelf.category_of)):
        members = shelf.members(of)
        named = (offers.products @ members > 0).astype(np.float32).T.tocsr()  # (G, J)
        amount = own @ members
        out[..., F[f"{name}_lines_13w"]] = (own_quarter @ members @ named).toarray()
        out[..., F[f"{name}_lines"]] = bought = (amount @ named).toarray()
        out[..., F[f"{name}_share"]] = bought / np.maximum(lines, 1.0)[:, None]
        if name == "type":
            out[..., F["type_days_since"]] = _group_since(log, of, named, today, n)
    first = distinct_pairs(log.visitor, log.day)
    trip_age = today - first[1]
    for name, span in (("trips_4w", 28), ("trips_13w", 91)):
        out[..., F[name]] = np.bincount(first[0][trip_age <= span], minlength=n)[:, None]
    out[..., F["lines_13w"]] = np.bincount(log.visitor[quarter], log.amount[quarter], n)[:, None]
    saved_lines = np.bincount(log.visitor, log.amount * log.discounted, n)
    out[..., F["discounted_share"]] = (saved_lines / np.maximum(lines, 1.0))[:, None]
    last = np.full(n, today - NEVER)
    np.maximum.at(last, log.visitor, log.day)
    out[..., F["days_since_trip"]] = (today - last)[:, None]
    out[..., F["redeemed"]] = past.redeemed[:, None]
    out[..., F["received"]] = past.received[:, None]
    out[..., F["redeemed_rate"]] = (past.redeemed / (past.received + 1.0))[:, None]
    types = np.asarray((offers.products @ shelf.members(shelf.type_of) > 0).sum(axis=1)).ravel()
    beside = np.bincount(offers.campaign, minlength=len(offers.campaign_ids))[offers.campaign]
    of_offer = {
        "offer_products": size,
        "offer_popularity": facts.popularity,
        "offer_redeemed": facts.redeemed,
        "offer_narrowness": types / size,
        "offers_beside": beside,
        "campaign_type": offers.campaign_type,
        "campaign_days": offers.ends - offers.starts,
    }
    for name, values in of_offer.items():
        out[..., F[name]] = values[None, :]
    return out


def _own_days(log: Log, m: sp.csr_matrix, today: int, n: int) -> tuple[FloatArray, FloatArray]:
    """Return (B, J) days since a product of the offer was bought, and on how many days one was."""
    j = m.shape[1]
    per_row = np.diff(m.indptr)[log.group]
    row = np.repeat(np.arange(len(log)), per_row)
    offset = np.arange(len(row)) - np.repeat(np.cumsum(per_row) - per_row, per_row)
    offer = m.indices[np.repeat(m.indptr[:-1][log.group], per_row) + offset]
    pair = log.visitor[row] * j + offer
    last = np.full(n * j, today - NEVER, dtype=np.float32)
    np.maximum.at(last, pair, log.day[row].astype(np.float32))
    met = distinct_pairs(pair, log.day[row])[0]
    days = np.bincount(met, minlength=n * j).astype(np.float32)
    return (today - last).reshape(n, j), days.reshape(n, j)


def _group_since(log: Log, of: IntArray, named: sp.csr_matrix, today: int, n: int) -> FloatArray:
    """Return (B, J) days since any product of the offer's groups was bought."""
    last = np.full((n, named.shape[0]), today - NEVER, dtype=np.float32)
    np.maximum.at(last, (log.visitor, of[log.group]), log.day.astype(np.float32))
    columns = named.tocsc()
    out = np.full((n, named.shape[1]), NEVER, dtype=np.float32)
    for offer in range(named.shape[1]):
        groups = columns.indices[columns.indptr[offer] : columns.indptr[offer + 1]]
        if len(groups):
            out[:, offer] = today - last[:, groups].max(axis=1)
    return out


@dataclass
class Chance:
    """Boosted trees over `FEATURES` with a calibration to probabilities."""

    model: str
    calibration: Calibration = field(default_factory=Calibration)
    _booster: Any = field(default=None, repr=False)

    def raw(self, rows: FloatArray) -> NDArray[np.float64]:
        """Return (n,) raw scores; rows are (n, F)."""
        if self._booster is None:
            self._booster = read_trees(self.model, origin="model of redemptions")
        if not len(rows):
            return np.zeros(0)
        return np.asarray(self._booster.predict(rows, raw_score=True, num_threads=1))

    def probability(self, rows: FloatArray) -> NDArray[np.float64]:
        """Return (n,) calibrated chances in (0, 1)."""
        return np.asarray(self.calibration(self.raw(rows)), dtype=np.float64)


@dataclass
class OfferModel:
    """What serving needs: the chances, the offers and what is known of them at the data's end."""

    redeem: Chance
    habit: Chance
    product_ids: tuple[str, ...]
    shelf: Shelf
    offers: OfferTable
    facts: OfferFacts
    past: Mapping[str, tuple[float, float, tuple[str, ...]]]

    def __post_init__(self) -> None:
        """Index products and offers."""
        self.product_index = {p: i for i, p in enumerate(self.product_ids)}
        self.offer_index = {p: j for j, p in enumerate(self.offers.promotion_ids)}

    def score(
        self, visitor_id: str | None, log: Log, promotion_ids: Sequence[str], *, today: int
    ) -> dict[str, tuple[float, float]]:
        """Return P(redeem) and expected uplift of offers for one visitor.

        Args:
            visitor_id: whose redemptions count; None for a stranger.
            log: the visitor's rows as visitor 0, groups in the order of `product_ids`.
            promotion_ids: offers asked about; unknown ones are left out.
            today: UTC day by the shop's clock.

        Returns:
            promotion_id to (P(redeem), P(redeem) x P(no purchase out of habit)).
        """
        known = [p for p in promotion_ids if p in self.offer_index]
        if not known:
            return {}
        rows = np.array([self.offer_index[p] for p in known], dtype=np.int64)
        redeemed, received, used = self.past.get(visitor_id or "", (0.0, 0.0, ()))
        used_rows = [self.offer_index[p] for p in used if p in self.offer_index]
        alike = sp.csr_matrix((1, len(self.product_ids)), dtype=np.float32)
        if used_rows:
            alike = sp.csr_matrix(self.offers.products[used_rows].max(axis=0))
        features = describe_pairs(
            log,
            self.offers.take(rows),
            OfferFacts(self.facts.popularity[rows], self.facts.redeemed[rows]),
            self.shelf,
            Past(np.array([redeemed], np.float32), np.array([received], np.float32), alike.tocsr()),
            today=today,
            n_visitors=1,
        )[0]
        features[:, F["offers_beside"]] = np.bincount(self.offers.campaign)[
            self.offers.campaign[rows]
        ]
        chance = self.redeem.probability(features)
        habit = self.habit.probability(features)
        return {
            p: (float(c), float(c * (1 - h))) for p, c, h in zip(known, chance, habit, strict=True)
        }

    def save(self, folder: Path) -> None:
        """Write the model's files into an artefact's folder."""
        stored: dict[str, Any] = {"features": list(FEATURES)}
        for name, chance in (("redeem", self.redeem), ("habit", self.habit)):
            (folder / f"{name}.txt").write_text(chance.model, encoding="utf-8")
            stored[name] = {
                "scores": list(chance.calibration.scores),
                "probabilities": list(chance.calibration.probabilities),
            }
        stored["campaign_ids"] = list(self.offers.campaign_ids)
        (folder / MODEL_NAME).write_text(json.dumps(stored, indent=1, sort_keys=True))
        matrix = self.offers.products
        np.savez(
            folder / "offers.npz",
            type_of=self.shelf.type_of,
            category_of=self.shelf.category_of,
            campaign=self.offers.campaign,
            campaign_type=self.offers.campaign_type,
            starts=self.offers.starts,
            ends=self.offers.ends,
            value=self.offers.value,
            popularity=self.facts.popularity,
            redeemed=self.facts.redeemed,
            indices=matrix.indices,
            indptr=matrix.indptr,
        )
        pl.DataFrame({"product_id": self.product_ids}).write_parquet(folder / "products.parquet")
        pl.DataFrame({"promotion_id": self.offers.promotion_ids}).write_parquet(
            folder / "promotions.parquet"
        )
        visitors = sorted(self.past)
        pl.DataFrame(
            {
                "visitor_id": visitors,
                "redeemed": [self.past[v][0] for v in visitors],
                "received": [self.past[v][1] for v in visitors],
                "promotion_ids": [list(self.past[v][2]) for v in visitors],
            },
            schema={
                "visitor_id": pl.String, "redeemed": pl.Float64, "received": pl.Float64,
                "promotion_ids": pl.List(pl.String),
            },
        ).write_parquet(folder / "visitors.parquet")  # fmt: skip

    @classmethod
    def load(cls, artefacts: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: absent, or made for other features than this code computes.
        """
        folder = artefacts / ARTEFACT
        if not (folder / MODEL_NAME).is_file():
            raise ArtefactError(f"{folder}: no model of redemptions. Run `make pipeline`.")
        stored = json.loads((folder / MODEL_NAME).read_text(encoding="utf-8"))
        if tuple(stored["features"]) != FEATURES:
            raise ArtefactError(
                f"{folder}: trained on other features than this version computes. "
                "Rebuild it with `shelfwise stage train_promotions`."
            )
        data = np.load(folder / "offers.npz")
        product_ids = tuple(pl.read_parquet(folder / "products.parquet")["product_id"])
        promotion_ids = tuple(pl.read_parquet(folder / "promotions.parquet")["promotion_id"])
        matrix = sp.csr_matrix(
            (np.ones(len(data["indices"]), np.float32), data["indices"], data["indptr"]),
            (len(promotion_ids), len(product_ids)),
        )
        chances = {
            name: Chance(
                (folder / f"{name}.txt").read_text(encoding="utf-8"),
                Calibration(tuple(stored[name]["scores"]), tuple(stored[name]["probabilities"])),
            )
            for name in ("redeem", "habit")
        }
        visitors = pl.read_parquet(folder / "visitors.parquet")
        return cls(
            redeem=chances["redeem"],
            habit=chances["habit"],
            product_ids=product_ids,
            shelf=Shelf(data["type_of"], data["category_of"]),
            offers=OfferTable(
                promotion_ids=promotion_ids,
                campaign=data["campaign"],
                campaign_ids=tuple(stored["campaign_ids"]),
                campaign_type=data["campaign_type"],
                starts=data["starts"],
                ends=data["ends"],
                value=data["value"],
                products=matrix,
            ),
            facts=OfferFacts(data["popularity"], data["redeemed"]),
            past={
                row["visitor_id"]: (row["redeemed"], row["received"], tuple(row["promotion_ids"]))
                for row in visitors.iter_rows(named=True)
            },
        )
