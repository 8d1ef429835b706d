"""The report of a comparison: who is ahead, by how much, at which threshold, and on what."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from replearn.comparison import Result, by_name, chosen, differences, summary
from replearn.concepts import ConceptTable
from replearn.inline import image_url
from replearn.report.concept_scores import ConceptScore
from replearn.report.embeddings import Pictures
from replearn.report.figures import (
    DASHES,
    MARKERS,
    MUTED,
    PAPER,
    SERIES,
    draw,
    in_plain_powers,
)
from replearn.report.page import Absent, Card, Concept, Figure, Page, Panel, Strip, Table

_EXTREMES = 6


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


@dataclass(frozen=True)
class Predictions:
    """What the chosen detector says about the images that are scored.

    Attributes:
        truth: concepts of the images.
        predicted: what is named for each of the same images.
        concepts: how well each concept is found.
        names: of concepts by id.
        find_pictures: returns pixels uint8 [C, H, W] of those ids that it finds.
    """

    truth: ConceptTable
    predicted: ConceptTable
    concepts: Sequence[ConceptScore]
    names: Mapping[str, str] = field(default_factory=dict)
    find_pictures: Callable[[Sequence[str]], Pictures] = lambda ids: {}


def page(
    results: Sequence[Result],
    *,
    part: str,
    curves: Mapping[str, Mapping[str, Curve]],
    predictions: Predictions | None,
) -> Page:
    """Return the report of a comparison.

    Args:
        results: of all encoders, detectors and seeds.
        part: the images that the scores are of, `test` or `valid`.
        curves: by encoder and detector, of one seed.
        predictions: of the one chosen on validation, None if they are not there.
    """
    best = chosen(results)
    seeds = len({result.seed for result in results})
    panels: list[Panel | Absent] = [
        _chart(results, part),
        _table(results, part),
        _ahead(results, part),
        _thresholds(curves),
        *_about(best, part, predictions, results),
    ]
    f1 = np.mean([result.f1 for result in by_name(results)[best]])
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
        axes.figure.legend(loc="outside upper left", ncols=min(len(detectors), 3))

    reached = {group[0].name: np.mean([r.f1 for r in group]) for group in groups}
    alt = "Mean F1: " + ", ".join(f"{name} {f1:.3f}" for name, f1 in reached.items())
    drawing = draw(paint, alt=alt, width=460, height=90 + 46 * len(encoders))
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
        axes.legend(loc="lower right" if len(found) > 3 else "best")

    tops = ", ".join(
        f"{name} {curve.f1.max():.3f} near {curve.chosen:.2f}" for name, curve in found.items()
    )
    drawing = draw(paint, alt=f"Mean F1 over thresholds of {encoder}: {tops}", height=270)
    return Figure(drawing)


def _about(
    best: str, part: str, predictions: Predictions | None, results: Sequence[Result]
) -> list[Panel | Absent]:
    titles = ("Concepts", "Best images", "Worst images")
    if predictions is None:
        reason = "the run file of the chosen detector or the truth is not where it was."
        return [Absent(title, reason) for title in titles]
    per_image = by_name(results)[best][0].per_image
    best_ones, worst_ones = (
        _ranked(per_image, predictions.truth, sign)[:_EXTREMES] for sign in (-1, 1)
    )
    return [
        _concepts(best, part, predictions),
        _images("Best images", best, best_ones, per_image, predictions),
        _images("Worst images", best, worst_ones, per_image, predictions),
    ]


def _ranked(per_image: Mapping[str, float], truth: ConceptTable, sign: int) -> list[str]:
    """Return the ids that count, the best (-1) or the worst (1) first, then those of many concepts.

    Among equals an image with many concepts says more.
    """
    counts = dict(zip(truth.ids, truth.counts.tolist(), strict=True))
    counting = [id_ for id_, f1 in per_image.items() if not np.isnan(f1)]
    return sorted(counting, key=lambda id_: (sign * per_image[id_], -counts.get(id_, 0), id_))


def _concepts(best: str, part: str, predictions: Predictions) -> Panel | Absent:
    scores = [score for score in predictions.concepts if score.shown]
    if not scores:
        return Absent("Concepts", "no image that is scored shows any.")
    known = [score for score in scores if score.learnt]
    new = len(scores) - len(known)

    def paint(axes: Axes) -> None:
        in_plain_powers(axes)
        frequency = [score.learnt for score in known]
        axes.scatter(frequency, [s.f1 for s in known], s=34, color=SERIES[0], alpha=0.65)
        axes.plot(*_trend(known), color=SERIES[1], marker="s", label="mean of a range")
        axes.set(xlabel="training images that show it", ylabel="F1", ylim=(-0.03, 1.03))
        axes.legend(loc="best")

    text = [
        f"How well {best} finds each concept on {part}, against how many training images show it."
    ]
    if new:
        text.append(f"{new} concepts that no training image shows cannot be found at all.")
    never = sum(not score.named for score in known)
    text.append(f"{never} of {len(known)} concepts are never named.")
    mean = np.mean([s.f1 for s in known]) if known else 0.0
    alt = f"F1 of {len(known)} concepts against their frequency; their mean is {mean:.3f}"
    rows = [
        [
            predictions.names.get(s.concept, s.concept),
            s.concept,
            f"{s.learnt:,}",
            f"{s.shown:,}",
            f"{s.named:,}",
            f"{s.hits:,}",
            f"{s.f1:.3f}",
        ]
        for s in sorted(scores, key=lambda s: (-s.learnt, s.concept))
    ]
    head = ["concept", "id", "training images", f"{part} images", "named", "rightly", "F1"]
    figure = Figure(draw(paint, alt=alt, width=480, height=320), wide=True)
    return Panel("Concepts", text, [figure, Table("All concepts", head, rows, folded=True)])


def _trend(scores: Sequence[ConceptScore]) -> tuple[list[float], list[float]]:
    """Return the mean F1 of concepts of about the same frequency, doubling from range to range."""
    ranges: dict[int, list[ConceptScore]] = {}
    for score in scores:
        ranges.setdefault(int(np.log2(score.learnt)), []).append(score)
    groups = [ranges[key] for key in sorted(ranges)]
    middle = [float(np.exp(np.mean([np.log(s.learnt) for s in group]))) for group in groups]
    return middle, [float(np.mean([s.f1 for s in group])) for group in groups]


def _images(
    title: str,
    best: str,
    ids: Sequence[str],
    per_image: Mapping[str, float],
    predictions: Predictions,
) -> Panel | Absent:
    if not ids:
        return Absent(title, "no image counts.")
    truth = dict(zip(predictions.truth.ids, predictions.truth.concepts, strict=True))
    named = dict(zip(predictions.predicted.ids, predictions.predicted.concepts, strict=True))
    pictures = predictions.find_pictures(ids)
    cards = [
        Card(
            id_,
            image_url(pictures[id_].transpose(1, 2, 0)) if id_ in pictures else None,
            _compared(truth.get(id_, ()), named.get(id_, ()), predictions.names),
            f"F1 {per_image[id_]:.2f}",
        )
        for id_ in ids
    ]
    text = (
        f"What {best} says about them: ✓ found, ○ true but missed, ✕ named but not true. Among "
        "images that score alike those with many concepts come first."
    )
    missing = [] if pictures else ["The images are not where they were; give them with --images."]
    return Panel(title, [text, *missing], [Strip("", cards)])


def _compared(
    truth: Sequence[str], named: Sequence[str], names: Mapping[str, str]
) -> list[Concept]:
    states = {concept: "found" if concept in named else "missed" for concept in truth}
    states |= {concept: "wrong" for concept in named if concept not in truth}
    order = ["found", "missed", "wrong"]
    ranked = sorted(states, key=lambda concept: order.index(states[concept]))
    return [Concept(names.get(concept, concept), states[concept]) for concept in ranked]
