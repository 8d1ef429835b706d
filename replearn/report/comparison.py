"""The report of a comparison: who is ahead, by how much, at which threshold, and on what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from replearn.comparison.results import Result, by_name, chosen, differences, summary
from replearn.report import predictions
from replearn.report.figures import DASHES, MARKERS, MUTED, PAPER, SERIES, draw
from replearn.report.page import Absent, Figure, Page, Panel, Table
from replearn.report.predictions import Predictions


@dataclass(frozen=True)
class Curve:
    """What a detector reaches on validation at each global threshold.

    Attributes:
        thresholds: rising [T].
        f1: mean F1 at each [T].
        chosen: the threshold that was chosen.
    """

    thresholds: NDArray[np.float64]
    f1: NDArray[np.float64]
    chosen: float


def page(
    results: Sequence[Result],
    *,
    part: str,
    curves: Mapping[str, Mapping[str, Curve]],
    predicted: Predictions | None,
) -> Page:
    """Return the report of a comparison.

    Args:
        results: of all encoders, detectors and seeds.
        part: the images that the scores are of, `test` or `valid`.
        curves: by encoder and detector, of one seed.
        predicted: by the one chosen on validation, None if they are not there.
    """
    best = chosen(results)
    seeds = len({result.seed for result in results})
    of_best = by_name(results)[best]
    panels: list[Panel | Absent] = [
        _chart(results, part),
        _table(results, part),
        _ahead(results, part),
        _thresholds(curves),
        *predictions.panels(best, part, of_best[0].per_image, predicted),
    ]
    f1 = np.mean([result.f1 for result in of_best])
    lead = (
        f"{best} did best on the validation images. Everything below is about "
        f"{'the test' if part == 'test' else 'the same validation'} images, unless it says so."
    )
    facts = [
        ("chosen on validation", best),
        (f"its mean F1 on {part}", f"{f1:.3f}"),
        ("images", f"{len(results[0].per_image):,}"),
        ("trainings of each encoder", str(seeds)),
    ]
    return Page("Comparison", lead, facts, panels)


def _table(results: Sequence[Result], part: str) -> Panel:
    head, rows = summary(results, part=part)
    marked = list(by_name(results)).index(chosen(results))
    text = (
        "Mean F1 over images, with the 95 % bootstrap interval over images; where there are "
        "several trainings, their mean ± standard deviation. The bold row was chosen on "
        "validation."
    )
    return Panel("Table", [text], [Table("Encoders and detectors", head, rows, marked)])


def _ahead(results: Sequence[Result], part: str) -> Panel | Absent:
    head, rows = differences(results)
    title = "How far ahead"
    if not rows:
        return Absent(title, "there is only one detector.")
    text = (
        f"{chosen(results)} against each other one, image by image on {part}. An interval that "
        "holds 0 says that the images are too few to tell the two apart."
    )
    return Panel(title, [text], [Table("Differences of mean F1", head, rows)])


def _chart(results: Sequence[Result], part: str) -> Panel:
    groups = [group for group in by_name(results).values() if group[0].encoder != "none"]
    encoders = list(dict.fromkeys(group[0].encoder for group in groups))
    detectors = list(dict.fromkeys(group[0].detector for group in groups))
    floor = _floor(results)
    bounds = [bound for group in groups for result in group for bound in result.interval]
    # From far off the line would squeeze all that is to be compared.
    near = [f1 for f1 in floor if min(bounds) - f1 < max(bounds) - min(bounds)]

    def paint(axes: Axes) -> None:
        if near:
            axes.axvline(near[0], color=MUTED, linewidth=1.5, linestyle=(0, (4, 3)))
        for number, detector in enumerate(detectors):
            shown = [group for group in groups if group[0].detector == detector]
            shift = (number - (len(detectors) - 1) / 2) * 0.6 / max(len(detectors), 1)
            rows = [encoders.index(group[0].encoder) + shift for group in shown]
            _paint_intervals(axes, shown, rows, number, detector)
        axes.set_yticks(range(len(encoders)), encoders)
        axes.set_ylim(len(encoders) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(f"mean F1 on {part}")
        axes.figure.legend(loc="outside upper left", ncols=min(len(detectors), 4))

    reached = {group[0].name: np.mean([r.f1 for r in group]) for group in groups}
    alt = "Mean F1: " + ", ".join(f"{name} {f1:.3f}" for name, f1 in reached.items())
    row = 14 + 11 * len(detectors)
    drawing = draw(paint, alt=alt, width=460, height=90 + row * len(encoders))
    text = "Mean F1 of every encoder with every detector; bars are 95 % bootstrap intervals."
    if floor:
        where = "the dashed line" if near else "far below the others"
        text += f" The best constant prediction reaches {floor[0]:.3f}, {where}."
    return Panel("Mean F1", [text], [Figure(drawing, wide=True)])


def _floor(results: Sequence[Result]) -> list[float]:
    """Return the mean F1 of the constant prediction, if it was made."""
    found = [result.f1 for result in results if result.encoder == "none"]
    return [float(np.mean(found))] if found else []


def _paint_intervals(
    axes: Axes, groups: Sequence[list[Result]], rows: Sequence[float], number: int, label: str
) -> None:
    f1 = np.array([np.mean([r.f1 for r in group]) for group in groups])
    bounds = np.array([np.mean([r.interval for r in group], axis=0) for group in groups]).T
    place = number % len(SERIES)
    axes.errorbar(
        f1,
        rows,
        xerr=np.abs(bounds - f1),
        fmt=MARKERS[place],
        color=SERIES[place],
        markersize=7,
        elinewidth=2,
        label=label,
    )


def _thresholds(curves: Mapping[str, Mapping[str, Curve]]) -> Panel | Absent:
    title = "Thresholds"
    if not curves:
        reason = "the features and detectors of the comparison, or the validation concepts, are "
        return Absent(title, f"{reason} not where they were.")
    highest = max(c.f1.max() for of_encoder in curves.values() for c in of_encoder.values())
    figures = [_curves(name, found, float(highest)) for name, found in curves.items()]
    text = (
        "Mean F1 on the validation images when every concept that scores at least the threshold "
        "is named. The mark is the threshold that was chosen; a flat top says that it hardly "
        "matters. Scores of different detectors are not the same thing, so neither are their "
        "thresholds."
    )
    return Panel(title, [text], figures)


def _curves(encoder: str, found: Mapping[str, Curve], highest: float) -> Figure:
    def paint(axes: Axes) -> None:
        for number, (name, curve) in enumerate(found.items()):
            place = number % len(SERIES)
            axes.plot(
                curve.thresholds,
                curve.f1,
                color=SERIES[place],
                linestyle=DASHES[place],
                label=name,
            )
            top = float(np.interp(curve.chosen, curve.thresholds, curve.f1))
            axes.plot(
                [curve.chosen],
                [top],
                marker=MARKERS[place],
                color=SERIES[place],
                markeredgecolor=PAPER,
                markersize=9,
            )
        axes.set(xlim=(0, 1), ylim=(0, 1.1 * highest), xlabel="threshold", title=encoder)
        axes.legend(loc="lower center")  # curves fall at both ends

    tops = ", ".join(
        f"{name} {curve.f1.max():.3f} near {curve.chosen:.2f}" for name, curve in found.items()
    )
    drawing = draw(paint, alt=f"Mean F1 over thresholds of {encoder}: {tops}", height=270)
    return Figure(drawing)
