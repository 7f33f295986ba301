"""Losses of the text room: in-batch contrastive, masked tokens, next token.

Each is a function with its own test; none knows a model.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

IGNORED = -100


def info_nce(
    lefts: "torch.Tensor",
    candidates: "torch.Tensor",
    *,
    temperature: float,
    false_negatives: "torch.Tensor | None" = None,
) -> "torch.Tensor":
    """Mean cross-entropy of picking each left's own candidate among all candidates.

    Args:
        lefts: (B, D) unit rows.
        candidates: (B + N, D) unit rows; candidate i belongs to left i, the last N are negatives.
        temperature: scores are divided by it; in (0, 1].
        false_negatives: (B, B + N) true where a candidate is as right as the own one; left out of
            the sum. An own candidate is never left out.

    Returns:
        A scalar, at least 0; log(B + N) where the scores say nothing.

    Raises:
        ValueError: fewer candidates than lefts.
    """
    import torch

    if len(candidates) < len(lefts):
        raise ValueError(f"{len(candidates)} candidates for {len(lefts)} lefts.")
    scores = lefts @ candidates.T / temperature  # (B, B + N)
    own = torch.arange(len(lefts))
    if false_negatives is not None:
        left_out = false_negatives.clone()
        left_out[own, own] = False
        scores = scores.masked_fill(left_out, float("-inf"))
    return torch.nn.functional.cross_entropy(scores, own)


def mask_tokens(
    ids: NDArray[np.int64],
    mask: NDArray[np.int64],
    *,
    special: frozenset[int],
    mask_id: int | None,
    vocabulary: NDArray[np.int64],
    share: float,
    generator: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hide tokens for masked-language modelling: 80 % masked, 10 % random, 10 % as they were.

    At least one token of every row that has an ordinary token is chosen.

    Args:
        ids: (B, T) token ids.
        mask: (B, T), 1 on real tokens.
        special: ids that are never hidden.
        mask_id: id of the mask token; without one, the 80 % are random tokens too.
        vocabulary: ids to draw random tokens from.
        share: of ordinary tokens to choose, in (0, 1).
        generator: source of chance.

    Returns:
        (B, T) changed ids, and (B, T) targets: the original id where chosen, else `IGNORED`.
    """
    ordinary = (mask == 1) & ~np.isin(ids, sorted(special))
    draw = generator.random(ids.shape)
    draw[~ordinary] = 2.0
    chosen = draw < share
    none = ordinary.any(axis=1) & ~chosen.any(axis=1)
    chosen[none, draw[none].argmin(axis=1)] = True
    targets = np.where(chosen, ids, IGNORED)
    fate = generator.random(ids.shape)
    random_ids = generator.choice(vocabulary, size=ids.shape)
    hidden = np.where(chosen & (fate < 0.8), random_ids if mask_id is None else mask_id, ids)
    return np.where(chosen & (fate >= 0.8) & (fate < 0.9), random_ids, hidden), targets


def next_token_targets(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (B, T) targets of next-token prediction: each place wants the id to its right.

    >>> next_token_targets(np.array([[4, 5, 0]]), np.array([[1, 1, 0]])).tolist()
    [[5, -100, -100]]
    """
    targets = np.full_like(ids, IGNORED)
    follows = mask[:, 1:] == 1
    targets[:, :-1] = np.where(follows, ids[:, 1:], IGNORED)
    return targets
