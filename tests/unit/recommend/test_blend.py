import numpy as np
import pytest

from components.recommend.blend import (
    Pool,
    StackConfig,
    StackedRanker,
    WeightedBlend,
    make_pool,
    ranked,
    target_ndcg,
)


def constant(row):
    return lambda histories: np.tile(np.asarray(row, np.float32), (len(histories), 1))


def test_pool_by_hand():
    scores = [1.0, 5.0, 3.0, 0.0, 0.0]
    pool = make_pool({"a": constant(scores)}, [np.array([1, 4])], per_generator=1)
    # unseen: 1, 3, 0 with mean 4/3 and deviation sqrt(14/9); best unseen is 2; 1 and 4 are seen.
    assert pool.item.tolist() == [1, 2, 4]
    assert pool.seen.tolist() == [True, False, True]
    assert pool.column("age").tolist() == [2.0, 0.0, 1.0]
    assert pool.column("z.a")[1] == pytest.approx((3 - 4 / 3) / (14 / 9) ** 0.5, rel=1e-5)


def test_zeros_of_a_sparse_generator_are_no_candidates():
    pool = make_pool({"a": constant([0, 0, 2.0, 0, 0])}, [np.array([0])], per_generator=3)
    assert pool.item.tolist() == [0, 2]


def test_batches_do_not_matter():
    rng = np.random.default_rng(0)
    table = rng.standard_normal((7, 50)).astype(np.float32)
    generators = {"a": lambda histories: np.stack([table[len(h)] for h in histories])}
    histories = [rng.integers(0, 50, rng.integers(1, 7)) for _ in range(30)]
    whole = make_pool(generators, histories, per_generator=5)
    single = make_pool(generators, histories[4:5], per_generator=5)
    rows = whole.visitor == 4
    assert whole.item[rows].tolist() == single.item.tolist()
    assert np.allclose(whole.features[rows], single.features)


def small_pool():
    return Pool(
        visitor=np.array([0, 0, 0, 2, 2]), item=np.array([5, 6, 7, 5, 8]),
        features=np.zeros((5, 1), np.float32), seen=np.zeros(5, bool), names=("z.a",), n_visitors=3,
    )  # fmt: skip


def test_ndcg_by_hand():
    pool = small_pool()
    gain = target_ndcg(pool, [0.1, 0.9, 0.5, 1.0, 0.0], np.array([7, 1, 9]))
    assert gain.tolist() == pytest.approx([1 / np.log2(3), 0.0, 0.0])
    tied = target_ndcg(pool, np.zeros(5), np.array([7, 1, 8]))
    assert tied.tolist() == pytest.approx([1 / np.log2(3), 0.0, 1 / np.log2(2.5)])


def test_ranking_breaks_ties_by_index_and_ends_short():
    heads = ranked(small_pool(), [1.0, 2.0, 1.0, 0.0, 0.0], 4)
    assert heads.tolist() == [[6, 5, 7, -1], [-1, -1, -1, -1], [5, 8, -1, -1]]


def noisy_pool(seed, n=400):
    """Generator `good` knows the target with noise, `bad` knows nothing."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 10, n)
    visitor, item = np.repeat(np.arange(n), 10), np.tile(np.arange(10), n)
    good = (item == target[visitor]) * 1.5 + rng.standard_normal(n * 10)
    bad = rng.standard_normal(n * 10)
    pool = Pool(visitor, item, np.stack([bad, good], 1).astype(np.float32), np.zeros(n * 10, bool),
                ("z.bad", "z.good"), n)  # fmt: skip
    return pool, target


def test_blend_finds_the_generator_that_knows():
    pool, target = noisy_pool(0)
    blend = WeightedBlend().fit(pool, target)
    assert blend.weights["good"] > 3 * abs(blend.weights["bad"])
    other, truth = noisy_pool(1)
    alone = target_ndcg(other, other.column("z.bad"), truth).mean()
    assert target_ndcg(other, blend.score(other), truth).mean() > alone + 0.2


def test_blend_learns_that_nothing_is_bought_twice():
    pool, target = noisy_pool(2)
    seen = (pool.item != target[pool.visitor]) & (pool.item < 5)
    pool = Pool(pool.visitor, pool.item, pool.features, seen, pool.names, pool.n_visitors)
    assert WeightedBlend().fit(pool, target).weights["seen"] < 0


def test_stack_beats_its_parts_and_loads_equal(tmp_path):
    pool, target = noisy_pool(3)
    stack = StackedRanker(StackConfig(trees=30, leaves=4, min_rows=20)).fit(pool, target)
    other, truth = noisy_pool(4)
    found = target_ndcg(other, stack.score(other), truth).mean()
    assert found > target_ndcg(other, other.column("z.bad"), truth).mean() + 0.2
    stack.save(tmp_path)
    again = StackedRanker.load(tmp_path)
    assert np.array_equal(again.score(other), stack.score(other))


def test_stack_refuses_other_columns():
    pool, target = noisy_pool(5, n=60)
    stack = StackedRanker(StackConfig(trees=2, leaves=3, min_rows=5)).fit(pool, target)
    changed = Pool(pool.visitor, pool.item, pool.features, pool.seen, ("z.x", "z.y"), 60)
    with pytest.raises(ValueError, match="columns"):
        stack.score(changed)
