"""How fast neighbours are found: beside bare FAISS, from disk, and approximately.

    python -m benchmarks.neighbors                                   minutes, 2 cores, 3 GB
    python -m benchmarks.neighbors --rows 20000 --queries 1000 --approximate-rows 50000       quick
    python -m benchmarks.neighbors --rows 0 --factories ""                              tuning alone

Exact: the batch search of an opened index and bare FAISS's search of the same vectors, turn by
turn in one process each, both prepared before the clock starts except for the queries, and the
resident memory of the process that searches by replearn.  One query: opening a memory-mapped
index and one search, in a process that has imported what it needs, and the whole command
`replearn query INDEX ID`.  Approximate: recall@10 on queries that were never indexed, and queries
a second beside exact search, turn by turn; vectors are normal around centres that are normal.

Tuning of votes is described in `benchmarks/votes.py`.

Prints tables and, in the last line, the same as JSON.
"""

import json
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import faiss
import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks import markdown
from benchmarks.command import run_benchmark
from benchmarks.time_and_memory import MIB, peak_memory, ratios, timed
from replearn.console import say
from replearn.neighbors.build_index import index_vectors
from replearn.neighbors.faiss_engine import FaissEngine
from replearn.neighbors.storage import load_index, save_index

Row = dict[str, Any]
Matrix = NDArray[np.float32]


def draw(count: int, width: int, seed: int, centres: int) -> Matrix:
    """Return vectors around centres that depend on nothing but their number, float32 [N, D]."""
    middle = np.random.default_rng(0).standard_normal((centres, width), np.float32)
    generator = np.random.default_rng(seed + 1)
    vectors = generator.standard_normal((count, width), np.float32)
    vectors *= np.float32(0.7)
    for start in range(0, count, 65536):
        block = vectors[start : start + 65536]
        block += middle[generator.integers(centres, size=len(block))]
    return vectors


def seconds(run: Callable[[], object]) -> float:
    """Return how long a call takes."""
    return timed(run)[1].seconds


