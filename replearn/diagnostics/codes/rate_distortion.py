"""What a variational autoencoder keeps and loses: rate, distortion, active units, likelihood.

Alemi et al. 2018 (arXiv:1711.00464).  The rate is the mean divergence of an image's distribution
of codes from the prior, the distortion the mean negative log density of the image given a code.
Their sum bounds the negative log likelihood from above: models of the same sum lie on a line of
slope -1, from those that keep everything to those that keep nothing.  All are in nats.

Codes are standard normal under the prior, and normal with a diagonal covariance given an image;
pixels are normal with one variance.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from replearn.arrays import Float64, Floats
from replearn.diagnostics.diagnosis import Numbers
from replearn.diagnostics.estimates import jackknife, mean_of

Decode = Callable[[Float64], Floats]
"""Maps codes [N, D] to the means of the pixels [N, P]."""


def rate_of_units(means: Floats, log_variances: Floats) -> Numbers:
    """Return the rate, and how many units carry it, from distributions of codes [N, D]."""
    rates = unit_rates(means, log_variances)
    active = jackknife(lambda some: float(active_units(some).sum()), means)
    collapsed = jackknife(lambda some: float(collapsed_units(some).sum()), rates)
    return {
        "rate": mean_of(rates.sum(1)),
        "active_units": active.against(means.shape[1], "all units"),
        "collapsed_units": collapsed.against(0, "none"),
    }


def distortion_and_likelihood(
    images: Floats,
    means: Floats,
    log_variances: Floats,
    decode: Decode,
    *,
    variance: float,
    draws: int = 32,
    seed: int = 0,
) -> Numbers:
    """Return the distortion, and the bits per dimension by importance sampling.

    Args:
        images: pixels [N, P].
        means: of their distributions of codes [N, D].
        log_variances: of the same [N, D].
        decode: maps codes to pixels.
        variance: of the pixels.
        draws: of each image's code.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    weights = log_weights(
        images, means, log_variances, decode, variance=variance, draws=draws, random=random
    )
    bound = weights.mean(0)  # minus the rate and the distortion
    pixels = images.shape[1]
    one_draw = float(bits_per_dimension(bound, pixels).mean())
    bits = mean_of(bits_per_dimension(log_mean(weights), pixels))
    return {
        "distortion": mean_of(-bound - unit_rates(means, log_variances).sum(1)),
        "bits_per_dimension": bits.against(one_draw, "with one draw"),
        "effective_draws": mean_of(effective_draws(weights)).against(draws, "all draws"),
    }


def unit_rates(means: Floats, log_variances: Floats) -> Float64:
    """Return the divergence from the prior of each unit's distribution, in nats [N, D].

    The sum over the units is the rate of an image.

    Args:
        means: of the distributions of codes [N, D].
        log_variances: of the same [N, D].
    """
    mean, log_variance = means.astype(np.float64), log_variances.astype(np.float64)
    return np.asarray(0.5 * (mean**2 + np.exp(log_variance) - log_variance - 1))


def distortions(images: Floats, reconstructions: Floats, variance: float) -> Float64:
    """Return the negative log density of each image around its reconstruction, in nats [N].

    Args:
        images: pixels [N, P].
        reconstructions: of a draw of each image's code [N, P].
        variance: of the pixels.
    """
    errors = ((images.astype(np.float64) - reconstructions) ** 2).sum(1)
    return np.asarray(0.5 * (errors / variance + images.shape[1] * np.log(2 * np.pi * variance)))


def active_units(means: Floats, threshold: float = 0.01) -> NDArray[np.bool_]:
    """Tell which units' means vary over the images by more than a threshold, [D].

    Burda et al. 2015 (arXiv:1509.00519, section 5.2): Var_x(E z) > 0.01.
    """
    return np.asarray(means.astype(np.float64).var(0) > threshold)


def collapsed_units(rates: Floats, nats: float = 0.01, share: float = 0.01) -> NDArray[np.bool_]:
    """Tell which units' distributions are the prior for all images but a small share, [D].

    Lucas et al. 2019 (arXiv:1911.02469, definition 1): a unit is collapsed up to epsilon and delta
    if its divergence is below epsilon for a share 1 - delta of the images.

    Args:
        rates: of `unit_rates` [N, D].
        nats: the divergence that counts as none, epsilon.
        share: of the images that may have more, delta.
    """
    return np.asarray((rates < nats).mean(0) >= 1 - share)


def log_weights(
    images: Floats,
    means: Floats,
    log_variances: Floats,
    decode: Decode,
    *,
    variance: float,
    draws: int,
    random: np.random.Generator,
) -> Float64:
    """Return the log importance weight of each draw of each image's code [draws, N].

    log w = log p(x | z) + log p(z) - log q(z | x); `log_mean` of them estimates log p(x).

    Args:
        images: pixels [N, P].
        means: of the distributions of codes [N, D].
        log_variances: of the same [N, D].
        decode: maps codes to pixels.
        variance: of the pixels.
        draws: codes for each image.
        random: draws them.
    """
    mean, log_variance = means.astype(np.float64), log_variances.astype(np.float64)
    weights = np.empty((draws, len(images)))
    for row in weights:
        noise = random.standard_normal(mean.shape)
        codes = mean + np.exp(0.5 * log_variance) * noise
        # Both densities have the same factor (2 pi)^(-D/2).
        prior_to_posterior = 0.5 * (noise**2 + log_variance - codes**2).sum(1)
        row[:] = prior_to_posterior - distortions(images, decode(codes), variance)
    return weights


def log_mean(log_weights: Float64) -> Float64:
    """Return the log of the mean weight of each image [N], from log weights [draws, N].

    Burda et al. 2015 (arXiv:1509.00519, equation 8): in expectation a lower bound of log p(x),
    tighter with every draw; with one draw it is the evidence bound.
    """
    return np.asarray(logsumexp(log_weights, axis=0) - np.log(len(log_weights)))


def effective_draws(log_weights: Float64) -> Float64:
    """Return how many equally weighted draws the weights are worth, [N], from 1 to all of them.

    (sum w)^2 / sum w^2 (Kong 1992).  Near 1 the likelihood is a loose bound.
    """
    twice = 2 * logsumexp(log_weights, axis=0) - logsumexp(2 * log_weights, axis=0)
    return np.asarray(np.exp(twice))


def bits_per_dimension(log_likelihoods: Floats, dimensions: int, width: float = 2 / 255) -> Float64:
    """Return the bits that an image's pixels cost, per pixel and channel [N].

    A density times the width of a grey level is about the probability of that level.

    Args:
        log_likelihoods: of images, in nats [N].
        dimensions: pixels times channels.
        width: of a grey level; that of 8 bits in [-1, 1].
    """
    nats = -log_likelihoods.astype(np.float64) / dimensions - np.log(width)
    return np.asarray(nats / np.log(2))
