"""Join generators: a pool of their best candidates, and two ways to weigh their scores.

In: named score functions over dense product indices, and visitors' histories. Out: per visitor a
ranking of the pooled candidates by a weighted sum of z-scores (`WeightedBlend`), or by boosted
trees over the scores (`StackedRanker`), both fitted on what validation visitors took next. How
often a product was sold is never a feature: where a data set keeps only products with at least n
sales, a rare product's count gives away that its missing sales lie in the held-out part.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from components.data.trees import read_trees

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Score = Callable[[Sequence[Any]], FloatArray]


@dataclass(frozen=True)
class Pool:
    """Candidates of many visitors, row by row; rows of one visitor stand together.

    Attributes:
        visitor: (N,) position of the visitor in the given histories, ascending.
        item: (N,) product index.
        features: (N, F) float32, columns as in `names`.
        seen: (N,) true if the product is in the visitor's history.
        names: F column names; `z.NAME` are the generators' z-scores.
        n_visitors: number of histories, including those without a candidate.
    """

    visitor: IntArray
    item: IntArray
    features: FloatArray
    seen: BoolArray
    names: tuple[str, ...]
    n_visitors: int

    def take(self, rows: Any) -> "Pool":
        """Return some of the rows."""
        return Pool(
            self.visitor[rows], self.item[rows], self.features[rows], self.seen[rows],
            self.names, self.n_visitors,
        )  # fmt: skip

    def column(self, name: str) -> FloatArray:
        """Return one feature by name."""
        return self.features[:, self.names.index(name)]


def pool_names(generators: Mapping[str, Score]) -> tuple[str, ...]:
    """Return the feature names of a pool over these generators."""
    names = [f"{kind}.{name}" for name in generators for kind in ("z", "raw")]
    return (*names, "history", "seen", "age")


def make_pool(
    generators: Mapping[str, Score],
    histories: Sequence[Any],
    *,
    per_generator: int = 40,
    target: IntArray | None = None,
) -> Pool:
    """Pool each generator's best products and describe each by all generators' scores.

    z-scores are taken per visitor over the products not in the history. The visitor's own
    products are always in the pool, marked `seen`; a view without them drops these rows.

    Args:
        generators: name to a function from histories to (B, V) scores, higher is better.
        histories: per visitor (T,) product indices, oldest first, none empty.
        per_generator: unseen products each generator puts into the pool.
        target: (n_visitors,) if given, only visitors whose target is pooled keep their rows; the
            others teach a join nothing and would only take memory.
    """
    parts: list[tuple[IntArray, IntArray, FloatArray, BoolArray]] = []
    start = 0
    while start < len(histories):
        block = histories[start : start + _block_rows(generators, histories[start])]
        part = _pool_block(generators, block, start, per_generator)
        if target is not None:
            hit = part[1] == target[part[0]]
            useful = np.isin(part[0], part[0][hit])
            part = (part[0][useful], part[1][useful], part[2][useful], part[3][useful])
        parts.append(part)
        start += len(block)
    visitor, item, features, seen = (
        np.concatenate([part[column] for part in parts]) for column in range(4)
    )
    return Pool(visitor, item, features, seen, pool_names(generators), len(histories))  # type: ignore[arg-type]


def _block_rows(generators: Mapping[str, Score], probe: Any) -> int:
    width = next(iter(generators.values()))([probe]).shape[1]
    return max(16, 4_000_000 // max(width, 1))


def _pool_block(
    generators: Mapping[str, Score], histories: Sequence[Any], offset: int, k: int
) -> tuple[IntArray, IntArray, FloatArray, BoolArray]:
    n = len(histories)
    row_of = np.repeat(np.arange(n), [len(history) for history in histories])
    own = np.concatenate([np.asarray(history, np.int64) for history in histories])
    scores: list[FloatArray] = []
    wanted: BoolArray | None = None
    centre, spread = [], []
    for generator in generators.values():
        score = np.ascontiguousarray(generator(histories), np.float32)
        if wanted is None:
            wanted = np.zeros(score.shape, bool)
            mask = np.zeros(score.shape, bool)
            mask[row_of, own] = True
            first = np.flatnonzero(mask.ravel())
            seen_row, seen_item = np.divmod(first, score.shape[1])
        held = score[seen_row, seen_item]
        count = np.maximum(score.shape[1] - np.bincount(seen_row, minlength=n), 1)
        total = score.sum(axis=1, dtype=np.float64) - np.bincount(seen_row, held, n)
        mean = total / count
        square = np.einsum("ij,ij->i", score, score, dtype=np.float64)
        square = square - np.bincount(seen_row, held.astype(np.float64) ** 2, n)
        centre.append(mean)
        spread.append(np.sqrt(np.maximum(square / count - mean**2, 0.0)) + 1e-9)
        score[seen_row, seen_item] = -np.inf
        depth = min(k, score.shape[1] - 1)
        head = np.argpartition(-score, depth, axis=1)[:, :depth]
        rows = np.repeat(np.arange(n), depth).reshape(n, depth)
        worth = score[rows, head] > mean[:, None]  # a sparse generator's zeros are no candidates
        wanted[rows[worth], head[worth]] = True
        score[seen_row, seen_item] = held
        scores.append(score)
    assert wanted is not None
    wanted[seen_row, seen_item] = True
    row, item = np.nonzero(wanted)
    columns = []
    for score, mean, deviation in zip(scores, centre, spread, strict=True):
        raw = score[row, item]
        columns += [((raw - mean[row]) / deviation[row]), raw]
    lengths = np.array([len(history) for history in histories])
    age = np.zeros(wanted.shape, np.int32)
    age[row_of, own] = np.concatenate([np.arange(length, 0, -1) for length in lengths])
    ages = age[row, item]
    columns += [lengths[row], ages > 0, ages]
    features = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    return (row + offset).astype(np.int64), item.astype(np.int64), features, ages > 0


def group_sizes(visitor: IntArray) -> tuple[IntArray, IntArray]:
    """Return where each visitor's rows start, and how many there are."""
    starts = np.flatnonzero(np.r_[True, visitor[1:] != visitor[:-1]]) if len(visitor) else (
        np.zeros(0, np.int64)
    )  # fmt: skip
    return starts, np.diff(np.r_[starts, len(visitor)])


