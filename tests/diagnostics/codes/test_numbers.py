"""What is said of a model's codes is what its parts say, and nothing where it has no such part."""

import numpy as np
import pytest
import torch

from replearn.arrays import Pixels
from replearn.diagnostics.codes.numbers import code_numbers
from replearn.encoders.encoder import Description, Encoder
from replearn.encoders.latent import Latent
from replearn.encoders.models import build, check_arguments
from replearn.encoders.models.vae import VAE

COUNT, LATENT = 60, 6
CODES = {"kernel", "sliced", "classifier", "holes", "outside"}
INFORMATION = {
    "rate",
    "active_units",
    "collapsed_units",
    "distortion",
    "bits_per_dimension",
    "effective_draws",
}
CONDITIONING = {
    "log10_condition",
    "largest_singular_value",
    "smallest_singular_value",
    "sampled_gain",
}


def pixels() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (COUNT, 1, 20, 20), np.uint8)


def encoder(name: str, **arguments: object) -> Encoder:
    given = {"width": 4, "latent_dim": LATENT, **arguments}
    torch.manual_seed(0)
    model = build(name, size=16, channels=1, arguments=given).eval()
    complete = check_arguments(name, given)
    return Encoder(model, Description(name, complete, 20, 1, "stretch", 16, name, {}))


def latent(name: str, **arguments: object) -> Latent:
    found = Latent.of(encoder(name, **arguments))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("aae", {"codes": CODES | {"dead_dimensions"}, "conditioning": CONDITIONING}),
        ("gan", {"conditioning": CONDITIONING}),
        ("vae", {"codes": CODES, "information": INFORMATION, "conditioning": CONDITIONING}),
    ],
)
def test_a_model_has_the_subjects_that_its_parts_allow(
    name: str, expected: dict[str, set[str]]
) -> None:
    found = code_numbers(latent(name), pixels())
    assert {subject: set(numbers) for subject, numbers in found.items()} == expected
    for numbers in found.values():
        for name_of, estimate in numbers.items():
            assert np.isfinite([estimate.value, estimate.low, estimate.high]).all(), name_of
            assert estimate.low <= estimate.value <= estimate.high, name_of
            assert estimate.n > 0


def test_without_codes_there_is_nothing_to_say() -> None:
    torch.manual_seed(0)
    model = build("raw", size=16, channels=1, arguments={}).eval()
    description = Description("raw", {}, 20, 1, "stretch", 16, "raw", {})
    assert Latent.of(Encoder(model, description)) is None
    sdae = code_numbers(latent("sdae"), pixels())  # it has no prior
    assert sdae == {}


def test_the_arrays_are_what_the_model_makes_of_the_central_crop() -> None:
    made = latent("vae")
    model = made.encoder.model
    assert isinstance(model, VAE)
    images = torch.from_numpy(pixels()[:, :, 2:18, 2:18] / np.float32(127.5) - 1).float()
    np.testing.assert_allclose(made.images(pixels()), images.flatten(1), atol=1e-6)
    with torch.inference_mode():
        means, log_variances = model.posterior(images)
        decoded = model.decoder(means)
    codes, both = made.encode(pixels()), made.posterior(pixels())
    assert codes is not None
    assert both is not None
    np.testing.assert_allclose(codes, means, atol=1e-5)
    np.testing.assert_allclose(both[1], log_variances, atol=1e-5)
    np.testing.assert_allclose(made.decode(codes), decoded.flatten(1), atol=1e-5)


def test_draws_depend_on_the_seed_alone() -> None:
    made = latent("aae")
    state = torch.get_rng_state()
    one, same, other = (made.draw(5, seed) for seed in (1, 1, 2))
    assert one is not None
    assert one.shape == (5, LATENT)
    np.testing.assert_array_equal(one, same)
    assert (one != other).all()
    assert torch.equal(torch.get_rng_state(), state)


def test_a_collapsed_autoencoder_has_no_rate_and_no_active_unit() -> None:
    made = latent("vae")
    model = made.encoder.model
    assert isinstance(model, VAE)
    torch.nn.init.zeros_(model.encoder.head.weight)
    torch.nn.init.zeros_(model.encoder.head.bias)
    found = code_numbers(made, pixels())["information"]
    assert found["rate"].value == 0
    assert found["active_units"].value == 0
    assert found["collapsed_units"].value == LATENT
