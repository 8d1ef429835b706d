"""The priors of codes: their moments and supports, and the ways and nearest points on them."""

import itertools
import math
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import optimize
from torch import Tensor

from replearn.encoders.losses.priors import PRIORS, PriorName, compare

Vector = np.ndarray[Any, np.dtype[np.float64]]

names = pytest.mark.parametrize("name", PRIORS)
CENTRED: list[PriorName] = ["normal", "sphere", "uniform", "bernoulli"]
CONVEX: list[PriorName] = ["normal", "uniform", "rectified"]  # the support is its own hull
STRAIGHT: list[PriorName] = ["uniform", "rectified", "categorical"]
SHARES = [0.0, 0.1, 0.25, 0.5, 0.8, 1.0]


def on_support(name: str, codes: Tensor) -> bool:
    """Tell whether the prior draws such codes."""
    root = math.sqrt(codes.shape[1])
    ordered = codes.sort(dim=1).values
    tests = {
        "normal": codes.isfinite(),
        "sphere": (codes.norm(dim=1) - root).abs() < 1e-4 * root,
        "uniform": codes.abs() <= math.sqrt(3),
        "rectified": (codes >= 0) & codes.isfinite(),
        "bernoulli": codes.abs() == 1,
        "categorical": ((ordered[:, -1] - root).abs() < 1e-5 * root)
        & (ordered[:, :-1] == 0).all(1),
    }
    return bool(tests[name].all())


def on_hull(name: str, codes: Tensor) -> bool:
    """Tell whether codes are on the support, or between points of it where those are apart."""
    root = math.sqrt(codes.shape[1])
    if name == "bernoulli":
        return bool((codes.abs() <= 1).all())
    if name == "categorical":
        sums = (codes.sum(1) - root).abs() < 1e-4 * root
        return bool(((codes >= 0).all(1) & sums).all())
    return on_support(name, codes)


def draws(name: PriorName, count: int, dimension: int) -> Tensor:
    return PRIORS[name].sample_like(torch.empty(count, dimension))


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_every_name_has_a_prior() -> None:
    assert set(PRIORS) == set(get_args(PriorName))


# Draws.


