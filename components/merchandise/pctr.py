"""The chance that a shown product is taken up: learnt from exposures, calibrated, personal.

In: a purchase `Log` and what was shown to whom. With slates and clicks in the data, an impression
is a row and a click its label. The default data have neither: there a row is a visitor who shopped
in a week and a product that the shop displayed or mailed in that week, and the label says whether
he bought it then; that stands in for a click and is lower than one. The service corrects the level
per campaign by its own clicks (`components.merchandise.campaigns.quality`).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from components.contracts.errors import ArtefactError
from components.data.parquet import read_table
from components.evaluate.binary import auc, calibration_error, reliability
from components.merchandise.promotions import ARTEFACT, NEVER, Chance, Shelf
from components.recommend.history import FloatArray, IntArray, Log, dense, distinct_pairs
from components.recommend.ranker import Calibration, fit_calibration
from components.recommend.shop_data import ShopData

FILE_NAME = "pctr.json"
FEATURES = (
    "is_known", "own_lines", "own_days_since", "type_lines", "type_share", "category_share",
    "trips_13w", "popularity", "type_popularity",
)  # fmt: skip
PER_WEEK = 40
EVERY_WEEKS = 3
FIRST_WEEK = 14
SHOWN_MAILER, SHOWN_DISPLAY = 0.5, 0.1
STRANGERS = 4


@dataclass(frozen=True)
class Liked:
    """How liked products are, (V,) each: share of visitors within 13 weeks, and their type's."""

    popularity: FloatArray
    type_popularity: FloatArray


def liked_before(log: Log, shelf: Shelf, today: int, n_visitors: int) -> Liked:
    """Compute how liked products are from everybody's rows of the 91 days before a day."""
    recent = log.take((log.day < today) & (log.day >= today - 91))
    n = max(n_visitors, 1)
    products = distinct_pairs(recent.group, recent.visitor)[0]
    popularity = np.bincount(products, minlength=len(shelf.type_of)) / n
    kinds = distinct_pairs(shelf.type_of[recent.group], recent.visitor)[0]
    of_type = np.bincount(kinds, minlength=int(shelf.type_of.max(initial=0)) + 1) / n
    return Liked(popularity.astype(np.float32), of_type[shelf.type_of].astype(np.float32))


def describe(
    log: Log,
    shelf: Shelf,
    liked: Liked,
    visitor: IntArray,
    product: IntArray,
    *,
    today: int,
    n: int,
) -> FloatArray:
    """Describe pairs of a visitor and a product as of the beginning of a day.

    Args:
        log: the visitors' rows, visitors 0 to n - 1; rows of `today` or later are not looked at.
        shelf: types and categories.
        liked: how liked products are.
        visitor: (m,) of each pair.
        product: (m,) likewise.
        today: UTC day.
        n: visitors.

    Returns:
        (m, F) in the order of `FEATURES`.
    """
    log = log.take(log.day < today)
    v = len(shelf.type_of)

    def total(group: IntArray, width: int) -> sp.csr_matrix:
        return sp.csr_matrix((log.amount, (log.visitor, group)), (n, width))

    def pick(matrix: sp.csr_matrix, column: IntArray) -> FloatArray:
        if not len(column):  # scipy answers no places with something that is no row
            return np.zeros(0, dtype=np.float32)
        return np.asarray(matrix[visitor, column], dtype=np.float32).ravel()

    lines = np.bincount(log.visitor, log.amount, n)
    since = np.full(len(visitor), NEVER, dtype=np.float32)
    if len(log):
        key = log.visitor * v + log.group
        order = np.lexsort((log.day, key))
        ends = np.r_[np.flatnonzero(np.diff(key[order])), len(key) - 1]
        keys, days_of = key[order][ends], log.day[order][ends]
        wanted = visitor * v + product
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        met = keys[at] == wanted
        since[met] = today - days_of[at][met]
    types = total(shelf.type_of[log.group], int(shelf.type_of.max(initial=0)) + 1)
    categories = total(shelf.category_of[log.group], int(shelf.category_of.max(initial=0)) + 1)
    type_lines = pick(types, shelf.type_of[product])
    all_lines = np.maximum(lines[visitor], 1.0)
    quarter = log.day >= today - 91
    days = distinct_pairs(log.visitor[quarter], log.day[quarter])
    trips = np.bincount(days[0], minlength=n)
    columns = {
        "is_known": (lines[visitor] > 0).astype(np.float32),
        "own_lines": pick(total(log.group, v), product),
        "own_days_since": since,
        "type_lines": type_lines,
        "type_share": type_lines / all_lines,
        "category_share": pick(categories, shelf.category_of[product]) / all_lines,
        "trips_13w": trips[visitor],
        "popularity": liked.popularity[product],
        "type_popularity": liked.type_popularity[product],
    }
    return np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)


@dataclass(frozen=True)
class Shown:
    """What was shown and what came of it, (m,) each, by week."""

    visitor: IntArray
    product: IntArray
    week: IntArray
    label: NDArray[np.bool_]


