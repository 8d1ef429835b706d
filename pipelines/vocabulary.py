"""vocabulary: concept files -> concepts, their counts, their images and their pairs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from replearn.artefacts.outputs import FileKind, Result, write_results
from replearn.concepts.reading import Reading
from replearn.concepts.table import ConceptTable, read_with_layout
from replearn.concepts.vocabulary import count_concepts, frequent_pairs, images_of, pool
from replearn.console import say
from replearn.errors import UsageError

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption

COUNTS = FileKind.of_lines("a file of concepts and their counts", r"[^\t\n]+\t\d+")
INVERSE = FileKind.of_lines("a file of concepts and their images", r"[^\t\n]+\t[^\t\n]*")
PAIRS = FileKind.of_lines("a file of pairs of concepts", r"[^\t\n]+\t[^\t\n]+\t\d+")


def vocabulary(
    concept_files: Annotated[
        list[Path], typer.Argument(metavar="CONCEPTS", help="Concept files of any layout.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write `concept TAB number of images` to this file, not stdout."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="List only this many concepts, the most frequent.")
    ] = None,
    inverse: Annotated[
        Path | None, typer.Option(help="Write `concept TAB id;id;...`, the images of each concept.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Write `concept TAB concept TAB number of images with both`."),
    ] = None,
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace old files.")] = False,
) -> None:
    """Count the concepts of one or several concept files, the most frequent first.

    Example: replearn vocabulary train-concepts.tsv --top 500 --out words.tsv
    """
    out = out or Path("-")
    places = [path.absolute() for path in (out, inverse, pairs) if path]
    if len(set(places)) < len(places):
        raise UsageError("--out (by default stdout), --inverse and --pairs: give each its own file")
    reading = Reading.of_options(layout, separator, columns, uncertain)
    table = pool(_read(path, reading) for path in concept_files)
    counts = count_concepts(table, top)
    words = list(counts)
    results = {out: Result(_lines(counts.items()), COUNTS)}
    if inverse:
        images = images_of(table, words)
        lines = _lines((word, ";".join(ids)) for word, ids in images.items())
        results[inverse] = Result(lines, INVERSE)
    if pairs:
        results[pairs] = Result(_lines(frequent_pairs(table, words)), PAIRS)
    write_results(results, overwrite=overwrite, inputs=concept_files)
    without = sum(not concepts for concepts in table.concepts)
    say(
        f"{len(table):,} images, {without:,} without concepts; mean {table.counts.mean():.2f}, "
        f"at most {table.counts.max()}; {len(words):,} concepts listed"
    )


def _read(path: Path, reading: Reading) -> ConceptTable:
    layout, table = read_with_layout(path, reading)
    say(f"{path}: {layout}; {len(table):,} images")
    return table


def _lines(rows: Iterable[Iterable[object]]) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)
