"""The Dirac-GAN with the library's losses behaves as Mescheder et al. 2018 prove and tabulate."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from replearn.diagnostics.dirac_gan import DiracGAN, Order
from replearn.encoders.losses.adversarial import LOSSES, Adversary
from replearn.errors import UsageError

# Both players' slope at the equilibrium: |f'(0)| of the paper, whose loss is `non-saturating`.
SLOPES = {
    "non-saturating": 0.5,
    "least-squares": 0.5,
    "hinge": 1.0,
    "wasserstein": 1.0,
    "relativistic": 1.0,
}
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_order = pytest.mark.parametrize("order", ["simultaneous", "alternating"])


def game(loss: str = "non-saturating", consensus: float = 0.0, **stabilisers: Any) -> DiracGAN:
    return DiracGAN(Adversary.model_validate({"loss": loss, **stabilisers}), consensus)


def pair(centre: float, square: float) -> NDArray[np.complex128]:
    """Return centre +- the root of a square that may be negative."""
    root = np.sqrt(complex(square))
    return np.array([centre + root, centre - root])


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_field_is_that_of_the_papers_formula() -> None:
    """Equation 4, non-saturating: v = (psi s(-psi theta), -theta s(psi theta))."""

    def sigmoid(logit: float) -> float:
        return float(1 / (1 + np.exp(-logit)))

    for theta, psi in [(1.0, 1.0), (-0.5, 2.0), (0.3, -0.7)]:
        expected = [psi * sigmoid(-psi * theta), -theta * sigmoid(psi * theta)]
        close(game().field(np.array([theta, psi])), expected)


@every_loss
def test_without_a_stabiliser_the_field_circles(loss: str) -> None:
    """Section 2.2: +- i f'(0)."""
    close(game(loss).eigenvalues(), pair(0, -(SLOPES[loss] ** 2)))


@every_loss
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_simultaneous_steps_leave_the_equilibrium_at_every_rate(loss: str, rate: float) -> None:
    """Section 2.2: 1 +- i h f'(0), outside the unit circle."""
    close(game(loss).update_eigenvalues(rate), pair(1, -((rate * SLOPES[loss]) ** 2)))


@every_loss
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
def test_alternating_steps_stay_at_their_distance(loss: str, rate: float) -> None:
    """Section 2.2: on the unit circle."""
    values = game(loss).update_eigenvalues(rate, "alternating")
    half = (rate * SLOPES[loss]) ** 2 / 2
    close(values, pair(1 - half, half**2 - 2 * half))
    close(np.abs(values), 1)


@every_loss
@pytest.mark.parametrize("weight", [0.1, 1.0, 3.0])
def test_r1_damps_the_circle(loss: str, weight: float) -> None:
    """Section 3.3: -g / 2 +- sqrt(g^2 / 4 - f'(0)^2)."""
    expected = pair(-weight / 2, weight**2 / 4 - SLOPES[loss] ** 2)
    close(game(loss, r1=weight).eigenvalues(), expected)


def test_instance_noise_damps_the_circle_by_the_curvature_of_the_loss() -> None:
    """Section 3.2: f''(0) s^2 +- sqrt(f''(0)^2 s^4 - f'(0)^2), where f''(0) = -1/4."""
    variance = 0.7**2
    found = game(instance_noise=0.7).eigenvalues()
    # The quantiles have a little less variance than the noise.
    np.testing.assert_allclose(found, pair(-variance / 4, variance**2 / 16 - 0.25), rtol=0.02)
    # A loss without curvature gains nothing.
    close(game("wasserstein", instance_noise=0.7).eigenvalues(), pair(0, -1))


@every_loss
def test_consensus_damps_the_circle_by_the_square_of_the_slope(loss: str) -> None:
    """The appendix on consensus optimisation: -g f'(0)^2 +- i f'(0)."""
    slope = SLOPES[loss]
    close(game(loss, consensus=0.3).eigenvalues(), pair(-0.3 * slope**2, -(slope**2)))


