"""What can be said of the codes of a trained encoder, and of what becomes of them."""

from typing import TYPE_CHECKING

import numpy as np

from replearn.arrays import Pixels
from replearn.artefacts.disk_rows import evenly_spaced
from replearn.diagnostics.codes.conditioning import conditioning
from replearn.diagnostics.codes.prior import compare_codes
from replearn.diagnostics.codes.rate_distortion import distortion_and_likelihood, rate_of_units
from replearn.diagnostics.diagnosis import Numbers

if TYPE_CHECKING:
    from replearn.encoders.latent import Latent

_CODES = 1000  # of which all pairs are compared
_LIKELIHOODS = 100  # images whose codes are decoded many times
_JACOBIANS = 20  # each the work of as many images as a code has numbers
_GAINS = 500
_WIDEST = 1024  # numbers of a code, from which on a Jacobian is too much work


def code_numbers(latent: "Latent", pixels: Pixels, *, seed: int = 0) -> dict[str, Numbers]:
    """Return numbers by subject: of the codes, their information, and the generator's conditioning.

    A subject is left out where the model has nothing of the kind.

    Args:
        latent: codes of a trained encoder.
        pixels: of real images uint8 [N, C, H, W], prepared for it.
        seed: of all draws.
    """
    shown = np.asarray(pixels[evenly_spaced(len(pixels), _CODES)])
    found = {
        "codes": _codes(latent, shown, seed),
        "information": _information(latent, shown, seed),
        "conditioning": _conditioning(latent, seed),
    }
    return {subject: numbers for subject, numbers in found.items() if numbers}


def _codes(latent: "Latent", pixels: Pixels, seed: int) -> Numbers:
    codes, draws = latent.encode(pixels), latent.draw(len(pixels), seed)
    if codes is None or draws is None:
        return {}
    others = latent.draw(len(pixels), seed + 1)
    assert others is not None
    posterior = latent.posterior(pixels)
    if posterior is None:
        return compare_codes(codes, draws, others)
    # Not the means but the distributions follow the prior; whether a unit is dead its means tell.
    means, log_variances = posterior
    noise = np.random.default_rng(seed).standard_normal(means.shape)
    found = dict(compare_codes(means + np.exp(0.5 * log_variances) * noise, draws, others))
    found.pop("dead_dimensions")
    return found


def _information(latent: "Latent", pixels: Pixels, seed: int) -> Numbers:
    posterior, variance = latent.posterior(pixels), latent.codes.variance
    if posterior is None or variance is None:
        return {}
    some = slice(None, None, max(1, len(pixels) // _LIKELIHOODS))
    means, log_variances = (array[some][:_LIKELIHOODS] for array in posterior)
    images = latent.images(pixels[some][:_LIKELIHOODS])
    likelihood = distortion_and_likelihood(
        images, means, log_variances, latent.decode, variance=variance, seed=seed
    )
    return {**rate_of_units(*posterior), **likelihood}


def _conditioning(latent: "Latent", seed: int) -> Numbers:
    codes = latent.draw(_JACOBIANS + _GAINS, seed + 2)
    if codes is None or codes.shape[1] > _WIDEST:
        return {}
    return conditioning(
        latent.singular_values(codes[:_JACOBIANS]),
        latent.gains(codes[_JACOBIANS:], seed),
        codes.shape[1],
    )
