"""The sparse manifold transform: its constraint, what it finds slow, and what it embeds."""

import torch
import torch.nn.functional as F
from torch import Tensor

from replearn.encoders.models.smt import SMT
from replearn.encoders.patches.encodings import threshold


def waves(count: int = 24, size: int = 20, *, seed: int = 0) -> Tensor:
    """Return images [N, 1, H, W] of one wave each, of any direction and phase."""
    random = torch.Generator().manual_seed(seed)
    angle, phase = (torch.rand(2, count, 1, 1, generator=random) * 2 * torch.pi).unbind()
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return 0.8 * (1.2 * (angle.cos() * rows + angle.sin() * columns) + phase).sin()[:, None]


def fitted() -> SMT:
    model = SMT(size=20, words=16, dimensions=6, pyramid=(2,))
    model.fit(waves())
    return model.eval()


def test_projected_codes_of_the_fitted_images_are_white() -> None:
    model = fitted()
    codes = threshold(model.dictionary.read(waves()), model.dictionary.words).flatten(0, 1)
    projected = ((codes - codes.mean(0)) @ model.projection).double()
    covariance = projected.T @ projected / len(projected)
    # But for the ridge, which matters where the codes have little variance.
    torch.testing.assert_close(covariance, torch.eye(6).double(), rtol=0, atol=0.1)


def test_neighbours_differ_less_in_the_first_directions_than_in_the_last() -> None:
    model = fitted()
    images = waves(seed=1)
    codes = threshold(model.dictionary.read(images), model.dictionary.words)
    projected = (codes @ model.projection).reshape(24, *model.dictionary.places(20, 20), 6)
    change = (projected[:, 1:] - projected[:, :-1]).square().mean((0, 1, 2))
    change = change / projected.flatten(0, 2).var(0)
    assert change[:2].mean() < change[-2:].mean()


def test_an_embedding_has_length_one_in_each_cell() -> None:
    vectors = fitted().embed(waves(5, seed=2))
    assert vectors.shape == (5, 4 * 6)
    lengths = vectors.reshape(5, 4, 6).norm(dim=2)
    torch.testing.assert_close(lengths, torch.ones(5, 4))


def test_waves_of_one_direction_are_nearer_than_waves_of_another() -> None:
    model = fitted()
    vectors = model.embed(waves(40, seed=3))
    random = torch.Generator().manual_seed(3)
    angle = torch.rand(2, 40, 1, 1, generator=random)[0].flatten() * 2 * torch.pi
    turned = (angle[:, None] - angle).sin().abs()  # 0 for the same direction
    cosines = F.normalize(vectors, dim=1) @ F.normalize(vectors, dim=1).T
    others = ~torch.eye(40, dtype=torch.bool)
    assert cosines[(turned < 0.15) & others].mean() > cosines[turned > 0.8].mean() + 0.3


def test_the_seed_decides_the_words_and_nothing_else_does() -> None:
    torch.manual_seed(1)
    first = fitted()
    torch.manual_seed(2)
    assert torch.equal(first.projection, fitted().projection)
    other = SMT(size=20, words=16, dimensions=6, pyramid=(2,))
    other.fit(waves(), seed=1)
    assert not torch.equal(first.dictionary.words, other.dictionary.words)
