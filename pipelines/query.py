"""query: an index, and image files or ids -> the images most like them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.outputs import refuse_taken
from replearn.concepts.table import read_names
from replearn.errors import UsageError
from replearn.retrieval.image_search import ImageSearch, Neighbour, Query
from replearn.retrieval.sheet_files import SHEET


def query(
    index_folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="[IMAGE]...", help="Image files, or ids of indexed images."),
    ] = None,
    texts: Annotated[
        list[str] | None,
        typer.Option(
            "--text", help="Search for a text; the encoder needs a text tower. May be repeated."
        ),
    ] = None,
    encoder: Annotated[
        Path | None,
        typer.Option(help="The encoder, if it was moved."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of images to find.")] = 10,
    exclude_self: Annotated[
        bool, typer.Option("--exclude-self", help="Leave out the query itself.")
    ] = False,
    names: Annotated[
        Path | None, typer.Option(help="Names of concepts: lines of `concept TAB name`.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="Draw queries and hits into this PNG file, also over an earlier one."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--images", help="--sheet: the indexed images, if they were moved."),
    ] = None,
    device: Annotated[str, typer.Option(help="Device for the search: cpu, cuda, ...")] = "cpu",
    verify: Annotated[
        bool, typer.Option("--verify", help="Check first that no vector has changed on disk.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the indexed images that are most like the given ones, or a text, nearest first.

    Image files are prepared as the indexed images were.

    Example: replearn query runs/index new.png -k 5 --sheet found.png
    """
    if not images and not texts:
        raise UsageError("nothing to search for: give an IMAGE, or --text")
    read = [index_folder, encoder, source, names, *(images or [])]
    if sheet is not None:
        refuse_taken(sheet, SHEET, read)
    search = ImageSearch.open(
        index_folder,
        encoder=encoder,
        images=source,
        names=read_names(names) if names else {},
        device=device,
        verify=verify,
    )
    queries = [*search.queries(images or []), *search.queries_of_texts(texts or [])]
    neighbours = search.nearest(queries, k, exclude_self=exclude_self)
    if sheet is not None:
        from replearn.retrieval.contact_sheet import write_search_sheet  # matplotlib takes a second

        write_search_sheet(sheet, search, queries, neighbours, read)
    report = _to_json if as_json else _to_text
    print(report(search, queries, neighbours))


def _to_json(search: ImageSearch, queries: list[Query], neighbours: list[list[Neighbour]]) -> str:
    results = [
        {"query": query.name, "hits": [hit._asdict() for hit in hits]}
        for query, hits in zip(queries, neighbours, strict=True)
    ]
    return json.dumps(results, indent=2, ensure_ascii=False)


def _to_text(search: ImageSearch, queries: list[Query], neighbours: list[list[Neighbour]]) -> str:
    lines = []
    for query, hits in zip(queries, neighbours, strict=True):
        width = max((len(hit.id) for hit in hits), default=0)
        lines.append(query.name)
        lines += [
            f"{rank:4d}  {hit.id:{width}}  {hit.distance:.4f}  "
            f"{'; '.join(search.names_of(hit.concepts))}"
            for rank, hit in enumerate(hits, 1)
        ]
    return "\n".join(lines)