def target_ndcg(pool: Pool, score: Any, target: IntArray, k: int = 10) -> FloatArray:
    """Return (n_visitors,) NDCG@k where one product per visitor is right; 0 if it is not pooled.

    Equal scores count as half a rank each, so a constant score gains nothing.
    """
    starts, _ = group_sizes(pool.visitor)
    score = np.asarray(score, np.float64)
    hit = pool.item == target[pool.visitor]
    own = np.full(pool.n_visitors, np.nan)
    own[pool.visitor[hit]] = score[hit]
    mine = own[pool.visitor]
    out = np.zeros(pool.n_visitors, np.float32)
    if not len(starts):
        return out
    above = np.add.reduceat((score > mine).astype(np.float64), starts)
    equal = np.add.reduceat((score == mine).astype(np.float64), starts)
    rank = above + 1.0 + (equal - 1.0) / 2.0
    found = ~np.isnan(own[pool.visitor[starts]])
    good = found & (rank <= k)
    out[pool.visitor[starts[good]]] = 1.0 / np.log2(rank[good] + 1.0)
    return out


def ranked(pool: Pool, score: Any, depth: int) -> IntArray:
    """Return (n_visitors, depth) products, best first, ties by index, -1 where none is left."""
    order = np.lexsort((pool.item, -np.asarray(score, np.float64), pool.visitor))
    starts, sizes = group_sizes(pool.visitor[order])
    place = np.arange(len(order)) - np.repeat(starts, sizes)
    keep = place < depth
    out = np.full((pool.n_visitors, depth), -1, np.int64)
    out[pool.visitor[order][keep], place[keep]] = pool.item[order][keep]
    return out