@names
@pytest.mark.parametrize("dim", [2, 16])
def test_every_coordinate_has_mean_square_1(name: PriorName, dim: int) -> None:
    codes = draws(name, 40_000, dim).double()
    squares = codes.square()
    # 5 standard errors of the mean.
    assert ((squares.mean(0) - 1).abs() <= 5 * squares.std(0) / 200 + 1e-6).all()
    assert float(squares.mean()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("name", CENTRED)
@pytest.mark.parametrize("dim", [2, 16])
def test_centred_priors_have_mean_0_and_uncorrelated_coordinates(name: PriorName, dim: int) -> None:
    codes = draws(name, 40_000, dim)
    assert codes.mean(0).abs().max() < 0.03
    assert (torch.corrcoef(codes.T) - torch.eye(dim)).abs().max() < 0.03


def test_rectified_coordinates_are_independent_and_half_of_them_are_zero() -> None:
    codes = draws("rectified", 40_000, 6)
    assert (torch.corrcoef(codes.T) - torch.eye(6)).abs().max() < 0.03
    assert (codes.mean(0) - 1 / math.sqrt(math.pi)).abs().max() < 0.03
    assert ((codes == 0).double().mean(0) - 0.5).abs().max() < 0.02
    # What is not zero is half a normal distribution, scaled.
    above = codes[codes > 0] / math.sqrt(2)
    for edge in (0.5, 1.0, 2.0):
        expected = math.erf(edge / math.sqrt(2))
        assert float((above < edge).double().mean()) == pytest.approx(expected, abs=0.01)


def test_all_categories_and_both_sides_of_a_coin_are_drawn_alike() -> None:
    ones = draws("categorical", 40_000, 5) > 0
    assert (ones.sum(1) == 1).all()
    assert (ones.double().mean(0) - 0.2).abs().max() < 0.01
    coins = draws("bernoulli", 40_000, 3) > 0
    for sides in itertools.product([False, True], repeat=3):
        drawn = (coins == torch.tensor(sides)).all(1).double().mean()
        assert float(drawn) == pytest.approx(1 / 8, abs=0.01)


def test_directions_on_the_sphere_are_uniform() -> None:
    # On a sphere in three dimensions each coordinate is uniform (Archimedes).
    codes = draws("sphere", 20_000, 3).sort(dim=0).values
    uniform = ((torch.arange(20_000) + 0.5) / 10_000 - 1) * math.sqrt(3)
    assert (codes - uniform[:, None]).abs().max() < 0.06


def test_the_cube_is_filled_evenly() -> None:
    codes = draws("uniform", 20_000, 3).sort(dim=0).values
    uniform = ((torch.arange(20_000) + 0.5) / 10_000 - 1) * math.sqrt(3)
    assert (codes - uniform[:, None]).abs().max() < 0.06


@names
@pytest.mark.parametrize("dim", [1, 2, 8, 300])
def test_draws_lie_on_the_support(name: PriorName, dim: int) -> None:
    assert on_support(name, draws(name, 1000, dim))


@names
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.float16])
def test_draws_have_the_shape_and_type_of_the_codes(name: PriorName, kind: torch.dtype) -> None:
    codes = torch.zeros(40, 5, dtype=kind)
    drawn = PRIORS[name].sample_like(codes)
    assert (drawn.shape, drawn.dtype) == (codes.shape, kind)
    assert len(set(map(tuple, drawn.tolist()))) >= (5 if name == "categorical" else 15)
    assert torch.equal(codes, torch.zeros(40, 5, dtype=kind))


@names
def test_draws_differ_from_call_to_call_and_depend_on_the_seed(name: PriorName) -> None:
    codes = torch.empty(20, 8)
    first, second = (PRIORS[name].sample_like(codes) for _ in range(2))
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(PRIORS[name].sample_like(codes), first)


# Projections of what an encoder gives.


@names
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_projections_lie_on_the_support_or_its_hull(name: PriorName, scale: float) -> None:
    raw = torch.randn(1000, 8) * scale
    projected = PRIORS[name].project(raw)
    assert projected.shape == raw.shape
    assert on_hull(name, projected)


@pytest.mark.parametrize("name", CENTRED)
def test_projections_on_centred_supports_keep_the_signs(name: PriorName) -> None:
    raw = torch.randn(1000, 8)
    assert torch.equal(PRIORS[name].project(raw).sign(), raw.sign())


@names
def test_projections_keep_the_order_of_the_coordinates(name: PriorName) -> None:
    raw = torch.randn(1000, 8)
    projected = PRIORS[name].project(raw)
    ordered = projected.gather(1, raw.argsort(dim=1))
    assert (ordered.diff(dim=1) >= 0).all()


@pytest.mark.parametrize(("name", "edge"), [("uniform", math.sqrt(3)), ("bernoulli", 1.0)])
def test_projections_reach_all_of_a_cube(name: PriorName, edge: float) -> None:
    projected = PRIORS[name].project(torch.tensor([[-20.0, 0.0, 1e-3, 20.0]]))
    torch.testing.assert_close(projected, torch.tensor([[-edge, 0.0, edge * 1e-3, edge]]))


@names
def test_encoders_get_a_gradient_through_the_projection(name: PriorName) -> None:
    raw = torch.randn(10, 8, requires_grad=True)
    torch.autograd.backward((PRIORS[name].project(raw) * torch.randn(10, 8)).sum())
    assert raw.grad is not None
    assert raw.grad.isfinite().all()
    assert (raw.grad.abs().sum(1) > 0).all()


