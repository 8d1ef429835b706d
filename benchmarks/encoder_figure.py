"""Score against seconds: what each encoder is worth, and what it costs."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.tables import Row, headline

_INCHES = (7.0, 4.5)


def write_figures(summary: list[Row], folder: Path) -> list[Path]:
    """Write one figure for each data set and return the files.

    A point is the best layer of an encoder, with the seconds of fitting and extraction together.

    Args:
        summary: of `summarise`.
        folder: where `score-seconds-DATASET.png` goes.
    """
    paths = []
    for dataset in dict.fromkeys(row["dataset"] for row in summary):
        best: dict[str, Row] = {}
        for row in summary:
            known = best.get(row["encoder"])
            if row["dataset"] == dataset and (known is None or _score(row) > _score(known)):
                best[row["encoder"]] = row
        paths.append(folder / f"score-seconds-{dataset}.png")
        _draw(dataset, best, paths[-1])
    return paths


def _score(row: Row) -> float:
    return headline({name: mean for name, (mean, _) in row["scores"].items()})


def _draw(dataset: str, rows: dict[str, Row], path: Path) -> None:
    figure = Figure(_INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, row in rows.items():
        seconds, score = row["train_seconds"] + row["extract_seconds"], _score(row)
        axes.plot(max(seconds, 0.1), score, "o", color="#20639b")
        axes.annotate(name, (max(seconds, 0.1), score), (4, 3), textcoords="offset points")
    axes.set(xscale="log", xlabel="seconds of fitting and extraction", title=dataset)
    axes.set_ylabel(
        "fused F1, %" if "fused" in next(iter(rows.values()))["scores"] else "linear, %"
    )
    axes.grid(alpha=0.3)
    axes.margins(x=0.15)
    figure.savefig(path, dpi=120)
