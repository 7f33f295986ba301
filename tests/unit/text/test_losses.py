import math

import numpy as np
import pytest
import torch

from components.text.losses import IGNORED, info_nce, mask_tokens


def test_info_nce_by_hand():
    lefts = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # Scores are 1 for the own candidate and 0 for the other: -log(e / (e + 1)).
    expected = -math.log(math.e / (math.e + 1.0))
    assert info_nce(lefts, lefts, temperature=1.0).item() == pytest.approx(expected)
    # A third candidate that scores 0 adds one to the sum.
    three = torch.cat([lefts, torch.zeros(1, 2)])
    expected = -math.log(math.e / (math.e + 2.0))
    assert info_nce(lefts, three, temperature=1.0).item() == pytest.approx(expected)


def test_false_negatives_leave_the_sum_but_never_the_own_candidate():
    lefts = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    marked = torch.tensor([[True, True], [False, True]])
    first_only_own = (0.0 - math.log(math.e / (math.e + 1.0))) / 2
    found = info_nce(lefts, lefts, temperature=1.0, false_negatives=marked).item()
    assert found == pytest.approx(first_only_own)
    with pytest.raises(ValueError, match="1 candidates for 2"):
        info_nce(lefts, lefts[:1], temperature=1.0)


def test_masking_hides_ordinary_tokens_only_and_at_least_one_of_each_row():
    ids = np.array([[1, 10, 11, 12, 2, 0], [1, 13, 2, 0, 0, 0], [1, 2, 0, 0, 0, 0]])
    mask = (ids != 0).astype(np.int64)
    hidden, targets = mask_tokens(
        ids,
        mask,
        special=frozenset({0, 1, 2, 3}),
        mask_id=3,
        vocabulary=np.array([10, 11, 12, 13]),
        share=0.01,
        generator=np.random.default_rng(0),
    )
    chosen = targets != IGNORED
    assert chosen[0].sum() >= 1
    assert chosen[1].tolist() == [False, True, False, False, False, False]
    assert not chosen[2].any()
    np.testing.assert_array_equal(targets[chosen], ids[chosen])
    np.testing.assert_array_equal(hidden[~chosen], ids[~chosen])


def test_about_eight_tenths_of_the_chosen_are_masked():
    ids = np.full((200, 20), 10)
    hidden, targets = mask_tokens(
        ids,
        np.ones_like(ids),
        special=frozenset(),
        mask_id=3,
        vocabulary=np.array([11]),
        share=0.5,
        generator=np.random.default_rng(0),
    )
    chosen = targets != IGNORED
    assert (hidden[chosen] == 3).mean() == pytest.approx(0.8, abs=0.04)
    assert (hidden[chosen] == 11).mean() == pytest.approx(0.1, abs=0.03)
    assert chosen.mean() == pytest.approx(0.5, abs=0.03)