class WeightedBlend:
    """A weighted sum of z-scores, plus one weight for products already in the history."""

    name = "blend"
    STEPS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6)
    SEEN_STEPS = (-50.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0)

    def __init__(self) -> None:
        self.weights: dict[str, float] = {}

    def fit(self, pool: Pool, target: IntArray, *, rounds: int = 3, start: str = "") -> Self:
        """Climb NDCG@10 one weight at a time.

        Args:
            pool: validation visitors' candidates.
            target: (n_visitors,) what each took next.
            rounds: passes over all weights.
            start: generator that begins with weight 0.9; the first one if empty.
        """
        columns = {n[2:]: pool.column(n).astype(np.float64) for n in pool.names if n[:2] == "z."}
        steps: dict[str, tuple[float, ...]] = dict.fromkeys(columns, self.STEPS)
        if pool.seen.any():
            columns["seen"], steps["seen"] = pool.seen.astype(np.float64), self.SEEN_STEPS
        self.weights = dict.fromkeys(columns, 0.0)
        self.weights[start or next(iter(columns))] = 0.9
        total = sum(self.weights[name] * column for name, column in columns.items())
        best = float(target_ndcg(pool, total, target).mean())
        for _ in range(rounds):
            before = best
            for name, column in columns.items():
                rest = total - self.weights[name] * column
                for step in steps[name]:
                    value = float(target_ndcg(pool, rest + step * column, target).mean())
                    if value > best + 1e-9:
                        best, self.weights[name] = value, step
                total = rest + self.weights[name] * column
            if best <= before:
                break
        return self

    def score(self, pool: Pool) -> FloatArray:
        """Return (N,) scores of the pool's rows."""
        total = np.zeros(len(pool.item), np.float64)
        for name, weight in self.weights.items():
            if weight:
                column = pool.seen if name == "seen" else pool.column(f"z.{name}")
                total += weight * column.astype(np.float64)
        return total.astype(np.float32)


@dataclass(frozen=True)
class StackConfig:
    """The boosted trees over generator scores (LambdaMART)."""

    trees: int = 160
    leaves: int = 15
    learning_rate: float = 0.04
    min_rows: int = 100
    row_share: float = 0.7
    column_share: float = 0.7
    truncation: int = 20
    threads: int = 1


class StackedRanker:
    """LambdaMART over the generators' scores: how far to trust which generator, and when."""

    name = "stack"

    def __init__(self, config: StackConfig = StackConfig(), *, seed: int = 7) -> None:
        self.config = config
        self.seed = seed
        self.booster: Any = None
        self.names: tuple[str, ...] = ()

    def fit(self, pool: Pool, target: IntArray) -> Self:
        """Learn from visitors whose next product is in the pool; the others teach no order."""
        import lightgbm

        starts, sizes = group_sizes(pool.visitor)
        hit = pool.item == target[pool.visitor]
        useful = np.add.reduceat(hit.astype(np.int64), starts) > 0
        rows = np.repeat(useful, sizes)
        c = self.config
        data = lightgbm.Dataset(
            pool.features[rows], label=hit[rows].astype(np.int32), group=sizes[useful],
            feature_name=[name.replace(".", "_") for name in pool.names],
        )  # fmt: skip
        settings = {
            "objective": "lambdarank", "lambdarank_truncation_level": c.truncation,
            "num_leaves": c.leaves, "learning_rate": c.learning_rate,
            "min_data_in_leaf": c.min_rows, "bagging_fraction": c.row_share, "bagging_freq": 1,
            "feature_fraction": c.column_share, "num_threads": c.threads, "seed": self.seed,
            "deterministic": True, "force_row_wise": True, "verbose": -1,
        }  # fmt: skip
        self.booster = lightgbm.train(settings, data, num_boost_round=c.trees)
        self.names = pool.names
        return self

    def score(self, pool: Pool) -> FloatArray:
        """Return (N,) scores of the pool's rows."""
        if self.booster is None or pool.names != self.names:
            raise ValueError("the ranker was not fitted on a pool with these columns.")
        return np.asarray(
            self.booster.predict(pool.features, num_threads=self.config.threads), np.float32
        )

    def save(self, folder: Path) -> None:
        """Write the trees as text and the column names beside them."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stack.txt").write_text(self.booster.model_to_string(), encoding="utf-8")
        (folder / "stack_columns.txt").write_text("\n".join(self.names), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        ranker = cls()
        text = (folder / "stack.txt").read_text(encoding="utf-8")
        ranker.booster = read_trees(text, origin=f"{folder}/stack.txt")
        names = (folder / "stack_columns.txt").read_text(encoding="utf-8")
        ranker.names = tuple(names.split("\n"))
        return ranker
