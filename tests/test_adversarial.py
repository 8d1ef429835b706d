"""The adversarial losses: their closed form, their symmetry, and logits without measure."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.adversarial import call_fake, call_real

Call = Callable[[Tensor], Tensor]


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(64, 1, generator=torch.Generator().manual_seed(0)) * 3


@pytest.mark.parametrize(("call", "label"), [(call_real, 1.0), (call_fake, 0.0)])
def test_a_call_is_binary_cross_entropy_with_its_label(
    call: Call, label: float, logits: Tensor
) -> None:
    expected = F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
    torch.testing.assert_close(call(logits), expected)


def test_turning_the_logits_around_swaps_the_calls(logits: Tensor) -> None:
    torch.testing.assert_close(call_real(-logits), call_fake(logits))
    torch.testing.assert_close(call_fake(-logits), call_real(logits))
    assert not torch.isclose(call_real(logits), call_fake(logits))


@pytest.mark.parametrize("call", [call_real, call_fake])
def test_an_undecided_critic_costs_log_2(call: Call) -> None:
    torch.testing.assert_close(call(torch.zeros(5, 1)), torch.log(torch.tensor(2.0)))


@pytest.mark.parametrize(("call", "right"), [(call_real, 1.0), (call_fake, -1.0)])
def test_extreme_logits_cost_nothing_or_their_size_and_have_finite_gradients(
    call: Call, right: float
) -> None:
    for size in (1e4, 1e30):
        for side, cost, slope in ((right, 0.0, 0.0), (-right, size, -right)):
            logits = torch.full((2, 1), side * size, requires_grad=True)
            value = call(logits)
            torch.autograd.backward(value)
            torch.testing.assert_close(value.detach(), torch.tensor(cost))
            torch.testing.assert_close(logits.grad, torch.full((2, 1), slope / 2))


@pytest.mark.parametrize("call", [call_real, call_fake])
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_logits_in_half_precision_are_judged_in_full(call: Call, kind: torch.dtype) -> None:
    # A mean of 3,000 costs of 60,000 overflows half precision unless it is taken in full.
    value = call(torch.tensor([[60_000.0], [-60_000.0]]).to(kind).repeat(3000, 1))
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(30_000, rel=0.01)
