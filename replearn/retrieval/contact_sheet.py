"""Contact sheets: each query image in a row with its nearest images, above their concepts."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from replearn.arrays import Pixels
from replearn.artefacts.outputs import Result, write_results
from replearn.console import warn
from replearn.errors import shortened
from replearn.retrieval.image_search import ImageSearch, Neighbour, Query
from replearn.retrieval.sheet_files import MARK, SHEET

_LINE = 28  # characters that are as wide as an image


def write_search_sheet(
    path: Path,
    search: ImageSearch,
    queries: Sequence[Query],
    neighbours: Sequence[Sequence[Neighbour]],
    inputs: Iterable[Path | str | None] = (),
) -> None:
    """Write rows of a query and its neighbours; an image that is not there any more is white.

    Args:
        path: of the PNG file; an earlier sheet there is replaced.
        search: that the neighbours come from.
        queries: one for each row.
        neighbours: of each query.
        inputs: what is read for it, which is never replaced.

    Raises:
        DataError: something else lies there.
    """
    ids = {hit.id for hits in neighbours for hit in hits}
    ids |= {query.id for query in queries if query.pixels is None and not query.is_text}
    pixels = search.lookup.pixels_of(sorted(ids))
    if len(pixels) < len(ids):
        warn(f"{path}: {len(ids) - len(pixels)} of {len(ids)} images are not there")
    white = np.full((1, 8, 8), 255, np.uint8)
    rows, concepts, titles = [], [], []
    for query, hits in zip(queries, neighbours, strict=True):
        own = pixels.get(query.id, white) if query.pixels is None else query.pixels
        rows.append([own, *(pixels.get(hit.id, white) for hit in hits)])
        known = search.concepts_of(query.id) if query.indexed else ()
        concepts.append([search.names_of(some) for some in (known, *(h.concepts for h in hits))])
        titles.append([f"{query.id}\nquery", *(f"{hit.id}\n{hit.distance:.4f}" for hit in hits)])
    drawn = draw_query_sheet(rows, concepts, titles)
    write_results({path: Result(drawn, SHEET)}, overwrite=True, inputs=inputs)


def draw_query_sheet(
    pixels: Sequence[Sequence[Pixels]],
    concepts: Sequence[Sequence[Sequence[str]]],
    titles: Sequence[Sequence[str]] | None = None,
) -> bytes:
    """Draw rows of a query and its hits, each image above its concepts, and return a PNG file.

    Concepts that a hit shares with the query are in bold.

    Args:
        pixels: for each query its own image and its hits, uint8 [C, H, W].
        concepts: of the same images.
        titles: to stand above them; without, they are numbered.
    """
    rows, columns = len(pixels), max(map(len, pixels))
    # Below each image is room for the lines that `_draw` writes.
    figure = Figure(figsize=(1.9 * columns, 3.1 * rows))
    places = {"hspace": 0.75, "wspace": 0.12, "left": 0.02, "right": 0.98, "top": 0.97}
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw=places)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, (images, lists) in enumerate(zip(pixels, concepts, strict=True)):
        for column, (image, names) in enumerate(zip(images, lists, strict=True)):
            _draw(grid[row, column], image, names, set(lists[0]) if column else set())
            numbered = f"hit {column}" if column else "query"
            title = titles[row][column] if titles else numbered
            lines = [shortened(line, _LINE) for line in title.split("\n")]
            grid[row, column].set_title("\n".join(lines), fontsize=8)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110, bbox_inches="tight", metadata=MARK)
    return drawn.getvalue()


def _draw(axes: Axes, image: Pixels, names: Sequence[str], shared: set[str]) -> None:
    axes.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
    for line, name in enumerate(names[:5]):
        axes.text(
            0.5,
            -0.04 - 0.11 * line,
            shortened(name, _LINE),
            transform=axes.transAxes,
            ha="center",
            va="top",
            fontsize=6.5,
            color="#0b6e4f" if name in shared else "#333333",
            fontweight="bold" if name in shared else "normal",
        )
