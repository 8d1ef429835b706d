"""One command that checks and measures everything that a GPU changes.

    python -m benchmarks.gpu --out gpu.jsonl             within 10 minutes, on one GPU and 16 cores
    python -m benchmarks.gpu --minutes 4 --out gpu.jsonl              the first sections, in order
    python -m benchmarks.gpu --sections embeddings,search                          some of them
    python -m benchmarks.gpu --plan              the order, the seconds, and the packages it needs

Without a GPU the same sections run small on the processor, within a minute.  Everything that they
need is made up: phantoms, noise, image files, networks.

*Right* comes first: checks with a limit, and the exit status says whether one failed.  *Fast* has
speeds beside other ways, each with its share of the roofline: the least time in which the device
could do the work, by the speeds of large matrix products and of a copy that were measured on it.
*Worth* trains encoders until the time is up.

A section has a process of its own.  One that fails, dies or takes too long is recorded, and the
next one goes on; one that would not end in time is skipped and named.  Each result is printed, and
added to the file as a line of JSON, as soon as it is known.  Tables come at the end and, in the
last line, a summary as JSON.
"""

import json
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import markdown
from benchmarks.command import run_benchmark
from benchmarks.gpu import packages
from benchmarks.gpu.form import Form
from benchmarks.gpu.rows import Row, tables
from benchmarks.gpu.running import Clock, import_once, rows_of, run
from benchmarks.gpu.sections import SECTIONS, Section, work_at
from replearn.errors import DataError, UsageError

_MACHINE = "machine"  # as the name of a section


@dataclass
class Record:
    """The results so far, on the screen and in a file.

    Attributes:
        out: the file; None for none.
        rows: all results, each with its section.
    """

    out: Path | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)

    def add(self, section: str, row: Row) -> None:
        """Print a result and add it to the file, so that nothing is lost if the machine is."""
        facts = {"section": section, **row.facts()}
        self.rows.append(facts)
        seconds = time.monotonic() - self.start
        print(f"{seconds:5.0f} s  {section:<17}{row.line()}", flush=True)
        if self.out:
            with self.out.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(facts)}\n")

    def wrong(self) -> list[str]:
        """Return what is not right: checks that failed, and sections of checks that broke."""
        right = {section.name for section in SECTIONS if section.kind == "right"}
        return [
            f"{row['section']}: {row['name']}"
            for row in self.rows
            if row.get("passed") is False or (row["kind"] == "failure" and row["section"] in right)
        ]


def plan(sections: Sequence[Section]) -> str:
    """Return the order and the estimated seconds of the full form, and what it needs."""
    rows, total = [], 0.0
    for number, section in enumerate(sections, 1):
        total += section.seconds
        rows.append([number, section.kind, section.name, section.seconds, total, section.about])
    columns = ["", "kind", "section", "seconds", "in all", "what"]
    return (
        f"The full form, on a GPU of a data centre with 16 cores: {total / 60:.1f} minutes\n\n"
        f"{markdown.table(columns, rows, words=len(columns))}\n"
        f"{packages.needs()}"
    )


def chosen(names: str) -> list[Section]:
    """Return the sections of these names, in their order; all of them if there is no name.

    Raises:
        UsageError: a name is not known.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = [section.name for section in SECTIONS]
    for name in wanted:
        if name not in known:
            raise UsageError(f"--sections {name}: unknown; known: {', '.join(known)}")
    return [section for section in SECTIONS if not wanted or section.name in wanted]


def _form(record: Record, clock: Clock) -> Form:
    """Ask a process of its own what there is, and return the form that suits it.

    Raises:
        DataError: torch does not run here.
    """
    for row in rows_of(partial(work_at, "machine:describe"), Form("cpu", False, clock.left)):
        record.add(_MACHINE, row)
    first = record.rows[0]
    if first["kind"] == "failure":
        raise DataError(f"this machine: {first['text']}")
    return Form(first["text"], first["text"] == "cuda", 0)


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="Until everything has ended.")] = 10,
    out: Annotated[Path | None, typer.Option(help="File to which results are added.")] = None,
    sections: Annotated[str, typer.Option(help="Some of them.", show_default="all")] = "",
    only_plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be done, and what it needs.")
    ] = False,
) -> None:
    """Check and measure everything that a GPU changes."""
    some = chosen(sections)
    if only_plan:
        print(plan(some))
        return
    if absent := packages.missing():
        raise DataError(f"{', '.join(absent)}: not installed; --plan says how to bring them")
    clock, record = Clock.of(60 * minutes), Record(out)
    import_once([section.module for section in SECTIONS])
    form = _form(record, clock)
    for section, row in run(some, form, clock):
        record.add(section.name, row)
    used = time.monotonic() - record.start
    print(f"\n{datetime.now():%Y-%m-%d}, {used:.0f} s\n\n{tables(record.rows)}")
    wrong = record.wrong()
    # Not all rows, which the file has: it is the tables that the end of a long output should show.
    checks = sum("limit" in row for row in record.rows)
    print(json.dumps({"benchmark": "gpu", "device": form.device, "checks": checks, "wrong": wrong}))
    if wrong:
        raise DataError(f"{len(wrong)} of the checks failed: {wrong[0]}")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop as after Ctrl-C
    run_benchmark(main)
