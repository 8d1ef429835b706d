"""Panels of predictions: the score of each concept, and the best and worst images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes

from replearn.concepts.table import ConceptTable
from replearn.report.concept_scores import ConceptScore
from replearn.report.figures import SERIES, draw, use_log_scale
from replearn.report.page import Absent, Card, Concept, Figure, Panel, Strip, Table
from replearn.report.pictures import FindPictures, find_none, picture_url

_EXTREMES = 6


@dataclass(frozen=True)
class Predictions:
    """Predictions of the chosen detector for the scored images, beside the truth.

    Attributes:
        truth: concepts of the images.
        predicted: concepts predicted for the same images.
        scores: of each concept.
        names: of concepts by id.
        find_pictures: returns pixels uint8 [C, H, W] of those ids that it finds.
    """

    truth: ConceptTable
    predicted: ConceptTable
    scores: Sequence[ConceptScore]
    names: Mapping[str, str] = field(default_factory=dict)
    find_pictures: FindPictures = find_none


def build_panels(
    best: str, part: str, per_image: Mapping[str, float], predictions: Predictions
) -> list[Panel | Absent]:
    """Return all panels about predictions.

    Args:
        best: name of the detector.
        part: the scored images, `test` or `valid`.
        per_image: F1 of each image by id, NaN where it does not count.
        predictions: of this detector.
    """
    best_ids, worst_ids = (
        _ranked(per_image, predictions.truth, sign)[:_EXTREMES] for sign in (-1, 1)
    )
    return [
        _concept_panel(best, part, predictions),
        _image_panel("Best images", best, best_ids, per_image, predictions),
        _image_panel("Worst images", best, worst_ids, per_image, predictions),
    ]


def _ranked(per_image: Mapping[str, float], truth: ConceptTable, sign: int) -> list[str]:
    """Return the ids that count, the best (-1) or the worst (1) first.

    Of images with the same score, those with many concepts come first: they tell more.
    """
    counts = dict(zip(truth.ids, truth.counts.tolist(), strict=True))
    counting = [id_ for id_, f1 in per_image.items() if not np.isnan(f1)]
    return sorted(counting, key=lambda id_: (sign * per_image[id_], -counts.get(id_, 0), id_))


def _concept_panel(best: str, part: str, predictions: Predictions) -> Panel | Absent:
    scores = [score for score in predictions.scores if score.true]
    if not scores:
        return Absent("Concepts", "no image that is scored shows any.")
    known = [score for score in scores if score.trained]
    new = len(scores) - len(known)

    def paint(axes: Axes) -> None:
        use_log_scale(axes)
        frequency = [score.trained for score in known]
        axes.scatter(frequency, [s.f1 for s in known], s=34, color=SERIES[0], alpha=0.65)
        axes.plot(*_trend(known), color=SERIES[1], marker="s", label="mean of a range")
        axes.set(xlabel="training images that show it", ylabel="F1", ylim=(-0.03, 1.03))
        axes.legend(loc="best")

    text = [
        f"How well {best} finds each concept on {part}, against how many training images show it."
    ]
    if new:
        text.append(f"{new} concepts that no training image shows cannot be found at all.")
    never = sum(not score.predicted for score in known)
    text.append(f"{never} of {len(known)} concepts are never named.")
    mean = np.mean([s.f1 for s in known]) if known else 0.0
    alt = f"F1 of {len(known)} concepts against their frequency; their mean is {mean:.3f}"
    rows = [
        [
            predictions.names.get(s.concept, s.concept),
            s.concept,
            f"{s.trained:,}",
            f"{s.true:,}",
            f"{s.predicted:,}",
            f"{s.hits:,}",
            f"{s.f1:.3f}",
        ]
        for s in sorted(scores, key=lambda s: (-s.trained, s.concept))
    ]
    head = ["concept", "id", "training images", f"{part} images", "named", "rightly", "F1"]
    figure = Figure(draw(paint, alt=alt, width=480, height=320), wide=True)
    return Panel("Concepts", text, [figure, Table("All concepts", head, rows, folded=True)])


def _trend(scores: Sequence[ConceptScore]) -> tuple[list[float], list[float]]:
    """Return the mean F1 of concepts of about the same frequency, doubling from range to range."""
    ranges: dict[int, list[ConceptScore]] = {}
    for score in scores:
        ranges.setdefault(int(np.log2(score.trained)), []).append(score)
    groups = [ranges[key] for key in sorted(ranges)]
    middle = [float(np.exp(np.mean([np.log(s.trained) for s in group]))) for group in groups]
    return middle, [float(np.mean([s.f1 for s in group])) for group in groups]


def _image_panel(
    title: str,
    best: str,
    ids: Sequence[str],
    per_image: Mapping[str, float],
    predictions: Predictions,
) -> Panel | Absent:
    if not ids:
        return Absent(title, "no image counts.")
    truth = dict(zip(predictions.truth.ids, predictions.truth.concepts, strict=True))
    predicted = dict(zip(predictions.predicted.ids, predictions.predicted.concepts, strict=True))
    pictures = predictions.find_pictures(ids)
    cards = [
        Card(
            id_,
            picture_url(pictures, id_),
            _marked_concepts(truth.get(id_, ()), predicted.get(id_, ()), predictions.names),
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


def _marked_concepts(
    truth: Sequence[str], predicted: Sequence[str], names: Mapping[str, str]
) -> list[Concept]:
    states = {concept: "found" if concept in predicted else "missed" for concept in truth}
    states |= {concept: "wrong" for concept in predicted if concept not in truth}
    order = ["found", "missed", "wrong"]
    ranked = sorted(states, key=lambda concept: order.index(states[concept]))
    return [Concept(names.get(concept, concept), states[concept]) for concept in ranked]
