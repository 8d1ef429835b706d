"""A folder laid out as the organisers' download of ImageCLEF Caption 2026, made of phantoms.

    python -m benchmarks.rehearsal download --count 400
    make imageclef DATA=download EDITION=2026

Ids are not zero-padded, and nothing says what the test images show.  The second folder, of the
synthetic track, has padded ids.  What test images show goes beside OUT, into truth/.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.command import run_benchmark
from replearn.concepts.table import ConceptTable, read_concepts, read_names
from replearn.errors import DataError
from replearn.imageclef import edition, write_run
from replearn.phantoms.data_folder import write_data_folder

_START = "ImageCLEFmedical_Caption_2026"


def main(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write, not there yet.")],
    count: Annotated[int, typer.Option(min=20, help="Images in each track.")] = 400,
) -> None:
    """Lay out phantoms as the organisers' download, the synthetic track too."""
    if out.exists():
        raise DataError(f"{out}: is there already; choose another place")
    for number, (track, digits) in enumerate((("", 0), ("_synth", 6))):
        drawn = out.parent / f"{out.name}-phantoms{track}"
        write_data_folder(drawn, count=count, seed=number)
        lay_out(drawn, out, track, digits)
    print(f"{out}: {count} images of each track; the truth is in {out.parent / 'truth'}")


def lay_out(drawn: Path, out: Path, track: str, digits: int) -> None:
    """Lay out the images and the lists of one track.

    Args:
        drawn: a data folder of phantoms.
        out: where the download goes.
        track: what the names of folders end with.
        digits: to which numbers in ids are padded.
    """
    development, truth = out / f"dev_concept{track}", out.parent / f"truth{track}"
    for folder in (development / "images", out / f"test{track}/images", truth):
        folder.mkdir(parents=True)
    shown: dict[str, ConceptTable] = {}
    for part in ("train", "valid", "test"):
        table = read_concepts(drawn / f"{part}-concepts.tsv")
        ids = [f"{_START}{track}_{part}_{n:0{digits}d}" for n in range(len(table))]
        home = out / f"test{track}/images" if part == "test" else development / "images"
        for old, new in zip(table.ids, ids, strict=True):
            (drawn / f"images/{old}.png").rename(home / f"{new}.png")
        shown[part] = ConceptTable(ids, table.concepts)
    both = ConceptTable(
        shown["train"].ids + shown["valid"].ids, shown["train"].concepts + shown["valid"].concepts
    )
    rules = edition(2026)
    (development / "concepts.csv").write_text(write_run(both.ids, both.concepts, rules))
    _write_table(
        development / "attribution.csv", ["ID", "Attribution"], ((i, "drawn") for i in both.ids)
    )
    names = iter(read_names(drawn / "concept-names.tsv").items())
    _write_table(out / "cui_mapping.csv", ["CUI", "Canonical name"], names)
    test = shown["test"]
    (truth / "test-concepts.csv").write_text(write_run(test.ids, test.concepts, rules))


def _write_table(path: Path, head: list[str], rows: Iterator[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])


if __name__ == "__main__":
    run_benchmark(main)
