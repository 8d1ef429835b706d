"""Rate, distortion and likelihood where they are known in closed form: linear Gaussian models."""

import numpy as np
import pytest
from scipy import stats

from replearn.arrays import Float64
from replearn.diagnostics.codes.rate_distortion import (
    active_units,
    bits_per_dimension,
    collapsed_units,
    distortion_and_likelihood,
    distortions,
    effective_draws,
    log_mean,
    log_weights,
    rate_of_units,
    unit_rates,
)

VARIANCE = 0.1


class Linear:
    """x = W z + b + normal noise: the one decoder whose likelihood has a closed form."""

    def __init__(self, *, dimensions: int = 3, pixels: int = 12, orthogonal: bool) -> None:
        self.random = np.random.default_rng(0)
        weight = self.random.standard_normal((pixels, dimensions))
        if orthogonal:  # then the posterior's covariance is diagonal, as an encoder's is
            weight = np.linalg.qr(weight)[0] * [3.0, 1.0, 0.2]
        self.weight = weight
        self.bias = self.random.standard_normal(pixels)

    def images(self, count: int) -> Float64:
        codes = self.random.standard_normal((count, self.weight.shape[1]))
        noise = self.random.standard_normal((count, len(self.bias))) * VARIANCE**0.5
        return np.asarray(self.decode(codes) + noise)

    def decode(self, codes: Float64) -> Float64:
        return np.asarray(codes @ self.weight.T + self.bias)

    def posterior(self, images: Float64) -> tuple[Float64, Float64]:
        """Return the mean and the log of the variances [N, D] of the true posterior."""
        precision = np.eye(self.weight.shape[1]) + self.weight.T @ self.weight / VARIANCE
        covariance = np.linalg.inv(precision)
        means = (images - self.bias) @ self.weight @ covariance / VARIANCE
        return means, np.broadcast_to(np.log(np.diag(covariance)), means.shape)

    def log_likelihoods(self, images: Float64) -> Float64:
        covariance = self.weight @ self.weight.T + VARIANCE * np.eye(len(self.bias))
        density = stats.multivariate_normal(self.bias, covariance)
        return np.asarray(density.logpdf(images))

    def weights(self, images: Float64, draws: int) -> Float64:
        return log_weights(
            images,
            *self.posterior(images),
            self.decode,
            variance=VARIANCE,
            draws=draws,
            random=self.random,
        )


def test_with_the_true_posterior_one_draw_gives_the_likelihood() -> None:
    model = Linear(orthogonal=True)
    images = model.images(50)
    weights = model.weights(images, 4)
    np.testing.assert_allclose(log_mean(weights[:1]), model.log_likelihoods(images))
    np.testing.assert_allclose(effective_draws(weights), 4)


def test_with_another_posterior_the_likelihood_is_approached_from_below() -> None:
    model = Linear(orthogonal=False)
    images = model.images(200)
    true = model.log_likelihoods(images).mean()
    weights = model.weights(images, 4000)
    by_draws = [log_mean(weights[:count]).mean() for count in (1, 10, 100, 4000)]
    assert by_draws == sorted(by_draws)
    assert by_draws[0] < true - 0.1
    assert by_draws[-1] == pytest.approx(true, abs=0.02)
    assert (effective_draws(weights) < 0.9 * 4000).all()


def test_rate_and_distortion_add_up_to_the_bound_of_one_draw() -> None:
    model = Linear(orthogonal=False)
    images = model.images(100)
    means, log_variances = model.posterior(images)
    codes = means + np.exp(log_variances / 2) * model.random.standard_normal((400, *means.shape))
    distortion = [distortions(images, model.decode(drawn), VARIANCE).mean() for drawn in codes]
    rate = unit_rates(means, log_variances).sum(1).mean()
    bound = model.weights(images, 400).mean()
    assert rate + np.mean(distortion) == pytest.approx(-bound, abs=0.1)


