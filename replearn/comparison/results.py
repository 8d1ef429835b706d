"""Results of encoders x detectors, and the tables of their scores and differences."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replearn.concepts.groups import group_keys, match_groups
from replearn.metrics import bootstrap_interval, mean_score

NO_ENCODER = "none"  # the encoder of the constant prediction, in tables
ENSEMBLE = "ensemble"  # that of an ensemble, whose members have several


@dataclass(frozen=True)
class Result:
    """The scores of one detector on one encoder with one seed.

    Attributes:
        encoder: name of the encoder, `none` for the constant prediction, `ensemble` for ensembles.
        detector: `constant`, `linear`, `knn-union`, `knn-vote`, `fused`, or the ensemble's name.
        f1: mean F1 on the images of `per_image`.
        interval: 95 % bootstrap interval of it over images, or over their groups.
        rule: decision rule of the detector.
        threshold: the best global one on the same images, whatever the rule is.
        seed: of the training.
        f1_valid: mean F1 on the images that all choices are made on, held out from the rule's.
        concepts: size of the detector's vocabulary.
        seconds: of training, extraction and detection together, when they were done.
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
    seconds: float = 0.0
    per_image: dict[str, float] = field(repr=False, default_factory=dict)

    @property
    def name(self) -> str:
        """Encoder and detector, as tables and messages name them."""
        return self.detector if self.encoder == NO_ENCODER else f"{self.encoder} + {self.detector}"

    @property
    def has_encoder(self) -> bool:
        """Whether it is of one encoder."""
        return self.encoder not in (NO_ENCODER, ENSEMBLE)

    def as_row(self) -> dict[str, Any]:
        """Return the row of this result in `table.json`."""
        return {name: value for name, value in vars(self).items() if name != "per_image"}


@dataclass(frozen=True)
class Protocol:
    """Which images a comparison scores, and which it makes its choices on.

    Attributes:
        scored: part whose scores the table shows, `test` or `valid`.
        chosen_on: part that settings, rules and the best detector are chosen on.
        groups: the group (patient, study) of images by id, which intervals go by.
    """

    scored: str
    chosen_on: str = "valid"
    groups: Mapping[str, str] = field(repr=False, default_factory=dict)

    @property
    def choice(self) -> str:
        """What tables and pages call the images that choices are made on."""
        return "validation" if self.chosen_on == "valid" else self.chosen_on

    def interval(self, ids: Sequence[str], scores: NDArray[np.float64]) -> tuple[float, float]:
        """Return the 95 % bootstrap interval of the mean of images' scores [N], by group."""
        if not self.groups:
            return bootstrap_interval(scores)
        groups = match_groups(self.groups, ids, "the groups")
        return bootstrap_interval(scores, groups=group_keys(ids, groups))


# F1 from a paper by encoder and detector.
PublishedScores = Mapping[str, Mapping[str, float]]


def to_markdown(
    results: Sequence[Result], protocol: Protocol, *, published: PublishedScores | None = None
) -> str:
    """Return the table of all results and the differences to the chosen one.

    Args:
        results: of all encoders, detectors and seeds.
        protocol: what they were chosen on and scored on.
        published: scores of a paper, for a column beside these.
    """
    best = find_best(results)
    head, rows = summarise(results, protocol, published=published)
    best_row = rows[list(group_by_name(results)).index(best)]
    best_row[2] = f"**{best_row[2]}**"
    caption = f"{best}, chosen on {protocol.choice}, against the others on {protocol.scored}:"
    differences = _markdown(*list_differences(results, protocol))
    return f"{_markdown(head, rows)}\n{caption}\n\n{differences}"


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    lines.insert(1, "|---" * len(head) + "|")
    return "".join(f"{line}\n" for line in lines)


def to_latex(
    results: Sequence[Result], protocol: Protocol, *, published: PublishedScores | None = None
) -> str:
    """Return the table of all results for a paper (package booktabs); arguments as `to_markdown`.

    The chosen one is bold.
    """
    head, rows = summarise(results, protocol, published=published)
    cells = [[_tex(cell) for cell in row] for row in (head, *rows)]
    best_row = cells[1 + list(group_by_name(results)).index(find_best(results))]
    best_row[2] = f"\\textbf{{{best_row[2]}}}"
    lines = [" & ".join(row) + r" \\" for row in cells]
    columns = "ll" + "r" * (len(head) - 2)
    body = [r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]) + "\n"


