import math

import pytest
import torch

from components.recommend.losses import full_softmax, gbce, sampled_softmax

HIDDEN = [[1.0, 0.0], [0.0, 2.0]]
TABLE = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
TARGET = [0, 2]


def tensors():
    return (
        torch.tensor(HIDDEN, requires_grad=True),
        torch.tensor(TABLE, requires_grad=True),
        torch.tensor(TARGET),
    )


@pytest.mark.parametrize("with_buffer", [False, True])
def test_full_softmax_by_hand(with_buffer):
    hidden, table, target = tensors()
    # logits: [1, 0, 1] and [0, 2, 2]
    first = math.log(2 * math.e + 1) - 1
    second = math.log(1 + 2 * math.e**2) - 2
    buffer = torch.empty(100) if with_buffer else None
    loss = full_softmax(hidden, table, target, buffer=buffer)
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_full_softmax_gradients_are_those_of_torch(smoothing):
    torch.manual_seed(0)
    hidden = torch.randn(7, 5, requires_grad=True)
    table = torch.randn(11, 5, requires_grad=True)
    target = torch.randint(0, 11, (7,))
    weight = torch.rand(7)
    buffer = torch.full((200,), float("nan"))
    full_softmax(hidden, table, target, weight=weight, smoothing=smoothing, buffer=buffer).mul(
        3.0
    ).backward()
    ours = hidden.grad.clone(), table.grad.clone()
    hidden.grad = table.grad = None
    reference = torch.nn.functional.cross_entropy(
        hidden @ table.t(), target, reduction="none", label_smoothing=smoothing
    )
    (3.0 * (reference * weight).sum()).backward()
    assert torch.allclose(ours[0], hidden.grad, atol=1e-5)
    assert torch.allclose(ours[1], table.grad, atol=1e-5)


def test_sampled_softmax_by_hand():
    hidden, table, target = tensors()
    negatives = torch.tensor([1, 2])
    log_q = torch.log(torch.tensor([0.5, 0.25, 0.25]))
    # expected count of each drawn product: 2 * 0.25 = 0.5, so its logit rises by log 2.
    first = math.log(math.e + 2 * math.e**0 + 2 * math.e) - 1
    second = math.log(math.e**2 + 2 * math.e**2) - 2  # the drawn 2 is this row's own target
    loss = sampled_softmax(hidden, table, target, negatives, log_q)
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-6)


def test_sampled_softmax_tends_to_the_full_one():
    torch.manual_seed(1)
    hidden, table = torch.randn(4, 6), torch.randn(50, 6) * 0.5
    target = torch.randint(0, 50, (4,))
    share = torch.softmax(torch.arange(50) / 20.0, 0)
    drawn = torch.multinomial(share, 200_000, replacement=True)
    sampled = sampled_softmax(hidden, table, target, drawn, share.log())
    full = torch.nn.functional.cross_entropy(hidden @ table.t(), target)
    # The target's own draws are left out, which is what makes it a proper softmax.
    assert float(sampled) == pytest.approx(float(full), abs=0.01)


def test_gbce_by_hand():
    hidden, table, target = tensors()
    negatives = torch.tensor([[1], [0]])
    # K 1, V 3: a = 1/2; t = .5: beta = 1/2 * (.5 * (1 - 2) + 2) = 3/4
    sigmoid = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    first = -(0.75 * math.log(sigmoid(1)) + math.log(1 - sigmoid(0))) / 2
    second = -(0.75 * math.log(sigmoid(2)) + math.log(1 - sigmoid(0))) / 2
    loss = gbce(hidden, table, target, negatives, n_products=3, calibration=0.5)
    assert loss.item() == pytest.approx((first + second) / 2, rel=1e-6)


@pytest.mark.parametrize(("calibration", "beta"), [(0.0, 1.0), (1.0, 0.5)])
def test_gbce_ends_of_calibration(calibration, beta):
    hidden, table, target = tensors()
    negatives = torch.tensor([[1], [0]])
    loss = gbce(hidden, table, target, negatives, n_products=3, calibration=calibration)
    positive = torch.nn.functional.logsigmoid(torch.tensor([1.0, 2.0]))
    expected = (-beta * positive + math.log(2)).mean() / 2
    assert loss.item() == pytest.approx(float(expected), rel=1e-6)


def test_gbce_refuses_nonsense():
    hidden, table, target = tensors()
    with pytest.raises(ValueError, match="calibration"):
        gbce(hidden, table, target, torch.zeros(2, 1).long(), n_products=3, calibration=2.0)
