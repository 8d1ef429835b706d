"""Grids of images that show what a model has learned: float [rows, columns, C, H, W] in [-1, 1]."""

from collections.abc import Callable

import torch
from torch import Tensor

from replearn.encoders.losses.priors import Prior

Map = Callable[[Tensor], Tensor]

_STEPS = 8  # images on the way from one to another


def autoencoder_grids(
    images: Tensor, *, encode: Map, decode: Map, prior: Prior | None = None
) -> dict[str, Tensor]:
    """Show a model that maps images to codes and back.

    Args:
        images: [N, C, H, W]; pairs of neighbours are interpolated, triples a, b, c give a - b + c.
        encode: images to codes [N, D].
        decode: codes to images.
        prior: what the codes follow; None if they follow nothing, then there are no samples.
    """
    codes = encode(images)
    grids = {"reconstructions": beside(images, decode(codes))}
    if prior is not None:
        grids["samples"] = in_rows(decode(prior.sample_like(codes)))
    if len(images) >= 2:
        grids["interpolations"] = interpolations(images, codes, decode, prior)
    if len(images) >= 3:
        grids["arithmetic"] = arithmetic(images, codes, decode, prior)
    return grids


def generator_grids(codes: Tensor, *, decode: Map, prior: Prior) -> dict[str, Tensor]:
    """Show a model that maps codes [N, D], drawn from its prior, to images."""
    made = decode(codes)
    grids = {"samples": in_rows(made)}
    if len(codes) >= 2:
        grids["interpolations"] = interpolations(made, codes, decode, prior)
    return grids


def beside(images: Tensor, made: Tensor, columns: int = 8) -> Tensor:
    """Lay rows of images [N, C, H, W] out, each above a row of what was made from them."""
    above, below = in_rows(images, columns), in_rows(made, columns)
    return torch.stack([above, below], dim=1).flatten(0, 1)


def in_rows(images: Tensor, columns: int = 8) -> Tensor:
    """Lay images [N, C, H, W] out in rows; places left over are white."""
    columns = min(columns, len(images))
    missing = -len(images) % columns
    white = torch.ones_like(images[:1]).expand(missing, *images.shape[1:])
    return torch.cat([images, white]).reshape(-1, columns, *images.shape[1:])


def interpolations(
    images: Tensor, codes: Tensor, decode: Map, prior: Prior | None, rows: int = 8
) -> Tensor:
    """Show the way from the first to the second of each pair of images [N, C, H, W].

    A row is an image, the decoded codes of even steps from its code to the other's, and the other.
    """
    start, end = _every(codes, 2, rows)
    way = [
        decode(_between(start, end, share, prior))
        for share in torch.linspace(0, 1, _STEPS).tolist()
    ]
    first, last = _every(images, 2, rows)
    return torch.stack([first, *way, last], dim=1)


def arithmetic(
    images: Tensor, codes: Tensor, decode: Map, prior: Prior | None, rows: int = 8
) -> Tensor:
    """Show a, b, c and what a - b + c of their codes decodes to, for each triple of images."""
    a, b, c = _every(codes, 3, rows)
    vectors = a - b + c
    made = decode(vectors if prior is None else prior.nearest(vectors))
    return torch.stack([*_every(images, 3, rows), made], dim=1)


def _every(rows: Tensor, step: int, most: int) -> tuple[Tensor, ...]:
    """Cut [N, ...] into tuples of `step` neighbours, at most so many of them."""
    whole = min(len(rows) // step, most) * step
    return tuple(rows[:whole][place::step] for place in range(step))


def _between(start: Tensor, end: Tensor, share: float, prior: Prior | None) -> Tensor:
    return torch.lerp(start, end, share) if prior is None else prior.between(start, end, share)
