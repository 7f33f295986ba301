"""What goes with what, and what stands in for what; and a basket filled under constraints.

In: a log of purchases and what products say of themselves. Out: `Bundles`, per product its
complements (in one basket more often than chance, and no likely stand-in) and its substitutes
(alike, bought in turn rather than together), and `fill_basket`, which chooses products for a budget
or an occasion by mixed-integer programming. Products without sales have neither. `run` is the stage
`bundles`: it also asks how often a later basket holds what was said to go with its products.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from components.contracts.artefacts import Layout, read_manifest, writing_artefact
from components.contracts.errors import ArtefactError
from components.contracts.params import Params
from components.data.parquet import read_table
from components.data.split import cut_offs
from components.evaluate.report import write_report
from components.recommend.cold_content import cold_facts
from components.recommend.history import FloatArray, IntArray, Log
from components.recommend.shop_data import read_shop

ARTEFACT = "bundles"
SHRINK = 8.0  # pairs expected by chance that a lift is damped by
MIN_LIFT = 1.3
MIN_TOGETHER = 5
TURN_LIFT = 2.0  # a purchase followed by the other one, over chance
ALIKE = 0.6


@dataclass(frozen=True)
class Pairs:
    """Directed pairs of products in compressed rows; per row best first.

    Attributes:
        bounds: (V + 1,) row bounds.
        other: (n,) the other product.
        lift: (n,) damped lift over chance.
        together: (n,) baskets (or turns) that hold both.
    """

    bounds: IntArray
    other: IntArray
    lift: FloatArray
    together: IntArray

    def of(self, product: int) -> slice:
        """Return the rows of a product; empty for one without."""
        if not 0 <= product < len(self.bounds) - 1:
            return slice(0, 0)
        return slice(int(self.bounds[product]), int(self.bounds[product + 1]))


@dataclass(frozen=True)
class Bundles:
    """Complements and substitutes of the products in dense order."""

    product_ids: tuple[str, ...]
    complements: Pairs
    substitutes: Pairs

    def index(self) -> Mapping[str, int]:
        """Return the dense place of each product id."""
        return {product_id: place for place, product_id in enumerate(self.product_ids)}

    def save(self, folder: Path) -> None:
        """Write `bundles.npz` and `products.json`."""
        arrays: dict[str, Any] = {}
        for name, pairs in (("goes", self.complements), ("stands", self.substitutes)):
            arrays |= {
                f"{name}_bounds": pairs.bounds.astype(np.int32),
                f"{name}_other": pairs.other.astype(np.int32),
                f"{name}_lift": pairs.lift.astype(np.float32),
                f"{name}_together": pairs.together.astype(np.int32),
            }
        np.savez_compressed(folder / "bundles.npz", **arrays)
        (folder / "products.json").write_text(json.dumps(list(self.product_ids)))

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
            ids = tuple(json.loads((folder / "products.json").read_text()))
            with np.load(folder / "bundles.npz", allow_pickle=False) as held:
                made = [
                    Pairs(
                        held[f"{name}_bounds"].astype(np.int64),
                        held[f"{name}_other"].astype(np.int64),
                        held[f"{name}_lift"].astype(np.float32),
                        held[f"{name}_together"].astype(np.int64),
                    )
                    for name in ("goes", "stands")
                ]
        except (OSError, ValueError, KeyError) as error:
            raise ArtefactError(f"{folder}: cannot be read ({error}).") from error
        return cls(ids, *made)


def run(params: Params, layout: Layout) -> None:
    """Judge on later baskets what earlier ones say, learn from all of them, write both.

    Raises:
        TableError: a required table is absent.
    """
    section, judged = params.bundles, params.evaluate
    shop = read_shop(layout.tables)
    facts = cold_facts(shop, read_table("products", layout.tables))
    weeks = shop.log.week
    cut = cut_offs(params.split, int(weeks.min()), int(weeks.max())).test_from_week

    def learn(log: Log) -> Bundles:
        return build_bundles(
            log, shop.columns.product_ids, facts.type_of, facts.vectors,
            min_lines=section.min_lines, keep=section.keep,
        )  # fmt: skip

    rows = judge(learn(shop.log.before(cut)), shop.log, cut, n=judged.bootstrap, seed=judged.seed)
    made = learn(shop.log)
    with writing_artefact(
        layout.artefact(ARTEFACT),
        kind="bundles",
        stage=ARTEFACT,
        seed=judged.seed,
        params=section.model_dump(),
        packages=("numpy", "scipy"),
    ) as folder:
        made.save(folder)
    write_report(
        layout.reports / "bundles.json",
        protocol="Bundles: what goes with the products of a later basket",
        dataset=params.ingest.source,
        split="baskets of weeks from the cut-off on; everything learnt from the weeks before",
        cut_off=f"week {cut}",
        n=rows[0]["n"] if rows else 0,
        seed=judged.seed,
        rows=rows,
        products_with_complements=int((np.diff(made.complements.bounds) > 0).sum()),
        products_with_substitutes=int((np.diff(made.substitutes.bounds) > 0).sum()),
    )


def judge(
    bundles: Bundles, log: Log, cut: int, *, n: int, seed: int, top: int = 5
) -> list[dict[str, Any]]:
    """Ask of later baskets how much more often than chance they hold what was named for them.

    Args:
        bundles: learnt from weeks before `cut`.
        log: all purchases.
        cut: first week judged.
        n: resamples of the interval.
        seed: of the resampling.
        top: products named.

    Returns:
        Rows of what goes with it, of as many popular products, and of the products most often in
        one basket with it. Lift is how many named products the baskets hold over how many they
        would hold by those products' own rates.
    """
    v = len(bundles.product_ids)
    before, later = log.before(cut), log.take(log.week >= cut)
    if not len(later) or not len(before):
        return []
    best = np.lexsort((np.arange(v), -np.bincount(before.group, before.amount, v)))[: 4 * top]
    together = sp.csr_matrix(basket_matrix(before, v))
    known = np.flatnonzero(np.diff(bundles.complements.bounds) > 0)
    has = np.zeros(v, dtype=bool)
    has[known] = True
    named: dict[str, dict[int, list[int]]] = {
        "shelfwise": {},
        "popularity": {},
        "most_together": {},
    }
    asked = np.unique(later.group[has[later.group]])
    counts = sp.csr_matrix(sp.csr_matrix(together[:, asked]).T @ together)
    for place, item in enumerate(asked.tolist()):
        named["shelfwise"][item] = bundles.complements.other[bundles.complements.of(item)][
            :top
        ].tolist()
        size = len(named["shelfwise"][item])
        named["popularity"][item] = [b for b in best.tolist() if b != item][:size]
        counted: Any = counts[place]
        order = np.lexsort((counted.indices, -counted.data))
        named["most_together"][item] = [
            int(c) for c in counted.indices[order[: size + 1]] if c != item
        ][:size]
    matrix = basket_matrix(later, v)
    size_of = max(matrix.shape[0], 1)
    rate = np.asarray(matrix.sum(axis=0)).ravel() / size_of
    day = later.visitor * 100_000 + later.day - int(later.day.min())
    _, first = np.unique(day, return_index=True)
    visitor = later.visitor[first]
    rows: list[dict[str, Any]] = []
    for name, lists in named.items():
        pairs = [(item, other) for item in asked.tolist() for other in lists[item]]
        links = sp.csr_matrix(
            (np.ones(len(pairs)), tuple(np.array(pairs, dtype=np.int64).reshape(-1, 2).T)), (v, v)
        )
        wanted = sp.csr_matrix(matrix @ links)  # (baskets, V): how often each product is named
        seen = np.asarray(wanted.multiply(matrix).sum(axis=1)).ravel()
        usual = np.asarray(wanted @ rate).ravel()
        row: dict[str, Any] = {
            "model": name, "shipped": name == "shelfwise", "slice": "all",
            "n": len(np.unique(visitor[usual > 0])), "baskets": int((usual > 0).sum()),
            "share_bought_together": float(seen.sum() / max(wanted.sum(), 1.0)),
        }  # fmt: skip
        row[f"lift@{top}"], low, high = ratio_interval(seen, usual, visitor, n=n, seed=seed)
        rows.append(row | {f"lift@{top}_low": low, f"lift@{top}_high": high})
    return rows


def ratio_interval(
    seen: NDArray[np.float64], usual: NDArray[np.float64], visitor: IntArray, *, n: int, seed: int
) -> tuple[float, float, float]:
    """Return sum(seen) / sum(usual) and its 95 % bootstrap interval over visitors."""
    width = int(visitor.max(initial=0)) + 1
    a, b = np.bincount(visitor, seen, width), np.bincount(visitor, usual, width)
    who = np.flatnonzero(b > 0)
    if not len(who):
        return 0.0, 0.0, 0.0
    a, b = a[who], b[who]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(who), np.full(len(who), 1 / len(who)), size=n)
    low, high = np.quantile((drawn @ a) / (drawn @ b), [0.025, 0.975])
    return float(a.sum() / b.sum()), float(low), float(high)


def basket_matrix(log: Log, n_products: int) -> sp.csr_matrix:
    """Return (baskets, V) ones: what one visitor bought on one day."""
    key = log.visitor * 100_000 + log.day - int(log.day.min(initial=0))
    baskets, row = np.unique(key, return_inverse=True)
    made = sp.csr_matrix(
        (np.ones(len(log), dtype=np.float32), (row, log.group)), shape=(len(baskets), n_products)
    )
    made.data[:] = 1.0
    return made


def turn_matrix(log: Log, type_of: IntArray, n_products: int) -> sp.csr_matrix:
    """Count turns: a visitor's purchase within a type followed, on another day, by another product.

    Args:
        log: purchases.
        type_of: (V,) dense type.
        n_products: V.

    Returns:
        (V, V) counts, both directions added up.
    """
    kind = type_of[log.group]
    order = np.lexsort((log.group, log.day, kind, log.visitor))
    visitor, kinds = log.visitor[order], kind[order]
    day, product = log.day[order], log.group[order]
    follows = (visitor[1:] == visitor[:-1]) & (kinds[1:] == kinds[:-1]) & (day[1:] > day[:-1])
    follows &= product[1:] != product[:-1]
    before, after = product[:-1][follows], product[1:][follows]
    ones = np.ones(len(before), dtype=np.float32)
    made = sp.csr_matrix((ones, (before, after)), shape=(n_products, n_products))
    return sp.csr_matrix(made + made.T)


def build_bundles(
    log: Log,
    product_ids: Sequence[str],
    type_of: IntArray,
    vectors: FloatArray,
    *,
    min_lines: float = 20.0,
    keep: int = 20,
    block: int = 512,
) -> Bundles:
    """Learn complements and substitutes from baskets and from turns.

    Args:
        log: purchases.
        product_ids: V ids in dense order.
        type_of: (V,) dense type; two products of one type are never complements.
        vectors: (V, D) unit rows of what products say of themselves.
        min_lines: products with fewer take no part.
        keep: pairs kept per product and kind.
        block: products done at once; bounds memory at block x V numbers.
    """
    n = len(product_ids)
    lines = np.bincount(log.group, log.amount, n)
    chosen = np.flatnonzero(lines >= min_lines)
    matrix: Any = basket_matrix(log, n)
    part = sp.csc_matrix(matrix)[:, chosen]
    rows, by_product = sp.csr_matrix(part), sp.csr_matrix(part.T)
    count = np.asarray(part.sum(axis=0), dtype=np.float64).ravel()
    turns: Any = turn_matrix(log, type_of, n)
    turns = sp.csr_matrix(turns[chosen][:, chosen])
    of_turn = np.asarray(turns.sum(axis=1), dtype=np.float64).ravel()
    of_type = np.bincount(type_of[chosen], of_turn, int(type_of.max(initial=0)) + 1)
    found: dict[str, list[tuple[IntArray, IntArray, FloatArray, IntArray]]] = {"g": [], "s": []}
    for start in range(0, len(chosen), block):
        stop = min(len(chosen), start + block)
        here = chosen[start:stop]
        both = np.asarray((by_product[start:stop] @ rows).todense(), dtype=np.float32)
        chance = (count[start:stop, None] * count[None, :] / max(matrix.shape[0], 1)).astype(
            np.float32
        )
        lift = (both + SHRINK) / (chance + SHRINK)
        alike = vectors[here] @ vectors[chosen].T
        same = type_of[here][:, None] == type_of[chosen][None, :]
        turned = np.asarray(turns[start:stop].todense(), dtype=np.float32)
        # Within a type a turn to each product is expected by its share of the type's turns.
        usual = of_turn[start:stop, None] * (of_turn / np.maximum(of_type[type_of[chosen]], 1.0))
        turn_lift = (turned + 1.0) / (np.where(same, usual, 0.0) + 1.0)
        at = np.arange(stop - start)
        lift[at, start + at] = 0.0
        turned[at, start + at] = 0.0
        stands = (turned >= 2) & (alike >= ALIKE) & (turn_lift >= 1.0)
        goes = (lift >= MIN_LIFT) & (both >= MIN_TOGETHER) & ~same & (alike < ALIKE) & ~stands
        found["g"].append(_best(here, chosen, np.where(goes, lift, 0.0), both, keep))
        worth = np.where(stands, turn_lift * alike, 0.0)
        found["s"].append(_best(here, chosen, worth, turned, keep))
    return Bundles(tuple(product_ids), _pairs(found["g"], n), _pairs(found["s"], n))


def _best(
    here: IntArray, chosen: IntArray, value: NDArray[Any], together: FloatArray, keep: int
) -> tuple[IntArray, IntArray, FloatArray, IntArray]:
    k = min(keep, value.shape[1])
    best = np.argpartition(-value, k - 1, axis=1)[:, :k]
    taken = np.take_along_axis(value, best, axis=1)
    order = np.lexsort((best, -taken), axis=1)
    best, taken = np.take_along_axis(best, order, axis=1), np.take_along_axis(taken, order, axis=1)
    row, column = np.nonzero(taken > 0)
    other = best[row, column]
    return (
        here[row],
        chosen[other],
        taken[row, column].astype(np.float32),
        together[row, other].astype(np.int64),
    )


def _pairs(parts: Sequence[tuple[IntArray, IntArray, FloatArray, IntArray]], n: int) -> Pairs:
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Pairs(np.zeros(n + 1, dtype=np.int64), none, np.zeros(0, np.float32), none)
    owner, other, lift, together = (np.concatenate(column) for column in zip(*parts, strict=True))
    bounds = np.searchsorted(owner, np.arange(n + 1))
    return Pairs(bounds, other, lift, together)


@dataclass(frozen=True)
class Choice:
    """A filled basket.

    Attributes:
        chosen: places of the chosen candidates, ascending.
        value: sum of their values.
        cost_minor: sum of their prices.
        is_optimal: the solver proved that no better one exists.
    """

    chosen: tuple[int, ...]
    value: float
    cost_minor: int
    is_optimal: bool


def fill_basket(
    values: Sequence[float],
    prices: Sequence[int],
    budget_minor: int,
    *,
    groups: Sequence[int] | None = None,
    at_most: Mapping[int, int] | None = None,
    at_least: Mapping[int, int] | None = None,
    must: Sequence[int] = (),
    never: Sequence[tuple[int, int]] = (),
    lines: int | None = None,
    seconds: float = 2.0,
) -> Choice | None:
    """Choose products of the highest total value within a budget.

    Args:
        values: of each candidate; only what adds value is taken unless a rule asks for it.
        prices: of each candidate, minor units.
        budget_minor: at most so much altogether.
        groups: label of each candidate (a course, a type) for the two caps below.
        at_most: group to how many of it.
        at_least: likewise, a lower bound.
        must: candidates that have to be in.
        never: pairs that do not go into one basket (stand-ins of each other).
        lines: at most so many products.
        seconds: time limit of the solver; a feasible answer found by then is returned as such.

    Returns:
        The choice, or None when no basket keeps the rules.

    >>> fill_basket([3.0, 2.0, 2.0], [300, 200, 200], 400).chosen
    (1, 2)
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    n = len(values)
    if n == 0:
        return None if must or any((at_least or {}).values()) else Choice((), 0.0, 0, True)
    price = np.asarray(prices, dtype=np.float64)
    rows: list[NDArray[np.float64]] = [price]
    low, high = [-np.inf], [float(budget_minor)]
    label = np.asarray(groups if groups is not None else np.zeros(n), dtype=np.int64)
    limited: set[int] = {*(at_most or {}), *(at_least or {})}
    for group in sorted(limited):
        rows.append((label == group).astype(np.float64))
        low.append(float((at_least or {}).get(group, 0)))
        high.append(float((at_most or {}).get(group, n)))
    for first, second in never:
        row = np.zeros(n)
        row[[first, second]] = 1.0
        rows.append(row)
        low.append(-np.inf)
        high.append(1.0)
    if lines is not None:
        rows.append(np.ones(n))
        low.append(-np.inf)
        high.append(float(lines))
    least = np.zeros(n)
    least[list(must)] = 1.0
    # Among equals the cheaper basket: a weight too small to outweigh any difference of value.
    worth = np.asarray(values, dtype=np.float64)
    scale = max(float(np.abs(worth).max()), 1e-9)
    cost = -worth / scale + 1e-7 * price / max(float(price.sum()), 1.0)
    solved = milp(
        cost,
        constraints=LinearConstraint(np.stack(rows), np.array(low), np.array(high)),
        integrality=np.ones(n),
        bounds=Bounds(least, np.ones(n)),
        options={"time_limit": seconds, "mip_rel_gap": 0.0},
    )
    if solved.x is None:
        return None
    chosen = tuple(np.flatnonzero(solved.x > 0.5).tolist())
    return Choice(
        chosen=chosen,
        value=float(worth[list(chosen)].sum()),
        cost_minor=int(price[list(chosen)].sum()),
        is_optimal=solved.status == 0,
    )
