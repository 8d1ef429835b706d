"""One battery for every entry of MODELS, and what each model promises beyond it."""

import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import FittedEncoder, Model, Objective, TaughtObjective
from replearn.encoders.encoder import Description, load_encoder, save_encoder
from replearn.encoders.models import MODELS, build, check_arguments
from replearn.encoders.models.pca import PCA
from replearn.encoders.models.random import Random
from replearn.encoders.training.trainer import seed_all
from replearn.errors import DataError, UsageError

COUNT = 20

# Given to every constructor that has an argument of this name.
LATENT = 8
SMALL: dict[str, Any] = {
    "width": 4,
    "latent_dim": LATENT,
    "critic_width": 16,
    "code_width": 8,
    "noise_dim": 6,
    "words": 6,
    "parts": {
        "aae": {"model": "aae", "arguments": {"width": 4, "latent_dim": 8, "critic_width": 16}},
        "pca": {"model": "pca", "arguments": {"latent_dim": 8}},
    },
}

# What others have trained has to be there first: `test_pretrained.py` makes one.
ALONE = [name for name in MODELS if name != "pretrained"]
OBJECTIVES = [name for name, model in MODELS.items() if issubclass(model, Objective)]
TAUGHT = [name for name, model in MODELS.items() if issubclass(model, TaughtObjective)]
FITTED = [name for name in ALONE if issubclass(MODELS[name], FittedEncoder)]

forms = pytest.mark.parametrize(
    ("size", "channels"),
    [
        pytest.param(64, 1, id="64px-grey"),
        pytest.param(16, 1, id="16px-grey", marks=pytest.mark.slow),
        pytest.param(32, 3, id="32px-colour", marks=pytest.mark.slow),
        pytest.param(64, 3, id="64px-colour", marks=pytest.mark.slow),
        pytest.param(128, 1, id="128px-grey", marks=pytest.mark.slow),
    ],
)
every_model = pytest.mark.parametrize("name", ALONE)
every_objective = pytest.mark.parametrize("name", OBJECTIVES)
every_fitted = pytest.mark.parametrize("name", FITTED)


def fitting(name: str) -> dict[str, Any]:
    """Return the small arguments that this model's constructor has."""
    return {key: value for key, value in SMALL.items() if key in check_arguments(name, {})}


def small(name: str, size: int = 64, channels: int = 1, **arguments: Any) -> Model:
    """Return the model with few weights, the same at every call."""
    seed_all(0)
    return build(name, size=size, channels=channels, arguments=fitting(name) | arguments)


def objective(name: str, size: int = 64, channels: int = 1) -> Objective:
    model = small(name, size, channels)
    assert isinstance(model, Objective)
    return model


