"""query: an index, and image files or ids -> the images most like them."""

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from numpy.typing import NDArray

from replearn.concepts.table import read_names
from replearn.console import warn
from replearn.errors import DataError, UsageError
from replearn.images.decoding import UnreadableImage
from replearn.retrieval.image_search import ImageSearch


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
        list[str], typer.Argument(metavar="IMAGE", help="Image files, or ids of indexed images.")
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
    search = ImageSearch.open(
        index_folder,
        device=device,
        verify=verify,
        encoder_folder=encoder_folder,
        images=source,
        names=called,
    )
    queries = _queries(search, images)
    vectors = np.stack([query.vector for query in queries])
    ids = [query.id for query in queries] if exclude_self else None
    found = search.nearest(vectors, k, without=ids)
    results = [
        {"query": query.said, "hits": hits} for query, hits in zip(queries, found, strict=True)
    ]
    if sheet is not None:
        _draw(sheet, search, queries, results)
    print(json.dumps(results, indent=2, ensure_ascii=False) if as_json else _table(results, search))


def _queries(search: ImageSearch, images: list[str]) -> list[Query]:
    """Return what is asked about in the order given; a file comes before an id of its name."""
    index = search.index
    files = [said for said in images if Path(said).is_file() or said not in index.rows]
    pixels = [_prepare(search, Path(said)) for said in files]
    embedded = iter(zip(search.embed(pixels), pixels, strict=True) if files else ())
    asked = [said for said in images if said not in files]
    known = iter(index.vectors(asked))
    return [
        Query(said, Path(said).stem, *next(embedded))
        if said in files
        else Query(said, said, next(known), None)
        for said in images
    ]


def _prepare(search: ImageSearch, path: Path) -> NDArray[np.uint8]:
    if not path.is_file():
        raise DataError(f"{path}: neither an image file nor the id of an indexed image")
    try:
        return search.prepare(path.read_bytes())
    except UnreadableImage as error:
        raise DataError(f"{path}: {error}") from None


def _draw(
    sheet: Path, search: ImageSearch, queries: list[Query], results: list[dict[str, Any]]
) -> None:
    """Write the contact sheet: each query and what was found for it, in a row."""
    from replearn.retrieval.contact_sheet import write_query_sheet

    ids = {hit["id"] for result in results for hit in result["hits"]}
    ids |= {query.id for query in queries if query.pixels is None}
    pixels = search.lookup.pixels_of(sorted(ids))
    if len(pixels) < len(ids):
        warn(f"{sheet}: {len(ids) - len(pixels)} of {len(ids)} images are not there")
    white = np.full((1, 8, 8), 255, np.uint8)  # for an image that is not there any more
    rows = [
        [
            pixels.get(query.id, white) if query.pixels is None else query.pixels,
            *(pixels.get(hit["id"], white) for hit in result["hits"]),
        ]
        for query, result in zip(queries, results, strict=True)
    ]
    concepts = [
        [_own(search, query), *(search.called(hit["concepts"]) for hit in result["hits"])]
        for query, result in zip(queries, results, strict=True)
    ]
    titles = [
        [f"{query.id}\nquery", *(f"{hit['id']}\n{hit['distance']:.4f}" for hit in result["hits"])]
        for query, result in zip(queries, results, strict=True)
    ]
    write_query_sheet(sheet, rows, concepts, titles)


def _own(search: ImageSearch, query: Query) -> list[str]:
    """Return the names of the concepts of an indexed image that is asked about."""
    known = query.pixels is None
    return search.called(search.concepts_at(search.index.rows[query.id])) if known else []


def _table(results: list[dict[str, Any]], search: ImageSearch) -> str:
    lines = []
    for result in results:
        width = max((len(hit["id"]) for hit in result["hits"]), default=0)
        lines.append(result["query"])
        lines += [
            f"{rank:4d}  {hit['id']:{width}}  {hit['distance']:.4f}  "
            f"{'; '.join(search.called(hit['concepts']))}"
            for rank, hit in enumerate(result["hits"], 1)
        ]
    return "\n".join(lines)