def shown_from_exposures(shop: ShopData, weeks: Sequence[int], seed: int) -> Shown:
    """Draw pairs of a visitor who shopped in a week and a product that was exposed in it."""
    parts: list[tuple[IntArray, IntArray, IntArray, NDArray[np.bool_]]] = []
    for week in weeks:
        shares = shop.calendar.shares.get(week)
        rows = shop.log.take(shop.log.week == week)
        if shares is None or not len(rows):
            continue
        exposed = np.flatnonzero((shares[:, 0] >= SHOWN_DISPLAY) | (shares[:, 1] >= SHOWN_MAILER))
        shoppers = np.unique(rows.visitor)
        if not len(exposed):
            continue
        generator = np.random.default_rng([seed, week])
        visitor = np.repeat(shoppers, PER_WEEK)
        product = exposed[generator.integers(0, len(exposed), len(visitor))]
        bought = np.unique(rows.visitor * shop.n_products + rows.group)
        label = np.isin(visitor * shop.n_products + product, bought)
        parts.append((visitor, product, np.full(len(visitor), week), label))
    return _joined(parts)


def shown_from_slates(shop: ShopData, tables: Path) -> Shown:
    """Read impressions and the clicks on them; empty without slates or without a click."""
    impressions = read_table("impressions", tables)
    slates = read_table("slates", tables).select("slate_id", "visitor_id", "at")
    clicks = (
        read_table("events", tables)
        .filter((pl.col("kind") == "click") & pl.col("slate_id").is_not_null())
        .select("slate_id", "product_id")
        .unique()
        .with_columns(pl.lit(True).alias("clicked"))
    )
    if impressions.is_empty() or clicks.is_empty():
        return _joined([])
    rows = (
        impressions.join(slates, on="slate_id")
        .join(clicks, on=["slate_id", "product_id"], how="left")
        .sort("at", "slate_id", "rank")
    )
    day = rows["at"].dt.epoch("d").cast(pl.Int64).to_numpy()
    first_day, first_week = int(shop.log.day.min()), int(shop.log.week.min())
    visitor = dense(rows["visitor_id"], shop.visitor_ids)
    product = dense(rows["product_id"], shop.columns.product_ids)
    known = (visitor >= 0) & (product >= 0)
    week = first_week + (day - first_day) // 7
    label = rows["clicked"].fill_null(False).to_numpy().astype(bool)
    return Shown(visitor[known], product[known], week[known], label[known])


def _joined(
    parts: Sequence[tuple[IntArray, IntArray, IntArray, NDArray[np.bool_]]],
) -> Shown:
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Shown(none, none, none, np.zeros(0, dtype=bool))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Shown(columns[0], columns[1], columns[2], columns[3].astype(bool))


def rows_of(shop: ShopData, shown: Shown, shelf: Shelf, seed: int) -> tuple[FloatArray, Any, Any]:
    """Describe what was shown as of the beginning of its week; one visitor in four as a stranger.

    Returns:
        (m, F) features, (m,) labels, (m,) weeks.
    """
    features, labels, weeks = [], [], []
    n = len(shop.visitor_ids)
    for week in np.unique(shown.week):
        here = shown.week == week
        days = shop.log.day[shop.log.week >= week]
        today = int(days.min()) if len(days) else int(shop.log.day.max()) + 1
        liked = liked_before(shop.log, shelf, today, n)
        made = describe(
            shop.log, shelf, liked, shown.visitor[here], shown.product[here], today=today, n=n
        )
        generator = np.random.default_rng([seed, int(week)])
        strange = generator.integers(0, STRANGERS, n)[shown.visitor[here]] == 0
        empty = log_of_nobody(shop.log)
        if strange.any():  # a quiet week may have no stranger
            made[strange] = describe(
                empty, shelf, liked, shown.visitor[here][strange], shown.product[here][strange],
                today=today, n=n,
            )  # fmt: skip
        features.append(made)
        labels.append(shown.label[here])
        weeks.append(shown.week[here])
    return np.concatenate(features), np.concatenate(labels), np.concatenate(weeks)


def log_of_nobody(log: Log) -> Log:
    """Return a log without rows."""
    return log.take(np.zeros(0, dtype=np.int64))