def pictures(size: int = 64, channels: int = 1, *, seed: int = 0) -> Tensor:
    """Return images float [N, C, H, W] in [-1, 1] with coarse and fine structure."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(COUNT, channels, 5, 5, generator=random)
    fine = torch.randn(COUNT, channels, size, size, generator=random)
    return torch.tanh(F.interpolate(coarse, size=size, mode="bilinear") + 0.1 * fine)


def ready(name: str, images: Tensor) -> Model:
    """Return the small model as extraction meets it: fitted or initialised, in evaluation mode."""
    model = small(name, images.shape[-1], images.shape[1])
    if isinstance(model, FittedEncoder):
        model.fit(images)
    elif isinstance(model, Objective):
        with torch.no_grad():
            model.eval().prepare(images)
            model.settle(images)
    return model.eval()


def assert_close(found: Tensor, expected: Tensor) -> None:
    tolerance = 1e-5 * expected.detach().abs().max().item()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=tolerance)


# Every model


@forms
@every_model
def test_embeddings_are_finite_rows_that_tell_images_apart(
    name: str, size: int, channels: int
) -> None:
    images = pictures(size, channels)
    with torch.inference_mode():
        embeddings = ready(name, images).embed(images)
    assert embeddings.ndim == 2
    assert len(embeddings) == COUNT
    assert embeddings.is_floating_point()
    assert embeddings.isfinite().all()
    assert len({tuple(row) for row in embeddings.tolist()}) == COUNT


@forms
@every_model
def test_embedding_is_deterministic_and_leaves_model_and_images_alone(
    name: str, size: int, channels: int
) -> None:
    images = pictures(size, channels)
    given = images.clone()
    model = ready(name, images)
    before = snapshot(model)
    first = model.embed(images)
    torch.manual_seed(1)
    assert torch.equal(model.embed(images), first)
    assert torch.equal(images, given)
    assert changed(before, snapshot(model)) == set()


@forms
@every_model
def test_an_embedding_does_not_depend_on_the_other_images(
    name: str, size: int, channels: int
) -> None:
    images = pictures(size, channels)
    model = ready(name, images)
    with torch.inference_mode():
        together = model.embed(images)
        others = torch.cat([images[:3], pictures(size, channels, seed=1)[:4] * 0.1])
        assert_close(model.embed(others)[:3], together[:3])
        assert_close(model.embed(images[7:8]), together[7:8])


@forms
@every_model
def test_saving_and_loading_gives_identical_embeddings(
    name: str, size: int, channels: int, tmp_path: Path
) -> None:
    images = pictures(size, channels)
    model = ready(name, images)
    description = Description(
        model=name,
        arguments=check_arguments(name, fitting(name)),
        size=size,
        channels=channels,
        fit="stretch",
        crop=None,
        identity=f"{name}:1",
        training={},
    )
    save_encoder(tmp_path, model, description)
    seed_all(99)  # fresh weights would be others
    loaded = load_encoder(tmp_path, "cpu")
    assert loaded.description == description
    with torch.inference_mode():
        assert torch.equal(loaded.model.embed(images), model.embed(images))


@every_model
def test_an_unknown_argument_is_refused_with_the_known_ones(name: str) -> None:
    for unknown in ("latentdim", "size", "channels"):
        with pytest.raises(UsageError) as caught:
            build(name, size=64, channels=1, arguments={unknown: 64})
        message = str(caught.value)
        assert message.startswith(f"arguments.{unknown}: no such setting; known: ")
        assert message.endswith(": " + (", ".join(check_arguments(name, {})) or "none"))


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name in MODELS for key in check_arguments(name, {})]
)
def test_an_argument_of_the_wrong_type_is_refused_by_name(name: str, key: str) -> None:
    with pytest.raises(UsageError) as caught:
        build(name, size=64, channels=1, arguments={key: {"no": ["such", "type"]}})
    message = str(caught.value)
    assert message.startswith(f"arguments.{key}")
    assert "\n" not in message


@every_model
def test_defaults_are_filled_in_and_build_the_model(name: str) -> None:
    complete = check_arguments(name, {})
    assert check_arguments(name, complete) == complete
    assert isinstance(build(name, size=64, channels=1, arguments={}), MODELS[name])


def test_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=f"'vqvae9'; known: {', '.join(MODELS)}$"):
        build("vqvae9", size=64, channels=1, arguments={})


def test_every_model_is_of_one_of_the_two_kinds() -> None:
    assert sorted([*OBJECTIVES, *TAUGHT, *FITTED, "pretrained"]) == sorted(MODELS)


# Objectives


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    return {key: parameter.detach().clone() for key, parameter in model.named_parameters()}


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {key for key in before if not torch.equal(before[key], after[key])}


def owned(model: Objective) -> dict[str, set[str]]:
    """Return the names of the parameters of each player."""
    names = {parameter: key for key, parameter in model.named_parameters()}
    return {
        player: {names[p] for network in networks for p in network.parameters()}
        for player, networks in model.players().items()
    }


def one_step(
    model: Objective, images: Tensor, progress: float = 0.5
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Do one step as the trainer does; yield (player, terms) after that player's step."""
    optimisers = {
        player: torch.optim.Adam([p for network in networks for p in network.parameters()])
        for player, networks in model.players().items()
    }
    for player, terms in model.losses(images, progress):
        optimisers[player].zero_grad(set_to_none=True)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        optimisers[player].step()
        yield player, terms


@every_objective
def test_every_parameter_belongs_to_a_player(name: str) -> None:
    model = objective(name)
    parameters = {key for key, _ in model.named_parameters()}
    assert parameters
    assert set().union(*owned(model).values()) == parameters


@forms
@every_objective
def test_a_step_changes_its_own_player_only_and_every_player_has_one(
    name: str, size: int, channels: int
) -> None:
    model = objective(name, size, channels).train()
    owners = owned(model)
    updated = set()
    before = snapshot(model)
    for player, _ in one_step(model, pictures(size, channels)):
        after = snapshot(model)
        assert changed(before, after)
        assert changed(before, after) <= owners[player]
        updated.add(player)
        before = after
    assert changed(before, snapshot(model)) == set(), "nothing changes after the last update"
    assert updated == set(owners)


@forms
@every_objective
def test_all_terms_and_gradients_are_finite_and_none_is_missing(
    name: str, size: int, channels: int
) -> None:
    model = objective(name, size, channels).train()
    owners = owned(model)
    reached: dict[str, set[str]] = {player: set() for player in owners}
    for player, terms in one_step(model, pictures(size, channels)):
        assert terms
        assert all(term.ndim == 0 and term.isfinite() for term in terms.values())
        gradients = {k: p.grad for k, p in model.named_parameters() if k in owners[player]}
        reached[player] |= {key for key, grad in gradients.items() if grad is not None}
        assert all(grad.isfinite().all() for grad in gradients.values() if grad is not None)
    assert reached == owners


