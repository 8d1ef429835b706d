"""The task of a detector: images to learn from, images to choose on, and how both are scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.arrays import Vectors
from replearn.artefacts.identity import check_same
from replearn.concepts.groups import group_keys, match_groups
from replearn.concepts.table import ConceptTable, read_concepts, read_names
from replearn.concepts.vocabulary import check_known, multi_hot
from replearn.console import warn
from replearn.detection.decisions.scores import ScoredImages, Scores
from replearn.detection.decisions.threshold import Threshold, best_constant, tune_threshold
from replearn.detection.settings import Scoring
from replearn.detection.zero_shot import ConceptTexts
from replearn.errors import DataError, some_of
from replearn.features import Features
from replearn.matching import match_names
from replearn.metrics import EmptyRule

_FOLDS = 5


@dataclass(frozen=True)
class LabelledFeatures:
    """Features with the concepts of the same images.

    Attributes:
        vectors: float [N, D].
        concepts: of the same N images.
        identity: of the features that the vectors were taken from.
        encoder: identity of their encoder, None if not known.
        name: of the features in messages, as their path.
        left_out: number of images with concepts but without features.
    """

    vectors: Vectors
    concepts: ConceptTable
    identity: str = ""
    encoder: str | None = None
    name: str = "features"
    left_out: int = 0

    @classmethod
    def join(
        cls, features: Features, table: ConceptTable, name: str, table_name: str
    ) -> "LabelledFeatures":
        """Join features and concepts by id; features without concepts are left out.

        Ids are matched as `match_names` does, and become those of the features.  Concepts without
        features are left out with a warning.

        Args:
            features: of images, some of which may not be in the table.
            table: the concepts of images.
            name: of the features in messages.
            table_name: of the table in messages.

        Raises:
            DataError: no image has both.
        """
        if not len(features):
            raise DataError(f"{name}: has no images; extract features again")
        if not len(table):
            raise DataError(f"{table_name}: has no images; give the concepts of some")
        meant = match_names(table.ids, features.ids, table_name)
        if not meant:
            raise DataError(
                f"{table_name}: none of its {len(table)} ids has features in {name} "
                f"({table.ids[0]!r} there, {features.ids[0]!r} here)"
            )
        if len(meant) < len(table):
            missing = [id_ for id_ in table.ids if id_ not in meant]
            warn(
                f"{table_name}: {len(missing)} of {len(table)} images have no features in {name} "
                f"and are not used ({some_of(missing)})"
            )
        concepts = ConceptTable([*meant.values()], table.select([*meant]).concepts)
        vectors = features.vectors_of(concepts.ids)
        left_out = len(table) - len(meant)
        identity, encoder = features.identity, features.encoder
        return cls(vectors, concepts, identity, encoder, name, left_out)


@dataclass(frozen=True)
class DetectionTask:
    """The images that a detector is fitted on, and the scoring of its predictions.

    Attributes:
        train: what the scorer learns from.
        valid: what its settings and the rule are chosen on.
        empty: what an image without true concepts counts.
        limit: at most this many concepts for an image.
        groups: the group (patient, study) of each id; an id without one is on its own.
        texts: of concepts, for detection from their names.
    """

    train: LabelledFeatures
    valid: LabelledFeatures
    empty: EmptyRule
    limit: int | None = None
    groups: Mapping[str, str] | None = None
    texts: ConceptTexts | None = None

    def check_features(self) -> None:
        """Refuse training and validation features of different encoders or widths.

        Raises:
            DataError: they differ; where an encoder is not known, there is a warning.
        """
        train, valid = self.train, self.valid
        check_same(train.encoder, valid.encoder, f"the encoder of {valid.name} and of {train.name}")
        width, other = train.vectors.shape[1], valid.vectors.shape[1]
        if width != other:
            raise DataError(
                f"{valid.name}: features of width {other}, those of {train.name} have {width}; "
                "extract both with the same encoder"
            )

    def check_concepts(self, name: str, train_name: str) -> None:
        """Warn of validation concepts that no training image shows, and refuse such alone.

        Args:
            name: of the validation concepts in messages.
            train_name: of the training concepts in messages.

        Raises:
            DataError: none is known.
        """
        check_known(self.valid.concepts, self.train.concepts, name, train_name)

    def with_groups(self, groups: Mapping[str, str], name: str) -> "DetectionTask":
        """Return the task with the groups of its images; a warning counts images without one.

        Args:
            groups: by any names of the images, see `match_names`.
            name: of the groups in messages.

        Raises:
            DataError: no image has a group, or a name is in doubt.
        """
        ids = dict.fromkeys([*self.train.concepts.ids, *self.valid.concepts.ids])
        groups = match_groups(groups, ids, name)
        without = sorted(id_ for id_ in ids if id_ not in groups)
        if len(without) == len(ids):
            raise DataError(
                f"{name}: has a group for none of the {len(ids)} images, such as {without[0]!r}; "
                "write the ids as in the concept tables"
            )
        if without:
            warn(
                f"{name}: {len(without)} of {len(ids)} images have no group and are one each "
                f"({some_of(without)})"
            )
        return replace(self, groups=groups)

    def scored(
        self, scores: Scores, vocabulary: Sequence[str], truth: sparse.csr_array | None = None
    ) -> ScoredImages:
        """Return the validation images with these scores.

        Args:
            scores: of the concepts of the vocabulary [M, L].
            vocabulary: the concepts [L].
            truth: 0/1 [M, L], where it is at hand.
        """
        truth = multi_hot(self.valid.concepts, vocabulary) if truth is None else truth
        return ScoredImages(scores, truth, self.valid.concepts.counts, self.empty, self.limit)

    def threshold(
        self, scores: Scores, vocabulary: Sequence[str], truth: sparse.csr_array | None = None
    ) -> Threshold:
        """Return the best threshold for scores of the validation images, without the limit.

        The arguments are those of `scored`.
        """
        return tune_threshold(replace(self.scored(scores, vocabulary, truth), limit=None))

    def constant(self, vocabulary: Sequence[str]) -> list[int]:
        """Return the columns of the best constant prediction on the training images."""
        concepts = self.train.concepts
        truth = multi_hot(concepts, vocabulary)
        columns, _ = best_constant(truth, concepts.counts, empty=self.empty, limit=self.limit)
        return columns

    def folds(self) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Return pairs of training rows to learn from and validation rows to score by them.

        One pair of all rows, unless an image or a group is in both parts: then in folds that keep
        them apart.

        Raises:
            DataError: there is no other image or group to learn from.
        """
        train, valid = (
            group_keys(part.concepts.ids, self.groups) for part in (self.train, self.valid)
        )
        if not set(train) & set(valid):
            return [(np.arange(len(train)), np.arange(len(valid)))]
        keys, number = np.unique(np.array([*train, *valid], dtype=object), return_inverse=True)
        fold = (np.random.default_rng(0).permutation(len(keys)) % _FOLDS)[number]
        of_train, of_valid = fold[: len(train)], fold[len(train) :]
        folds = [
            (np.flatnonzero(of_train != n), np.flatnonzero(of_valid == n))
            for n in np.unique(of_valid).tolist()
        ]
        if not all(len(rows) for rows, _ in folds):
            raise DataError(
                "too few images or groups in common to training and validation: nothing is left to "
                "learn from where each is judged by the others; give others to validate on"
            )
        return folds


