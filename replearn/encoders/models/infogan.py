"""InfoGAN (Chen et al. 2016, arXiv:1606.03657): a GAN some of whose code has to show in the image.

The generator's code is noise, one category and a few continuous numbers.  A head on the critic's
features has to tell category and numbers from the generated image, so they come to mean something
visible, and the features to hold it.
"""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import Codes, Objective
from replearn.encoders.grids import in_rows
from replearn.encoders.losses.adversarial import Adversary
from replearn.encoders.networks.architectures import Architecture, ImageTrunk, decoder
from replearn.encoders.networks.full_precision import to_full_precision
from replearn.encoders.networks.jacobian import conditioning


class InfoGAN(Objective):
    """A GAN with a lower bound on the information that an image holds about its code.

    critic:     min_C,Q  the GAN's  +  w E -log Q(c | G(z, c))
    generator:  min_G,Q  the GAN's  +  w E -log Q(c | G(z, c))

    c is a category and `continuous` numbers in [-1, 1]; Q is a softmax for the one, and normal with
    unit variance for the others, whose logarithm is half the squared error.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        architecture: Architecture = "dcgan",
        width: int = 32,
        noise_dim: int = 64,
        categories: int = 10,
        continuous: int = 4,
        information_weight: float = 0.1,
        adversary: Adversary = Adversary(r1=1.0),  # noqa: B008
        layer: Literal["convolution", "levels", "features", "code"] = "convolution",
    ) -> None:
        super().__init__()
        inputs = noise_dim + categories + continuous
        self.generator = decoder(architecture, size, channels, width, inputs)
        self.critic = adversary.critic(ImageTrunk(architecture, size, channels, width))
        self.head = nn.Linear(self.critic.trunk.outputs, categories + continuous)
        self.adversary = adversary
        self.noise_dim = noise_dim
        self.categories = categories
        self.continuous = continuous
        self.information_weight = information_weight
        self.layer = layer

    def players(self) -> dict[str, list[nn.Module]]:
        return {"critic": [self.critic, self.head], "generator": [self.generator, self.head]}

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for _ in range(self.adversary.critic_steps):
            codes = self.draw(images)
            made = self.generator(codes)
            terms = self.adversary.critic_loss(
                self.critic, real=images, fake=made, progress=progress
            )
            yield "critic", terms | {"information": self._surprise(made.detach(), codes)}
        adversarial = self.adversary.generator_loss(
            self.critic, fake=made, real=images, progress=progress
        )
        yield "generator", {"adversarial": adversarial, "information": self._surprise(made, codes)}

    def _surprise(self, made: Tensor, codes: Tensor) -> Tensor:
        """Return w E -log Q(c | image), up to a constant."""
        category, numbers = self._halves(codes[:, self.noise_dim :])
        logits, means = self._halves(to_full_precision(self.head(self.critic.features(made))))
        surprise = F.cross_entropy(logits, category.argmax(1))
        surprise = surprise + 0.5 * (means - numbers).square().sum(1).mean()
        return self.information_weight * surprise

    def _halves(self, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Cut what concerns the category from what concerns the numbers."""
        return columns[:, : self.categories], columns[:, self.categories :]

    def draw(self, images: Tensor) -> Tensor:
        """Return as many codes [N, D] as there are images: noise, a category, numbers."""
        noise = torch.randn_like(images.new_empty(len(images), self.noise_dim))
        drawn = torch.randint(self.categories, (len(images),), device=images.device)
        category = F.one_hot(drawn, self.categories).to(images.dtype)
        numbers = 2 * torch.rand_like(images.new_empty(len(images), self.continuous)) - 1
        return torch.cat([noise, category, numbers], dim=1)

    def embed(self, images: Tensor) -> Tensor:
        if self.layer == "convolution" or self.layer == "levels":
            return self.critic.trunk.pooled(images, self.layer)
        features = self.critic.features(images)
        if self.layer == "features":
            return features
        logits, means = self._halves(self.head(features))
        # Probabilities are near 0 or 1, and a linear detector would see one category of ten.
        return torch.cat([logits.log_softmax(1), means], dim=1)

    def statistics(self, images: Tensor) -> dict[str, Tensor]:
        return conditioning(self.generator, self.draw(images))

    def codes(self) -> Codes:
        return Codes(decode=self.generator, draw=self.draw)

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        codes = self.draw(images[:1].expand(32, -1, -1, -1))
        return {
            "samples": in_rows(self.generator(codes)),
            "categories": self._varied(codes[:8], category=True),
            "numbers": self._varied(codes[:8], category=False),
        }

    def _varied(self, codes: Tensor, *, category: bool) -> Tensor:
        """Show each code with all its categories, or with its first number from -2 to 2."""
        steps = self.categories if category else 9
        rows = codes[:, None].repeat(1, steps, 1)
        first = self.noise_dim
        if category:
            choices = torch.eye(steps, dtype=codes.dtype, device=codes.device)
            rows[:, :, first : first + steps] = choices
        else:
            values = torch.linspace(-2, 2, steps, dtype=codes.dtype, device=codes.device)
            rows[:, :, first + self.categories] = values
        made: Tensor = self.generator(rows.flatten(0, 1))
        return made.reshape(len(codes), steps, *made.shape[1:])
