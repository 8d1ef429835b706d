"""Settings of a comparison: encoders x detectors, and published scores."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from replearn.comparison.results import ENSEMBLE, NO_ENCODER
from replearn.detection.ensembles.fit_ensemble import EnsembleSettings
from replearn.detection.settings import DetectorSettings
from replearn.encoders.configuration import Configuration, ImageSettings
from replearn.errors import UsageError
from replearn.settings import check_settings, find_settings, put_on, read_yaml

# Detectors that need no settings, by the names that tables give them.
DETECTORS: dict[str, DetectorSettings] = {
    "linear": DetectorSettings(),
    "knn-union": DetectorSettings(method="knn", vote="union"),
    "knn-vote": DetectorSettings(method="knn", vote="auto"),
    "fused": DetectorSettings(method="fused"),
}

# Names that a comparison has itself: of the encoder and the row of the constant prediction, and of
# what lies or is timed beside the detectors of an encoder.
_NO_ENCODERS = {NO_ENCODER: "no encoder", ENSEMBLE: "ensembles"}
_NO_DETECTORS = ("constant", "encoder", "index", "train", "tuning", "valid", "test")


class Published(BaseModel):
    """Scores from a paper, shown beside ours where the test list is the paper's by its length."""

    model_config = ConfigDict(extra="forbid")

    images: int
    f1: dict[str, dict[str, float]]


class Ensemble(EnsembleSettings):
    """Detectors to combine, by the names that tables give them, as `kmeans + fused`."""

    members: list[str] = Field(min_length=2)


def parts_of_name(member: str) -> tuple[str, str]:
    """Return encoder and detector of a name such as `kmeans + fused`."""
    encoder, _, detector = member.partition(" + ")
    return encoder, detector


class Comparison(BaseModel):
    """The settings of a comparison."""

    model_config = ConfigDict(extra="forbid")

    encoders: dict[str, Configuration] = Field(min_length=1)
    detectors: dict[str, DetectorSettings] = DETECTORS
    rows: dict[str, list[str]] = {}
    ensembles: dict[str, Ensemble] = {}
    images: ImageSettings = ImageSettings()
    concepts: int = Field(500, gt=0)
    edition: int = 2018
    published: Published | None = None

    @field_validator("detectors", mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        if not isinstance(given, list):
            return given
        unknown = [name for name in given if name not in DETECTORS]
        if unknown:
            known = ", ".join(DETECTORS)
            raise UsageError(f"{unknown[0]!r}: no such detector; known: {known}")
        return {name: DETECTORS[name] for name in given}

    @field_validator("ensembles", mode="before")
    @classmethod
    def _as_members(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {
            name: {"members": value} if isinstance(value, list) else value
            for name, value in given.items()
        }

    @field_validator("encoders")
    @classmethod
    def _check_encoders(cls, encoders: dict[str, Configuration]) -> dict[str, Configuration]:
        for name, what in _NO_ENCODERS.items():
            if name in encoders:
                raise UsageError(f"{name}: stands for {what} in tables; give another name")
        return encoders

    @field_validator("detectors")
    @classmethod
    def _check_detectors(
        cls, detectors: dict[str, DetectorSettings]
    ) -> dict[str, DetectorSettings]:
        for name, detector in detectors.items():
            if name in _NO_DETECTORS:
                raise UsageError(f"{name}: a comparison has its own {name}; give another name")
            if detector.method == "constant":
                raise UsageError(
                    f"{name}.method: 'constant' is in every table; give linear, knn or fused"
                )
        return detectors

    @model_validator(mode="after")
    def _check_rows(self) -> "Comparison":
        for encoder, detectors in self.rows.items():
            if encoder not in self.encoders:
                known = ", ".join(self.encoders)
                raise UsageError(f"rows.{encoder}: no such encoder; there are {known}")
            for name in detectors:
                if name not in self.detectors:
                    known = ", ".join(self.detectors)
                    raise UsageError(f"rows.{encoder}: no detector {name!r}; there are {known}")
        if not any(map(self.detectors_of, self.encoders)):
            raise UsageError("detectors: no encoder has any; give at least one")
        return self

    @model_validator(mode="after")
    def _check_ensembles(self) -> "Comparison":
        known = [f"{e} + {d}" for e in self.encoders for d in self.detectors_of(e)]
        for name, ensemble in self.ensembles.items():
            if name in _NO_DETECTORS:
                raise UsageError(f"ensembles.{name}: a comparison has its own {name}")
            for member in ensemble.members:
                if member not in known:
                    raise UsageError(
                        f"ensembles.{name}: no row {member!r}; there are {', '.join(known)}"
                    )
            if len(set(ensemble.members)) < len(ensemble.members):
                raise UsageError(f"ensembles.{name}: give each member once")
        return self

    def detectors_of(self, encoder: str) -> dict[str, DetectorSettings]:
        """Return the detectors to try on an encoder: those of its row, or all."""
        names = self.rows.get(encoder, self.detectors)
        return {name: self.detectors[name].with_default_concepts(self.concepts) for name in names}

    def form_of(self, encoder: str) -> ImageSettings:
        """Return the form of an encoder's images: its own, or that of all."""
        form = self.images.model_dump() | (self.encoders[encoder].images or {})
        return check_settings(ImageSettings, form, f"encoders.{encoder}.images")


def read_comparison(path: Path, overrides: Sequence[str] = ()) -> Comparison:
    """Read a comparison's configuration; an encoder may be the name of a file beside it.

    Args:
        path: of the file, or the name of one that is shipped, as `demo`.
        overrides: `key.key=value`.

    Raises:
        DataError: a file is missing or is not YAML.
        UsageError: a setting is not known or does not fit.
    """
    path = find_settings(path)
    content = read_yaml(path)
    encoders = content.get("encoders")
    if isinstance(encoders, dict):
        for name, encoder in encoders.items():
            if isinstance(encoder, str):
                encoders[name] = read_yaml(path.parent / encoder)
    put_on(content, overrides)
    return check_settings(Comparison, content, "")
