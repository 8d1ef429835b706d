"""The scorer of an ensemble: what it reads are the joined scores of its members."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Floats, Vectors
from replearn.artefacts.identity import check_same, identify
from replearn.detection.ensembles.combination import Combination
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.detection.ensembles.joining import ids_of, join, warn_of_lacking
from replearn.errors import DataError
from replearn.features import Features


@dataclass(frozen=True)
class Member:
    """A member of an ensemble.

    Attributes:
        name: of its scores when the ensemble was fitted, for messages.
        detector: identity of the detector whose scores they are, None if not known.
    """

    name: str
    detector: str | None


@dataclass(frozen=True)
class EnsembleScorer:
    """The combined probabilities of several detectors.

    Attributes:
        members: in the order of the weights [M].
        vocabulary: the concepts of all members [L].
        prior: the probability of each concept where a member does not say [L].
        combination: of the members' probabilities.
    """

    members: list[Member]
    vocabulary: list[str]
    prior: list[float]
    combination: Combination
    kind: str = "ensemble"

    def __str__(self) -> str:
        if self.combination.kind == "mean":
            return f"mean of {', '.join(member.name for member in self.members)}"
        pairs = zip(self.combination.weights, self.members, strict=True)
        return "log-linear, " + " + ".join(f"{weight:.2f} x {m.name}" for weight, m in pairs)

    @property
    def identity(self) -> str:
        """What the joined scores are of, in the place of an encoder."""
        return identify("joined", members=[m.detector for m in self.members], of=self.vocabulary)

    def join(
        self, members: Sequence[ConceptScores], names: Sequence[str] | None = None
    ) -> Features:
        """Return the scores of the members as features [N, M * L], for all images that one knows.

        Members are known by their detectors, in any order; those without an identity by their
        place.

        Args:
            members: score files [M] of the same detectors as those that the ensemble was fitted on.
            names: of them in messages.

        Raises:
            DataError: there are more or fewer, or one is of another detector.
        """
        names = list(names or (f"scores {n + 1}" for n in range(len(members))))
        order = self._order(members, names)
        members, names = [members[n] for n in order], [names[n] for n in order]
        ids = ids_of(members)
        joined = join(members, ids, self.vocabulary, np.array(self.prior, np.float32))
        warn_of_lacking(joined, names)
        vectors = joined.scores.reshape(len(ids), -1)
        made_of = identify("features", of=[member.identity for member in members])
        return Features(ids, vectors, made_of, _errors(members, ids), self.identity)

    def scores(self, vectors: Vectors) -> NDArray[np.float32]:
        """Return scores [N, L] for joined scores [N, M * L]."""
        return self.combination.combine(self.stacked(vectors))

    def stacked(self, vectors: Vectors) -> Floats:
        """Return joined scores [N, M * L] by member [N, M, L].

        Raises:
            DataError: they are of another width.
        """
        count, width = len(self.members), len(self.vocabulary)
        if vectors.shape[1] != count * width:
            raise DataError(
                f"features of width {vectors.shape[1]} for an ensemble of {count} members and "
                f"{width} concepts; give it the scores of its members"
            )
        return np.asarray(vectors).reshape(len(vectors), count, width)

    def save(self, folder: Path) -> dict[str, Any]:
        """Return the facts for `detector.json`; there are no arrays."""
        return {
            "members": [asdict(member) for member in self.members],
            "prior": self.prior,
            "combination": asdict(self.combination),
        }

    @classmethod
    def load(cls, folder: Path, facts: dict[str, Any]) -> "EnsembleScorer":
        """Open what `save` wrote."""
        members = [Member(**member) for member in facts["members"]]
        combination = Combination(**facts["combination"])
        return cls(members, facts["vocabulary"], facts["prior"], combination)

    def _order(self, members: Sequence[ConceptScores], names: Sequence[str]) -> list[int]:
        """Return which of the given is each member of the ensemble [M]."""
        if len(members) != len(self.members):
            raise DataError(
                f"{len(members)} score files for an ensemble of {len(self.members)}: give those of "
                + ", ".join(member.name for member in self.members)
            )
        wanted = [member.detector for member in self.members]
        given = [member.detector for member in members]
        if None in (*wanted, *given) or len(set(wanted)) < len(wanted):
            for own, detector, name in zip(self.members, given, names, strict=True):
                check_same(own.detector, detector, f"the detector of {name} and of {own.name}")
            return list(range(len(members)))
        for detector, name in zip(given, names, strict=True):
            if detector not in wanted:
                raise DataError(
                    f"{name}: scores of {detector}, which is no member of this ensemble; its "
                    f"members are {', '.join(f'{m.name} ({m.detector})' for m in self.members)}"
                )
        if len(set(given)) < len(given):
            twice = next(name for n, name in enumerate(names) if given[n] in given[:n])
            raise DataError(f"{twice}: another file is of the same detector; give each member once")
        return [given.index(detector) for detector in wanted]


def _errors(members: Sequence[ConceptScores], ids: Sequence[str]) -> list[tuple[str, str]]:
    """Return what no member could say anything about."""
    known = set(ids)
    errors = {id_: reason for member in members for id_, reason in member.errors}
    return [(id_, reason) for id_, reason in errors.items() if id_ not in known]
