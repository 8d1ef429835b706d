"""Results of several seeds as a table: Markdown for people, rows for programs."""

from typing import Any

import numpy as np

from benchmarks import markdown

Row = dict[str, Any]

_COLUMNS = ("linear", "knn 1", "knn 20", "knn 200", "knn 1 l2")


def headline(scores: dict[str, float]) -> float:
    """Return the score that one line of progress has room for."""
    return scores["linear"] if "linear" in scores else scores["knn 1 l2"]


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
            *(_spread(*row["scores"][column]) for column in scores),
            ", ".join(f"{strength:g}" for strength in row["C"]),
            str(row["seeds"]),
            f"{row['train_seconds']:.0f}",
            f"{row['extract_seconds']:.0f}",
        ]
        for row in rows
    ]
    return f"{dataset}\n\n{markdown.table(columns, cells, words=2)}"


def _spread(mean: float, deviation: float | None) -> str:
    return f"{mean:.2f}" if deviation is None else f"{mean:.2f} ± {deviation:.2f}"