@names
def test_each_row_is_projected_and_moved_by_itself(name: PriorName) -> None:
    prior, raw = PRIORS[name], torch.randn(10, 8)
    start, end = draws(name, 10, 8), draws(name, 10, 8)
    torch.testing.assert_close(prior.project(raw)[:3], prior.project(raw[:3]))
    torch.testing.assert_close(prior.nearest(raw)[:3], prior.nearest(raw[:3]))
    whole = prior.between(start, end, 0.3)
    torch.testing.assert_close(whole[:3], prior.between(start[:3], end[:3], 0.3))


def test_projecting_on_the_sphere_keeps_the_direction() -> None:
    raw = torch.randn(100, 8)
    projected = PRIORS["sphere"].project(raw)
    torch.testing.assert_close(F.cosine_similarity(raw, projected), torch.ones(100))
    torch.testing.assert_close(PRIORS["sphere"].project(projected), projected)


def test_the_normal_prior_takes_codes_as_they_are() -> None:
    raw = torch.randn(10, 8) * 100
    assert torch.equal(PRIORS["normal"].project(raw), raw)
    assert torch.equal(PRIORS["normal"].nearest(raw), raw)


def test_a_standard_normal_output_is_rectified_to_the_prior_itself() -> None:
    codes = PRIORS["rectified"].project(torch.randn(40_000, 4))
    assert (codes.square().mean(0) - 1).abs().max() < 0.05
    assert ((codes == 0).double().mean(0) - 0.5).abs().max() < 0.02


def test_categories_are_probabilities_in_proportion_to_the_exponentials() -> None:
    raw = torch.randn(20, 5)
    expected = raw.double().exp() / raw.double().exp().sum(1, keepdim=True) * math.sqrt(5)
    torch.testing.assert_close(PRIORS["categorical"].project(raw), expected.float())


# The nearest point.


@names
@pytest.mark.parametrize("dim", [1, 2, 8])
def test_codes_that_are_drawn_or_projected_are_their_own_nearest(name: PriorName, dim: int) -> None:
    prior = PRIORS[name]
    for codes in (draws(name, 500, dim), prior.project(torch.randn(500, dim))):
        torch.testing.assert_close(prior.nearest(codes), codes)


@names
@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0])
def test_taking_the_nearest_twice_is_taking_it_once(name: PriorName, scale: float) -> None:
    prior = PRIORS[name]
    once = prior.nearest(torch.randn(500, 8) * scale)
    assert on_hull(name, once)
    torch.testing.assert_close(prior.nearest(once), once, rtol=1e-5, atol=1e-5)


@names
@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_no_code_is_nearer_than_the_nearest(name: PriorName, scale: float) -> None:
    prior = PRIORS[name]
    vectors = torch.randn(300, 3).double() * scale
    nearest = prior.nearest(vectors.float()).double()
    distances = (nearest - vectors).norm(dim=1)
    # Near misses are codes a little off the nearest, brought back.
    misses = prior.nearest(nearest.float() + torch.randn(300, 3) * 0.01)
    projected = prior.project(torch.randn(2000, 3) * scale)
    others = torch.cat([draws(name, 2000, 3), projected, misses]).double()
    assert on_hull(name, others)
    assert (torch.cdist(vectors, others).amin(1) >= distances - 1e-5).all()


@pytest.mark.parametrize("name", ["uniform", "rectified", "bernoulli", "categorical"])
def test_the_nearest_point_of_a_convex_set_makes_no_acute_angle(name: PriorName) -> None:
    # (v - p) . (x - p) <= 0 for all x of the set: exactly then p is nearest to v.
    vectors = torch.randn(200, 6) * 3
    nearest = PRIORS[name].nearest(vectors)
    others = draws(name, 1000, 6)
    products = torch.einsum("nd,nmd->nm", vectors - nearest, others[None] - nearest[:, None])
    assert products.max() < 1e-4


