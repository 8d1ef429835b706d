"""Sheets of a finished comparison: what its encoders draw, and queries with their hits."""

from collections.abc import Iterable
from pathlib import Path

from replearn.artefacts.files import write_bytes
from replearn.comparison.data_folder import DataFolder
from replearn.concepts.table import read_concepts
from replearn.features import Features
from replearn.ids import IdMap
from replearn.images.image_set import ImageSet
from replearn.neighbors.index import Index
from replearn.neighbors.storage import load_index
from replearn.retrieval.contact_sheet import draw_query_sheet

QUERIES = "queries.png"
_KINDS = ("reconstructions", "samples")
_QUERIES = _HITS = 6


def sheet_names(encoders: Iterable[str]) -> list[str]:
    """Return the names of the sheets in the folder of a comparison of these encoders."""
    return [QUERIES, *(f"{encoder}-{kind}.png" for encoder in encoders for kind in _KINDS)]


def copy_training_sheets(out: Path) -> None:
    """Copy the last reconstructions and samples of each encoder to the comparison's folder."""
    for encoder in sorted(out.glob("seed-0/*/encoder")):
        for kind in _KINDS:
            last = max((encoder / "sheets").glob(f"{kind}-*.png"), default=None)
            if last is not None:
                target = out / f"{encoder.parent.name}-{kind}.png"
                write_bytes(target, last.read_bytes())


def draw_queries(folder: Path, data: DataFolder, image_set: Path, path: Path) -> None:
    """Draw images of the test part, or else of validation, with the most similar training images.

    Args:
        folder: with `index` and the features of the parts.
        data: the lists that these are of.
        image_set: the images of all parts.
        path: where the sheet goes.
    """
    part = "test" if data.test else "valid"
    features, index = Features.load(folder / f"{part}.h5"), load_index(folder / "index")
    queries = features.ids[:: max(len(features) // _QUERIES, 1)][:_QUERIES]
    _, rows = index.search(features.vectors_of(queries), _HITS)
    lines = [
        [query, *(index.ids[row] for row in hits)]
        for query, hits in zip(queries, rows, strict=True)
    ]
    concepts = _concepts_of(index, data, part)
    images = ImageSet.load(image_set)
    pixels = [list(images.select(line).pixels) for line in lines]
    names = [
        [[data.names.get(c, c) for c in concepts.get(id_, ())] for id_ in line] for line in lines
    ]
    write_bytes(path, draw_query_sheet(pixels, names))


def _concepts_of(index: Index, data: DataFolder, part: str) -> IdMap[tuple[str, ...]]:
    """Return the concepts of the indexed images, and of the queries if these are known."""
    table = read_concepts(data.parts[part]) if data.scored == part else None
    tables = [known for known in (table, index.concepts) if known is not None]
    return IdMap(pair for known in tables for pair in zip(known.ids, known.concepts, strict=True))
