"""The variational discriminator bottleneck (Peng et al. 2018, arXiv:1810.00821).

A critic that may learn only so much about its inputs cannot tell them apart by what is of no
importance, and its gradient stays of use.  Features become a normal distribution of codes whose
mean divergence from the standard normal is held at a bound, by a weight that grows while it is
above and falls while it is below (equations 8 and 9).
"""

import torch
from torch import Tensor, nn

from replearn.encoders.networks.full_precision import to_full_precision

_WIDTH = 64
# The paper's 1e-5 is for trainings of a hundred times as many steps.
_RATE = 1e-3


class Bottleneck(nn.Module):
    """Codes of features, through which an average number of nats may pass."""

    weight: Tensor
    outputs = _WIDTH

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(inputs, 2 * _WIDTH)
        self.register_buffer("weight", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean code [N, outputs] of each row of features [N, F]."""
        return self._distribution(features)[0]

    def draw(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return a draw of each code [N, outputs], and its divergence from the prior [N]: nats."""
        mean, log_variance = self._distribution(features)
        rates = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
        return mean + (0.5 * log_variance).exp() * torch.randn_like(mean), rates

    def term(self, rate: Tensor, bound: float) -> Tensor:
        """Return b (I - bound) for the critic to minimise, and adapt b: max(0, b + a (I - bound)).

        Args:
            rate: the mean divergence I of a batch.
            bound: that is to be held.
        """
        excess = rate - bound
        if self.training and torch.is_grad_enabled():
            self.weight.add_(_RATE * excess.detach()).clamp_min_(0)
        return self.weight.clone() * excess

    def _distribution(self, features: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = to_full_precision(self.layer(features)).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)
