"""How long run files take to read, check and score, and whether scores are those of plain sets.

    python -m benchmarks.imageclef                                    half a minute, on one core
    python -m benchmarks.imageclef --concepts FILE --edition 2024     with the labels of a file

Labels are those of FILE, else drawn: as many concepts, as unevenly frequent, as in ImageCLEF 2024.
A run is made of them by dropping and swapping concepts at random; its score is compared with one
computed from the sets directly, for each seed.  For the seconds, the labels are repeated under new
ids; where the machine is busy, those of the processor are what the work takes.

Prints a table and, in the last line, the same as JSON.
"""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import markdown
from benchmarks.command import run_benchmark
from benchmarks.time_and_memory import peak_memory, timed
from replearn.concepts.table import ConceptTable, read_concepts
from replearn.concepts.vocabulary import frequent_pairs, vocabulary
from replearn.console import say
from replearn.imageclef import (
    Edition,
    evaluate_run,
    merge_runs,
    validate_run,
    write_run,
)
from replearn.imageclef import edition as edition_of

Row = dict[str, Any]


def draw_labels(count: int, seed: int) -> ConceptTable:
    """Return labels with 1 to 24 of 1,751 concepts each, the n-th of them as frequent as 1 / n."""
    generator = np.random.default_rng(seed)
    weights = 1 / np.arange(1, 1752)
    sizes = np.minimum(1 + generator.poisson(2.2, count), 24)
    drawn = generator.choice(1751, int(sizes.sum()), p=weights / weights.sum())
    parts = np.split(drawn, np.cumsum(sizes)[:-1])
    concepts = [tuple(f"C{number:07d}" for number in np.unique(part)) for part in parts]
    return ConceptTable([f"image_{number:06d}" for number in range(count)], concepts)


def perturb(table: ConceptTable, seed: int) -> ConceptTable:
    """Return a run over the same images: a third of the concepts dropped, some others added."""
    generator = np.random.default_rng(seed)
    words = np.array(vocabulary(table))
    kept = iter(generator.random(int(table.counts.sum())) > 1 / 3)
    added = generator.choice(words, (len(table), 3)).tolist()
    numbers = generator.integers(0, 4, len(table)).tolist()
    concepts = [
        tuple(dict.fromkeys([c for c in true if next(kept)] + more[:number]))
        for true, more, number in zip(table.concepts, added, numbers, strict=True)
    ]
    return ConceptTable(table.ids, concepts)


def plain_f1(truth: ConceptTable, run: ConceptTable, edition: Edition) -> float:
    """Return the mean F1 straight from precision and recall of sets."""
    scores = []
    for true, found in zip(map(set, truth.concepts), map(set, run.concepts), strict=True):
        if not true and edition.empty == "skip":
            continue
        hits = len(true & found)
        precision, recall = hits / max(len(found), 1), hits / max(len(true), 1)
        both_empty = not true and not found
        f1 = 2 * precision * recall / (precision + recall) if hits else float(both_empty)
        scores.append(f1)
    return sum(scores) / len(scores)


def compare_scores(labels: ConceptTable, edition: Edition, seeds: int, work: Path) -> list[Row]:
    """Return the score of a run of each seed, and how far it is from that of plain sets."""
    rows: list[Row] = []
    truth = work / "truth"
    truth.write_text(write_run(labels.ids, labels.concepts, edition))
    for seed in range(seeds):
        run, path = perturb(labels, seed), work / "run"
        path.write_text(write_run(run.ids, run.concepts, edition))
        f1 = evaluate_run(path, truth, edition).f1
        difference = abs(f1 - plain_f1(labels, run, edition))
        rows.append({"seed": seed, "images": len(labels), "f1": f1, "difference": difference})
    return rows


def time_all(labels: ConceptTable, count: int, edition: Edition, work: Path) -> list[Row]:
    """Return the seconds of each task on so many images."""
    ids = [f"image_{number:06d}" for number in range(count)]
    table = ConceptTable(ids, [labels.concepts[n % len(labels)] for n in range(count)])
    run = perturb(table, 0)
    truth, path = work / "truth", work / "run"
    truth.write_text(write_run(ids, table.concepts, edition))
    path.write_text(write_run(ids, run.concepts, edition))
    words = vocabulary(table)
    tasks: dict[str, Callable[[], object]] = {
        "read the truth": lambda: read_concepts(truth),
        "validate": lambda: validate_run(path, ids, edition),
        "score": lambda: evaluate_run(path, truth, edition),
        "write": lambda: write_run(ids, run.concepts, edition),
        "merge two runs": lambda: merge_runs({truth: table, path: run}, "union"),
        "count pairs of concepts": lambda: sum(1 for _ in frequent_pairs(run, words)),
    }
    return [_timed(task, count, do) for task, do in tasks.items()]


def _timed(task: str, images: int, do: Callable[[], object]) -> Row:
    _, duration = timed(do)
    say(f"{images:,} images, {task}: {duration.seconds:.2f} s")
    return {
        "task": task,
        "images": images,
        "seconds": duration.seconds,
        "processor_seconds": duration.processor,
    }


def to_markdown(rows: list[Row]) -> str:
    """Return the table for people."""
    return markdown.table(
        ["task", "images", "seconds", "CPU seconds"],
        [
            [row["task"], row["images"], f"{row['seconds']:.2f}", f"{row['processor_seconds']:.2f}"]
            for row in rows
        ],
    )


def main(
    concepts: Annotated[Path | None, typer.Option(help="Labels, a file of any layout.")] = None,
    edition: Annotated[int, typer.Option(help="Whose rules hold.")] = 2024,
    images: Annotated[list[int], typer.Option(help="How many are timed.")] = [10_000, 100_000],  # noqa: B006
    seeds: Annotated[int, typer.Option(help="How many runs are compared.")] = 10,
) -> None:
    """Compare scores and time the work; print a table and, in the last line, JSON."""
    rules = edition_of(edition)
    labels = read_concepts(concepts) if concepts else draw_labels(10_000, 0)
    with tempfile.TemporaryDirectory() as folder:
        compared = compare_scores(labels, rules, seeds, Path(folder))
        rows = [row for count in images for row in time_all(labels, count, rules, Path(folder))]
    largest = max(row["difference"] for row in compared)
    chain = {"read the truth", "validate", "score"}
    totals = {
        kind: {
            str(count): sum(r[kind] for r in rows if r["images"] == count and r["task"] in chain)
            for count in images
        }
        for kind in ("seconds", "processor_seconds")
    }
    print(to_markdown(rows))
    print(
        f"{seeds} runs over {len(labels):,} images of {edition}: F1 "
        f"{min(row['f1'] for row in compared):.4f} to {max(row['f1'] for row in compared):.4f}, "
        f"at most {largest:.1e} from that of plain sets"
    )
    print(
        json.dumps(
            {
                "benchmark": "imageclef",
                "edition": edition,
                "difference": largest,
                "read_validate_score": totals,
                "peak_mib": peak_memory(),
                "scores": compared,
                "rows": rows,
            }
        )
    )


if __name__ == "__main__":
    run_benchmark(main)
