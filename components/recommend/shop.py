"""What the shop knows of its products before a week: facts, similarities, factors, exposures.

In: a `Log` cut before that week and the product and exposure tables. Out: a `ShopState`, the same
for every visitor, which can be saved (npz) and loaded for serving. Holds no visitor.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from components.contracts.errors import ArtefactError
from components.recommend.crowd import Crowd, gather_crowd
from components.recommend.demand import Demand, learn_demand
from components.recommend.features import Exposures, ShopState, normalised
from components.recommend.history import BoolArray, FloatArray, IntArray, Log, dense

REBUY_DAYS = 28
PLACE_HALF_LIFE_DAYS = 91.0


@dataclass(frozen=True)
class ProductColumns:
    """Timeless facts of products in dense order.

    Attributes:
        product_ids: (V,) ids.
        type_of: (V,) dense type.
        category_of: (V,) dense category path.
        price: (V,) price in minor units, NaN if unknown.
    """

    product_ids: tuple[str, ...]
    type_of: IntArray
    category_of: IntArray
    price: FloatArray

    def __len__(self) -> int:
        """Return V."""
        return len(self.product_ids)


def product_columns(products: pl.DataFrame) -> ProductColumns:
    """Read what the ranker needs from the canonical `products` table, ordered by product_id.

    A product without a type takes its category as its type.
    """
    rows = products.sort("product_id")
    category = rows["category"]
    kind = pl.Series((rows["category"] + " > " + rows["type"].fill_null("")).to_list())
    return ProductColumns(
        product_ids=tuple(rows["product_id"]),
        type_of=kind.rank("dense").cast(pl.Int64).to_numpy() - 1,
        category_of=category.rank("dense").cast(pl.Int64).to_numpy() - 1,
        price=rows["price_minor"].cast(pl.Float32).to_numpy().astype(np.float32),
    )


@dataclass(frozen=True)
class ExposureCalendar:
    """All weeks' exposures in dense indices.

    Attributes:
        shares: week to (V, 3) display, mailer and front shares.
    """

    shares: Mapping[int, FloatArray]

    def before(self, week: int, n_products: int, usual_weeks: int = 12) -> Exposures:
        """Return the calendar for a state of `week`: usual shares come from earlier weeks alone."""
        earlier = [self.shares[w] for w in sorted(self.shares) if week - usual_weeks <= w < week]
        usual = np.mean(earlier, axis=0) if earlier else np.zeros((n_products, 3))
        return Exposures(self.shares, usual.astype(np.float32))


def exposure_calendar(exposures: pl.DataFrame, products: Sequence[str]) -> ExposureCalendar:
    """Arrange the canonical `exposures` table by week.

    Args:
        exposures: shares over places, per product and week.
        products: ids in dense order.
    """
    shares: dict[int, FloatArray] = {}
    rows = exposures.with_columns(pl.Series("at", dense(exposures["product_id"], products)))
    for (week,), part in rows.filter(pl.col("at") >= 0).group_by(["week"], maintain_order=True):
        block = np.zeros((len(products), 3), dtype=np.float32)
        block[part["at"].to_numpy()] = part.select(
            "display_share", "mailer_share", "front_share"
        ).to_numpy()
        shares[int(week)] = block  # type: ignore[arg-type]
    return ExposureCalendar(dict(sorted(shares.items())))


def product_facts(log: Log, today: int, columns: ProductColumns) -> FloatArray:
    """Compute the (V, 11) product features from rows before day `today`.

    popularity, popularity_28, popularity_7 (log lines), trend, buyers (log), lines per buyer,
    rebuy (share of purchase days followed by another of the same visitor within four weeks, among
    days old enough to tell), gap (mean days between), discounted, price, age (days on sale).
    """
    n = len(columns)
    age = today - log.day
    lines = np.bincount(log.group, log.amount, n)
    month = np.bincount(log.group, log.amount * (age <= 28), n)
    week = np.bincount(log.group, log.amount * (age <= 7), n)
    quarter = np.bincount(log.group, log.amount * (age <= 91), n)
    pair_start = np.r_[True, (np.diff(log.group) != 0) | (np.diff(log.visitor) != 0)]
    pair_start = pair_start[: len(log)]
    buyers = np.bincount(log.group[pair_start], minlength=n)
    next_gap = np.full(len(log), np.inf)
    if len(log):
        same = ~pair_start[1:]
        next_gap[:-1][same] = (log.day[1:] - log.day[:-1])[same]
    old = age >= REBUY_DAYS
    again = np.bincount(log.group, old & (next_gap <= REBUY_DAYS), n)
    chances = np.bincount(log.group, old, n)
    finite = np.isfinite(next_gap)
    gaps = np.bincount(log.group[finite], next_gap[finite], n)
    gap_count = np.bincount(log.group[finite], minlength=n)
    saved = np.bincount(log.group, log.amount * log.discounted, n)
    first = np.full(n, today, dtype=np.int64)
    np.minimum.at(first, log.group, log.day)
    facts = np.stack(
        [
            np.log1p(lines),
            np.log1p(month),
            np.log1p(week),
            np.log((month + 2.0) / (quarter * 28 / 91 + 2.0)),
            np.log1p(buyers),
            lines / np.maximum(buyers, 1),
            (again + 0.1 * 10) / (chances + 10),
            np.where(gap_count > 0, gaps / np.maximum(gap_count, 1), 999.0),
            np.where(lines > 0, saved / np.maximum(lines, 1e-6), -1.0),
            np.nan_to_num(columns.price, nan=-1.0),
            today - first,
        ],
        axis=1,
    )
    return facts.astype(np.float32)


def cosine_neighbours(
    matrix: sp.csr_matrix, k: int, *, keep: BoolArray, shrink: float = 10.0, block: int = 1024
) -> sp.csr_matrix:
    """Return the `k` most similar columns of each column, cosine damped by `shrink`, no diagonal.

    Args:
        matrix: (rows, V) non-negative.
        k: neighbours kept per column; ties at the end go to the smaller index.
        keep: (V,) columns that take part; the others have no neighbours and are nobody's.
        shrink: added to the product of the norms, so that rare pairs do not rule.
        block: columns done at once; bounds memory at block x V numbers.
    """
    n = matrix.shape[1]
    chosen = np.flatnonzero(keep)
    by_column: Any = sp.csc_matrix(matrix)
    columns: Any = by_column[:, chosen].astype(np.float32)
    norm = np.sqrt(np.asarray(columns.multiply(columns).sum(axis=0)).ravel())
    transposed = columns.T.tocsr()
    columns = columns.tocsr()
    k = min(k, max(len(chosen) - 1, 0))
    rows, targets, values = [], [], []
    for start in range(0, len(chosen) if k else 0, block):
        stop = min(len(chosen), start + block)
        score = np.asarray((transposed[start:stop] @ columns).todense())
        score /= norm[start:stop, None] * norm[None, :] + shrink
        at = np.arange(stop - start)
        score[at, start + at] = 0.0
        best = np.sort(np.argpartition(-score, k - 1, axis=1)[:, :k], axis=1)
        taken = np.take_along_axis(score, best, axis=1)
        row, column = np.nonzero(taken > 0)
        rows.append(chosen[start + row])
        targets.append(chosen[best[row, column]])
        values.append(taken[row, column])
    if not rows:
        return sp.csr_matrix((n, n), dtype=np.float32)
    weight = np.concatenate(values).astype(np.float32)
    return sp.csr_matrix((weight, (np.concatenate(rows), np.concatenate(targets))), shape=(n, n))


def item_factors(
    matrix: sp.csr_matrix, dimensions: int, seed: int, *, keep: BoolArray, passes: int = 3
) -> FloatArray:
    """Return (V, D) orthonormal right singular vectors, by randomised subspace iteration.

    Args:
        matrix: (rows, V).
        dimensions: D wanted; fewer when the matrix is small.
        seed: of the random start.
        keep: (V,) columns that take part; the others get zeros.
        passes: power iterations; three are plenty for ranking.
    """
    chosen = np.flatnonzero(keep)
    by_column: Any = sp.csc_matrix(matrix)
    part: Any = by_column[:, chosen].tocsr().astype(np.float32)
    rank = min(dimensions, *part.shape)
    out = np.zeros((matrix.shape[1], max(rank, 1)), dtype=np.float32)
    if rank < 1 or part.nnz == 0:
        return out
    generator = np.random.default_rng(seed)
    width = min(rank + 16, *part.shape)
    basis = generator.normal(size=(len(chosen), width)).astype(np.float32)
    for _ in range(passes):
        left, _ = np.linalg.qr(part @ basis)
        basis, _ = np.linalg.qr(part.T @ left)
    _, _, right = np.linalg.svd(part @ basis, full_matrices=False)
    factors = (basis @ right.T)[:, :rank]
    signs = np.sign(factors[np.abs(factors).argmax(axis=0), np.arange(rank)])
    out[chosen] = factors * np.where(signs == 0, 1, signs)
    return out


def build_state(
    log: Log,
    week: int,
    columns: ProductColumns,
    calendar: ExposureCalendar,
    *,
    n_visitors: int,
    n_places: int,
    neighbours: int,
    dimensions: int,
    min_purchases: int,
    seed: int,
) -> ShopState:
    """Learn the shop's state from rows of weeks strictly before `week`.

    Args:
        log: any rows; later ones are cut off here.
        week: the first week that may be asked for.
        columns: product facts.
        calendar: exposures of all weeks (announced before each week begins).
        n_visitors: size of the visitor vocabulary.
        n_places: size of the place vocabulary.
        neighbours: similarities kept per product.
        dimensions: of the SVD.
        min_purchases: lines below which a product is not rankable by this model.
        seed: starts the SVD.
    """
    rows = log.before(week)
    n = len(columns)
    today = int(rows.day.max(initial=0)) + 1
    facts = product_facts(rows, today, columns)
    lines = np.bincount(rows.group, rows.amount, n)
    rankable = lines >= min_purchases
    age = (today - rows.day).astype(np.float32)
    decayed = sp.csr_matrix(
        (rows.amount * np.exp2(-age / 182.0), (rows.visitor, rows.group)), shape=(n_visitors, n)
    )
    decayed.data = np.log1p(decayed.data)
    trip_key = rows.visitor * 100_000 + rows.trip
    baskets, basket = np.unique(trip_key, return_inverse=True)
    bought = sp.csr_matrix(
        (np.ones(len(rows), dtype=np.float32), (basket, rows.group)), shape=(len(baskets), n)
    )
    sums = [
        np.bincount(of, lines, of.max(initial=0) + 1)
        for of in (columns.type_of, columns.category_of)
    ]
    in_group = np.stack(
        [lines / np.maximum(total[of], 1e-6)
         for total, of in zip(sums, (columns.type_of, columns.category_of), strict=True)],
        axis=1,
    )  # fmt: skip
    return ShopState(
        week=week,
        type_of=columns.type_of,
        category_of=columns.category_of,
        facts=facts,
        in_group=in_group.astype(np.float32),
        place_share=_place_share(rows, age, n_places, n),
        svd=item_factors(normalised(decayed), dimensions, seed, keep=rankable),
        neighbours=cosine_neighbours(decayed, neighbours, keep=rankable),
        companions=cosine_neighbours(bought, neighbours, keep=rankable),
        rankable=rankable,
        exposures=calendar.before(week, n),
        crowd=gather_crowd(rows, today, n_visitors, n),
        demand=learn_demand(rows, week, calendar.shares, n),
        trips_28=float(len(np.unique(trip_key[age <= 28]))),
    )


def _place_share(rows: Log, age: FloatArray, n_places: int, n_products: int) -> FloatArray:
    """Return (P, V) decayed lines per 10,000 of the place's lines, damped towards the shop's."""
    weight = rows.amount * np.exp2(-age / PLACE_HALF_LIFE_DAYS)
    overall = np.bincount(rows.group, weight, n_products)
    overall = overall / max(overall.sum(), 1e-9)
    known = rows.place >= 0
    counts = np.zeros((n_places, n_products), dtype=np.float32)
    np.add.at(counts, (rows.place[known], rows.group[known]), weight[known])
    total = counts.sum(axis=1, keepdims=True)
    damping = 200.0
    return ((counts + damping * overall) / (total + damping) * 1e4).astype(np.float32)


STATE_NAME = "state.npz"
_SPARSE = ("neighbours", "companions")
_DENSE = ("type_of", "category_of", "facts", "in_group", "place_share", "svd", "rankable")


def save_state(
    folder: Path, state: ShopState, product_ids: Sequence[str], *, weeks: int = 8
) -> None:
    """Write a state for serving as `state.npz` and `products.json`.

    Args:
        folder: an artefact being written.
        state: built on all data of the release.
        product_ids: ids in dense order.
        weeks: exposures kept from the week before `state.week` on; earlier ones go unasked.
    """
    arrays: dict[str, Any] = {name: getattr(state, name) for name in _DENSE}
    arrays["place_share"] = state.place_share.astype(np.float16)
    arrays["usual"] = state.exposures.usual
    for name in _SPARSE:
        matrix: sp.csr_matrix = getattr(state, name)
        for part in ("data", "indices", "indptr"):
            arrays[f"{name}_{part}"] = getattr(matrix, part)
    arrays |= state.crowd.arrays() | state.demand.arrays()
    kept = [w for w in state.exposures.shares if state.week - 1 <= w < state.week + weeks]
    for week in kept:
        arrays[f"shares_{week}"] = state.exposures.shares[week]
    np.savez_compressed(folder / STATE_NAME, **arrays)
    head = {"week": state.week, "trips_28": state.trips_28, "exposure_weeks": kept,
            "product_ids": list(product_ids)}  # fmt: skip
    (folder / "products.json").write_text(json.dumps(head))


def load_state(folder: Path) -> tuple[ShopState, tuple[str, ...]]:
    """Read what `save_state` wrote: the state and the product ids in dense order.

    Raises:
        ArtefactError: a file is absent or damaged.
    """
    try:
        head = json.loads((folder / "products.json").read_text())
        with np.load(folder / STATE_NAME, allow_pickle=False) as held:
            n = len(head["product_ids"])
            parts: dict[str, Any] = {name: held[name] for name in _DENSE}
            parts["place_share"] = parts["place_share"].astype(np.float32)
            for name in _SPARSE:
                held_parts = tuple(held[f"{name}_{x}"] for x in ("data", "indices", "indptr"))
                parts[name] = sp.csr_matrix(held_parts, (n, n))
            shares = {int(w): held[f"shares_{w}"] for w in head["exposure_weeks"]}
            exposures = Exposures(shares, held["usual"])
            parts |= {"crowd": Crowd.from_arrays(held), "demand": Demand.from_arrays(held)}
    except (OSError, ValueError, KeyError) as error:
        raise ArtefactError(
            f"{folder}: the shop's state cannot be read ({error}). "
            "Rebuild it with `shelfwise stage train_ranker`."
        ) from error
    state = ShopState(week=head["week"], trips_28=head["trips_28"], exposures=exposures, **parts)
    return state, tuple(head["product_ids"])