# Table 1 of the paper, the column of the general case: what converges.
TABLE: dict[str, tuple[DiracGAN, bool]] = {
    "unregularised": (game(), False),
    "WGAN": (game("wasserstein"), False),
    "WGAN-GP": (game("wasserstein", gradient_penalty=10.0), False),
    "instance noise": (game(instance_noise=1.0), True),
    "consensus optimisation": (game(consensus=1.0), True),
    "gradient penalty (R1)": (game(r1=1.0), True),
    # Not in it: the other losses of the library, with and without R1.
    "least squares": (game("least-squares"), False),
    "hinge": (game("hinge"), False),
    "relativistic": (game("relativistic"), False),
    "least squares and R1": (game("least-squares", r1=1.0), True),
    "hinge and R1": (game("hinge", r1=1.0), True),
    "wasserstein and R1": (game("wasserstein", r1=1.0), True),
    "relativistic and R1": (game("relativistic", r1=1.0), True),
}


@pytest.mark.parametrize(("dirac", "expected"), TABLE.values(), ids=TABLE)
@every_order
def test_the_convergence_table_of_the_paper(dirac: DiracGAN, expected: bool, order: Order) -> None:
    assert dirac.converges(order=order, steps=200, rate=0.25) == expected
    if not dirac.adversary.gradient_penalty:
        assert (dirac.eigenvalues().real < -1e-3).all() == expected
        assert (np.abs(dirac.update_eigenvalues(0.1, order)) < 0.9999).all() == expected


def test_a_penalty_on_the_slope_keeps_the_critic_from_its_equilibrium() -> None:
    for start in [(1.0, 1.0), (0.1, 0.1)]:
        points = game("wasserstein", gradient_penalty=10.0).trajectory(
            start, steps=200, rate=0.04, order="alternating"
        )
        assert np.linalg.norm(points[-50:], axis=1).min() > 0.5
    with pytest.raises(UsageError, match="no derivative"):
        game(gradient_penalty=1.0).eigenvalues()


@pytest.mark.parametrize("momentum", [-0.5, 0.5, 0.9])
def test_with_momentum_the_eigenvalues_are_the_roots_of_its_polynomial(momentum: float) -> None:
    """Polyak 1964: l^2 - (1 + b + h m) l + b, for each eigenvalue m of the field."""
    rate, dirac = 0.1, game(r1=0.3)
    roots = [
        np.roots([1, -(1 + momentum + rate * value), momentum]) for value in dirac.eigenvalues()
    ]
    found = dirac.update_eigenvalues(rate, momentum=momentum)
    close(np.sort_complex(found), np.sort_complex(np.concatenate(roots)))


def test_only_alternating_steps_converge_by_negative_momentum() -> None:
    """Gidel et al. 2018 (arXiv:1807.04740), of a bilinear game."""
    bilinear = game("wasserstein")
    radii = {
        (order, momentum): np.abs(bilinear.update_eigenvalues(0.1, order, momentum)).max()
        for order in ("simultaneous", "alternating")
        for momentum in (-0.5, 0.5)
    }
    assert radii.pop(("alternating", -0.5)) < 0.9999
    assert min(radii.values()) > 1.0001
    assert bilinear.converges(order="alternating", momentum=-0.5, rate=0.5)


@every_order
def test_a_trajectory_near_the_equilibrium_follows_the_eigenvalues(order: Order) -> None:
    dirac = game(r1=0.2)
    points = dirac.trajectory((1e-3, 0.0), steps=200, rate=0.1, order=order)
    lengths = np.linalg.norm(points, axis=1)
    radius = np.abs(dirac.update_eigenvalues(0.1, order)).max()
    slope = np.polyfit(np.arange(201), np.log(lengths), 1)[0]
    assert slope == pytest.approx(np.log(radius), rel=0.1)


@pytest.mark.parametrize(
    "name", ["spectral_norm", "minibatch_stddev", "bottleneck", "label_flipping"]
)
def test_what_the_game_has_no_place_for_is_refused_by_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"adversary.{name}"):
        DiracGAN(Adversary.model_validate({name: 0.2 if name == "label_flipping" else True}))