def take_turns(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> tuple[float, float, Row]:
    """Return the least seconds of two calls, and the ratios of the first to the second."""
    times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    mine, others = zip(*times, strict=True)
    return min(mine), min(others), ratios(mine, others)


def alone(run: Callable[..., Any], *words: Any) -> Any:
    """Return what a function returns in a process of its own, whose memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, words)


def make_index(folder: Path, rows: int, width: int, factory: str, recall: float) -> Row:
    """Build and save an index of synthetic vectors, and return what that took."""
    vectors, before = draw(rows, width, 0, _centres(rows)), peak_memory()
    ids = [f"image-{number:08d}" for number in range(rows)]
    index, built = timed(lambda: index_vectors(ids, vectors, factory=factory, recall=recall))
    save_index(folder, index)
    return {
        "build_seconds": built.seconds,
        "build_mib": peak_memory() - before,
        "file_mib": (folder / "index.faiss").stat().st_size / MIB,
        "effort": index.recall.effort if index.recall else {},
    }


def search_here(folder: Path, rows: int, width: int, queries: int, k: int) -> Row:
    """Return the memory of the process that opens an index and searches it once."""
    index, asked = load_index(folder), draw(queries, width, 1, _centres(rows))
    before = peak_memory()
    duration = seconds(lambda: index.search(asked, k))
    matrix = rows * width * 4 / MIB
    return {"seconds": duration, "mib": peak_memory(), "before_mib": before, "matrix_mib": matrix}


def search_in_turns(folder: Path, rows: int, width: int, queries: int, k: int, rounds: int) -> Row:
    """Return seconds of replearn and of bare FAISS, turn by turn."""
    index, asked = load_index(folder), draw(queries, width, 1, _centres(rows))
    flat = faiss.IndexFlatIP(width)
    assert isinstance(index.engine, FaissEngine)
    flat.add(index.engine.stored_vectors())

    def bare() -> None:
        normal = asked.copy()
        faiss.normalize_L2(normal)
        flat.search(normal, k)

    ours, theirs, compared = take_turns(lambda: index.search(asked, k), bare, rounds)
    return {"replearn": ours, "faiss": theirs, **compared}


def one_query(folder: Path, rows: int, width: int, rounds: int) -> Row:
    """Return seconds to open an index and answer one query, each time anew; and of the command."""
    asked = draw(1, width, 1, _centres(rows))
    opened = [seconds(lambda: load_index(folder).search(asked, 10)) for _ in range(rounds)]
    words = [sys.executable, "-m", "pipelines", "query", str(folder), "image-00000000"]

    def command() -> None:
        subprocess.run(words, check=True, capture_output=True)

    whole = [seconds(command) for _ in range(rounds)]
    return {
        "seconds": min(opened),
        "most": max(opened),
        "command": min(whole),
        "command_most": max(whole),
    }


def approximate(folder: Path, exact: Path, rows: int, width: int, queries: int, rounds: int) -> Row:
    """Return recall@10 on new queries, and queries a second beside exact search."""
    asked = draw(queries, width, 1, _centres(rows))
    index, truth = load_index(folder, mapped=False), load_index(exact)
    nearest = truth.search(asked, 10).rows
    found = index.search(asked, 10).rows
    shared = [len(set(a) & set(b)) for a, b in zip(found.tolist(), nearest.tolist(), strict=True)]
    slow, fast, compared = take_turns(
        lambda: truth.search(asked, 10), lambda: index.search(asked, 10), rounds
    )
    return {
        "recall_at_10": float(np.mean(shared)) / 10,
        "queries_a_second": queries / fast,
        "exact_queries_a_second": queries / slow,
        **compared,
    }


def _centres(rows: int) -> int:
    return max(rows // 1000, 10)


def to_markdown(result: Row) -> str:
    """Return the tables for people."""
    tables = []
    if "exact" in result:
        tables.append(_exact_table(result["exact"], result["memory"], result["one_query"]))
    if result["approximate"]:
        tables.append(_approximate_table(result["approximate"]))
    if "tuning" in result:
        tables.append(_tuning_table(result["tuning"]))
    return "\n".join(tables)


def _exact_table(exact: Row, memory: Row, one: Row) -> str:
    rows = [
        ["exact, replearn", f"{exact['replearn']:.2f}", f"{_between(exact, 3)} of FAISS"],
        ["exact, bare FAISS", f"{exact['faiss']:.2f}", ""],
        ["open and one query", f"{one['seconds']:.3f}", f"at most {one['most']:.3f}"],
        ["the command, one id", f"{one['command']:.2f}", f"at most {one['command_most']:.2f}"],
    ]
    return (
        f"{markdown.table(['search', 'seconds', 'beside'], rows)}\n"
        f"Resident: {memory['mib']:.0f} MiB for a matrix of {memory['matrix_mib']:.0f} MiB "
        f"({memory['mib'] / memory['matrix_mib']:.2f}).\n"
    )


def _approximate_table(rows: list[Row]) -> str:
    columns = ["factory", "recall@10", "queries/s", "exact queries/s", "ratio", "build s"]
    columns += ["build MiB", "file MiB", "effort"]
    return markdown.table(
        columns,
        [
            [
                row["factory"],
                f"{row['recall_at_10']:.3f}",
                f"{row['queries_a_second']:,.0f}",
                f"{row['exact_queries_a_second']:,.0f}",
                _between(row, 1),
                f"{row['build_seconds']:.0f}",
                f"{row['build_mib']:.0f}",
                f"{row['file_mib']:.0f}",
                str(row["effort"]),
            ]
            for row in rows
        ],
    )


def _tuning_table(tuning: Row) -> str:
    return markdown.table(
        ["tuning, given the neighbours", "seconds", "CPU seconds"],
        [
            [what, f"{tuning[key]['seconds']:.1f}", f"{tuning[key]['processor']:.1f}"]
            for key, what in (("vote", "k, weights and smoothing"), ("rule", "the decision rule"))
        ],
    )


def _between(row: Row, digits: int) -> str:
    median, least, most = (f"{row[key]:.{digits}f}" for key in ("ratio", "least", "most"))
    return f"{median} ({least} to {most})"


def main(
    rows: Annotated[int, typer.Option(help="Exact: vectors; 0 leaves it out.")] = 223_859,
    width: Annotated[int, typer.Option(help="Exact: their width.")] = 1024,
    queries: Annotated[int, typer.Option(help="Exact: queries.")] = 9938,
    k: Annotated[int, typer.Option("-k", help="Exact: neighbours.")] = 50,
    approximate_rows: Annotated[int, typer.Option(help="Approximate: vectors.")] = 1_000_000,
    approximate_width: Annotated[int, typer.Option(help="Approximate: their width.")] = 128,
    approximate_queries: Annotated[int, typer.Option(help="Approximate: queries.")] = 5000,
    factories: Annotated[
        str, typer.Option(help="Approximate: factory strings between `;`; none leaves it out.")
    ] = "IVF1024,Flat;HNSW32",
    recall: Annotated[float, typer.Option(help="Approximate: recall that is asked for.")] = 0.96,
    tuned: Annotated[
        int, typer.Option(help="Tuning: images to choose on; 0 leaves it out.")
    ] = 20_000,
    concepts: Annotated[int, typer.Option(help="Tuning: concepts.")] = 500,
    rounds: Annotated[int, typer.Option(help="How often each search is timed.")] = 3,
) -> None:
    """Time exact, single and approximate search, and the tuning of votes."""
    # Here: the processes whose memory is measured import this file, and neither joblib (for the
    # cores) nor scikit-learn (for the votes).
    from benchmarks.votes import tune
    from replearn.artefacts.workers import cores

    result: Row = {
        "benchmark": "neighbors",
        "cores": cores(),
        "threads": faiss.omp_get_max_threads(),
        "faiss": faiss.__version__,
        "sizes": [rows, width, queries, k],
        "approximate_sizes": [approximate_rows, approximate_width, approximate_queries],
        "approximate": [],
        "tuning_sizes": [tuned, concepts],
    }
    with tempfile.TemporaryDirectory() as folder:
        flat = Path(folder) / "flat"
        if rows:
            result["build"] = alone(make_index, flat, rows, width, "Flat", 1.0)
            say(f"built {rows:,} x {width:,} in {result['build']['build_seconds']:.1f} s")
            result["memory"] = alone(search_here, flat, rows, width, queries, k)
            result["exact"] = alone(search_in_turns, flat, rows, width, queries, k, rounds)
            say(f"exact search: {result['exact']['ratio']:.3f} of bare FAISS")
            result["one_query"] = alone(one_query, flat, rows, width, rounds + 2)
        sizes = (approximate_rows, approximate_width)
        named = [factory for factory in factories.split(";") if factory]
        if named:
            alone(make_index, Path(folder) / "exact", *sizes, "Flat", 1.0)
        for number, factory in enumerate(named):
            there = Path(folder) / f"approximate-{number}"
            made = alone(make_index, there, *sizes, factory, recall)
            words = (there, Path(folder) / "exact", *sizes, approximate_queries, rounds)
            row = {"factory": factory, **made, **alone(approximate, *words)}
            say(f"{factory}: recall {row['recall_at_10']:.3f}, {row['ratio']:.1f} x exact")
            result["approximate"].append(row)
    if tuned:
        result["tuning"] = tune(tuned, concepts)
        say(f"votes tuned in {result['tuning']['vote']['seconds']:.1f} s")
    print(to_markdown(result))
    print(json.dumps(result))


if __name__ == "__main__":
    run_benchmark(main)