def load_task(
    train: tuple[Path, Path],
    valid: tuple[Path, Path],
    scoring: Scoring,
    *,
    groups: Path | None = None,
    read: Callable[[Path], ConceptTable] = read_concepts,
) -> DetectionTask:
    """Read a task from files, with warnings of what has no counterpart.

    Args:
        train: a features file and a concept file, to learn from.
        valid: the same to choose on.
        scoring: how predictions are scored.
        groups: a file of the group of each id.
        read: reads the concept files.

    Raises:
        DataError: a file cannot be read, or two of them do not belong together.
    """
    learned_from, chosen_on = (_load_labelled(*part, read) for part in (train, valid))
    task = DetectionTask(learned_from, chosen_on, scoring.empty, scoring.limit)
    task.check_features()
    return task if groups is None else task.with_groups(read_names(groups), str(groups))


def _load_labelled(
    path: Path, concepts_path: Path, read: Callable[[Path], ConceptTable]
) -> LabelledFeatures:
    features, table = Features.load(path), read(concepts_path)
    labelled = LabelledFeatures.join(features, table, str(path), str(concepts_path))
    without = len(features) - len(labelled.concepts)
    if without:
        warn(
            f"{path}: {without} of {len(features)} images have no line in {concepts_path} and are "
            "not used"
        )
    return labelled
