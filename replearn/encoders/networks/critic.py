"""A critic: a trunk that finds features and one linear layer that judges them.

What a trunk looks at decides what is judged: codes (`mlp.CodeTrunk`), images
(`architectures.ImageTrunk`), images at two sizes (`two_level.PyramidTrunk`), or images together
with codes (`PairTrunk`).  No trunk has batch normalisation: it lets one input's verdict depend on
the others', stalls critics of codes at chance, and makes a gradient penalty meaningless.
"""

from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from replearn.encoders.networks.bottleneck import Bottleneck
from replearn.encoders.networks.collective import gather
from replearn.encoders.networks.full_precision import to_full_precision


class Trunk(nn.Module):
    """Maps one or more inputs, [N, ...] each, to features [N, outputs]."""

    outputs: int


# Covariant: a critic of images serves where any critic does.
AnyTrunk = TypeVar("AnyTrunk", bound=Trunk, covariant=True)


class Critic(nn.Module, Generic[AnyTrunk]):
    """Gives inputs one logit each."""

    trunk: AnyTrunk

    def __init__(
        self,
        trunk: AnyTrunk,
        *,
        spectral_norm: bool = False,
        minibatch_stddev: bool = False,
        bottleneck: bool = False,
    ) -> None:
        """Put the judging layer on a trunk.

        Args:
            trunk: finds the features.
            spectral_norm: hold each layer's largest singular value at 1.
            minibatch_stddev: let the critic see how much the batch varies.
            bottleneck: let it judge codes of the features, through which little information passes.
        """
        super().__init__()
        self.trunk = trunk
        self.minibatch_stddev = minibatch_stddev
        self.bottleneck = Bottleneck(trunk.outputs) if bottleneck else None
        width = self.bottleneck.outputs if self.bottleneck else trunk.outputs
        self.head = nn.Linear(width + minibatch_stddev, 1)
        if spectral_norm:
            for layer in [m for m in self.modules() if isinstance(m, nn.Linear | nn.Conv2d)]:
                parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))

    def features(self, *inputs: Tensor) -> Tensor:
        """Return the features [N, F] before the judging layer."""
        features: Tensor = self.trunk(*inputs)
        return features

    def judge(self, features: Tensor) -> Tensor:
        """Turn features [N, F] into logits [N, 1]; behind a bottleneck those of the mean codes."""
        if self.bottleneck:
            features = self.bottleneck(features)
        return self._judge(features)

    def judge_draws(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Turn features [N, F] into logits of draws of their codes [N, 1], and their rates [N]."""
        assert self.bottleneck
        draws, rates = self.bottleneck.draw(features)
        return self._judge(draws), rates

    def _judge(self, features: Tensor) -> Tensor:
        if self.minibatch_stddev:
            features = torch.cat([features, minibatch_stddev(features)], dim=1)
        logits: Tensor = self.head(features)
        return logits

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return one logit for each input, or tuple of inputs, [N, 1]."""
        return self.judge(self.features(*inputs))


class PairTrunk(Trunk):
    """Features of (image, code): each through layers of its own, then both together.

    The sizes are those of the seed's BiGAN.  With layers of its own the code is not drowned by
    the image's many more numbers.
    """

    def __init__(self, image_trunk: Trunk, code_trunk: Trunk, width: int) -> None:
        super().__init__()
        self.image_trunk = image_trunk
        self.code_trunk = code_trunk
        self.squeeze = nn.Sequential(
            nn.Linear(image_trunk.outputs, 2 * code_trunk.outputs), nn.LeakyReLU(0.2)
        )
        self.together = nn.Sequential(
            nn.Linear(3 * code_trunk.outputs, width),
            nn.LeakyReLU(0.2),
            nn.Linear(width, width),
            nn.LeakyReLU(0.2),
        )
        self.outputs = width

    def forward(self, images: Tensor, codes: Tensor) -> Tensor:
        """Map images [N, C, H, W] and codes [N, D] to features [N, outputs]."""
        seen = self.squeeze(self.image_trunk(images))
        features: Tensor = self.together(torch.cat([seen, self.code_trunk(codes)], dim=1))
        return features


def initialise(layers: nn.Module) -> None:
    """Give weights the variance that keeps a signal's size (He et al. 2015, arXiv:1502.01852).

    torch's default shrinks it at every layer; without normalisation to undo that, the logits of a
    deep critic hardly depend on the image, and for hundreds of steps it learns next to nothing.
    """
    for layer in layers.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=0.2)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def minibatch_stddev(features: Tensor) -> Tensor:
    """Return the batch's standard deviation, the mean over all features, for each row [N, 1].

    Karras et al. 2017 (arXiv:1710.10196, section 3), the whole batch as one group.  They append
    it to the last feature map as a constant channel; before a linear layer that is one number.
    """
    # In full precision: in half of it the small number that guards the root would be zero.
    everyone = gather(to_full_precision(features))
    deviations = (everyone.var(dim=0, correction=0) + 1e-8).sqrt()
    return deviations.mean().to(features.dtype).expand(len(features), 1)


class SpectralNorm(nn.Module):
    """Divides a weight by its largest singular value (Miyato et al. 2018, arXiv:1802.05957).

    One power iteration each forward in training.  Unlike torch's own it stores one vector and
    normalises it where it is used, so an average of weights and vectors is normalised rightly.
    """

    left: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("left", F.normalize(torch.randn(len(weight)), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight [O, ...] scaled to a largest singular value of about 1."""
        # Half precision would stop the iteration short of the largest singular value.
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            with torch.no_grad():
                right = F.normalize(self.left @ matrix, dim=0)
                if self.training:
                    self.left.copy_(F.normalize(matrix @ right, dim=0))
            # The gradient passes through sigma, as in the paper's equation 12.
            scaled: Tensor = weight / (matrix @ right).norm().clamp_min(1e-12)
        return scaled
