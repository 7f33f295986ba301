import numpy as np
import pytest

from components.recommend.sequences import bucketed, flatten, leave_out, pad_left


def test_flatten_of_nothing():
    values, owner = flatten([])
    assert values.shape == owner.shape == (0,)


def test_leave_out_more_than_there_is():
    assert [part.tolist() for part in leave_out([np.array([1, 2]), np.array([3])], 2)] == [[], []]


def test_padding_cuts_the_oldest():
    assert pad_left([np.array([], int), np.array([1, 2, 3])], 2, padding=9).tolist() == [
        [9, 9],
        [2, 3],
    ]


@pytest.mark.parametrize("max_tokens", [None, 40])
def test_buckets_hold_everyone_once_and_alike(max_tokens):
    lengths = np.random.default_rng(0).integers(0, 30, 500)
    batches = list(bucketed(lengths, 16, np.random.default_rng(1), max_tokens=max_tokens))
    held = np.concatenate(batches)
    assert sorted(held) == np.flatnonzero(lengths > 0).tolist()
    spread = [int(lengths[batch].max() - lengths[batch].min()) for batch in batches]
    assert np.mean(spread) < 2.0
    if max_tokens is not None:
        assert all(len(b) == 1 or len(b) * lengths[b].max() <= max_tokens for b in batches)


def test_buckets_repeat_by_seed_and_differ_between_epochs():
    lengths = np.full(100, 3)
    one, same, other = (
        [b.tolist() for b in bucketed(lengths, 10, np.random.default_rng([7, epoch]))]
        for epoch in (0, 0, 1)
    )
    assert one == same
    assert one != other
