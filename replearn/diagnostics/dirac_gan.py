"""The Dirac-GAN: the smallest game in which a GAN's training fails, solved with our own losses.

Mescheder et al. 2018 (arXiv:1801.04406, sections 2 and 3).  The one real input is 0, the generator
makes the number theta, and the critic's logit of x is psi x; the equilibrium is theta = psi = 0.
What circles around it or leaves it here does not converge in a network either.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from replearn.arrays import Float64
from replearn.encoders.losses.adversarial import Adversary
from replearn.encoders.networks.critic import Critic, Trunk
from replearn.errors import UsageError

Order = Literal["simultaneous", "alternating"]
"""Both players from the same point; or the critic first, then the generator, as the trainer."""

_QUANTILES = 64  # of the noise, in place of draws
_STEP = 1e-4  # of central differences
# A logit that calls neither input real; the others' losses do not care where it is.
_OFFSETS = {"least-squares": 0.5}
# What has no meaning with one linear layer, or is random without an expectation of its own.
_WITHOUT = ("spectral_norm", "minibatch_stddev", "bottleneck", "label_flipping")


@dataclass(frozen=True)
class DiracGAN:
    """The game with the loss and the stabilisers of an adversary.

    Attributes:
        adversary: its critic steps are one, and its noise does not fall.
        consensus: weight of half the squared length of both players' gradients, which each of them
            minimises too (Mescheder et al. 2017, arXiv:1705.10461).

    Raises:
        UsageError: the adversary has a stabiliser that the game has no place for.

    Example:
        >>> DiracGAN(Adversary()).eigenvalues().round(3)
        array([0.+0.5j, 0.-0.5j])
        >>> DiracGAN(Adversary(r1=0.5)).converges()
        True
    """

    adversary: Adversary
    consensus: float = 0.0

    def __post_init__(self) -> None:
        for name in _WITHOUT:
            if getattr(self.adversary, name):
                raise UsageError(f"adversary.{name}: has no meaning in the Dirac-GAN; leave it out")

    def _check_smooth(self) -> None:
        if self.adversary.gradient_penalty:
            raise UsageError(
                "adversary.gradient_penalty: draws the critic's slope to 1, where that of the "
                "equilibrium is 0, and has no derivative there; look at trajectories instead"
            )

    def field(self, point: Float64) -> Float64:
        """Return the directions (theta', psi') of both players at a point (theta, psi) [2].

        They are the negative gradients of what the trainer minimises, penalties included.
        """
        direction = _directions(self.adversary, *point)
        if not self.consensus:
            return direction

        def half_square(at: Float64) -> Float64:
            return np.array([0.5 * (_directions(self.adversary, *at) ** 2).sum()])

        return np.asarray(direction - self.consensus * _jacobian(half_square, point)[0])

    def eigenvalues(self) -> NDArray[np.complex128]:
        """Return the eigenvalues of the field's Jacobian at the equilibrium [2].

        With infinitely small steps the game converges where all real parts are negative; where they
        are 0, it circles (section 2.2).

        Raises:
            UsageError: the field has no derivative there, as with `gradient_penalty`.
        """
        self._check_smooth()
        return _sorted(np.linalg.eigvals(_jacobian(self.field, np.zeros(2))))

    def update_eigenvalues(
        self, rate: float, order: Order = "simultaneous", momentum: float = 0.0
    ) -> NDArray[np.complex128]:
        """Return the eigenvalues of a step's Jacobian at the equilibrium [2], with momentum [4].

        The game converges near the equilibrium if all lie inside the unit circle, and leaves it if
        one lies outside.

        Raises:
            UsageError: as `eigenvalues`.
        """
        self._check_smooth()

        def step(state: Float64) -> Float64:
            return self._step(state, rate, order, momentum)

        jacobian = _jacobian(step, np.zeros(4))
        return _sorted(np.linalg.eigvals(jacobian if momentum else jacobian[:2, :2]))

    def trajectory(
        self,
        start: tuple[float, float] = (1.0, 1.0),
        *,
        steps: int = 500,
        rate: float = 0.1,
        order: Order = "simultaneous",
        momentum: float = 0.0,
    ) -> Float64:
        """Return the points (theta, psi) from a start on [1 + steps, 2].

        Args:
            start: the first point.
            steps: how many follow.
            rate: the learning rate of both players.
            order: who moves when.
            momentum: share of the last movement that is kept (Polyak's); it may be negative
                (Gidel et al. 2018, arXiv:1807.04740).
        """
        states = [np.array([*start, 0.0, 0.0])]
        for _ in range(steps):
            states.append(self._step(states[-1], rate, order, momentum))
        return np.array(states)[:, :2]

    def converges(self, **how: Any) -> bool:
        """Tell whether the second half of a trajectory stays within a tenth of the first distance.

        Args:
            how: arguments of `trajectory`.
        """
        points = self.trajectory(**how)
        lengths = np.linalg.norm(points, axis=1)
        return bool(lengths[len(lengths) // 2 :].max() < 0.1 * lengths[0])

    def _step(self, state: Float64, rate: float, order: Order, momentum: float) -> Float64:
        """Return the state after one step: theta, psi, and what each moved by [4]."""
        point, moved = state[:2].copy(), momentum * state[2:]
        if order == "simultaneous":
            moved += rate * self.field(point)
            point += moved
            return np.concatenate([point, moved])
        for player in (1, 0):
            moved[player] += rate * self.field(point)[player]
            point[player] += moved[player]
        return np.concatenate([point, moved])


class _Itself(Trunk):
    """Features that are the input."""

    outputs = 1

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs


def _directions(adversary: Adversary, theta: float, psi: float) -> Float64:
    """Return the negative gradients (theta', psi') of what the players minimise."""
    noise = adversary.instance_noise * ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    real = torch.from_numpy(noise[:, None] if adversary.instance_noise else np.zeros((1, 1)))
    made = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
    # The noise is in the inputs, and no longer drawn.
    quiet = adversary.model_copy(update={"instance_noise": 0.0})
    with torch.enable_grad():
        critic = Critic(_Itself()).double()
        critic.head.weight.data.fill_(psi)
        critic.head.bias.data.fill_(_OFFSETS.get(adversary.loss, 0.0))
        terms = quiet.critic_loss(critic, real=real, fake=made + real, progress=0.0)
        cost = torch.stack([term for term in terms.values() if term.requires_grad]).sum()
        (of_psi,) = torch.autograd.grad(cost, critic.head.weight)
        cost = quiet.generator_loss(critic, real=real, fake=made + real, progress=0.0)
        (of_theta,) = torch.autograd.grad(cost, made)
    return -np.array([of_theta.item(), of_psi.item()])


def _jacobian(function: Callable[[Float64], Float64], point: Float64) -> Float64:
    """Return the matrix of a function's derivatives at a point, by central differences."""
    columns = [
        (function(point + _STEP * unit) - function(point - _STEP * unit)) / (2 * _STEP)
        for unit in np.eye(len(point))
    ]
    return np.stack(columns, axis=1)


def _sorted(values: NDArray[Any]) -> NDArray[np.complex128]:
    """Return eigenvalues in an order: by real part, then by imaginary part, largest first."""
    return np.asarray(sorted(values.astype(complex), key=lambda v: (-v.real, -v.imag)), complex)
