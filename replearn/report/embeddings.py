"""Panels of embeddings: their map, the nearest neighbours, and dead dimensions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from replearn.artefacts.disk_rows import evenly_spaced
from replearn.detection.probe import rankme
from replearn.errors import shortened
from replearn.features import Features
from replearn.neighbors.build_index import index_vectors
from replearn.report.figures import FAINT, INK, SERIES, draw, draw_dots, use_log_scale
from replearn.report.page import Absent, Card, Concept, Figure, Panel, Strip
from replearn.report.pictures import FindPictures, Pictures, find_none, picture_url
from replearn.report.projection import Projection, find_representatives, project

_POINTS = 1000  # as many as a figure of some 100 kB holds
_MAPS = 6
_CELLS = 9
_QUERIES = 5
_HITS = 6
_TITLE = 32  # characters above a small map


@dataclass(frozen=True)
class EmbeddedImages:
    """Images with their embeddings, their concepts and their pictures.

    Attributes:
        features: their embeddings.
        name: of the features, for captions.
        concepts: names of the concepts of each id, as far as they are known.
        find_pictures: returns pixels uint8 [C, H, W] of those ids that it finds.
    """

    features: Features
    name: str
    concepts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    find_pictures: FindPictures = find_none


def build_panels(images: EmbeddedImages) -> list[Panel | Absent]:
    """Return all panels about embeddings."""
    return [_map_panel(images), _neighbour_panel(images), _dimension_panel(images)]


def _map_panel(images: EmbeddedImages) -> Panel:
    rows = evenly_spaced(len(images.features), _POINTS)
    ids = [images.features.ids[row] for row in rows]
    projection = project(np.asarray(images.features.vectors[rows]))
    figures = []
    pictures = images.find_pictures([ids[row] for row in _representatives(projection).values()])
    if pictures:
        figures.append(_thumbnails(projection, ids, pictures))
    concepts = [set(images.concepts.get(id_, ())) for id_ in ids]
    frequent = _frequent(concepts)
    figures += [_concept_map(projection, concepts, name) for name in frequent]
    if not frequent:
        figures.append(_concept_map(projection, concepts, None))
    text = [
        f"{len(ids):,} of the {len(images.features):,} images of {images.name}, laid out by "
        f"{projection.method}. What lies together looks alike to the encoder."
    ]
    if frequent:
        text.append("Each small map colours the images that show one frequent concept.")
    else:
        text.append("The concepts of these images are not known; give them with --concepts.")
    return Panel("Map of embeddings", text, figures)


def _representatives(projection: Projection) -> dict[tuple[int, int], int]:
    return find_representatives(projection.points, _CELLS)


def _thumbnails(projection: Projection, ids: Sequence[str], pictures: Pictures) -> Figure:
    """Draw one image for each cell of a grid over the map."""

    def paint(axes: Axes) -> None:
        for (column, line), row in _representatives(projection).items():
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


def _concept_map(projection: Projection, concepts: Sequence[set[str]], name: str | None) -> Figure:
    positive = np.array([name in names for names in concepts])

    def paint(axes: Axes) -> None:
        draw_dots(axes, projection.points[~positive], colour=FAINT, size=3)
        draw_dots(axes, projection.points[positive], colour=SERIES[0], size=3.5)
        axes.set(xticks=[], yticks=[], xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.spines[:].set_visible(False)
        if name is not None:
            axes.set_title(shortened(name, _TITLE))

    alt = f"Map of embeddings; images with {name}" if name else "Map of embeddings"
    caption = f"{positive.sum():,} of {len(positive):,} images" if name else ""
    return Figure(draw(paint, alt=alt, width=330, height=300), caption)


def _frequent(concepts: Sequence[set[str]]) -> list[str]:
    """Return frequent concepts, but none that nearly every image shows: they would colour all."""
    counts = Counter(name for names in concepts for name in names)
    distinctive = [n for n, count in counts.items() if 2 <= count <= 0.6 * len(concepts)]
    return sorted(distinctive, key=lambda name: (-counts[name], name))[:_MAPS]


def _neighbour_panel(images: EmbeddedImages) -> Panel | Absent:
    title = "Nearest neighbours"
    features = images.features
    usable = np.flatnonzero(np.any(features.vectors, axis=1))
    if len(usable) < 2:
        return Absent(title, f"{images.name} has fewer than two embeddings that are not zero.")
    ids = [features.ids[row] for row in usable]
    vectors = np.asarray(features.vectors[usable])
    index = index_vectors(ids, vectors)
    query_rows = evenly_spaced(len(ids), _QUERIES)
    queries = [ids[row] for row in query_rows]
    hits = index.search_others(vectors[query_rows], _HITS, queries)
    hit_ids = [[ids[row] for row in rows if row >= 0] for rows in hits.rows]
    pictures = images.find_pictures(sorted({*queries, *(id_ for line in hit_ids for id_ in line)}))
    if not pictures and not images.concepts:
        return Absent(title, "neither images nor concepts are known; give --images or --concepts.")
    strips = [
        _strip(images, pictures, query, line, distances.tolist())
        for query, line, distances in zip(queries, hit_ids, hits.distances, strict=True)
    ]
    text = (
        f"{len(strips)} images of {images.name} and the {_HITS} nearest others by cosine, nearest "
        "first. ✓ marks concepts that a neighbour shares with the image asked about."
    )
    return Panel(title, [text], strips)


def _strip(
    images: EmbeddedImages,
    pictures: Pictures,
    query: str,
    hits: Sequence[str],
    distances: Sequence[float],
) -> Strip:
    own = images.concepts.get(query, ())
    plain = [Concept(name) for name in own]
    cards = [Card(query, picture_url(pictures, query), plain, "asked about", is_query=True)]
    for id_, distance in zip(hits, distances, strict=False):
        concepts = [
            Concept(name, "found" if name in own else "plain")
            for name in images.concepts.get(id_, ())
        ]
        cards.append(Card(id_, picture_url(pictures, id_), concepts, f"distance {distance:.4f}"))
    return Strip("", cards)


def _dimension_panel(images: EmbeddedImages) -> Panel:
    rows = evenly_spaced(len(images.features), 10 * _POINTS)
    vectors = np.asarray(images.features.vectors[rows], np.float64)
    deviations = np.sort(vectors.std(axis=0))[::-1]
    typical = float(np.sqrt(np.mean(deviations**2)))
    dead = int(np.count_nonzero(deviations <= 0.01 * typical))
    values = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    shares = np.cumsum(values) / max(values.sum(), 1e-300)
    count = int(np.searchsorted(shares, 0.9)) + 1
    text = (
        f"{dead} of {len(deviations)} dimensions are dead: over {len(rows):,} images they deviate "
        f"by less than a hundredth of what is typical. 90 % of the variance lies in {count} "
        f"directions; RankMe counts {rankme(vectors):.1f}."
    )
    return Panel(
        "Dead dimensions",
        [text],
        [_deviation_figure(deviations, 0.01 * typical, dead), _variance_figure(shares, count)],
    )


def _deviation_figure(deviations: NDArray[np.float64], limit: float, dead: int) -> Figure:
    ranks = np.arange(1, len(deviations) + 1)

    def paint(axes: Axes) -> None:
        axes.plot(ranks, np.maximum(deviations, limit / 10), color=SERIES[0])
        axes.axhline(limit, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_yscale("log")
        axes.set(xlabel="dimension, the liveliest first", title="deviation over images")

    return Figure(
        draw(paint, alt=f"Deviation of each dimension; {dead} are dead"),
        "Below the dashed line a dimension counts as dead.",
    )


def _variance_figure(shares: NDArray[np.float64], count: int) -> Figure:
    def paint(axes: Axes) -> None:
        axes.plot(np.arange(1, len(shares) + 1), shares, color=SERIES[2])
        axes.axhline(0.9, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        use_log_scale(axes)
        axes.set(xlabel="directions", ylim=(0, 1.03), title="share of the variance")

    return Figure(draw(paint, alt=f"Share of the variance; {count} directions hold 90 %"))
