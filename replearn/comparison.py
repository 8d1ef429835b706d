"""Encoders x detectors as tables: what each reached, and by how much the chosen one is ahead."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np

from replearn.metrics import bootstrap_interval, mean_score


@dataclass(frozen=True)
class Result:
    """What one detector on one encoder reached with one seed.

    Attributes:
        encoder: name of the encoder, `none` for the constant prediction.
        detector: `constant`, `linear`, `knn-union`, `knn-vote`, `fused`.
        f1: mean F1 on the images of `per_image`.
        interval: 95 % bootstrap interval of it over images.
        rule: what the detector decides by.
        threshold: the best global one on validation, whatever the rule is.
        seed: of the training.
        f1_valid: mean F1 on the validation images, which all choices were made on.
        concepts: size of the detector's vocabulary.
        per_image: F1 of each image by id; NaN where it does not count.
    """

    encoder: str
    detector: str
    f1: float
    interval: tuple[float, float]
    rule: str
    threshold: float
    seed: int
    f1_valid: float
    concepts: int
    per_image: dict[str, float] = field(repr=False, default_factory=dict)

    @property
    def name(self) -> str:
        """Encoder and detector, as a person would say it."""
        return self.detector if self.encoder == "none" else f"{self.encoder} + {self.detector}"

    def as_row(self) -> dict[str, Any]:
        """Return what `table.json` says of this result."""
        keys = (
            "encoder",
            "detector",
            "f1",
            "interval",
            "rule",
            "threshold",
            "seed",
            "f1_valid",
            "concepts",
        )
        return {key: getattr(self, key) for key in keys}


def to_markdown(results: Sequence[Result], *, part: str, floor: str = "constant") -> str:
    """Return the table of all results and the differences to the one chosen on validation.

    Args:
        results: of all encoders, detectors and seeds.
        part: the images that the scores are of, `test` or `valid`.
        floor: the detector that the others are compared with.
    """
    groups = _by_name(results)
    chosen = max(groups, key=lambda name: np.mean([r.f1_valid for r in groups[name]]))
    floors = [r.f1 for r in results if r.detector == floor]
    lines = [
        f"| encoder | detector | mean F1 on {part} | 95 % interval | over {floor} | "
        "F1 on validation | rule | threshold | concepts |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(group, float(np.mean(floors)), name == chosen) for name, group in groups.items()]
    lines += ["", f"{chosen}, chosen on validation, against the others on {part}:", ""]
    lines += ["| against | difference of mean F1 | 95 % interval |", "|---|---|---|"]
    lines += [
        _difference(groups[chosen], group, name) for name, group in groups.items() if name != chosen
    ]
    return "\n".join(lines) + "\n"


def _by_name(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Group the results of all seeds, in the order of the first."""
    names = list(dict.fromkeys(result.name for result in results))
    ordered = sorted(results, key=lambda result: names.index(result.name))
    return {name: list(group) for name, group in groupby(ordered, key=lambda r: r.name)}


def _row(group: list[Result], floor: float, chosen: bool) -> str:
    first = group[0]
    f1 = _spread([r.f1 for r in group])
    low, high = np.mean([r.interval for r in group], axis=0)
    cells = [
        first.encoder,
        first.detector,
        f"**{f1}**" if chosen else f1,
        f"{low:.3f} to {high:.3f}",
        f"{np.mean([r.f1 for r in group]) - floor:+.3f}",
        _spread([r.f1_valid for r in group]),
        ", ".join(sorted({r.rule for r in group})),
        f"{np.mean([r.threshold for r in group]):.3g}",
        str(first.concepts),
    ]
    return f"| {' | '.join(cells)} |"


def _spread(values: list[float]) -> str:
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.3f}"


def _difference(ours: list[Result], others: list[Result], name: str) -> str:
    """Compare image by image, each image's F1 averaged over the seeds first."""
    difference = _per_image(ours) - _per_image(others)
    low, high = bootstrap_interval(difference)
    return f"| {name} | {mean_score(difference):+.3f} | {low:+.3f} to {high:+.3f} |"


def _per_image(group: list[Result]) -> np.ndarray[Any, np.dtype[np.float64]]:
    ids = sorted(group[0].per_image)
    scores = [[result.per_image[id_] for id_ in ids] for result in group]
    return np.asarray(np.mean(scores, axis=0), dtype=np.float64)
