"""A trained encoder on disk: weights in safetensors and the facts to rebuild the model in JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch

from replearn.arrays import Pixels, Vectors
from replearn.artefacts.files import read_json, write_bytes, write_json
from replearn.encoders.contract import Model
from replearn.encoders.embedding import Precision, embeddings, find_device
from replearn.encoders.models import MODELS, build
from replearn.errors import DataError, brief
from replearn.images.form import Form


@dataclass(frozen=True)
class Description:
    """The content of `encoder.json`: all that rebuilding the model and preparing images takes.

    Attributes:
        model: name in MODELS.
        arguments: the constructor's, complete.
        size: side in pixels to which images are prepared.
        channels: 1 or 3.
        fit: the resize rule.
        crop: side of the central crop that the networks see, None for the whole image.
        identity: what this encoder is.
        training: the settings it was trained with.
        selected: step and scores of the probe that chose these weights, None for the last ones.
    """

    model: str
    arguments: dict[str, Any]
    size: int
    channels: int
    fit: Literal["stretch", "pad"]
    crop: int | None
    identity: str
    training: dict[str, Any]
    selected: dict[str, Any] | None = None

    @property
    def form(self) -> Form:
        """The form that images are prepared to."""
        return Form(self.size, self.channels, self.fit)

    def build(self) -> Model:
        """Return the model with fresh weights."""
        return build(
            self.model,
            size=self.crop or self.size,
            channels=self.channels,
            arguments=self.arguments,
        )


@dataclass(frozen=True)
class Encoder:
    """A model with its description, ready to embed.

    Attributes:
        model: in evaluation mode.
        description: what it is.
        folder: where it lies, None for one that was never saved.
    """

    model: Model
    description: Description
    folder: Path | None = None

    @property
    def device(self) -> torch.device:
        """Where the model's weights are."""
        return next(iter(self.model.state_dict().values()), torch.empty(0)).device

    def embed(
        self,
        pixels: Pixels,
        *,
        batch_size: int | None = None,
        precision: Precision = "float32",
    ) -> Iterator[Vectors]:
        """Yield the embeddings float32 [<= batch_size, D] of prepared pixels [N, C, H, W]."""
        yield from embeddings(
            self.model,
            pixels,
            crop=self.description.crop,
            device=self.device,
            batch_size=batch_size,
            precision=precision,
        )


def save_encoder(folder: Path, model: Model, description: Description) -> None:
    """Write the weights, then the description: where the description lies, all is complete."""
    save_weights(folder / "encoder.safetensors", model)
    write_json(folder / "encoder.json", asdict(description))


def save_weights(path: Path, model: Model) -> None:
    """Write weights and buffers, all at once."""
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    write_bytes(path, safetensors.torch.save(state))


def has_weights(folder: Path) -> bool:
    """Tell whether a folder holds weights that can be read to their end."""
    try:
        with safetensors.safe_open(folder / "encoder.safetensors", "np"):
            return True
    except (OSError, safetensors.SafetensorError):
        return False


def read_description(folder: Path) -> Description:
    """Read what an encoder folder holds.

    Raises:
        DataError: the folder is no encoder, or its training is not finished.
    """
    if (folder / "checkpoint.pt").exists() and not (folder / "encoder.json").exists():
        raise DataError(f"{folder}: its training is not finished; go on with train --resume")
    if not (folder / "encoder.json").exists():
        raise DataError(f"{folder}: not an encoder folder (it has no encoder.json)")
    content = read_json(folder / "encoder.json")
    try:
        description = Description(**content)
    except TypeError as error:
        raise DataError(f"{folder / 'encoder.json'}: not an encoder's ({error})") from None
    if description.model not in MODELS:
        raise DataError(
            f"{folder / 'encoder.json'}: no model {description.model!r}; known: {', '.join(MODELS)}"
        )
    return description


def load_encoder(folder: Path, device: str = "auto") -> Encoder:
    """Rebuild an encoder in evaluation mode.

    Raises:
        DataError: the folder is no finished encoder, or its weights do not fit its description.
    """
    description = read_description(folder)
    model = description.build()
    path = folder / "encoder.safetensors"
    try:
        model.load_state_dict(safetensors.torch.load_file(path))
    except FileNotFoundError:
        raise DataError(f"{path}: not found; train the encoder again") from None
    except (RuntimeError, OSError, safetensors.SafetensorError) as error:
        raise DataError(
            f"{path}: damaged or not this model's ({brief(error)}); train it again"
        ) from None
    place = torch.device("cpu") if model.on_cpu else find_device(device)
    if place.type == "cuda":  # as it was trained; a CPU's features stay the same to the bit
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Encoder(model.to(place).eval(), description, folder)