def train(
    shop: ShopData, tables: Path, *, valid_week: int, test_week: int, seed: int
) -> "tuple[ClickModel | None, dict[str, Any]]":
    """Learn the chance before `valid_week`, calibrate it before `test_week`, and judge it after.

    Returns:
        The model, or None where nothing was shown or taken up; and what to report.
    """
    import lightgbm

    shelf = Shelf(shop.columns.type_of, shop.columns.category_of)
    shown, basis = shown_from_slates(shop, tables), "clicks on impressions"
    if not shown.label.any():
        weeks = [*range(FIRST_WEEK, int(shop.log.week.max()) + 1, EVERY_WEEKS)]
        shown = shown_from_exposures(shop, weeks, seed)
        basis = "purchases of displayed or mailed products by visitors who shopped that week"
    if not shown.label.any():
        return None, {"basis": "nothing was shown"}
    features, label, week = rows_of(shop, shown, shelf, seed)
    early, late, test = week < valid_week, (week >= valid_week) & (week < test_week), (
        week >= test_week)  # fmt: skip
    if min(label[early].sum(), label[late].sum()) < 20:
        return None, {"basis": basis, "status": "too few clicks"}
    data = lightgbm.Dataset(
        features[early], label[early].astype(np.float32), feature_name=list(FEATURES)
    )
    options = {
        "objective": "binary", "num_leaves": 15, "learning_rate": 0.06, "min_data_in_leaf": 100,
        "lambda_l2": 5.0, "seed": seed, "deterministic": True, "force_row_wise": True,
        "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    text = str(lightgbm.train(options, data, 120).model_to_string())
    raw = Chance(text).raw(features[late])
    chance = Chance(text, fit_calibration(raw, label[late], np.ones(int(late.sum()))))
    end = int(shop.log.day.max()) + 1
    model = ClickModel(
        chance, shop.columns.product_ids, shelf,
        liked_before(shop.log, shelf, end, len(shop.visitor_ids)),
    )  # fmt: skip
    report: dict[str, Any] = {
        "basis": basis, "train": int(early.sum()), "calibrated_on": int(late.sum()),
        "test": int(test.sum()),
    }  # fmt: skip
    for name, part in (
        ("all", test),
        ("strangers", test & (features[:, 0] == 0)),
        ("known", test & (features[:, 0] == 1)),
    ):
        if label[part].any():
            found = chance.probability(features[part])
            bins = reliability(found, label[part])
            report[name] = {
                "auc": auc(found, label[part]), "foretold": float(found.mean()),
                "observed": float(label[part].mean()), "bins": bins,
                "relative_error": calibration_error(bins),
            }  # fmt: skip
    return model, report


@dataclass
class ClickModel:
    """Calibrated chances that a visitor takes up a shown product."""

    chance: Chance
    product_ids: tuple[str, ...]
    shelf: Shelf
    liked: Liked

    def __post_init__(self) -> None:
        """Index products."""
        self.product_index = {p: i for i, p in enumerate(self.product_ids)}

    def score(self, log: Log, product_ids: Sequence[str], *, today: int) -> NDArray[np.float64]:
        """Return the chances for one visitor; an unknown product has the middle of all.

        Args:
            log: the visitor's rows as visitor 0, groups in the order of `product_ids` of the model;
                empty for a stranger.
            product_ids: what would be shown.
            today: UTC day by the shop's clock.
        """
        at = np.array([self.product_index.get(p, -1) for p in product_ids], dtype=np.int64)
        known = at >= 0
        out = np.full(len(at), float(np.median(self.chance.calibration.probabilities)))
        if known.any():
            places = at[known]
            rows = describe(
                log, self.shelf, self.liked, np.zeros(len(places), dtype=np.int64), places,
                today=today, n=1,
            )  # fmt: skip
            out[known] = self.chance.probability(rows)
        return np.clip(out, 1e-6, 1.0)

    def save(self, folder: Path) -> None:
        """Write the model's files into an artefact's folder."""
        (folder / "pctr.txt").write_text(self.chance.model, encoding="utf-8")
        stored = {
            "features": list(FEATURES),
            "scores": list(self.chance.calibration.scores),
            "probabilities": list(self.chance.calibration.probabilities),
        }
        (folder / FILE_NAME).write_text(json.dumps(stored, indent=1, sort_keys=True))
        np.savez(
            folder / "pctr.npz",
            type_of=self.shelf.type_of,
            category_of=self.shelf.category_of,
            popularity=self.liked.popularity,
            type_popularity=self.liked.type_popularity,
        )
        pl.DataFrame({"product_id": self.product_ids}).write_parquet(
            folder / "pctr_products.parquet"
        )

    @classmethod
    def load(cls, artefacts: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: absent, or made for other features than this code computes.
        """
        folder = artefacts / ARTEFACT
        if not (folder / FILE_NAME).is_file():
            raise ArtefactError(f"{folder}: no model of clicks. Run `make pipeline`.")
        stored = json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))
        if tuple(stored["features"]) != FEATURES:
            raise ArtefactError(
                f"{folder}: trained on other features than this version computes. "
                "Rebuild it with `shelfwise stage train_promotions`."
            )
        data = np.load(folder / "pctr.npz")
        return cls(
            Chance(
                (folder / "pctr.txt").read_text(encoding="utf-8"),
                Calibration(tuple(stored["scores"]), tuple(stored["probabilities"])),
            ),
            tuple(pl.read_parquet(folder / "pctr_products.parquet")["product_id"]),
            Shelf(data["type_of"], data["category_of"]),
            Liked(data["popularity"], data["type_popularity"]),
        )