def searched(vector: Vector) -> Vector:
    """Return the point of the scaled simplex nearest to a vector [D], by an optimiser."""
    root = math.sqrt(len(vector))

    def distance(point: Vector) -> float:
        return float(((point - vector) ** 2).sum())

    found = optimize.minimize(
        distance,
        np.full(len(vector), 1 / root),
        bounds=[(0.0, None)] * len(vector),
        constraints=optimize.LinearConstraint(np.ones((1, len(vector))), root, root),
        method="SLSQP",
        options={"ftol": 1e-12},
    )
    return np.asarray(found.x)


@pytest.mark.parametrize("dim", [2, 3, 6])
def test_the_nearest_point_of_the_simplex_is_what_an_optimiser_finds(dim: int) -> None:
    for vector in np.random.default_rng(0).normal(0, 2, (8, dim)):
        nearest = PRIORS["categorical"].nearest(torch.from_numpy(vector)[None])
        np.testing.assert_allclose(nearest[0].numpy(), searched(vector), atol=1e-5)


def test_vectors_in_line_with_the_simplex_s_middle_come_to_the_middle() -> None:
    vectors = torch.tensor([-3.0, 0.0, 0.5, 9.0])[:, None].expand(4, 5)
    nearest = PRIORS["categorical"].nearest(vectors)
    torch.testing.assert_close(nearest, torch.full((4, 5), 1 / math.sqrt(5)))


@names
@pytest.mark.parametrize("scale", [1e4, 1e9])
def test_vectors_far_away_have_a_nearest_code_too(name: PriorName, scale: float) -> None:
    vectors = torch.randn(50, 6) * scale
    nearest = PRIORS[name].nearest(vectors)
    assert on_hull(name, nearest)
    if name == "categorical":
        assert torch.equal(nearest.argmax(1), vectors.argmax(1))
        assert on_support(name, nearest)


@names
def test_geometry_keeps_double_precision(name: PriorName) -> None:
    prior, vectors = PRIORS[name], torch.randn(10, 6, dtype=torch.float64)
    nearest = prior.nearest(vectors)
    assert nearest.dtype == torch.float64
    start, end = prior.sample_like(vectors), prior.sample_like(vectors)
    assert prior.between(start, end, 0.3).dtype == torch.float64


# The way from one code to another.


@names
@pytest.mark.parametrize("dim", [1, 2, 8])
def test_a_way_begins_and_ends_where_it_should(name: PriorName, dim: int) -> None:
    prior = PRIORS[name]
    for start, end in [
        (draws(name, 200, dim), draws(name, 200, dim)),
        (prior.project(torch.randn(200, dim)), prior.project(torch.randn(200, dim))),
    ]:
        torch.testing.assert_close(prior.between(start, end, 0.0), start)
        torch.testing.assert_close(prior.between(start, end, 1.0), end)


@names
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("dim", [2, 8])
def test_a_way_stays_among_the_codes(name: PriorName, share: float, dim: int) -> None:
    prior = PRIORS[name]
    start, end = draws(name, 500, dim), draws(name, 500, dim)
    assert on_hull(name, prior.between(start, end, share))
    start, end = prior.project(torch.randn(500, dim)), prior.project(torch.randn(500, dim))
    assert on_hull(name, prior.between(start, end, share))


@names
@pytest.mark.parametrize("share", SHARES)
def test_a_way_is_the_same_from_its_other_end_or_takes_its_turns_in_order(
    name: PriorName, share: float
) -> None:
    prior = PRIORS[name]
    start, end = draws(name, 100, 8), draws(name, 100, 8)
    if name in ("sphere", "bernoulli"):  # opposite ends have more than one way
        differ = (start + end).norm(dim=1) > 0.1
        start, end = start[differ], end[differ]
    way, back = prior.between(start, end, share), prior.between(end, start, 1 - share)
    if name == "bernoulli":
        # The first coordinates change first, in both directions.
        way, back = way.flip(1), prior.between(end.flip(1), start.flip(1), 1 - share)
    torch.testing.assert_close(way, back, rtol=1e-4, atol=1e-4)