def to_csv(results: Sequence[Result]) -> str:
    """Return one line for each encoder, detector and seed, numbers as they are."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, result in enumerate(results):
        row = result.as_row()
        row["low"], row["high"] = row.pop("interval")
        if number == 0:
            writer.writerow(row)
        writer.writerow(row.values())
    return text.getvalue()


def summarise(
    results: Sequence[Result], protocol: Protocol, *, published: PublishedScores | None = None
) -> tuple[list[str], list[list[str]]]:
    """Return the heading and the rows of the table, one row for each encoder and detector.

    The rows are in the order of `group_by_name`; arguments as `to_markdown`.
    """
    baseline = float(np.mean([r.f1 for r in results if r.detector == "constant"]))
    head = ["encoder", "detector", f"mean F1 on {protocol.scored}", "95 % interval"]
    head += ["over constant", f"F1 on {protocol.choice}", "rule", "threshold"]
    head += ["concepts", "seconds"]
    groups = group_by_name(results).values()
    rows = [_row(group, baseline) for group in groups]
    if published:
        head.append("published F1 on test")
        for row, group in zip(rows, groups, strict=True):
            score = published.get(group[0].encoder, {}).get(group[0].detector)
            row.append("" if score is None else f"{score:.4f}")
    return head, rows


def list_differences(
    results: Sequence[Result], protocol: Protocol
) -> tuple[list[str], list[list[str]]]:
    """Return heading and rows of the lead of the best over each other one.

    Images are compared one by one, each image's F1 averaged over the seeds first.

    Args:
        results: of all encoders, detectors and seeds.
        protocol: what they were chosen on and scored on.
    """
    named = group_by_name(results)
    best = find_best(results)
    rows = [
        [name, *_difference(named[best], others, protocol)]
        for name, others in named.items()
        if name != best
    ]
    return ["against", "difference of mean F1", "95 % interval"], rows


def find_best(results: Sequence[Result]) -> str:
    """Return the encoder and detector with the highest mean F1 where choices are made."""
    groups = group_by_name(results)
    return max(groups, key=lambda name: np.mean([r.f1_valid for r in groups[name]]))


def find_best_encoder(results: Sequence[Result]) -> str:
    """Return the encoder of the detector that is best by `find_best` among those of one."""
    learned = [result for result in results if result.has_encoder]
    return group_by_name(learned)[find_best(learned)][0].encoder


def _tex(cell: str) -> str:
    for plain, written in (("%", r"\%"), ("_", r"\_"), ("±", r"$\pm$"), ("+", "$+$")):
        cell = cell.replace(plain, written)
    return cell if not cell.startswith("-") else f"${cell}$"


def group_by_name(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Group the results of all seeds, in the order of the first."""
    names = list(dict.fromkeys(result.name for result in results))
    ordered = sorted(results, key=lambda result: names.index(result.name))
    return {name: list(group) for name, group in groupby(ordered, key=lambda r: r.name)}


def _row(group: list[Result], baseline: float) -> list[str]:
    first = group[0]
    f1 = _spread([r.f1 for r in group])
    low, high = np.mean([r.interval for r in group], axis=0)
    return [
        first.encoder,
        first.detector,
        f1,
        f"{low:.3f} to {high:.3f}",
        f"{np.mean([r.f1 for r in group]) - baseline:+.3f}",
        _spread([r.f1_valid for r in group]),
        ", ".join(sorted({r.rule for r in group})),
        f"{np.mean([r.threshold for r in group]):.3g}",
        str(first.concepts),
        f"{np.mean([r.seconds for r in group]):,.0f}",
    ]


def _spread(values: list[float]) -> str:
    mean = f"{np.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.3f}"


def _difference(ours: list[Result], others: list[Result], protocol: Protocol) -> tuple[str, str]:
    difference = _per_image(ours) - _per_image(others)
    ids = sorted(ours[0].per_image)
    low, high = protocol.interval(ids, difference)
    return f"{mean_score(difference):+.3f}", f"{low:+.3f} to {high:+.3f}"


def _per_image(group: list[Result]) -> NDArray[np.float64]:
    ids = sorted(group[0].per_image)
    scores = [[result.per_image[id_] for id_ in ids] for result in group]
    return np.asarray(np.mean(scores, axis=0), dtype=np.float64)