@every_objective
@pytest.mark.parametrize("progress", [0.0, 0.999])
def test_a_step_can_be_done_at_the_start_and_at_the_end(name: str, progress: float) -> None:
    model = objective(name).train()
    terms = [terms for _, terms in one_step(model, pictures(), progress)]
    assert all(term.isfinite() for each in terms for term in each.values())


@every_objective
def test_losses_can_be_looked_at_without_gradients(name: str) -> None:
    model = objective(name).eval()
    before = snapshot(model)
    with torch.no_grad():
        updates = list(model.losses(pictures(), 0.5))
    assert {player for player, _ in updates} == set(model.players())
    assert changed(before, snapshot(model)) == set()


@forms
@every_model
def test_pictures_are_grids_of_images_in_range(name: str, size: int, channels: int) -> None:
    images = pictures(size, channels)
    model = ready(name, images)
    with torch.inference_mode():
        for grid in model.grids(images).values():
            rows, columns, colours, height, width = grid.shape
            assert min(rows, columns) > 0
            assert colours in (1, 3)
            assert min(height, width) > 1
            assert grid.isfinite().all()
            assert grid.abs().max() <= 1


@every_objective
def test_every_objective_can_be_looked_at(name: str) -> None:
    with torch.inference_mode():
        assert objective(name).eval().grids(pictures())


@every_objective
def test_codes_decode_to_images_and_those_that_are_drawn_look_like_encoded_ones(name: str) -> None:
    images = pictures()
    model = ready(name, images)
    codes = model.codes()
    if codes is None:  # it makes no images, or its parts have codes of their own
        return
    with torch.inference_mode():
        seed_all(0)
        found = [of(images) for of in (codes.encode, codes.draw) if of is not None]
        assert found
        assert len({tuple(some.shape) for some in found}) == 1
        for some in found:
            made = codes.decode(some)
            assert made.shape == images.shape
            assert made.abs().max() <= 1
            assert made.std(0).max() > 0


@every_model
@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_images_are_enough_for_pictures(name: str, count: int) -> None:
    model = ready(name, pictures())
    with torch.inference_mode():
        model.grids(pictures()[:count])


def devices_of(model: Model, images: Tensor) -> set[str]:
    """Return where everything lies that a model computes of images."""
    found: list[Tensor] = []
    if isinstance(model, Objective):
        for _, terms in one_step(model.train(), images):
            found += terms.values()
    model.eval()
    found += [
        model.embed(images),
        *model.grids(images).values(),
        *model.statistics(images).values(),
    ]
    return {value.device.type for value in found}


@pytest.mark.parametrize("name", [name for name in ALONE if not MODELS[name].on_cpu])
def test_whatever_is_computed_lies_where_the_images_lie(name: str) -> None:
    # A device without values, which refuses what was left on the processor.
    model, images = ready(name, pictures()).to("meta"), pictures().to("meta")
    try:
        assert devices_of(model, images) == {"meta"}
    except NotImplementedError as error:
        pytest.skip(f"{name} needs values to know a shape ({error})")


# Fitted encoders


@every_fitted
def test_fitting_twice_on_the_same_images_gives_the_same_encoder(name: str) -> None:
    images = pictures()
    first, second = (ready(name, images) for _ in range(2))
    assert_close(second.embed(images), first.embed(images))


@every_fitted
def test_fitting_leaves_a_model_in_evaluation_mode(name: str) -> None:
    model = small(name).eval()
    assert isinstance(model, FittedEncoder)
    model.fit(pictures())
    assert not any(module.training for module in model.modules())


@every_fitted
def test_images_that_were_not_fitted_on_can_be_embedded(name: str) -> None:
    unseen = pictures(seed=5)
    embeddings = ready(name, pictures()).embed(unseen)
    assert len(embeddings) == COUNT
    assert embeddings.isfinite().all()


# Raw, PCA, Random


def test_raw_is_the_pixels() -> None:
    images = pictures(channels=3)
    embeddings = ready("raw", images).embed(images)
    assert torch.equal(embeddings, images.reshape(COUNT, -1))


def with_spectrum() -> Tensor:
    """Return images 8 x 8 whose variances along their own directions fall by four."""
    random = np.random.default_rng(0)
    directions, _ = np.linalg.qr(random.normal(size=(64, 64)))
    scales = 0.5 ** np.arange(64)
    values = random.normal(size=(300, 64)) * scales @ directions.T + 0.3
    return torch.from_numpy(values.astype(np.float32)).reshape(300, 1, 8, 8)