@names
@pytest.mark.parametrize("share", SHARES)
def test_a_way_from_a_code_to_itself_goes_nowhere(name: PriorName, share: float) -> None:
    codes = draws(name, 100, 8)
    way = PRIORS[name].between(codes, codes.clone(), share)
    torch.testing.assert_close(way, codes, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", STRAIGHT)
@pytest.mark.parametrize("share", SHARES)
def test_the_way_through_a_convex_set_is_straight(name: PriorName, share: float) -> None:
    start, end = draws(name, 100, 8).double(), draws(name, 100, 8).double()
    expected = start + share * (end - start)
    torch.testing.assert_close(PRIORS[name].between(start, end, share), expected)


def angles(one: Tensor, other: Tensor) -> Tensor:
    return torch.acos(F.cosine_similarity(one, other).clamp(-1, 1))


@pytest.mark.parametrize("name", ["sphere", "normal"])
@pytest.mark.parametrize("dim", [2, 3, 50])
def test_directions_turn_with_constant_speed_in_the_plane_of_the_ends(
    name: PriorName, dim: int
) -> None:
    prior = PRIORS[name]
    start, end = draws(name, 200, dim).double(), draws(name, 200, dim).double()
    whole = angles(start, end)
    for share in SHARES:
        way = prior.between(start, end, share)
        torch.testing.assert_close(angles(start, way), share * whole, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(angles(way, end), (1 - share) * whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("share", SHARES)
def test_the_way_on_the_sphere_keeps_its_length(share: float) -> None:
    start, end = draws("sphere", 200, 8), draws("sphere", 200, 8)
    way = PRIORS["sphere"].between(start, end, share)
    torch.testing.assert_close(way.norm(dim=1), torch.full((200,), math.sqrt(8)))


@pytest.mark.parametrize("share", SHARES)
def test_the_length_of_normal_codes_changes_evenly(share: float) -> None:
    start, end = torch.randn(200, 8), torch.randn(200, 8) * 5
    lengths = PRIORS["normal"].between(start, end, share).norm(dim=1)
    expected = (1 - share) * start.norm(dim=1) + share * end.norm(dim=1)
    torch.testing.assert_close(lengths, expected)


def test_the_way_between_normal_draws_is_as_far_out_as_they_are() -> None:
    start, end = draws("normal", 2000, 64), draws("normal", 2000, 64)
    half = PRIORS["normal"].between(start, end, 0.5)
    assert float(half.square().mean()) == pytest.approx(1, abs=0.05)
    assert float(torch.lerp(start, end, 0.5).square().mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("share", SHARES)
def test_from_and_to_the_origin_normal_codes_go_straight(share: float) -> None:
    codes, origin = torch.randn(20, 8), torch.zeros(20, 8)
    prior = PRIORS["normal"]
    torch.testing.assert_close(prior.between(origin, codes, share), share * codes)
    torch.testing.assert_close(prior.between(codes, origin, share), (1 - share) * codes)
    assert torch.equal(prior.between(origin, origin, share), origin)


@pytest.mark.parametrize("name", ["sphere", "normal"])
@pytest.mark.parametrize("dim", [1, 2, 8])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_equal_and_opposite_ends_have_a_finite_way(
    name: PriorName, dim: int, kind: torch.dtype
) -> None:
    prior = PRIORS[name]
    start = prior.sample_like(torch.empty(500, dim, dtype=kind))
    near = prior.project(start + 1e-4 * torch.randn_like(start)).to(kind)
    for end, share in itertools.product([start, -start, near, -near], [0.0, 0.2, 0.5, 0.9, 1.0]):
        way = prior.between(start, end, share)
        assert way.isfinite().all()
        assert (way.norm(dim=1) <= torch.maximum(start.norm(dim=1), end.norm(dim=1)) + 1e-4).all()


@pytest.mark.parametrize("dim", [1, 5, 64])
def test_coins_turn_one_after_the_other(dim: int) -> None:
    prior, before = PRIORS["bernoulli"], None
    start, end = draws("bernoulli", 50, dim), draws("bernoulli", 50, dim)
    for share in torch.linspace(0, 1, 23).tolist():
        way = prior.between(start, end, share)
        assert ((way != start) & (way != end)).sum(1).max() <= 1
        turned = ((way == end) & (start != end)).sum(1)
        assert before is None or (turned >= before).all()
        before = turned
        # A share of the coordinates is done, the others are yet to come.
        done, coming = math.floor(share * dim + 1e-9), math.ceil(share * dim - 1e-9)
        torch.testing.assert_close(way[:, :done], end[:, :done])
        torch.testing.assert_close(way[:, coming:], start[:, coming:])
    assert before is not None
    assert torch.equal(before, (start != end).sum(1))


@pytest.mark.parametrize("share", SHARES)
def test_what_is_zero_at_both_ends_of_a_rectified_way_stays_zero(share: float) -> None:
    start, end = draws("rectified", 200, 8), draws("rectified", 200, 8)
    way = PRIORS["rectified"].between(start, end, share)
    both = (start == 0) & (end == 0)
    assert both.any()
    assert (way[both] == 0).all()
    if 0 < share < 1:
        assert (way[~both] > 0).all()


# Comparing codes with their prior


def compared(codes: Tensor, name: PriorName) -> dict[str, float]:
    found = {key: float(value) for key, value in compare(codes, PRIORS[name]).items()}
    assert set(found) == {f"codes/{kind}" for kind in STATISTICS}
    return {key.removeprefix("codes/"): value for key, value in found.items()}


STATISTICS = ("mean", "deviation", "distance", "distance_of_draws")


@names
def test_draws_are_as_far_from_the_prior_as_draws_are(name: PriorName) -> None:
    found = compared(draws(name, 2000, 6), name)
    assert found["distance"] == pytest.approx(found["distance_of_draws"], rel=0.4)
    assert 0 < found["distance"] < 0.2


@names
@pytest.mark.parametrize("dimension", [2, 16])
def test_codes_are_the_farther_from_the_prior_the_more_they_are_shifted(
    name: PriorName, dimension: int
) -> None:
    codes = draws(name, 1000, dimension)
    found = [compared(codes + shift, name) for shift in (0, 0.5, 1, 2)]
    distances = [each["distance"] for each in found]
    assert distances == sorted(distances)
    for each in found[2:]:
        assert each["distance"] > 3 * each["distance_of_draws"]


@names
def test_codes_that_collapsed_are_far_from_the_prior(name: PriorName) -> None:
    codes = draws(name, 1, 8).expand(1000, -1)
    found = compared(codes, name)
    assert found["deviation"] == 0
    assert found["distance"] > 5 * found["distance_of_draws"]


@names
def test_mean_and_deviation_are_those_of_a_unit_over_the_images(name: PriorName) -> None:
    codes = draws(name, 500, 6).double()
    values = codes.numpy()
    found = compared(codes, name)
    assert found["mean"] == pytest.approx(np.abs(values.mean(0)).mean(), abs=1e-5)
    assert found["deviation"] == pytest.approx(values.std(0).mean(), rel=1e-5)


def test_a_shift_by_a_vector_is_as_far_as_it_reaches_along_a_line() -> None:
    # In one dimension every line is the axis, so the distance of shifted copies is the shift.
    codes = torch.randn(4000, 1)
    for shift in (1.0, -3.0):
        assert compared(codes + shift, "normal")["distance"] == pytest.approx(abs(shift), abs=0.1)


@names
def test_the_same_codes_are_compared_alike_after_the_same_seed(name: PriorName) -> None:
    codes = draws(name, 50, 4)
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        found.append(compared(codes, name))
    assert found[0] == found[1]
