"""How long decisions take, and what each rule is worth.

    python -m benchmarks.decisions                                       a minute, on one core
    python -m benchmarks.decisions --quality [--concepts FILE]           some minutes

The first times the threshold over 25 million scores, beside the same search with one sort of all
of them, and expected F1 for 10,000 images of 500 concepts.  Scores are true probabilities, concept
j has the frequency 0.3 j^-0.9 + 0.001, and logits deviate by 1.5.  The second is described in
`benchmarks/decision_quality.py`; FILE is any list of concepts.

Prints a table and, in the last line, the same as JSON.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import sparse, special

from benchmarks import decision_quality, markdown
from benchmarks.command import run_benchmark
from benchmarks.time_and_memory import timed
from replearn.console import say
from replearn.detection.decisions.expected_f1 import best_numbers
from replearn.detection.decisions.rules import RULES, ExpectedF1
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.decisions.threshold import name_above, tune_threshold

Row = dict[str, Any]


def draw(count: int, width: int, seed: int) -> ScoredImages:
    """Return probabilities and a truth drawn by them."""
    generator = np.random.default_rng(seed)
    frequency = 0.3 * np.arange(1, width + 1) ** -0.9 + 0.001
    logits = generator.normal(size=(count, width)).astype(np.float32)
    logits = 1.5 * logits + special.logit(frequency).astype(np.float32)
    scores = special.expit(logits)
    shown = generator.random(scores.shape, dtype=np.float32) < scores
    truth = sparse.csr_array(shown.astype(np.float32))
    return ScoredImages(scores, truth, shown.sum(axis=1), "skip")


def plain_threshold(scores: NDArray[np.float32], truth: sparse.csr_array) -> float:
    """Return the best mean F1 of a threshold as it is found by sorting all scores at once."""
    width = scores.shape[1]
    order = np.argsort(-scores, axis=None)
    image = order // width
    hit = truth.toarray().ravel()[order]
    by_image = np.argsort(image, kind="stable")
    hits = np.cumsum(hit[by_image].reshape(scores.shape), axis=1, dtype=np.float64)
    counts = hits[:, -1:]
    f1 = 2 * hits / np.maximum(counts + np.arange(1, width + 1), 1)
    changes = np.empty(scores.size)
    changes[by_image] = np.diff(f1, axis=1, prepend=0.0).ravel()
    sums = np.cumsum(changes)
    value = scores.ravel()[order]
    ends = np.append(value[1:] != value[:-1], True)
    return float(sums[ends].max() / (counts > 0).sum())


def measure(images: int, decided: int, width: int, rounds: int) -> list[Row]:
    """Return what was done and the seconds it took, the least and the most of the rounds."""
    on = draw(images, width, 0)
    few = on.take(np.arange(min(decided, images)))
    dense = np.asarray(on.scores)
    stored = sparse.csr_array(np.where(dense > 0.01, dense, 0))
    flat = np.full(few.scores.shape, 0.01)
    ordered = -np.sort(-np.asarray(few.scores), axis=1)
    value = tune_threshold(on).value

    def tune(scores: Any) -> float:
        return tune_threshold(replace(on, scores=scores)).f1

    tasks: dict[str, Callable[[], object]] = {
        "threshold": lambda: tune(dense),
        "threshold, one sort of all": lambda: plain_threshold(dense, on.truth),
        "threshold, scores above 0.01 stored": lambda: tune(stored),
        "naming above a threshold": lambda: name_above(dense, value).nnz,
        "expected F1": lambda: best_numbers(ordered, empty="skip", beyond=0.5)[1].mean(),
        "expected F1, all concepts alike": lambda: best_numbers(flat, empty="skip")[1].mean(),
        "calibration and expected F1": lambda: ExpectedF1.fit(few).decide(few.scores).nnz,
        **{f"fitting {name}": partial(rule.fit, few) for name, rule in RULES.items()},
    }
    sizes = [on.scores.size, on.scores.size, stored.nnz, on.scores.size]
    sizes += [few.scores.size] * (len(tasks) - len(sizes))
    return [
        {"task": task, "scores": size, **_timed(task, run, rounds)}
        for (task, run), size in zip(tasks.items(), sizes, strict=True)
    ]


def _timed(task: str, run: Callable[[], object], rounds: int) -> Row:
    seconds = []
    for _ in range(rounds):
        result, duration = timed(run)
        seconds.append(duration.seconds)
    say(f"{task}: {min(seconds):.2f} s")
    number = float(result) if isinstance(result, int | float) else None
    return {"seconds": min(seconds), "most": max(seconds), "result": number}


def to_markdown(rows: list[Row]) -> str:
    """Return the table for people."""
    return markdown.table(
        ["task", "scores", "seconds", "slowest round"],
        [
            [row["task"], row["scores"], f"{row['seconds']:.2f}", f"{row['most']:.2f}"]
            for row in rows
        ],
    )


def main(
    images: Annotated[int, typer.Option(help="Whose threshold is tuned.")] = 50_000,
    decided: Annotated[
        int, typer.Option(help="Images that the other tasks are done for.")
    ] = 10_000,
    width: Annotated[int, typer.Option(help="Concepts.")] = 500,
    rounds: Annotated[int, typer.Option(help="How often each task is timed.")] = 3,
    quality: Annotated[bool, typer.Option("--quality", help="Measure F1, not seconds.")] = False,
    concepts: Annotated[
        Path | None, typer.Option(help="--quality: concept file that features are made for.")
    ] = None,
    phantoms: Annotated[int, typer.Option(help="--quality: how many are drawn.")] = 2400,
    seeds: Annotated[int, typer.Option(help="--quality: how often all is repeated.")] = 3,
) -> None:
    """Time decisions, or compare the rules; print a table and, in the last line, JSON."""
    if quality:
        tried = [one for seed in range(seeds) for one in _try_all(phantoms, concepts, seed)]
        summary = decision_quality.summarise(tried)
        print(decision_quality.to_markdown(summary))
        print(json.dumps({"benchmark": "decisions", "quality": summary}))
        return
    rows = measure(images, decided, width, rounds)
    print(to_markdown(rows))
    by_task = {row["task"]: row["seconds"] for row in rows}
    ratio = by_task["threshold, one sort of all"] / by_task["threshold"]
    print(json.dumps({"benchmark": "decisions", "ratio": ratio, "rows": rows}))


def _try_all(count: int, concepts: Path | None, seed: int) -> list[decision_quality.Tried]:
    sets = {"phantoms": decision_quality.phantoms(count, seed)}
    if concepts is not None:
        for name, unevenness in (("even", 1.0), ("uneven", 2.0)):
            sets[name] = decision_quality.carrying(concepts, seed, unevenness=unevenness)
    return [
        one for name, made in sets.items() for one in decision_quality.try_rules(name, made, seed)
    ]


if __name__ == "__main__":
    run_benchmark(main)