@pytest.mark.parametrize("kept", [1.0, 0.5, 0.01])
def test_the_best_channel_of_a_normal_source_lies_on_its_rate_distortion_curve(kept: float) -> None:
    """Cover and Thomas 2006, theorem 10.3.2: R = log(variance / error) / 2."""
    random = np.random.default_rng(0)
    deviation, count = 3.0, 100_000
    source = random.standard_normal((count, 1)) * deviation
    means = (1 - kept) ** 0.5 * source / deviation
    codes = means + kept**0.5 * random.standard_normal(means.shape)
    decoded = (1 - kept) ** 0.5 * deviation * codes
    rate = unit_rates(means, np.full_like(means, np.log(kept))).mean()
    distortion = distortions(source, decoded, VARIANCE).mean()
    error = 2 * VARIANCE * (distortion - 0.5 * np.log(2 * np.pi * VARIANCE))
    assert rate == pytest.approx(0.5 * np.log(1 / kept), abs=0.01)
    assert error == pytest.approx(deviation**2 * np.exp(-2 * rate), rel=0.02)


def test_the_divergence_is_that_of_two_normal_distributions() -> None:
    mean, deviation = 0.7, 0.4
    draws = mean + deviation * np.random.default_rng(0).standard_normal(400_000)
    gap = stats.norm(mean, deviation).logpdf(draws) - stats.norm().logpdf(draws)
    rates = unit_rates(np.array([[mean, 0.0]]), np.array([[2 * np.log(deviation), 0.0]]))
    assert rates[0, 0] == pytest.approx(gap.mean(), abs=0.01)
    assert rates[0, 1] == 0


def test_the_distortion_is_the_negative_log_density() -> None:
    random = np.random.default_rng(0)
    images, made = random.standard_normal((2, 5, 7))
    density = stats.norm(made, VARIANCE**0.5).logpdf(images).sum(1)
    np.testing.assert_allclose(distortions(images, made, VARIANCE), -density)


def test_units_are_active_by_their_means_and_collapsed_by_their_divergence() -> None:
    random = np.random.default_rng(0)
    scales = np.array([1.0, 0.2, 0.05, 0.0])
    means = random.standard_normal((1000, 4)) * scales
    means[:5, 3] = 4.0  # a few images are not what collapses a unit
    variances = np.array([0.1, 0.9, 1.0, 1.0])
    rates = unit_rates(means, np.log(np.broadcast_to(variances, means.shape)))
    assert active_units(means).tolist() == [True, True, False, True]
    assert collapsed_units(rates).tolist() == [False, False, True, True]
    assert not collapsed_units(rates, share=0.001)[3]


def test_noise_of_256_levels_costs_eight_bits() -> None:
    """Uniform pixels in [-1 - 1/255, 1 + 1/255] have the density of 256 levels."""
    nats = np.full(3, 64 * np.log(255 / 512))
    np.testing.assert_allclose(bits_per_dimension(nats, 64), 8)


def test_all_numbers_of_a_linear_model_are_those_of_its_closed_form() -> None:
    model = Linear(orthogonal=True)
    images = model.images(2000)
    means, log_variances = model.posterior(images)
    likelihood = distortion_and_likelihood(
        images, means, log_variances, model.decode, variance=VARIANCE, draws=8
    )
    found = {**rate_of_units(means, log_variances), **likelihood}
    true = bits_per_dimension(model.log_likelihoods(images), 12).mean()
    assert found["bits_per_dimension"].value == pytest.approx(true)
    assert found["rate"].value + found["distortion"].value == pytest.approx(
        -model.log_likelihoods(images).mean(), abs=0.05
    )
    covariance = model.weight @ model.weight.T + VARIANCE * np.eye(12)
    entropy = stats.multivariate_normal(cov=covariance).entropy()
    expected = bits_per_dimension(np.array([-entropy]), 12)[0]
    assert found["bits_per_dimension"].low < expected < found["bits_per_dimension"].high
    assert found["active_units"].value == 3
    assert found["collapsed_units"].value == 0
    assert found["effective_draws"].value == pytest.approx(8)
    assert {estimate.n for estimate in found.values()} == {2000}
