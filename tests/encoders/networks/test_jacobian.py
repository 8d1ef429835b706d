"""The spectrum of a generator's Jacobian, where it is given."""

import pytest
import torch
from torch import Tensor, nn

from replearn.encoders.networks.architectures import ARCHITECTURES, decoder
from replearn.encoders.networks.jacobian import conditioning, gains, singular_values

GIVEN = torch.tensor([30.0, 4.0, 1.0, 0.01], dtype=torch.float64)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def linear(values: Tensor = GIVEN, outputs: int = 9) -> nn.Linear:
    """Return a linear generator whose Jacobian has these singular values."""
    layer = nn.Linear(len(values), outputs).double()
    left = torch.linalg.qr(torch.randn(outputs, len(values), dtype=torch.float64)).Q
    right = torch.linalg.qr(torch.randn(len(values), len(values), dtype=torch.float64)).Q
    layer.weight.data = left @ torch.diag(values) @ right.T
    return layer


def codes(count: int, dimensions: int = len(GIVEN)) -> Tensor:
    return torch.randn(count, dimensions, dtype=torch.float64)


def test_the_singular_values_of_a_linear_generator_are_those_given() -> None:
    found = singular_values(linear(), codes(5))
    torch.testing.assert_close(found, GIVEN.expand(5, -1), rtol=1e-9, atol=1e-12)


def test_a_function_of_each_number_alone_has_its_derivatives_as_singular_values() -> None:
    drawn = codes(6)
    found = singular_values(torch.tanh, drawn)
    expected = (1 - torch.tanh(drawn) ** 2).sort(dim=1, descending=True).values
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_jacobian_of_a_decoder_is_that_of_small_differences(architecture: str) -> None:
    network = decoder(architecture, 16, 1, 4, 5).double().eval()  # type: ignore[arg-type]
    drawn, step = codes(2, 5), 1e-6
    found = singular_values(network, drawn)
    for code, row in zip(drawn, found, strict=True):
        moved = torch.stack([network((code + step * unit)[None]) for unit in torch.eye(5)])
        differences = ((moved - network(code[None])) / step).detach().flatten(1)
        torch.testing.assert_close(row, torch.linalg.svdvals(differences), rtol=1e-3, atol=1e-6)


def test_the_exact_values_can_be_had_where_no_gradients_are_kept() -> None:
    network, drawn = linear(), codes(2)
    with torch.inference_mode():
        quiet = singular_values(network, drawn)
    torch.testing.assert_close(quiet, singular_values(network, drawn).detach())


def test_gains_lie_between_the_extremes_and_their_squares_have_the_mean_of_the_spectrum() -> None:
    found = gains(linear(), codes(40_000), step=0.1).detach()
    assert found.max() <= GIVEN[0]
    assert found.min() >= GIVEN[-1]
    expected = GIVEN.square().mean().item()
    assert found.square().mean().item() == pytest.approx(expected, rel=0.03)


def test_the_numbers_to_watch_are_those_of_a_linear_generator() -> None:
    found = conditioning(linear(), codes(100))
    assert found["jacobian/largest"].item() == pytest.approx(30)
    assert found["jacobian/smallest"].item() == pytest.approx(0.01)
    assert found["jacobian/condition"].item() == pytest.approx(torch.tensor(3000.0).log10().item())
    expected = GIVEN.square().mean().sqrt().item()
    assert found["jacobian/gain"].item() == pytest.approx(expected, rel=0.3)


def test_a_generator_that_is_blind_to_a_part_of_its_code_has_a_finite_condition() -> None:
    found = conditioning(lambda drawn: drawn[:, :1] * torch.ones(1, 5), codes(8).float())
    assert found["jacobian/condition"].isfinite()
    assert found["jacobian/condition"] > 6
