"""The folder that a training fills: what may lie in it, what is replaced, and when.

A finished encoder that is to be replaced waits beside its folder until the new one is finished.
"""

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replearn.artefacts.files import identity_in, read_json
from replearn.artefacts.outputs import Kind, is_free
from replearn.encoders.encoder import has_weights
from replearn.encoders.training.checkpoint import checkpoint_of, differences, read_checkpoint
from replearn.errors import DataError

_logger = logging.getLogger(__name__)

# What a training writes; a folder with anything else in it is not touched.
ENCODER = Kind(
    "an encoder",
    r"encoder\.(json|safetensors)|(last|failed-batch)\.safetensors|checkpoint\.pt|metrics\.jsonl"
    r"|sheets/[\w-]+\.png|events\.out\.tfevents\..*",
)


@dataclass(frozen=True)
class TrainingFolder:
    """The output folder of a training.

    Attributes:
        path: of the folder.
        identity: of the encoder.
        facts: model, arguments, training and whatever else decides the identity.
        resume: a training that was begun there may be gone on with.
        overwrite: train in any case; what a training left there may be replaced.
    """

    path: Path
    identity: str
    facts: dict[str, Any]
    resume: bool
    overwrite: bool

    def is_finished(self) -> bool:
        """Tell whether this very encoder lies there; nothing is changed yet.

        Raises:
            DataError: something lies there that may not be replaced.
        """
        if self.path.exists() and not self.path.is_dir():
            raise DataError(f"{self.path}: is a file; choose another place")
        for folder in (self.path, self._aside):
            ENCODER.refuse_others(folder)
        there, whole = self._there(), has_weights(self.path)
        if there == self.identity and whole and not self.overwrite:
            return True
        if not is_free(self.path) and not self.overwrite:
            self._refuse(there, whole=whole)
        return False

    def _refuse(self, there: str | None, *, whole: bool) -> None:
        if there == self.identity:
            raise DataError(
                f"{self.path}: encoder.safetensors is missing or damaged; "
                "give --overwrite to train it again"
            )
        if there is not None:
            raise DataError(
                f"{self.path}: holds another encoder ({self._unlike()}); "
                "choose another place or give --overwrite"
            )
        if not self.resume:
            raise DataError(
                f"{self.path}: a training was begun there; give --resume or --overwrite"
            )
        if (self.path / "checkpoint.pt").exists():
            checkpoint_of(self.path / "checkpoint.pt", self.identity, self.facts)

    def make_room(self) -> None:
        """Put away what is replaced; what is gone on with stays."""
        if self._there() is not None:
            _remove(self._aside)
            self.path.rename(self._aside)
            _logger.info(
                f"{self.path}: the encoder there waits in {self._aside} until this one is finished"
            )
        elif self.overwrite and not (self.resume and self._begun() == self.identity):
            _remove(self.path)
        self.path.mkdir(parents=True, exist_ok=True)

    def finish(self) -> None:
        """Remove the encoder that has been replaced, if this was to replace one."""
        if self.resume or self.overwrite:
            _remove(self._aside)

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.replaced")

    def _there(self) -> str | None:
        """Return the identity of the encoder that lies there, None if there is none."""
        try:
            return identity_in(self.path / "encoder.json")
        except DataError:
            if not self.overwrite:
                raise DataError(
                    f"{self.path}: encoder.json is damaged; give --overwrite to train it again"
                ) from None
            return None

    def _begun(self) -> str | None:
        """Return the identity of what the checkpoint goes on with; None if it is no good."""
        try:
            return str(read_checkpoint(self.path / "checkpoint.pt")["identity"])
        except DataError:
            return None

    def _unlike(self) -> str:
        """Say what is unlike the encoder that lies there."""
        there = read_json(self.path / "encoder.json")
        shown = ("model", "arguments", "training")
        old, new = ({key: facts.get(key) for key in shown} for facts in (there, self.facts))
        others = "other images, probes, first weights or number of processes"
        return differences(old, new) or f"of {others}"


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
