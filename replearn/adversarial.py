"""The adversarial losses, once: what a critic's logits cost whoever wants them real or fake."""

import torch.nn.functional as F
from torch import Tensor


def call_real(logits: Tensor) -> Tensor:
    """Return the mean cost of logits [N, 1] to one who wants them called real: -log sigma.

    With it the critic learns what is real, and a generator fools it by the non-saturating loss
    (Goodfellow et al. 2014, arXiv:1406.2661, section 3).
    """
    return F.softplus(-logits.float()).mean()


def call_fake(logits: Tensor) -> Tensor:
    """Return the mean cost of logits [N, 1] to one who wants them called fake: -log(1 - sigma)."""
    return F.softplus(logits.float()).mean()
