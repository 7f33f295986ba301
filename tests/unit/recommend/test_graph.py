import numpy as np
import pytest
import scipy.sparse as sp

from components.recommend.graph import GraphPropagation


def lightgcn_layers(sequences, n_products, layers):
    """Propagate one step at a time with dense matrices, as the definition says."""
    links = np.zeros((len(sequences), n_products))
    for row, sequence in enumerate(sequences):
        links[row, sequence] = 1.0
    visitor, product = links.sum(1) ** -0.5, links.sum(0) ** -0.5
    step = (visitor[:, None] * links * product).T @ (visitor[:, None] * links * product)
    return (
        product,
        step,
        np.mean([np.linalg.matrix_power(step, k) for k in range(1, layers + 1)], 0),
    )


def test_closed_form_is_the_layers_mean():
    rng = np.random.default_rng(0)
    sequences = [rng.choice(6, 3, replace=False) for _ in range(12)]
    model = GraphPropagation(rank=5, layers=3, recency_power=0.0).fit(sequences, 6)
    product, step, mean = lightgcn_layers(sequences, 6, 3)
    signal = np.zeros(6)
    signal[[1, 4]] = 1.0
    # rank 5 of 6: compare within the span of the five main directions
    values, vectors = np.linalg.eigh(step)
    main = vectors[:, np.argsort(-values)[:5]]
    expected = main @ main.T @ mean @ main @ main.T @ (signal * product)
    found = model.score([np.array([1, 4])])[0]
    assert found == pytest.approx(expected, abs=1e-5)


def test_scores_follow_shared_visitors_not_islands():
    sequences = [np.array([0, 1]), np.array([1, 2]), np.array([3, 4]), np.array([4, 5])]
    score = GraphPropagation(rank=5).fit(sequences, 7).score([np.array([0])])[0]
    assert score[1] > score[2] > abs(score[3]) + 1e-6
    assert score[6] == pytest.approx(0.0, abs=1e-6)


def social_shop(seed):
    """Two circles of friends; each circle shares tastes that single histories do not show."""
    rng = np.random.default_rng(seed)
    circle = rng.integers(0, 2, 60)
    tastes = np.array([rng.permutation(np.arange(g * 20, g * 20 + 20)) for g in (0, 1)])
    sequences = [rng.choice(tastes[g], 3, replace=False) for g in circle]
    wanted = [np.setdiff1d(tastes[g], s) for g, s in zip(circle, sequences, strict=True)]
    friends = (circle[:, None] == circle[None, :]) & (rng.random((60, 60)) < 0.3)
    np.fill_diagonal(friends, 0)
    return sequences, wanted, sp.csr_matrix(friends.astype(float))


def precision(model, sequences, wanted, **side):
    scores = model.score(sequences, **side)
    for row, sequence in enumerate(sequences):
        scores[row, sequence] = -np.inf
    top = np.argsort(-scores, axis=1, kind="stable")[:, :5]
    return np.mean([np.isin(head, want).mean() for head, want in zip(top, wanted, strict=True)])


def test_friends_help_where_the_truth_is_social():
    sequences, wanted, friends = social_shop(3)
    strangers = [s[:1] for s in sequences]
    model = GraphPropagation(rank=39).fit(strangers, 40, relations=friends)
    alone = precision(model, strangers, wanted)
    together = precision(model, strangers, wanted, visitors=np.arange(60))
    assert together > alone + 0.2


def test_unknown_visitors_get_no_friends(tmp_path):
    sequences, _, friends = social_shop(4)
    model = GraphPropagation(rank=10).fit(sequences, 40, relations=friends)
    model.save(tmp_path)
    again = GraphPropagation.load(tmp_path)
    unknown = again.score(sequences[:2], visitors=np.array([-1, -1]))
    assert np.array_equal(unknown, model.score(sequences[:2]))
    known = again.score(sequences[:2], visitors=np.array([0, 1]))
    assert np.array_equal(known, model.score(sequences[:2], visitors=np.array([0, 1])))
    assert not np.array_equal(known, unknown)
