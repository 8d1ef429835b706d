"""The settings of a detector, the scoring it is chosen for, and the machines it is fitted on."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from replearn.detection.decisions.rules import RuleName
from replearn.detection.decisions.scores import check_scoring
from replearn.detection.voting import Kind
from replearn.errors import UsageError
from replearn.metrics import EmptyRule
from replearn.neighbors.engine import Metric

Method = Literal["linear", "knn", "fused", "constant", "zero-shot"]
Penalty = Literal["l2", "l1", "elasticnet"]


class DetectorSettings(BaseModel):
    """The settings of a detector; a setting that its method does not know has no effect.

    Attributes:
        method: logistic regression, nearest neighbours, both fused, the same for every image, or
            from the names of concepts, see `fit_zero_shot`.
        concepts: linear, fused: how many of the most frequent concepts the regression learns.
        penalty: linear, fused: on the squares of the weights, their sizes, or both.
        refit: linear: whether it is fitted again in the end, on the validation images too.
        vote: knn, fused: how neighbours weigh; `auto` is the best on validation.
        neighbours: knn, fused: their number; None is the best on validation.
        metric: knn, fused: of the distances.
        rule: what decides which concepts are named; `auto` is the best on validation.

    Raises:
        pydantic.ValidationError: a setting is not known or does not fit.

    Example:
        >>> settings = replearn.DetectorSettings(method="knn", neighbours=5)
        >>> pair = (features, concepts)
        >>> replearn.fit_detector(pair, (features, chosen_on), settings).scorer.vote.k
        5
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Method = "linear"
    concepts: int = Field(500, gt=0)
    penalty: Penalty = "l2"
    refit: bool = False
    vote: Literal["auto", Kind] = "auto"
    neighbours: int | None = Field(None, gt=0)
    metric: Metric = "cosine"
    rule: Literal["auto", RuleName] = "auto"

    @model_validator(mode="before")
    @classmethod
    def _null_is_the_default(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _refit_is_for_linear(self) -> "DetectorSettings":
        if self.refit and self.method != "linear":
            raise UsageError(f"refit: only for method linear, not {self.method}")
        return self

    @property
    def uses_regression(self) -> bool:
        """True if the method has a logistic regression."""
        return self.method in ("linear", "fused")

    @property
    def uses_neighbours(self) -> bool:
        """True if the method searches neighbours."""
        return self.method in ("knn", "fused")

    def with_default_concepts(self, concepts: int) -> "DetectorSettings":
        """Return these settings with this number of concepts, unless they set another one."""
        if "concepts" in self.model_fields_set:
            return self
        return self.model_copy(update={"concepts": concepts})


@dataclass(frozen=True)
class Scoring:
    """The scoring of predictions, as by an edition of ImageCLEF.

    Attributes:
        empty: what an image without true concepts counts, see `metrics.f1_per_image`.
        limit: at most this many concepts for an image.

    Raises:
        DataError: `empty` is not known, or `limit` is no number of concepts.

    Example:
        >>> rules = replearn.imageclef.edition(2024)
        >>> scoring = replearn.Scoring(empty=rules.empty, limit=rules.max_concepts)
        >>> pair = (features, concepts)
        >>> detector = replearn.fit_detector(pair, (features, chosen_on), scoring=scoring)
    """

    empty: EmptyRule = "skip"
    limit: int | None = None

    def __post_init__(self) -> None:
        check_scoring(self.empty, self.limit)


@dataclass(frozen=True)
class Resources:
    """The processes or the device that a logistic regression is fitted on.

    Attributes:
        jobs: processes that share the concepts.
        cluster: `ray`, or the address of a Ray cluster, whose processes they are.
        device: where torch computes, as `cuda`; None for NumPy.

    Raises:
        UsageError: both a cluster and a device are given.

    Example:
        >>> resources = replearn.Resources(jobs=2)
        >>> pair = (features, concepts)
        >>> detector = replearn.fit_detector(pair, (features, chosen_on), resources=resources)
    """

    jobs: int = 1
    cluster: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.cluster and self.device:
            raise UsageError(
                f"--device {self.device}: with --cluster its processors compute; leave one out"
            )
