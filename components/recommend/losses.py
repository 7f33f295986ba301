"""Losses of the sequential model, each a function with its own test.

In: hidden states, the product table and the index of the product that really came next. Out: one
scalar. Full softmax is exact and fastest up to some 10^5 products; the two sampled losses are for
larger catalogues. Letters: N predictions, D width, V products, K negatives.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


class _FullSoftmax(torch.autograd.Function):
    """Softmax cross-entropy of `hidden @ table.T` that keeps one (N, V) buffer and no copy.

    The logits turn in place into probabilities and then into their own gradient, so the buffer
    can be reused by the next batch; fresh buffers cost more in page faults than the product.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, table: Tensor, target: Tensor, weight: Tensor,
        smoothing: float, buffer: Tensor | None,
    ) -> Tensor:  # fmt: skip
        n, v = hidden.shape[0], table.shape[0]
        if buffer is not None and buffer.numel() >= n * v:
            logits = buffer.view(-1)[: n * v].view(n, v)
            torch.mm(hidden, table.t(), out=logits)
        else:
            logits = hidden @ table.t()  # (N, V)
        row = torch.arange(n, device=hidden.device)
        top = logits.amax(dim=1, keepdim=True)
        picked = logits[row, target]
        average = logits.mean(dim=1) if smoothing else picked
        logits.sub_(top).exp_()
        total = logits.sum(dim=1, keepdim=True)
        log_total = (total.log() + top).squeeze(1)
        loss = log_total - (1.0 - smoothing) * picked - smoothing * average  # (N,)
        logits.div_(total)
        if smoothing:
            logits.sub_(smoothing / v)
        logits[row, target] -= 1.0 - smoothing
        logits.mul_(weight.unsqueeze(1))
        ctx.save_for_backward(logits @ table, logits.t() @ hidden)
        return (loss * weight).sum()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        d_hidden, d_table = ctx.saved_tensors
        return d_hidden * grad[0], d_table * grad[0], None, None, None, None


def full_softmax(
    hidden: Tensor,
    table: Tensor,
    target: Tensor,
    *,
    weight: Tensor | None = None,
    smoothing: float = 0.0,
    buffer: Tensor | None = None,
) -> Tensor:
    """Return the weighted sum of softmax cross-entropies over all products.

    Args:
        hidden: (N, D) states.
        table: (V, D) product vectors; logits are `hidden @ table.T`.
        target: (N,) index of the product that came next.
        weight: (N,) weight of each prediction; 1 / N each if absent, which gives the mean.
        smoothing: share of the target's mass spread evenly over all products, in [0, 1).
        buffer: float32 memory of at least N * V entries to compute in; overwritten.

    Returns:
        Scalar; gradients flow to `hidden` and `table`.
    """
    if weight is None:
        weight = torch.full((hidden.shape[0],), 1.0 / max(hidden.shape[0], 1), device=hidden.device)
    return _FullSoftmax.apply(hidden, table, target, weight, smoothing, buffer)  # pyright: ignore[reportReturnType]


def sampled_softmax(
    hidden: Tensor,
    table: Tensor,
    target: Tensor,
    negatives: Tensor,
    log_q: Tensor,
    *,
    weight: Tensor | None = None,
) -> Tensor:
    """Return softmax cross-entropy over the target and K shared negatives, with logQ correction.

    Each sampled product's logit is lowered by the log of its expected count in the sample, so
    that products drawn often are not punished for being drawn; a negative that equals the target
    is left out of that row. The target's own logit is not corrected: it is there with certainty.

    Args:
        hidden: (N, D) states.
        table: (V, D) product vectors.
        target: (N,) index of the product that came next.
        negatives: (K,) drawn product indices, shared by all rows, with replacement.
        log_q: (V,) log of the probability that one draw gives the product.
        weight: (N,) weight of each prediction; 1 / N each if absent.
    Source: Bengio & Senecal, IEEE TNN 2008; Yi et al., RecSys 2019.
    """
    k = negatives.shape[0]
    positive = (hidden * table[target]).sum(dim=1, keepdim=True)  # (N, 1)
    expected = log_q[negatives] + torch.log(torch.tensor(float(k)))
    drawn = hidden @ table[negatives].t() - expected  # (N, K)
    drawn = drawn.masked_fill(negatives.unsqueeze(0) == target.unsqueeze(1), float("-inf"))
    loss = torch.logsumexp(torch.cat([positive, drawn], dim=1), dim=1) - positive.squeeze(1)
    return loss.mean() if weight is None else (loss * weight).sum()


def gbce(
    hidden: Tensor,
    table: Tensor,
    target: Tensor,
    negatives: Tensor,
    *,
    n_products: int,
    calibration: float = 0.75,
    weight: Tensor | None = None,
) -> Tensor:
    """Return generalised binary cross-entropy: sampled negatives without over-confidence.

    The positive's probability is raised to beta, which undoes the share of negatives never drawn:
    beta = a * (t * (1 - 1/a) + 1/a) with a = K / (V - 1).

    Args:
        hidden: (N, D) states.
        table: (V, D) product vectors.
        target: (N,) index of the product that came next.
        negatives: (N, K) indices drawn evenly among the other products, per row.
        n_products: V.
        calibration: t in [0, 1]; 0 is plain binary cross-entropy, 1 undoes sampling wholly.
        weight: (N,) weight of each prediction; 1 / N each if absent.

    Raises:
        ValueError: calibration outside [0, 1], or no negatives.
    Source: Petrov & Macdonald, RecSys 2023 (gSASRec).
    """
    k = negatives.shape[1]
    if not 0.0 <= calibration <= 1.0 or k == 0:
        raise ValueError(f"gbce: calibration {calibration} must lie in [0, 1], negatives {k} >= 1.")
    alpha = min(k / max(n_products - 1, 1), 1.0)
    beta = alpha * (calibration * (1.0 - 1.0 / alpha) + 1.0 / alpha)
    positive = (hidden * table[target]).sum(dim=1)  # (N,)
    drawn = torch.einsum("nd,nkd->nk", hidden, table[negatives])  # (N, K)
    loss = (-beta * F.logsigmoid(positive) - F.logsigmoid(-drawn).sum(dim=1)) / (k + 1)
    return loss.mean() if weight is None else (loss * weight).sum()
