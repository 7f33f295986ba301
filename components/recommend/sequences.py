"""Visitor sequences as arrays: flat form, leave-one-out parts, windows, padded batches.

In: per visitor an int array of dense product indices, oldest first. Out: arrays a model can read.
Does not know where the events came from, nor what is learnt from them.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]


def flatten(sequences: Sequence[Any]) -> tuple[IntArray, IntArray]:
    """Lay sequences end to end.

    Returns:
        (N,) values and (N,) index of the sequence each belongs to.

    >>> [part.tolist() for part in flatten([np.array([4, 2]), np.array([7])])]
    [[4, 2, 7], [0, 0, 1]]
    """
    if not len(sequences):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    lengths = [len(sequence) for sequence in sequences]
    values = np.concatenate([np.asarray(sequence, dtype=np.int64) for sequence in sequences])
    return values, np.repeat(np.arange(len(sequences)), lengths)


def leave_out(sequences: Sequence[Any], n: int) -> list[IntArray]:
    """Return the sequences without their last `n` products."""
    return [np.asarray(sequence, np.int64)[: max(len(sequence) - n, 0)] for sequence in sequences]


def pad_left(sequences: Sequence[Any], length: int, *, padding: int) -> IntArray:
    """Return (B, length): the last `length` entries of each, filled with `padding` on the left.

    >>> pad_left([np.array([1]), np.array([1, 2, 3])], 2, padding=9).tolist()
    [[9, 1], [2, 3]]
    """
    out = np.full((len(sequences), length), padding, np.int64)
    for b, sequence in enumerate(sequences):
        tail = np.asarray(sequence)[-length:]
        if len(tail):
            out[b, -len(tail) :] = tail
    return out


def bucketed(
    lengths: Any, batch_size: int, rng: np.random.Generator, *, max_tokens: int | None = None
) -> Iterator[IntArray]:
    """Yield index batches of similar length, in random order.

    Short sequences are padded to the longest of their batch only, so that little is computed for
    nothing. Equal lengths are shuffled, so batches differ between epochs.

    Args:
        lengths: (N,) entries per sequence; sequences of length 0 are left out.
        batch_size: sequences per batch.
        rng: source of the order; the same state gives the same batches.
        max_tokens: if given, batches of long sequences hold fewer, at most so many entries (but
            at least one sequence).
    """
    lengths = np.asarray(lengths)
    usable = np.flatnonzero(lengths > 0)
    noise = rng.random(len(usable))
    order = usable[np.lexsort((noise, lengths[usable]))]
    batches: list[IntArray] = []
    start = 0
    while start < len(order):
        size = batch_size
        if max_tokens is not None:
            longest = int(lengths[order[min(start + size, len(order)) - 1]])
            size = max(1, min(size, max_tokens // max(longest, 1)))
        batches.append(order[start : start + size])
        start += size
    for place in rng.permutation(len(batches)):
        yield batches[place]
