"""query: an index and an image file -> the images most like it."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from replearn.artefacts import check_same
from replearn.encoders import Encoder, load_encoder
from replearn.errors import DataError, UsageError
from replearn.images import UnreadableImage, decode
from replearn.neighbors import Index, load_index


def query(
    index_folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Image files.")],
    encoder_folder: Annotated[
        Path | None,
        typer.Option("--encoder", help="The encoder, if it no longer lies where it did."),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many images to find.")] = 10,
    exclude_self: Annotated[
        bool, typer.Option("--exclude-self", help="Leave out the image of the query's own id.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the images most like a given one, nearest first.

    Example: replearn query runs/index new.png -k 5
    """
    if k < 1:
        raise UsageError(f"-k {k}: at least 1")
    index = load_index(index_folder)
    encoder = load_encoder(encoder_folder or _hinted(index, index_folder))
    check_same(index.encoder, encoder.description.identity, f"the encoder of {index_folder}")
    vectors = np.concatenate([_embed(encoder, path) for path in images])
    distances, rows = index.search(vectors, k + exclude_self)
    results = [
        {
            "query": str(path),
            "hits": _hits(index, row, distance, path.stem if exclude_self else None)[:k],
        }
        for path, row, distance in zip(images, rows, distances, strict=True)
    ]
    print(json.dumps(results, indent=2, ensure_ascii=False) if as_json else _table(results))


def _hinted(index: Index, folder: Path) -> Path:
    hint = index.hints.get("encoder_path")
    if hint is None or not (folder / hint).exists():
        raise UsageError(f"{folder}: its encoder is not where it was; give it with --encoder")
    return folder / hint


def _embed(encoder: Encoder, path: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    form = encoder.description
    try:
        pixels = decode(path.read_bytes(), size=form.size, channels=form.channels, fit=form.fit)
    except UnreadableImage as error:
        raise DataError(f"{path}: {error}") from None
    return next(encoder.embed(pixels[None]))


def _hits(
    index: Index, rows: np.ndarray[Any, Any], distances: np.ndarray[Any, Any], skip: str | None
) -> list[dict[str, Any]]:
    found = zip(rows.tolist(), distances.tolist(), strict=True)
    return [
        {
            "id": index.ids[row],
            "distance": distance,
            "concepts": list(index.concepts.concepts[row]) if index.concepts else [],
        }
        for row, distance in found
        if row >= 0 and index.ids[row] != skip  # an approximate index may find fewer than k
    ]


def _table(results: list[dict[str, Any]]) -> str:
    lines = []
    for result in results:
        width = max((len(hit["id"]) for hit in result["hits"]), default=0)
        lines.append(result["query"])
        lines += [
            f"{rank:4d}  {hit['id']:{width}}  {hit['distance']:.4f}  {';'.join(hit['concepts'])}"
            for rank, hit in enumerate(result["hits"], 1)
        ]
    return "\n".join(lines)
