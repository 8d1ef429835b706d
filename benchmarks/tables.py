"""Results of several seeds as a table: Markdown for people, rows for programs."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import markdown
from replearn.metrics import bootstrap_interval, mean_score

Row = dict[str, Any]

_DETECTORS = ("linear", "AUC", "neighbours", "fused")
_COLUMNS = (*_DETECTORS, "knn 1", "knn 11", "knn 20", "knn 200", "knn 1 l2")


def headline(scores: dict[str, float]) -> float:
    """Return the score that stands for all: what a line of progress and a figure have room for."""
    return next(scores[name] for name in ("fused", "linear", "knn 1 l2") if name in scores)


def summarise(rows: list[Row]) -> list[Row]:
    """Return one row for each data set, encoder and layer: means and deviations over seeds."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["encoder"], row["layer"]), []).append(row)
    return [
        {
            "dataset": dataset,
            "encoder": encoder,
            "layer": layer,
            "dimensions": group[0]["dimensions"],
            "seeds": len(group),
            "scores": {
                name: _mean_and_deviation([row["scores"][name] for row in group])
                for name in group[0]["scores"]
                if name != "C"
            },
            "intervals": {
                name: np.mean([row["intervals"][name] for row in group], axis=0).tolist()
                for name in group[0].get("intervals", ())
            },
            "C": sorted({row["scores"]["C"] for row in group if "C" in row["scores"]}),
            "train_seconds": float(np.mean([row["train_seconds"] for row in group])),
            "extract_seconds": float(np.mean([row["extract_seconds"] for row in group])),
        }
        for (dataset, encoder, layer), group in groups.items()
    ]


def _mean_and_deviation(values: list[float]) -> tuple[float, float | None]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def to_markdown(summary: list[Row]) -> str:
    """Return one table for each data set, the columns that it has."""
    return "\n".join(
        _table(dataset, [row for row in summary if row["dataset"] == dataset])
        for dataset in dict.fromkeys(row["dataset"] for row in summary)
    )


def _table(dataset: str, rows: list[Row]) -> str:
    scores = [column for column in _COLUMNS if any(column in row["scores"] for row in rows)]
    columns = ["encoder", "layer", "dims", *scores, "C", "seeds", "train s", "extract s"]
    cells = [
        [
            row["encoder"],
            "" if row["layer"] == "only" else row["layer"],
            str(row["dimensions"]),
            *(_spread(row["scores"][name], row["intervals"].get(name)) for name in scores),
            ", ".join(f"{strength:g}" for strength in row["C"]),
            str(row["seeds"]),
            f"{row['train_seconds']:.0f}",
            f"{row['extract_seconds']:.0f}",
        ]
        for row in rows
    ]
    return f"{dataset}\n\n{markdown.table(columns, cells, words=2)}"


def _spread(score: tuple[float, float | None], interval: list[float] | None) -> str:
    mean, deviation = score
    text = f"{mean:.2f}" if deviation is None else f"{mean:.2f} ± {deviation:.2f}"
    return f"{text} ({interval[0]:.1f} to {interval[1]:.1f})" if interval else text


def compare_with(reference: str, rows: list[Row]) -> str:
    """Return tables of how far each encoder is ahead of one, for data sets of images in groups.

    Images are compared one by one, their F1 averaged over seeds; intervals are of 95 %, by group.
    A data set without the reference has none.
    """
    folders = dict.fromkeys(row["dataset"] for row in rows if "per_image" in row)
    return "\n".join(
        _ahead(dataset, reference, [row for row in rows if row["dataset"] == dataset])
        for dataset in folders
        if any(row["encoder"] == reference for row in rows if row["dataset"] == dataset)
    )


def _ahead(dataset: str, reference: str, rows: list[Row]) -> str:
    named: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        named.setdefault((row["encoder"], row["layer"]), []).append(row)
    ours = next(group for (encoder, _), group in named.items() if encoder == reference)
    columns, groups = list(ours[0]["per_image"]), ours[0]["groups"]
    cells = [
        [
            encoder,
            "" if layer == "only" else layer,
            *(_lead(_of_images(group, c) - _of_images(ours, c), groups) for c in columns),
        ]
        for (encoder, layer), group in named.items()
        if group is not ours
    ]
    table = markdown.table(["encoder", "layer", *columns], cells, words=2)
    return f"{dataset}, ahead of {reference} (95 % interval)\n\n{table}"


def _of_images(group: list[Row], detector: str) -> NDArray[np.float64]:
    """Return the F1 of each image, in one order, averaged over seeds."""
    ids = list(group[0]["per_image"][detector])
    scores = [[row["per_image"][detector][id_] for id_ in ids] for row in group]
    return np.asarray(np.mean(scores, axis=0), np.float64)


def _lead(difference: NDArray[np.float64], groups: list[str]) -> str:
    low, high = bootstrap_interval(difference, groups=groups)
    return f"{mean_score(difference):+.2f} ({low:+.1f} to {high:+.1f})"
