"""Adversarial losses: what a critic minimises, and what the generator of its fake inputs does.

The generator is whatever network makes the fake inputs, as the encoder of an adversarial
autoencoder.  Losses and stabilisers are independent of each other and of the kind of input: codes,
images, or tuples such as (image, code).  With r and f a critic's logits of real and fake inputs:

    loss              the critic minimises                    the generator minimises
    non-saturating    -log s(r) - log s(-f)                   -log s(f)
    least-squares     (r - 1)^2 / 2 + f^2 / 2                 (f - 1)^2 / 2
    hinge             max(0, 1 - r) + max(0, 1 + f)           -f
    wasserstein       -r + f                                  -f
    relativistic      -log s(r - E f) - log s(E r - f)        -log s(f - E r) - log s(E f - r)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from replearn.encoders.networks.collective import gather, mean_over_processes
from replearn.encoders.networks.critic import Critic, Trunk
from replearn.encoders.networks.full_precision import to_full_precision
from replearn.errors import UsageError

Inputs = Tensor | tuple[Tensor, ...]
Cost = Callable[[Tensor], Tensor]
ATrunk = TypeVar("ATrunk", bound=Trunk)


@dataclass(frozen=True)
class Loss:
    """The cost of each logit, element by element, for the critic and for the generator.

    The generator's cost of a real input is that of BiGAN's encoder, which makes the real pairs and
    minimises the probability that they are called real; relativistic losses have it as well.
    """

    critic_real: Cost
    critic_fake: Cost
    generator_real: Cost
    generator_fake: Cost
    relativistic: bool = False


def _log_real(logits: Tensor) -> Tensor:
    return F.softplus(-logits)  # -log sigmoid, without overflow


def _square_real(logits: Tensor) -> Tensor:
    return 0.5 * (logits - 1).square()


def _square_fake(logits: Tensor) -> Tensor:
    return 0.5 * logits.square()


def _hinge_real(logits: Tensor) -> Tensor:
    return F.relu(1 - logits)


def _hinge_fake(logits: Tensor) -> Tensor:
    return F.relu(1 + logits)


LOSSES: dict[str, Loss] = {
    # Goodfellow et al. 2014 (arXiv:1406.2661), section 3.
    "non-saturating": Loss(_log_real, F.softplus, _log_real, F.softplus),
    # Mao et al. 2016 (arXiv:1611.04076), equation 9.
    "least-squares": Loss(_square_real, _square_fake, _square_real, _square_fake),
    # Miyato et al. 2018 (arXiv:1802.05957), equations 16 and 17.
    "hinge": Loss(_hinge_real, _hinge_fake, torch.neg, torch.positive),
    # Arjovsky et al. 2017 (arXiv:1701.07875); it needs a penalty or spectral normalisation.
    "wasserstein": Loss(torch.neg, torch.positive, torch.neg, torch.positive),
    # Jolicoeur-Martineau 2018 (arXiv:1807.00734), RaSGAN.
    "relativistic": Loss(_log_real, F.softplus, _log_real, F.softplus, relativistic=True),
}


class Adversary(BaseModel):
    """The loss and the stabilisers of a critic; every setting works with every adversarial model.

    Attributes:
        loss: by its name in the table of this module.
        critic_steps: updates of the critic in each step.
        gradient_penalty: weight of (|gradient| - 1)^2 between real and fake inputs (WGAN-GP).
        r1: weight of half the squared gradient at real inputs; at twice the size of image the same
            logits have a quarter of it.
        drift: weight of the squared logits of real inputs; holds the critic's free offset.
        feature_matching: weight, in the generator's loss, of the distance between the means of the
            features.
        instance_noise: standard deviation of the noise on all inputs of the critic, at the start;
            it falls linearly to 0.
        label_smoothing: the critic's target for real inputs is 1 minus this (one-sided).
        label_flipping: share of the critic's inputs that are given the other label.
        spectral_norm: hold each of the critic's layers at largest singular value 1.
        minibatch_stddev: the critic gets the standard deviation over the batch as a feature.
        bottleneck: nats about an input that reach the critic's judging layer, on average; 0 is no
            limit (Peng et al. 2018, arXiv:1810.00821).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    loss: Literal["non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"] = (
        "non-saturating"
    )
    critic_steps: int = Field(1, ge=1)
    gradient_penalty: float = Field(0.0, ge=0)
    r1: float = Field(0.0, ge=0)
    drift: float = Field(0.0, ge=0)
    feature_matching: float = Field(0.0, ge=0)
    instance_noise: float = Field(0.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    label_flipping: float = Field(0.0, ge=0, lt=0.5)
    spectral_norm: bool = False
    minibatch_stddev: bool = False
    bottleneck: float = Field(0.0, ge=0)

    def check_stabilised(self) -> None:
        """Refuse a critic whose cost has no lower bound: the training would diverge.

        Raises:
            UsageError: `wasserstein` lacks a bound on its slope, or with label smoothing on its
                offset.
        """
        if self.loss != "wasserstein":
            return
        if not (self.gradient_penalty or self.r1 or self.spectral_norm):
            raise UsageError(
                "arguments.adversary: wasserstein needs gradient_penalty, r1 or spectral_norm"
            )
        if self.label_smoothing and not self.drift:
            raise UsageError("arguments.adversary: wasserstein with label_smoothing needs drift")

    @property
    def differentiates_twice(self) -> bool:
        """True if a term holds a gradient, so that the critic's backward takes a second one."""
        return bool(self.gradient_penalty or self.r1)

    def critic(self, trunk: ATrunk) -> Critic[ATrunk]:
        """Return a critic on this trunk, with the layers that the settings ask for."""
        return Critic(
            trunk,
            spectral_norm=self.spectral_norm,
            minibatch_stddev=self.minibatch_stddev,
            bottleneck=bool(self.bottleneck),
        )

    def critic_loss(
        self, critic: Critic[Trunk], *, real: Inputs, fake: Inputs, progress: float
    ) -> dict[str, Tensor]:
        """Return the terms that the critic minimises; nothing else gets a gradient from them.

        One of them has no gradient, `order`: the share of pairs in which a real input gets a larger
        logit than a fake one, ties by half; 1 is a critic that separates them, 0.5 is chance.

        Args:
            critic: learns to classify the inputs as real or fake.
            real: inputs [N, ...], or a tuple of them, with the label real.
            fake: as many with the label fake.
            progress: share of the training that is done, in [0, 1].
        """
        # The critic's update must not reach the networks that made the inputs, hence the detach.
        seen_real = self._seen(tuple(x.detach() for x in _inputs(real)), progress)
        seen_fake = self._seen(tuple(x.detach() for x in _inputs(fake)), progress)
        real_logits, fake_logits, narrow = self._judged(critic, seen_real, seen_fake)
        terms = self._call(real_logits, fake_logits) | narrow
        # Watched only; unlike the accuracy it means the same for every loss.
        every_real, every_fake = gather(real_logits.detach()), gather(fake_logits.detach())
        gaps = every_real - every_fake.T
        terms["order"] = (0.5 * (gaps.sign() + 1)).mean()  # a tie counts half
        if self.gradient_penalty:
            penalty = gradient_penalty(critic, seen_real, seen_fake)
            terms["gradient_penalty"] = self.gradient_penalty * penalty
        if self.r1:
            terms["r1"] = 0.5 * self.r1 * squared_gradient(critic, seen_real).mean()
        if self.drift:
            # Karras et al. 2017, appendix A.1: of real inputs only.
            terms["drift"] = self.drift * real_logits.square().mean()
        return terms

    def _judged(
        self, critic: Critic[Trunk], real: tuple[Tensor, ...], fake: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the logits [N, 1] of both, and the term of the bottleneck if there is one."""
        if critic.bottleneck is None:
            return to_full_precision(critic(*real)), to_full_precision(critic(*fake)), {}
        real_logits, real_rates = critic.judge_draws(critic.features(*real))
        fake_logits, fake_rates = critic.judge_draws(critic.features(*fake))
        rate = mean_over_processes(torch.cat([real_rates, fake_rates]))
        term = critic.bottleneck.term(rate, self.bottleneck)
        return to_full_precision(real_logits), to_full_precision(fake_logits), {"bottleneck": term}

    def generator_loss(
        self,
        critic: Critic[Trunk],
        *,
        fake: Inputs,
        real: Inputs,
        progress: float,
        exchange: bool = False,
    ) -> Tensor:
        """Return what the generator of the fake inputs minimises.

        Args:
            critic: classifies the inputs; it gets a gradient too, which its player does not use.
            fake: inputs [N, ...], or a tuple of them, that the generator made.
            real: as many real ones, to compare with.
            progress: share of the training that is done, in [0, 1].
            exchange: the real inputs come from a network too, which minimises the probability that
                they are called real (BiGAN).
        """
        loss = LOSSES[self.loss]
        fake_features = critic.features(*self._seen(_inputs(fake), progress))
        fake_logits = to_full_precision(critic.judge(fake_features))
        if not (exchange or loss.relativistic or self.feature_matching):
            return loss.generator_real(fake_logits).mean()
        real_features = critic.features(*self._seen(_inputs(real), progress))
        real_logits = to_full_precision(critic.judge(real_features))
        real_logits, fake_logits = _relative(loss, real_logits, fake_logits)
        cost = loss.generator_real(fake_logits).mean()
        if exchange or loss.relativistic:
            cost = cost + loss.generator_fake(real_logits).mean()
        if self.feature_matching:
            # Salimans et al. 2016 (arXiv:1606.03498), section 3.1; the mean over the features.
            means = (
                mean_over_processes(to_full_precision(real_features)),
                mean_over_processes(to_full_precision(fake_features)),
            )
            cost = cost + self.feature_matching * F.mse_loss(*means)
        return cost

    def _seen(self, inputs: tuple[Tensor, ...], progress: float) -> tuple[Tensor, ...]:
        """Return the inputs with noise whose strength falls to 0 over the training.

        Arjovsky and Bottou 2017 (arXiv:1701.04862), section 3: where the supports of real and fake
        inputs do not meet, the generator has no gradient.
        """
        std = self.instance_noise * (1 - progress)
        if std <= 0:
            return inputs
        return tuple(x + std * torch.randn_like(x) for x in inputs)

    def _call(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return the critic's costs of its logits [N, 1]."""
        loss = LOSSES[self.loss]
        real, fake = _relative(loss, real, fake)
        as_real = loss.critic_real(real)
        if self.label_smoothing:
            # For the logarithmic loss this is the cross-entropy with the target 1 - smoothing.
            otherwise = loss.critic_fake(real)
            as_real = (1 - self.label_smoothing) * as_real + self.label_smoothing * otherwise
        as_fake = loss.critic_fake(fake)
        if self.label_flipping:
            as_real = torch.where(self._flipped(real), loss.critic_fake(real), as_real)
            as_fake = torch.where(self._flipped(fake), loss.critic_real(fake), as_fake)
        return {"real": as_real.mean(), "fake": as_fake.mean()}

    def _flipped(self, logits: Tensor) -> Tensor:
        return torch.rand_like(logits) < self.label_flipping


def _inputs(inputs: Inputs) -> tuple[Tensor, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)


def _relative(loss: Loss, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    if loss.relativistic:
        return real - mean_over_processes(fake), fake - mean_over_processes(real)
    return real, fake


def gradient_penalty(
    critic: Critic[Trunk], real: tuple[Tensor, ...], fake: tuple[Tensor, ...]
) -> Tensor:
    """Return E (|gradient| - 1)^2 at random points between real and fake inputs.

    Gulrajani et al. 2017 (arXiv:1704.00028).  The members of a tuple share one epsilon, and the
    norm is that of their gradients together.
    """
    share = torch.rand_like(to_full_precision(real[0].flatten(1)[:, 0]))
    points = tuple(
        torch.lerp(
            to_full_precision(r), to_full_precision(f), share.reshape(-1, *[1] * (r.ndim - 1))
        )
        for r, f in zip(real, fake, strict=True)
    )
    norms = (squared_gradient(critic, points) + 1e-12).sqrt()
    return (norms - 1).square().mean()


def squared_gradient(critic: Critic[Trunk], inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the squared length [N] of the logits' gradient with respect to each input.

    Its mean over real inputs is R1 (Mescheder et al. 2018, arXiv:1801.04406, equation 9).
    """
    with torch.enable_grad():
        points = tuple(x.detach().requires_grad_() for x in inputs)
        logits = to_full_precision(critic(*points)).sum()
        gradients = torch.autograd.grad(logits, points, create_graph=True)
    return torch.stack([to_full_precision(g).flatten(1).square().sum(1) for g in gradients]).sum(0)


def adversaries_of(model: nn.Module) -> Iterator[Adversary]:
    """Yield the adversary of each critic inside a model, those of its parts too."""
    for module in model.modules():
        adversary = getattr(module, "adversary", None)
        if isinstance(adversary, Adversary):
            yield adversary
