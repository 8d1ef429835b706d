"""Panels of embeddings: a map, what lies near what, and which dimensions say nothing."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from replearn.artefacts.disk_rows import evenly_spaced
from replearn.detection.probe import rankme
from replearn.errors import shortened
from replearn.features import Features
from replearn.images.data_url import image_url
from replearn.neighbors.index import build_index
from replearn.report.figures import FAINT, INK, SERIES, dots, draw, in_plain_powers
from replearn.report.maps import Projection, project, standing_for
from replearn.report.page import Absent, Card, Concept, Figure, Panel, Strip

Pictures = Mapping[str, NDArray[np.uint8]]
Find = Callable[[Sequence[str]], Pictures]

_POINTS = 1000  # as many as a figure of some 100 kB holds
_MAPS = 6
_CELLS = 9
_QUERIES = 5
_HITS = 6
_TITLE = 32  # characters above a small map


@dataclass(frozen=True)
class EmbeddedImages:
    """Images that an encoder is shown by.

    Attributes:
        features: their embeddings.
        name: of the features, for captions.
        concepts: names of the concepts of each id that they are known of.
        find_pictures: returns pixels uint8 [C, H, W] of those ids that it finds.
    """

    features: Features
    name: str
    concepts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    find_pictures: Find = lambda ids: {}


def panels(shown: EmbeddedImages) -> list[Panel | Absent]:
    """Return all panels that embeddings speak for."""
    return [_map(shown), _neighbours(shown), _dimensions(shown)]


def _map(shown: EmbeddedImages) -> Panel:
    rows = evenly_spaced(len(shown.features), _POINTS)
    ids = [shown.features.ids[row] for row in rows]
    plane = project(np.asarray(shown.features.vectors[rows]))
    figures = []
    pictures = shown.find_pictures([ids[row] for row in _cells(plane).values()])
    if pictures:
        figures.append(_thumbnails(plane, ids, pictures))
    concepts = [set(shown.concepts.get(id_, ())) for id_ in ids]
    frequent = _frequent(concepts)
    figures += [_concept_map(plane, concepts, name) for name in frequent]
    if not frequent:
        figures.append(_concept_map(plane, concepts, None))
    text = [
        f"{len(ids):,} of the {len(shown.features):,} images of {shown.name}, laid out by "
        f"{plane.method}. What lies together looks alike to the encoder."
    ]
    if frequent:
        text.append("Each small map colours the images that show one frequent concept.")
    else:
        text.append("The concepts of these images are not known; give them with --concepts.")
    return Panel("Map of embeddings", text, figures)


def _cells(plane: Projection) -> dict[tuple[int, int], int]:
    return standing_for(plane.places, _CELLS)


def _thumbnails(plane: Projection, ids: Sequence[str], pictures: Pictures) -> Figure:
    """Draw one image for each cell of a grid over the map."""

    def paint(axes: Axes) -> None:
        for (column, line), row in _cells(plane).items():
            if ids[row] in pictures:
                extent = (column + 0.03, column + 0.97, line + 0.03, line + 0.97)
                picture = pictures[ids[row]].transpose(1, 2, 0)
                axes.imshow(picture, extent=extent, cmap="gray", vmin=0, vmax=255)
        axes.set(xlim=(0, _CELLS), ylim=(0, _CELLS), aspect="equal")
        axes.set_axis_off()

    drawing = draw(
        paint, alt="Map of embeddings, with an image for each region", width=620, height=620
    )
    return Figure(drawing, "One image for each region of the map, at its place.", wide=True)


def _concept_map(plane: Projection, concepts: Sequence[set[str]], name: str | None) -> Figure:
    having = np.array([name in of_image for of_image in concepts])

    def paint(axes: Axes) -> None:
        dots(axes, plane.places[~having], colour=FAINT, size=3)
        dots(axes, plane.places[having], colour=SERIES[0], size=3.5)
        axes.set(xticks=[], yticks=[], xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.spines[:].set_visible(False)
        if name is not None:
            axes.set_title(shortened(name, _TITLE))

    alt = f"Map of embeddings; images with {name}" if name else "Map of embeddings"
    caption = f"{having.sum():,} of {len(having):,} images" if name else ""
    return Figure(draw(paint, alt=alt, width=330, height=300), caption)


def _frequent(concepts: Sequence[set[str]]) -> list[str]:
    """Return frequent concepts, but none that nearly every image shows: they would colour all."""
    counts = Counter(name for of_image in concepts for name in of_image)
    telling = [n for n, count in counts.items() if 2 <= count <= 0.6 * len(concepts)]
    return sorted(telling, key=lambda name: (-counts[name], name))[:_MAPS]


def _neighbours(shown: EmbeddedImages) -> Panel | Absent:
    title = "Nearest neighbours"
    features = shown.features
    usable = np.flatnonzero(np.any(features.vectors, axis=1))
    if len(usable) < 2:
        return Absent(title, f"{shown.name} has fewer than two embeddings that are not zero.")
    ids = [features.ids[row] for row in usable]
    vectors = np.asarray(features.vectors[usable])
    index = build_index(ids, vectors)
    asked = evenly_spaced(len(ids), _QUERIES)
    hits = index.search_others(vectors[asked], _HITS, [ids[row] for row in asked])
    found = [[ids[place] for place in line if place >= 0] for line in hits.rows]
    queries = [ids[row] for row in asked]
    pictures = shown.find_pictures(sorted({*queries, *(id_ for line in found for id_ in line)}))
    if not pictures and not shown.concepts:
        return Absent(title, "neither images nor concepts are known; give --images or --concepts.")
    strips = [
        _strip(shown, pictures, query, line, distances.tolist())
        for query, line, distances in zip(queries, found, hits.distances, strict=True)
    ]
    text = (
        f"{len(strips)} images of {shown.name} and the {_HITS} nearest others by cosine, nearest "
        "first. ✓ marks concepts that a neighbour shares with the image asked about."
    )
    return Panel(title, [text], strips)


def _strip(
    shown: EmbeddedImages,
    pictures: Pictures,
    query: str,
    hits: Sequence[str],
    distances: Sequence[float],
) -> Strip:
    own = shown.concepts.get(query, ())
    plain = [Concept(name) for name in own]
    cards = [Card(query, _url(pictures, query), plain, "asked about", asked=True)]
    for id_, distance in zip(hits, distances, strict=False):
        concepts = [
            Concept(name, "found" if name in own else "plain")
            for name in shown.concepts.get(id_, ())
        ]
        cards.append(Card(id_, _url(pictures, id_), concepts, f"distance {distance:.4f}"))
    return Strip("", cards)


def _url(pictures: Pictures, id_: str) -> str | None:
    return image_url(pictures[id_].transpose(1, 2, 0)) if id_ in pictures else None


def _dimensions(shown: EmbeddedImages) -> Panel:
    rows = evenly_spaced(len(shown.features), 10 * _POINTS)
    vectors = np.asarray(shown.features.vectors[rows], np.float64)
    deviations = np.sort(vectors.std(axis=0))[::-1]
    typical = float(np.sqrt(np.mean(deviations**2)))
    dead = int(np.count_nonzero(deviations <= 0.01 * typical))
    values = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    shares = np.cumsum(values) / max(values.sum(), 1e-300)
    most = int(np.searchsorted(shares, 0.9)) + 1
    text = (
        f"{dead} of {len(deviations)} dimensions are dead: over {len(rows):,} images they deviate "
        f"by less than a hundredth of what is typical. 90 % of the variance lies in {most} "
        f"directions; RankMe counts {rankme(vectors):.1f}."
    )
    return Panel(
        "Dead dimensions",
        [text],
        [_deviations(deviations, 0.01 * typical, dead), _variance(shares, most)],
    )


def _deviations(deviations: NDArray[np.float64], limit: float, dead: int) -> Figure:
    places = np.arange(1, len(deviations) + 1)

    def paint(axes: Axes) -> None:
        axes.plot(places, np.maximum(deviations, limit / 10), color=SERIES[0])
        axes.axhline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yscale("log")
        axes.set(xlabel="dimension, the liveliest first", title="deviation over images")

    return Figure(
        draw(paint, alt=f"Deviation of each dimension; {dead} are dead"),
        "Below the dashed line a dimension counts as dead.",
    )


def _variance(shares: NDArray[np.float64], most: int) -> Figure:
    def paint(axes: Axes) -> None:
        axes.plot(np.arange(1, len(shares) + 1), shares, color=SERIES[2])
        axes.axhline(0.9, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        in_plain_powers(axes)
        axes.set(xlabel="directions", ylim=(0, 1.03), title="share of the variance")

    return Figure(draw(paint, alt=f"Share of the variance; {most} directions hold 90 %"))
