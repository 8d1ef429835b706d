"""What each decision rule is worth, on phantoms and on concepts of a user's file.

Scores are those of the library's detectors.  Rules are fitted on validation images and scored on
test images, with other images, another division and other noise for every seed.

phantoms    Pixels of 32 x 32, brought to 128 principal components.
even        Real lists of concepts with features that carry them: each concept has a direction of
            its own in 256 dimensions, an image is the sum of its concepts' directions and of
            noise, the same for all images.
uneven      The same with noise that is up to four times as strong in some images as in others:
            a detector is then too sure of some images and not sure enough of others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from benchmarks import markdown
from replearn.concepts.splitting.split import split
from replearn.concepts.table import ConceptTable, read_concepts
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.console import say
from replearn.detection.decisions.rules import (
    RULES,
    RuleName,
    choose_rule,
    compare_rules,
)
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.fit_scorers import FittedScorer, fit_linear, fit_neighbours
from replearn.detection.scorers import Scorer
from replearn.detection.task import DetectionTask, LabelledFeatures
from replearn.metrics import EmptyRule, bootstrap_interval, mean_score
from replearn.neighbors.build_index import index_vectors
from replearn.phantoms.rendering import render

Row = dict[str, Any]
Detector = Literal["linear", "knn-vote"]
DETECTORS: tuple[Detector, ...] = ("linear", "knn-vote")
_KS = (1, 2, 3, 5, 10, 20, 30, 50, 100)

EMPTY: EmptyRule = "match"  # as of the editions since 2022
LIMIT = 100  # concepts of an image, in the same editions
CONCEPTS = 500
_SHARE = 0.2  # of the images, for validation and as much for test
_DIMENSIONS = 256
_NOISE = 4.0  # its deviation; that of the concepts' directions is 1 in each dimension


@dataclass(frozen=True)
class Tried:
    """What the rules reached with one detector on one set of images and one seed.

    Attributes:
        data: which images.
        detector: whose scores.
        seed: of images, division and noise.
        chosen: the rule that was best on held-out validation images.
        f1: by each rule, the F1 of each test image [N]; NaN where it does not count.
    """

    data: str
    detector: Detector
    seed: int
    chosen: RuleName
    f1: dict[RuleName, NDArray[np.float64]]


def try_rules(data: str, images: LabelledFeatures, seed: int) -> list[Tried]:
    """Return what the rules reach with every detector on these images."""
    parts = _divide(images, seed)
    task = DetectionTask(parts["train"], parts["valid"], EMPTY, LIMIT)
    tried = []
    for detector in DETECTORS:
        fitted = _fit(detector, task)
        valid, test = (
            _score(fitted.scorer, fitted.vocabulary, parts[part]) for part in ("valid", "test")
        )
        rules = {name: rule.fit(valid) for name, rule in RULES.items()}
        f1 = {name: test.f1(rule.decide(test.scores, limit=LIMIT)) for name, rule in rules.items()}
        chosen = choose_rule(valid, compare_rules(valid)).name
        say(f"{data}, {detector}, seed {seed}: F1 {mean_score(f1[chosen]):.4f} by {chosen}")
        tried.append(Tried(data, detector, seed, chosen, f1))
    return tried


def phantoms(count: int, seed: int) -> LabelledFeatures:
    """Draw phantoms."""
    drawn = [render(number, seed, size=32, channels=1) for number in range(count)]
    pixels = np.stack([phantom.pixels.ravel() for phantom in drawn]).astype(np.float32)
    components = PCA(min(128, count // 2), random_state=0).fit_transform(pixels)
    ids = [str(number) for number in range(count)]
    table = ConceptTable(ids, [phantom.concepts for phantom in drawn])
    return LabelledFeatures(components.astype(np.float32), table)


def carrying(path: Path, seed: int, *, unevenness: float = 1.0) -> LabelledFeatures:
    """Return features that carry the concepts of a file, in noise more or less the same for all."""
    table = read_concepts(path)
    shown = multi_hot(table, vocabulary(table))
    generator = np.random.default_rng(seed)
    directions = generator.normal(size=(shown.shape[1], _DIMENSIONS)).astype(np.float32)
    strength = _NOISE * unevenness ** generator.uniform(-1, 1, size=(len(table), 1))
    noise = strength * generator.normal(size=(len(table), _DIMENSIONS))
    return LabelledFeatures((shown @ directions + noise).astype(np.float32), table)


def _divide(images: LabelledFeatures, seed: int) -> dict[str, LabelledFeatures]:
    row = {id_: number for number, id_ in enumerate(images.concepts.ids)}
    parts = split(images.concepts, valid=_SHARE, test=_SHARE, seed=seed)
    return {
        part: LabelledFeatures(images.vectors[[row[id_] for id_ in table.ids]], table)
        for part, table in parts.items()
    }


def _fit(detector: Detector, task: DetectionTask) -> FittedScorer:
    if detector == "linear":
        return fit_linear(task, top=CONCEPTS)
    learn = task.train
    index = index_vectors(learn.concepts.ids, learn.vectors, concepts=learn.concepts)
    return fit_neighbours(task, index, vote="similarity", ks=_KS, parameters=(1.0,), smoothings=())


def _score(scorer: Scorer, vocabulary: Sequence[str], images: LabelledFeatures) -> ScoredImages:
    truth = multi_hot(images.concepts, vocabulary)
    scores = scorer.scores(images.vectors)
    return ScoredImages(scores, truth, images.concepts.counts, EMPTY, LIMIT)


def summarise(tried: Sequence[Tried]) -> list[Row]:
    """Return one row for each rule, data and detector: means and deviations over seeds."""
    keys = dict.fromkeys((one.data, one.detector) for one in tried)
    return [
        _row(name, [one for one in tried if (one.data, one.detector) == key])
        for key in keys
        for name in RULES
    ]


def _row(name: RuleName, seeds: Sequence[Tried]) -> Row:
    f1 = [mean_score(one.f1[name]) for one in seeds]
    ahead = [one.f1[name] - one.f1["threshold"] for one in seeds]
    return {
        "data": seeds[0].data,
        "detector": seeds[0].detector,
        "rule": name,
        "f1": float(np.mean(f1)),
        "deviation": float(np.std(f1, ddof=1)) if len(f1) > 1 else None,
        "interval": np.mean([bootstrap_interval(one.f1[name]) for one in seeds], axis=0).tolist(),
        "ahead": float(np.mean([mean_score(one) for one in ahead])),
        "ahead_interval": np.mean([bootstrap_interval(one) for one in ahead], axis=0).tolist(),
        "chosen": sum(one.chosen == name for one in seeds),
        "seeds": len(seeds),
        "images": len(seeds[0].f1[name]),
    }


def to_markdown(rows: Sequence[Row]) -> str:
    """Return the table for people."""
    columns = ["data", "detector", "rule", "mean F1 on test", "95 % interval"]
    columns += ["over threshold", "95 % interval", "chosen"]
    return markdown.table(columns, map(_cells, rows), words=3)


def _cells(row: Row) -> list[str]:
    spread = "" if row["deviation"] is None else f" ± {row['deviation']:.4f}"
    low, high = row["interval"]
    less, more = row["ahead_interval"]
    is_baseline = row["rule"] == "threshold"
    return [
        *(row["data"], row["detector"], row["rule"]),
        f"{row['f1']:.4f}{spread}",
        f"{low:.4f} to {high:.4f}",
        "" if is_baseline else f"{row['ahead']:+.4f}",
        "" if is_baseline else f"{less:+.4f} to {more:+.4f}",
        f"{row['chosen']} of {row['seeds']}",
    ]
