"""What each objective minimises, term by term, against its formula."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.contract import FittedEncoder, Objective
from replearn.encoders.losses.priors import PRIORS, PriorName
from replearn.encoders.models import MODELS, build, check_arguments
from replearn.encoders.models.aae import AAE
from replearn.encoders.models.bigan import BiGAN
from replearn.encoders.models.combined import Combined
from replearn.encoders.models.diffusion import Diffusion
from replearn.encoders.models.flipped_aae import FlippedAAE
from replearn.encoders.models.gan import GAN
from replearn.encoders.models.infogan import InfoGAN
from replearn.encoders.models.sdae import SDAE
from replearn.encoders.models.vae import VAE
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer
from replearn.errors import UsageError

COUNT = 12
SIZE = 16
LATENT = 6
SMALL: dict[str, Any] = {"width": 4, "latent_dim": LATENT, "critic_width": 16, "noise_dim": 5}
ADVERSARIAL = [name for name in MODELS if "adversary" in check_arguments(name, {})]
LOSSES = ["non-saturating", "least-squares", "hinge", "wasserstein", "relativistic"]

Terms = dict[str, Tensor]


def new(name: str, **arguments: Any) -> Any:
    """Return a small model with the same weights at every call."""
    torch.manual_seed(0)
    known = check_arguments(name, {})
    fitting = {key: value for key, value in SMALL.items() if key in known}
    return build(name, size=SIZE, channels=1, arguments=fitting | arguments).train()


def pictures() -> Tensor:
    random = torch.Generator().manual_seed(1)
    coarse = torch.randn(COUNT, 1, 4, 4, generator=random)
    return torch.tanh(F.interpolate(coarse, size=SIZE, mode="bilinear"))


def updates_of(model: Objective, progress: float = 0.0) -> list[tuple[str, Terms]]:
    """Return the updates of one step, with fixed noise and without learning."""
    with torch.no_grad():
        torch.manual_seed(3)
        return list(model.losses(pictures(), progress))


def as_real(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def as_fake(logits: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def mean_square(values: Tensor) -> Tensor:
    return (values.double() ** 2).sum() / values.numel()


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=1e-5, atol=1e-7)


# SDAE


def test_without_noise_and_sparsity_the_sdae_is_the_plain_autoencoder() -> None:
    model: SDAE = new("sdae", noise=0, sparsity=0)
    ((player, terms),) = updates_of(model)
    assert player == "autoencoder"
    with torch.no_grad():
        rebuilt = model.decoder(model.encode(pictures()))
    same(terms["reconstruction"], mean_square(rebuilt - pictures()))
    assert terms["sparsity"] == 0


def test_the_sdae_sees_noise_and_is_asked_for_the_clean_image_and_small_codes() -> None:
    model: SDAE = new("sdae", noise=0.5, sparsity=0.3)
    ((_, terms),) = updates_of(model)
    with torch.no_grad():
        torch.manual_seed(3)
        codes = model.encode(pictures() + 0.5 * torch.randn_like(pictures()))
        rebuilt = model.decoder(codes)
    same(terms["reconstruction"], mean_square(rebuilt - pictures()))
    same(terms["sparsity"], 0.3 * codes.abs().mean())


# VAE


def test_the_vae_s_divergence_is_that_of_torch_s_distributions() -> None:
    model: VAE = new("vae", beta=2.0)
    ((_, terms),) = updates_of(model)
    normal = torch.distributions.Normal
    with torch.no_grad():
        mean, log_variance = (x.double() for x in model.posterior(pictures()))
    posterior = normal(mean, (0.5 * log_variance).exp())
    divergence = torch.distributions.kl_divergence(posterior, normal(0.0, 1.0)).sum(1).mean()
    same(terms["kl"], 2 * 2.0 * 0.1 * divergence / SIZE**2)


def test_the_vae_minimises_the_negative_evidence_bound_up_to_scale_and_constant() -> None:
    variance = 0.1
    model: VAE = new("vae")
    ((_, terms),) = updates_of(model)
    with torch.no_grad():
        torch.manual_seed(3)
        mean, log_variance = model.posterior(pictures())
        codes = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        rebuilt = model.decoder(codes)
    pixels = torch.distributions.Normal(rebuilt.double(), variance**0.5)
    likelihood = pixels.log_prob(pictures().double()).sum((1, 2, 3)).mean()  # type: ignore[no-untyped-call]
    prior = torch.distributions.Normal(0.0, 1.0)
    posterior = torch.distributions.Normal(mean.double(), (0.5 * log_variance).exp().double())
    bound = likelihood - torch.distributions.kl_divergence(posterior, prior).sum(1).mean()
    constant = 0.5 * SIZE**2 * torch.log(torch.tensor(2 * torch.pi * variance))
    scale = 2 * variance / SIZE**2
    same(terms["reconstruction"] + terms["kl"], scale * (-bound - constant))


def test_free_bits_are_a_floor_under_each_unit_s_mean_divergence() -> None:
    with torch.no_grad():
        mean, log_variance = new("vae").posterior(pictures())
    divergence = 0.5 * (mean**2 + log_variance.exp() - log_variance - 1).mean(0)
    free = float(divergence.median())
    model: VAE = new("vae", free_bits=free, beta=5.0)
    ((_, terms),) = updates_of(model)
    same(terms["kl"], divergence.clamp_min(free).sum() / SIZE**2)


def test_draws_of_the_vae_and_not_their_means_are_compared_with_the_prior(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model: VAE = new("vae")
    # Together these follow the prior: half of each unit's variance is that of the means.
    means, half = torch.randn(2000, LATENT) * 0.5**0.5, torch.tensor(0.5)
    monkeypatch.setattr(model, "posterior", lambda images: (means, half.log().expand_as(means)))
    found = model.statistics(torch.zeros(0))
    assert found["codes/distance"] < 1.5 * found["codes/distance_of_draws"]
    assert found["codes/deviation"] == pytest.approx(0.5**0.5, rel=0.05)


def test_the_vae_embeds_the_mean_and_never_a_draw() -> None:
    model: VAE = new("vae").eval()
    with torch.no_grad():
        assert torch.equal(model.embed(pictures()), model.embed(pictures()))
        assert torch.equal(model.embed(pictures()), model.encoder(pictures())[:, :LATENT])


@pytest.mark.parametrize("output", [-1e4, 1e4])
def test_an_extreme_log_variance_gives_finite_terms(output: float) -> None:
    model: VAE = new("vae")
    torch.nn.init.constant_(model.encoder.head.bias, output)
    ((_, terms),) = updates_of(model)
    assert all(term.isfinite() for term in terms.values())


def test_the_sdae_s_sparsity_does_not_depend_on_the_scale_of_its_codes() -> None:
    model: SDAE = new("sdae", noise=0, sparsity=1.0)
    ((_, terms),) = updates_of(model)
    with torch.no_grad():
        model.encoder.head.weight.mul_(30)
        model.encoder.head.bias.mul_(30)
    ((_, larger),) = updates_of(model)
    torch.testing.assert_close(larger["sparsity"], terms["sparsity"], rtol=0.05, atol=0)


# AAE


@pytest.mark.parametrize("prior", PRIORS)
def test_the_aae_s_code_is_its_encoder_s_output_on_the_support(prior: PriorName) -> None:
    model: AAE = new("aae", prior=prior).eval()
    raw = model.encoder(pictures())
    on_support = {
        "normal": raw,
        "sphere": raw * (LATENT**0.5 / raw.norm(dim=1, keepdim=True)),
        "uniform": raw.tanh() * 3**0.5,
        "rectified": raw.clamp_min(0) * 2**0.5,
        "bernoulli": raw.tanh(),
        "categorical": raw.softmax(1) * LATENT**0.5,
    }
    torch.testing.assert_close(model.embed(pictures()), on_support[prior])


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("moves", ["two", "three"])
def test_the_aae_s_terms_are_its_formulas(prior: PriorName, moves: str) -> None:
    weight = 0.3
    model: AAE = new("aae", prior=prior, prior_weight=weight, moves=moves)
    found = updates_of(model)
    with torch.no_grad():
        torch.manual_seed(3)
        codes = PRIORS[prior].project(model.encoder(pictures()))
        drawn = PRIORS[prior].sample_like(codes)
        of_codes, of_drawn = model.critic(codes), model.critic(drawn)
        rebuilt = model.decoder(codes)
    of_generator = {"prior": weight * as_real(of_codes)}
    reconstruction = {"reconstruction": F.mse_loss(rebuilt, pictures())}
    expected = [("critic", {"real": as_real(of_drawn), "fake": as_fake(of_codes)})]
    if moves == "two":
        expected += [("autoencoder", reconstruction | of_generator)]
    else:
        expected += [("encoder", of_generator), ("autoencoder", reconstruction)]
    assert [player for player, _ in found] == [player for player, _ in expected]
    found[0][1].pop("order")  # watched, not minimised
    torch.testing.assert_close(dict(found), dict(expected))


# BiGAN


def test_in_a_bigan_each_pair_s_maker_wants_it_called_the_other_kind() -> None:
    model: BiGAN = new("bigan", reconstruction_weight=0.5)
    (critic, of_critic), (player, terms) = updates_of(model)
    assert (critic, player) == ("critic", "autoencoder")
    with torch.no_grad():
        torch.manual_seed(3)
        codes = model.encode(pictures())
        drawn = torch.randn_like(codes)
        real, fake = model.critic(pictures(), codes), model.critic(model.generator(drawn), drawn)
        rebuilt = model.generator(codes)
    same(of_critic["real"], as_real(real))
    same(of_critic["fake"], as_fake(fake))
    same(terms["exchange"], as_fake(real) + as_real(fake))
    same(terms["reconstruction"], 0.5 * mean_square(rebuilt - pictures()))


def test_both_encoder_and_generator_of_a_bigan_learn_from_the_exchange() -> None:
    model: BiGAN = new("bigan")
    for player, terms in model.losses(pictures(), 0.0):
        if player == "autoencoder":
            assert set(terms) == {"exchange"}
            model.zero_grad()
            torch.autograd.backward(list(terms.values()))
    for network in (model.encoder, model.generator):
        assert all(p.grad is not None for p in network.parameters())


# Flipped AAE


@pytest.mark.parametrize("generator", ["two-level", "plain"])
def test_the_flipped_aae_reconstructs_the_code_of_a_generated_image(generator: str) -> None:
    model: FlippedAAE = new("flipped_aae", generator=generator, noise=0, joint_weight=0.25)
    updates = updates_of(model)
    assert [player for player, _ in updates] == ["critic", "generator", "encoder"]
    with torch.no_grad():
        torch.manual_seed(3)
        drawn = model.draw(pictures())
        expected = mean_square(model.encode(model.generate(drawn)[0]) - drawn)
    same(updates[1][1]["latent"], 0.25 * expected)
    same(updates[2][1]["latent"], expected)


def test_a_separate_encoder_leaves_the_generator_alone_and_the_other_way_round() -> None:
    model: FlippedAAE = new("flipped_aae", joint_weight=0)
    for player, terms in model.losses(pictures(), 0.0):
        model.zero_grad()
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        if player == "generator":
            assert set(terms) == {"adversarial"}
            assert all(p.grad is None for p in model.encoder.parameters())
        if player == "encoder":
            assert all(p.grad is None for p in model.generator.parameters())
            assert all(p.grad is not None for p in model.encoder.parameters())


# GAN and InfoGAN


@pytest.mark.parametrize("name", ["gan", "infogan"])
def test_a_gan_embeds_the_features_of_its_critic(name: str) -> None:
    images = pictures()
    whole: GAN = new(name, layer="features").eval()
    pooled: GAN = new(name, layer="convolution").eval()
    maps = whole.critic.trunk.convolutions(images)
    torch.testing.assert_close(whole.embed(images), maps.flatten(1))
    quarters = [maps[:, :, r : r + 2, c : c + 2].mean((2, 3)) for r in (0, 2) for c in (0, 2)]
    torch.testing.assert_close(pooled.embed(images), torch.stack(quarters, 2).flatten(1))


def test_an_infogan_s_code_is_a_category_and_numbers() -> None:
    model: InfoGAN = new("infogan", categories=7, continuous=3)
    many = model.draw(pictures()[:1].expand(4000, -1, -1, -1))
    noise, category, numbers = many[:, :5], many[:, 5:12], many[:, 12:]
    assert many.shape[1] == 5 + 7 + 3
    assert abs(noise.std() - 1) < 0.05
    assert torch.equal(category.sum(1), torch.ones(len(many)))
    assert (category.mean(0) - 1 / 7).abs().max() < 0.03
    assert numbers.abs().max() <= 1
    assert (numbers.var(0) - 1 / 3).abs().max() < 0.03


def test_an_infogan_s_code_layer_is_log_probabilities_and_means() -> None:
    model: InfoGAN = new("infogan", categories=4, continuous=2, layer="code").eval()
    images = pictures()
    guess = model.head(model.critic.features(images))
    code = model.embed(images)
    torch.testing.assert_close(code[:, :4].exp(), guess[:, :4].softmax(1))
    torch.testing.assert_close(code[:, 4:], guess[:, 4:])


def test_the_infogan_s_bound_is_cross_entropy_plus_half_the_squared_error() -> None:
    model: InfoGAN = new("infogan", categories=4, continuous=2, information_weight=0.5)
    model.critic.eval()
    (_, of_critic), (_, of_generator) = updates_of(model)
    with torch.no_grad():
        torch.manual_seed(3)
        codes = model.draw(pictures())
        made = model.generator(codes)
        guess = model.head(model.critic.features(made)).double()
    chosen = guess[:, :4].softmax(1)[codes[:, 5:9].bool()]
    errors = ((guess[:, 4:] - codes[:, 9:]) ** 2).sum(1)
    expected = 0.5 * (-chosen.log() + 0.5 * errors).mean()
    same(of_critic["information"], expected)
    same(of_generator["information"], expected)


# Diffusion


def test_diffusion_learns_where_the_noise_lies_from_the_image() -> None:
    model: Diffusion = new("diffusion")
    ((player, terms),) = updates_of(model)
    images = pictures()
    with torch.no_grad():
        torch.manual_seed(3)
        noise = torch.randn_like(images)
        share = torch.rand(COUNT, 1, 1, 1)
        found = model.denoiser((1 - share) * images + share * noise)
    assert player == "denoiser"
    same(terms["velocity"], mean_square(found - (noise - images)))


class _Knows(torch.nn.Module):
    """Says of all mixtures where the noise lay from the images."""

    def __init__(self, velocity: Tensor) -> None:
        super().__init__()
        self.velocity = velocity

    def forward(self, mixtures: Tensor) -> Tensor:
        return self.velocity


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_who_knows_where_the_noise_lies_finds_the_image(share: float) -> None:
    model: Diffusion = new("diffusion")
    images, noise = pictures(), torch.randn(COUNT, 1, SIZE, SIZE)
    model.denoiser = _Knows(noise - images)  # type: ignore[assignment]
    mixtures = (1 - share) * images + share * noise
    torch.testing.assert_close(model.denoise(mixtures, share), images, rtol=0, atol=1e-5)
    torch.testing.assert_close(model.sample(noise), images, rtol=0, atol=1e-5)


def test_samples_of_diffusion_look_like_what_it_has_learned_from() -> None:
    model: Diffusion = new("diffusion", architecture="dcgan", width=8)
    dark = torch.full((32, 1, SIZE, SIZE), -0.7)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        ((_, terms),) = model.losses(torch.cat([dark, -dark]), 0.0)
        optimiser.zero_grad()
        terms["velocity"].backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    model.eval()
    with torch.no_grad():
        made = model.sample(torch.randn(32, 1, SIZE, SIZE))
    errors = torch.stack([(made - kind).square().mean((1, 2, 3)) for kind in (dark, -dark)])
    # Their mean is 0.49 from both, and noise is farther.
    assert errors.amin(0).mean() < 0.25
    assert set(errors.argmin(0).tolist()) == {0, 1}


# Combined


def test_a_combination_updates_its_parts_one_after_the_other() -> None:
    model: Combined = new("combined")
    players = [player for player, _ in updates_of(model)]
    assert players == ["aae-critic", "aae-autoencoder", "sdae-autoencoder"]
    assert set(model.players()) == set(players)


def test_each_block_of_a_combination_has_unit_mean_square_length_after_settling() -> None:
    parts = {"aae": {"model": "aae"}, "raw": {"model": "raw"}, "pca": _PCA}
    model: Combined = new("combined", parts=parts).eval()
    with torch.no_grad():
        model.prepare(pictures())
        model.settle(pictures())
        embeddings = model.embed(pictures())
    blocks = torch.split(embeddings, [128, SIZE**2, 5], dim=1)
    for block in blocks:
        same((block**2).sum(1).mean(), torch.tensor(1.0))


_PCA = {"model": "pca", "arguments": {"latent_dim": 5}}


def test_parts_that_learn_at_once_are_fitted_before_the_training() -> None:
    model: Combined = new("combined", parts={"pca": _PCA}).eval()
    alone = build("pca", size=SIZE, channels=1, arguments=_PCA["arguments"])  # type: ignore[arg-type]
    assert isinstance(alone, FittedEncoder)
    alone.fit(pictures())
    with torch.no_grad():
        model.prepare(pictures())
        model.settle(pictures())
        found, expected = model.embed(pictures()), alone.embed(pictures())
    torch.testing.assert_close(found * model.scales, expected)


def test_a_combination_s_arguments_are_complete_and_checked() -> None:
    complete = check_arguments("combined", {})["parts"]
    assert complete["sdae"]["arguments"] == check_arguments("sdae", {})
    parts = {"a": {"model": "aae", "arguments": {"latent": 3}}}
    with pytest.raises(UsageError, match=r"arguments\.parts\.a: arguments\.latent: no such"):
        check_arguments("combined", {"parts": parts})
    with pytest.raises(UsageError, match=r"arguments\.parts\.a: model: no model 'nope'; known: "):
        check_arguments("combined", {"parts": {"a": {"model": "nope"}}})
    with pytest.raises(UsageError, match="parts: empty"):
        new("combined", parts={})
    with pytest.raises(UsageError, match=r"parts: the name 'a\.b' has other than"):
        new("combined", parts={"a.b": {"model": "raw"}})
    with pytest.raises(UsageError, match=r"args: no such setting; known: model, arguments$"):
        check_arguments("combined", {"parts": {"a": {"model": "raw", "args": {}}}})


def test_names_that_modules_have_methods_of_may_be_parts() -> None:
    parts = {name: {"model": "raw"} for name in ("type", "keys", "train")}
    assert new("combined", parts=parts).embed(pictures()).shape == (COUNT, 3 * SIZE**2)


# Adversarial losses, with every model that has them


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("steps", [1, 3])
def test_the_critic_is_updated_first_and_as_often_as_asked(name: str, steps: int) -> None:
    players = [player for player, _ in updates_of(new(name, adversary={"critic_steps": steps}))]
    assert players[:steps] == ["critic"] * steps
    assert "critic" not in players[steps:]
    assert len(players) > steps


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_works_with_every_model(name: str, loss: str) -> None:
    model = new(name, adversary={"loss": loss, "spectral_norm": loss == "wasserstein"})
    check_a_step(model, progress=0.5)


@pytest.mark.parametrize(
    ("settings", "missing"),
    [({}, "gradient_penalty, r1 or spectral_norm"), ({"r1": 1, "label_smoothing": 0.1}, "drift")],
)
def test_a_wasserstein_critic_that_nothing_holds_is_refused(
    settings: dict[str, Any], missing: str
) -> None:
    model = new("aae", adversary={"loss": "wasserstein"} | settings)  # what was trained still loads
    with pytest.raises(UsageError, match=rf"^arguments\.adversary: wasserstein .*needs {missing}$"):
        Trainer(model, np.zeros((4, 1, SIZE, SIZE), np.uint8), TrainingSettings(device="cpu"))


@pytest.mark.parametrize("name", ADVERSARIAL)
@pytest.mark.parametrize(
    "option",
    [
        {"gradient_penalty": 10.0},
        {"r1": 1.0},
        {"drift": 0.1},
        {"feature_matching": 1.0},
        {"instance_noise": 0.2},
        {"label_smoothing": 0.1},
        {"label_flipping": 0.1},
        {"spectral_norm": True},
        {"minibatch_stddev": True},
    ],
    ids=lambda option: next(iter(option)),
)
def test_every_stabiliser_works_with_every_model(name: str, option: dict[str, Any]) -> None:
    check_a_step(new(name, adversary=option), progress=0.5)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_all_stabilisers_work_together(name: str) -> None:
    every = {
        "critic_steps": 2,
        "gradient_penalty": 1.0,
        "r1": 1.0,
        "drift": 0.1,
        "feature_matching": 1.0,
        "instance_noise": 0.2,
        "label_smoothing": 0.1,
        "label_flipping": 0.1,
        "spectral_norm": True,
        "minibatch_stddev": True,
    }
    check_a_step(new(name, adversary=every), progress=0.5)


def check_a_step(model: Objective, progress: float) -> None:
    """Do a step; all terms are finite, and each player's update has a gradient."""
    for player, terms in model.losses(pictures(), progress):
        model.zero_grad()
        assert all(term.isfinite() for term in terms.values()), terms
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        gradients = [p.grad for network in model.players()[player] for p in network.parameters()]
        found = [gradient for gradient in gradients if gradient is not None]
        assert found
        assert all(gradient.isfinite().all() for gradient in found)
        assert any(gradient.abs().max() > 0 for gradient in found)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_the_critic_s_update_gives_no_gradient_to_anyone_else_s_networks(name: str) -> None:
    model = new(name)
    player, terms = next(model.losses(pictures(), 0.0))
    torch.autograd.backward(torch.stack(list(terms.values())).sum())
    own = {id(p) for network in model.players()[player] for p in network.parameters()}
    assert all(id(p) in own for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_changing_one_setting_of_the_adversary_keeps_the_model_s_others(name: str) -> None:
    default = check_arguments(name, {})["adversary"]
    changed = check_arguments(name, {"adversary": {"drift": 0.5}})["adversary"]
    assert changed == default | {"drift": 0.5}


def test_an_unknown_setting_of_the_adversary_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"arguments\.adversary\.los: no such .* critic_steps"):
        check_arguments("gan", {"adversary": {"los": "hinge"}})
    with pytest.raises(UsageError, match=r"arguments\.adversary\.loss: 'hing' does not fit"):
        check_arguments("gan", {"adversary": {"loss": "hing"}})


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_weights_below_zero_or_not_finite_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match=r"arguments\.sparsity: "):
        check_arguments("sdae", {"sparsity": value})
