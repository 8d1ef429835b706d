"""query: an index, and image files or ids -> the images most like them."""

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from replearn.artefacts import check_same, warn
from replearn.concepts import read_names
from replearn.engines import Hits
from replearn.errors import DataError, UsageError
from replearn.index_files import load_index
from replearn.neighbors import Index


class Query(NamedTuple):
    """What is asked about.

    Attributes:
        said: as it was given.
        id: that an indexed image of its own would have.
        vector: its features [D].
        pixels: uint8 [C, H, W], None for an id.
    """

    said: str
    id: str
    vector: NDArray[np.float32]
    pixels: NDArray[np.uint8] | None


def query(
    index_folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Image files, or ids of indexed images.")
    ],
    encoder_folder: Annotated[
        Path | None,
        typer.Option("--encoder", help="The encoder, if it no longer lies where it did."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many images to find.")] = 10,
    exclude_self: Annotated[
        bool, typer.Option("--exclude-self", help="Leave out the image of the query's own id.")
    ] = False,
    names: Annotated[
        Path | None, typer.Option(help="What concepts are called: concept TAB name lines.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Draw queries and what was found into this PNG file.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--images", help="--sheet: the indexed images, if they no longer lie there."),
    ] = None,
    device: Annotated[str, typer.Option(help="Where to search: cpu, cuda, ...")] = "cpu",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check first that no vector has changed on disk.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the images most like given ones, nearest first.

    Images are prepared as the indexed ones were.

    Example: replearn query runs/index new.png -k 5 --sheet found.png
    """
    if k < 1:
        raise UsageError(f"-k {k}: at least 1")
    called = read_names(names) if names else {}
    index = load_index(index_folder, device=device, verify=verify)
    queries = _queries(index, index_folder, images, encoder_folder)
    vectors = np.stack([query.vector for query in queries])
    ids = [query.id for query in queries]
    hits = index.search_others(vectors, k, ids) if exclude_self else index.search(vectors, k)
    results = [
        {"query": query.said, "hits": _hits(index, hits, row)} for row, query in enumerate(queries)
    ]
    if sheet is not None:
        _draw(sheet, index, index_folder, queries, results, called, source)
    print(json.dumps(results, indent=2, ensure_ascii=False) if as_json else _table(results, called))


def _queries(
    index: Index, folder: Path, images: list[str], encoder_folder: Path | None
) -> list[Query]:
    """Return what is asked about in the order given; a file comes before an id of its name."""
    files = [said for said in images if Path(said).is_file() or said not in index.rows]
    embedded = iter(_embed(index, folder, [Path(said) for said in files], encoder_folder))
    asked = [said for said in images if said not in files]
    known = iter(index.vectors(asked))
    return [
        Query(said, Path(said).stem, *next(embedded))
        if said in files
        else Query(said, said, next(known), None)
        for said in images
    ]


def _embed(
    index: Index, folder: Path, paths: list[Path], encoder_folder: Path | None
) -> list[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    if not paths:
        return []
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{missing[0]}: neither an image file nor the id of an indexed image")
    # torch takes a second or two to import, and ids need none.
    from replearn.encoders import load_encoder
    from replearn.images import UnreadableImage, decode

    encoder = load_encoder(encoder_folder or _hinted(index, folder, "encoder"))
    form = encoder.description
    check_same(index.encoder, form.identity, f"the encoder of {folder}")
    pixels = []
    for path in paths:
        content = path.read_bytes()
        try:
            pixels.append(decode(content, size=form.size, channels=form.channels, fit=form.fit))
        except UnreadableImage as error:
            raise DataError(f"{path}: {error}") from None
    vectors = np.concatenate(list(encoder.embed(np.stack(pixels))))
    return list(zip(vectors, pixels, strict=True))


def _hinted(index: Index, folder: Path, what: str) -> Path:
    """Return where the encoder or the images lie.

    Raises:
        UsageError: they are not where they were.
    """
    hint = index.hints.get(f"{what}_path")
    if hint is None or not (folder / hint).exists():
        known = "is not known" if hint is None else f"was {folder / hint}"
        raise UsageError(f"{folder}: the place of its {what} {known}; give it with --{what}")
    return folder / hint


def _hits(index: Index, hits: Hits, row: int) -> list[dict[str, Any]]:
    found = zip(hits.rows[row].tolist(), hits.distances[row].tolist(), strict=True)
    return [
        {
            "id": index.ids[place],
            "distance": distance,
            "concepts": list(index.concepts.concepts[place]) if index.concepts else [],
        }
        for place, distance in found
        if place >= 0  # an approximate index may find fewer than k
    ]


def _draw(
    sheet: Path,
    index: Index,
    folder: Path,
    queries: list[Query],
    results: list[dict[str, Any]],
    called: dict[str, str],
    source: Path | None,
) -> None:
    """Write the contact sheet: each query and what was found for it, in a row."""
    from replearn import plots

    ids = {hit["id"] for result in results for hit in result["hits"]}
    ids |= {query.id for query in queries if query.pixels is None}
    pixels = _pictures(source or _hinted(index, folder, "images"), sorted(ids))
    white = np.full((1, 8, 8), 255, np.uint8)  # for an image that is not there any more
    rows = [
        [
            pixels.get(query.id, white) if query.pixels is None else query.pixels,
            *(pixels.get(hit["id"], white) for hit in result["hits"]),
        ]
        for query, result in zip(queries, results, strict=True)
    ]
    concepts = [
        [_own(index, query, called), *(_called(hit, called) for hit in result["hits"])]
        for query, result in zip(queries, results, strict=True)
    ]
    titles = [
        [f"{query.id}\nquery", *(f"{hit['id']}\n{hit['distance']:.4f}" for hit in result["hits"])]
        for query, result in zip(queries, results, strict=True)
    ]
    plots.write_query_sheet(sheet, rows, concepts, titles)


def _pictures(source: Path, ids: list[str]) -> dict[str, NDArray[np.uint8]]:
    """Return the images of these ids, uint8 [C, H, W]: as prepared, or of the size of a sheet."""
    from replearn.images import ImageSet, is_prepared, open_images

    if is_prepared(source):
        found = ImageSet.load(source).select(ids)
    else:
        found = open_images(source, size=128, channels=3, fit="pad", ids=ids, max_errors=1.0)
    if found.errors:
        warn(f"{source}: {len(found.errors)} of {len(ids)} images are not there")
    return dict(zip(found.ids, found.pixels, strict=True))


def _own(index: Index, query: Query, called: dict[str, str]) -> list[str]:
    """Return the names of the concepts of an indexed image that is asked about."""
    if query.pixels is not None or index.concepts is None:
        return []
    return [called.get(c, c) for c in index.concepts.concepts[index.rows[query.id]]]


def _called(hit: dict[str, Any], called: dict[str, str]) -> list[str]:
    return [called.get(concept, concept) for concept in hit["concepts"]]


def _table(results: list[dict[str, Any]], called: dict[str, str]) -> str:
    lines = []
    for result in results:
        width = max((len(hit["id"]) for hit in result["hits"]), default=0)
        lines.append(result["query"])
        lines += [
            f"{rank:4d}  {hit['id']:{width}}  {hit['distance']:.4f}  "
            f"{'; '.join(_called(hit, called))}"
            for rank, hit in enumerate(result["hits"], 1)
        ]
    return "\n".join(lines)