def test_pca_is_the_eigenvectors_of_the_covariance_up_to_sign() -> None:
    images = with_spectrum()
    model = PCA(size=8, latent_dim=5)
    model.fit(images)
    pixels = images.flatten(1).double()
    _, vectors = torch.linalg.eigh(torch.cov(pixels.T))
    expected = (pixels - pixels.mean(0)) @ vectors.flip(1)[:, :5]
    found = model.embed(images).double()
    signs = (found * expected).sum(0).sign()
    torch.testing.assert_close(found * signs, expected, rtol=0, atol=1e-4)


def test_pca_s_coordinates_are_centred_uncorrelated_and_ordered() -> None:
    images = with_spectrum()
    model = PCA(size=8, latent_dim=5)
    model.fit(images)
    codes = model.embed(images)
    assert codes.mean(0).abs().max() < 1e-4
    assert (torch.corrcoef(codes.T) - torch.eye(5)).abs().max() < 1e-2
    assert (codes.var(0).diff() < 0).all()


@pytest.mark.parametrize(("latent_dim", "count"), [(21, 20), (65, 100)])
def test_pca_refuses_more_components_than_images_or_pixels(latent_dim: int, count: int) -> None:
    model = PCA(size=8, latent_dim=latent_dim)
    with pytest.raises(DataError, match=f"latent_dim {latent_dim}: ") as caught:
        model.fit(torch.rand(count, 1, 8, 8))
    assert "\n" not in str(caught.value)


def test_random_weights_depend_on_the_seed_and_not_on_the_images() -> None:
    def weights(seed: int, images: Tensor) -> dict[str, Tensor]:
        seed_all(seed)
        model = Random(size=16, width=4, latent_dim=8)
        model.fit(images)
        return snapshot(model)

    one, other = pictures(16), pictures(16, seed=1)
    assert changed(weights(0, one), weights(0, other)) == set()
    assert len(changed(weights(0, one), weights(1, one))) > 1


def test_random_s_statistics_are_those_of_the_images() -> None:
    images = pictures(16)
    model = ready("random", images)
    assert isinstance(model, Random)
    # In evaluation mode the fitted statistics do to the images what the batch's own would.
    measured = model.embed(images)
    training = model.train().embed(images)
    torch.testing.assert_close(measured, training, rtol=0.1, atol=0.1 * training.std().item())


@pytest.mark.parametrize("count", [1, 2, 256, 257])
@pytest.mark.parametrize("architecture", ["dcgan", "dense"])
def test_random_can_be_fitted_on_any_number_of_images(architecture: str, count: int) -> None:
    images = pictures(8).repeat(13, 1, 1, 1)[:count]
    model = small("random", 8, architecture=architecture)
    assert isinstance(model, Random)
    model.fit(images)
    assert model.embed(images).isfinite().all()


# Fully connected networks


def dense(name: str) -> dict[str, Any]:
    """Return the arguments that leave a model no network but fully connected ones."""
    plain = {"generator": "plain"} if name == "flipped_aae" else {}
    return {"architecture": "dense"} | plain


def can_be_dense(name: str) -> bool:
    """Whether the model's argument `architecture` knows the word."""
    hint = typing.get_type_hints(MODELS[name].__init__).get("architecture")
    return "dense" in typing.get_args(hint)


@pytest.mark.parametrize("name", [name for name in MODELS if can_be_dense(name)])
def test_every_model_with_an_architecture_can_be_dense_on_images_of_28_px(name: str) -> None:
    images = pictures(28)
    model = small(name, 28, **dense(name)).train()
    if isinstance(model, Objective):
        for _, terms in one_step(model, images):
            assert all(term.isfinite() for term in terms.values())
        assert model.grids(images)
    elif isinstance(model, FittedEncoder):
        model.fit(images)
    embeddings = model.eval().embed(images)
    assert len({tuple(row) for row in embeddings.tolist()}) == COUNT


# The layers


WITH_ENCODER = [name for name in MODELS if check_arguments(name, {}).get("layer") == "code"]


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_the_layer_convolution_is_the_last_feature_map_in_quarters(name: str) -> None:
    images = pictures(32)
    code, convolution = (small(name, 32, layer=layer).eval() for layer in ("code", "convolution"))
    assert code.embed(images).shape == (COUNT, SMALL["latent_dim"])
    maps = convolution.get_submodule("encoder.convolutions")(images)
    quarters = [maps[:, :, r : r + 2, c : c + 2].mean((2, 3)) for r in (0, 2) for c in (0, 2)]
    assert_close(convolution.embed(images), torch.stack(quarters, 2).flatten(1))


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_the_layer_convolution_of_a_dense_model_is_its_hidden_layer(name: str) -> None:
    images = pictures(28)
    model = small(name, 28, layer="convolution", **dense(name)).eval()
    hidden = model.get_submodule("encoder.convolutions")(images)
    assert hidden.shape == (COUNT, SMALL["width"], 1, 1)
    assert torch.equal(model.embed(images), hidden.flatten(1))
