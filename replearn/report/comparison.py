"""The page of a comparison: scores, differences, thresholds, and predictions of the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from replearn.comparison.results import (
    Protocol,
    Result,
    find_best,
    group_by_name,
    list_differences,
    summarise,
)
from replearn.report import predictions
from replearn.report.figures import DASHES, MARKERS, MUTED, PAPER, SERIES, draw
from replearn.report.page import Absent, Figure, Page, Panel, Table
from replearn.report.predictions import Predictions


@dataclass(frozen=True)
class Curve:
    """Mean F1 of a detector on the images that choices are made on, at each global threshold.

    Attributes:
        thresholds: rising [T].
        f1: mean F1 at each [T].
        threshold: that of the detector.
    """

    thresholds: NDArray[np.float64]
    f1: NDArray[np.float64]
    threshold: float


def build_page(
    results: Sequence[Result],
    protocol: Protocol,
    *,
    curves: Mapping[str, Mapping[str, Curve]],
    best_predictions: Predictions,
) -> Page:
    """Return the page of a comparison.

    Args:
        results: of all encoders, detectors and seeds.
        protocol: what they were chosen on and scored on.
        curves: by encoder and detector, of one seed; none if their files are not there.
        best_predictions: of the detector that did best where choices are made.
    """
    best, part = find_best(results), protocol.scored
    seeds = len({result.seed for result in results})
    best_results = group_by_name(results)[best]
    panels: list[Panel | Absent] = [
        _chart_panel(results, part),
        _table_panel(results, protocol),
        _difference_panel(results, protocol),
        _threshold_panel(curves, protocol.choice),
        *predictions.build_panels(best, part, best_results[0].per_image, best_predictions),
    ]
    f1 = np.mean([result.f1 for result in best_results])
    lead = (
        f"{best} did best on the {protocol.choice} images. Everything below is about the "
        f"{'test' if part == 'test' else 'validation'} images, unless it says so."
    )
    facts = [
        (f"chosen on {protocol.choice}", best),
        (f"its mean F1 on {part}", f"{f1:.3f}"),
        ("images", f"{len(results[0].per_image):,}"),
        ("trainings of each encoder", str(seeds)),
    ]
    return Page("Comparison", lead, facts, panels)


def _table_panel(results: Sequence[Result], protocol: Protocol) -> Panel:
    head, rows = summarise(results, protocol)
    marked = list(group_by_name(results)).index(find_best(results))
    text = (
        f"Mean F1 over images, with the 95 % bootstrap interval over {_drawn(protocol)}; where "
        "there are several trainings, their mean ± standard deviation. The bold row was chosen on "
        f"{protocol.choice}."
    )
    return Panel("Table", [text], [Table("Encoders and detectors", head, rows, marked)])


def _drawn(protocol: Protocol) -> str:
    return "groups of images, as their patients" if protocol.groups else "images"


def _difference_panel(results: Sequence[Result], protocol: Protocol) -> Panel | Absent:
    head, rows = list_differences(results, protocol)
    title = "How far ahead"
    if not rows:
        return Absent(title, "there is only one detector.")
    text = (
        f"{find_best(results)} against each other one, image by image on {protocol.scored}. An "
        "interval that holds 0 says that the images are too few to tell the two apart."
    )
    return Panel(title, [text], [Table("Differences of mean F1", head, rows)])


def _chart_panel(results: Sequence[Result], part: str) -> Panel:
    groups = [group for group in group_by_name(results).values() if group[0].encoder != "none"]
    encoders = list(dict.fromkeys(group[0].encoder for group in groups))
    detectors = list(dict.fromkeys(group[0].detector for group in groups))
    constant = _constant_f1(results)
    bounds = [bound for group in groups for result in group for bound in result.interval]
    # A line far below the intervals would squeeze them into a corner of the chart.
    near = [f1 for f1 in constant if min(bounds) - f1 < max(bounds) - min(bounds)]

    def paint(axes: Axes) -> None:
        if near:
            axes.axvline(near[0], color=MUTED, linewidth=1.5, linestyle=(0, (4, 3)))
        for number, detector in enumerate(detectors):
            rows_of_detector = [group for group in groups if group[0].detector == detector]
            shift = (number - (len(detectors) - 1) / 2) * 0.6 / max(len(detectors), 1)
            rows = [encoders.index(group[0].encoder) + shift for group in rows_of_detector]
            _paint_intervals(axes, rows_of_detector, rows, number, detector)
        axes.set_yticks(range(len(encoders)), encoders)
        axes.set_ylim(len(encoders) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"mean F1 on {part}")
        axes.figure.legend(loc="outside upper left", ncols=min(len(detectors), 4))

    means = {group[0].name: np.mean([r.f1 for r in group]) for group in groups}
    alt = "Mean F1: " + ", ".join(f"{name} {f1:.3f}" for name, f1 in means.items())
    row = 14 + 11 * len(detectors)
    drawing = draw(paint, alt=alt, width=460, height=90 + row * len(encoders))
    text = "Mean F1 of every encoder with every detector; bars are 95 % bootstrap intervals."
    if constant:
        where = "the dashed line" if near else "far below the others"
        text += f" The best constant prediction reaches {constant[0]:.3f}, {where}."
    return Panel("Mean F1", [text], [Figure(drawing, wide=True)])


def _constant_f1(results: Sequence[Result]) -> list[float]:
    """Return the mean F1 of the constant prediction, if there is one."""
    scores = [result.f1 for result in results if result.encoder == "none"]
    return [float(np.mean(scores))] if scores else []


def _paint_intervals(
    axes: Axes, groups: Sequence[list[Result]], rows: Sequence[float], number: int, label: str
) -> None:
    f1 = np.array([np.mean([r.f1 for r in group]) for group in groups])
    bounds = np.array([np.mean([r.interval for r in group], axis=0) for group in groups]).T
    series = number % len(SERIES)
    axes.errorbar(
        f1,
        rows,
        xerr=np.abs(bounds - f1),
        fmt=MARKERS[series],
        color=SERIES[series],
        markersize=7,
        elinewidth=2,
        label=label,
    )


def _threshold_panel(curves: Mapping[str, Mapping[str, Curve]], choice: str) -> Panel | Absent:
    title = "Thresholds"
    if not curves:
        reason = f"some features of {choice} images or detectors of the first training "
        return Absent(title, f"{reason}are not in the comparison's folder; run compare again.")
    highest = max(c.f1.max() for by_detector in curves.values() for c in by_detector.values())
    figures = [
        _curve_figure(encoder, by_detector, float(highest))
        for encoder, by_detector in curves.items()
    ]
    text = (
        f"Mean F1 on the {choice} images when every concept that scores at least the threshold "
        "is named. The mark is the threshold that was chosen; a flat top says that it hardly "
        "matters. Scores of different detectors are not the same thing, so neither are their "
        "thresholds."
    )
    return Panel(title, [text], figures)


def _curve_figure(encoder: str, curves: Mapping[str, Curve], highest: float) -> Figure:
    def paint(axes: Axes) -> None:
        for number, (name, curve) in enumerate(curves.items()):
            series = number % len(SERIES)
            axes.plot(
                curve.thresholds,
                curve.f1,
                color=SERIES[series],
                linestyle=DASHES[series],
                label=name,
            )
            top = float(np.interp(curve.threshold, curve.thresholds, curve.f1))
            axes.plot(
                [curve.threshold],
                [top],
                marker=MARKERS[series],
                color=SERIES[series],
                markeredgecolor=PAPER,
                markersize=9,
            )
        axes.set(xlim=(0, 1), ylim=(0, 1.1 * highest), xlabel="threshold", title=encoder)
        axes.legend(loc="lower center")  # curves fall at both ends

    tops = ", ".join(
        f"{name} {curve.f1.max():.3f} near {curve.threshold:.2f}" for name, curve in curves.items()
    )
    drawing = draw(paint, alt=f"Mean F1 over thresholds of {encoder}: {tops}", height=270)
    return Figure(drawing)
