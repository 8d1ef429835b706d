"""A trained encoder on disk: weights in safetensors and the facts to rebuild the model in JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray

from replearn.arrays import Pixels, Vectors
from replearn.artefacts.files import write_bytes, write_json
from replearn.encoders.contract import Model
from replearn.encoders.embedding import Precision, embeddings, find_device
from replearn.encoders.models import MODELS, build
from replearn.encoders.torch_state import full_float32
from replearn.encoders.views import View, views_of
from replearn.errors import DataError, UsageError, brief, some_of
from replearn.images.form import Form, ValueRange

_TOGETHER = 1024  # images whose views are averaged together
_REMEDY = "train the encoder again with --overwrite"


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
        bits: of samples of more than 8, see `replearn.images.form.Form`.
        value_range: of signed and floating-point samples, see there too.
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
    bits: int | None = None
    value_range: ValueRange | None = None

    @property
    def form(self) -> Form:
        """The form that images are prepared to."""
        return Form(self.size, self.channels, self.fit, self.bits, self.value_range)

    def build(self) -> Model:
        """Return the model with fresh weights."""
        return build(
            self.model,
            size=self.crop or self.size,
            channels=self.channels,
            arguments=self.arguments,
        )


@dataclass  # not frozen: scikit-learn writes its own attributes into the steps of a Pipeline
class Encoder:
    """A trained model with its description, ready to embed.

    In a Pipeline of scikit-learn it is a transformer inside a `FrozenEstimator`.

    Attributes:
        model: in evaluation mode.
        description: what it is.
        folder: where it lies, None for one that was never saved.

    Example:
        >>> encoder = replearn.load_encoder("runs/aae")
        >>> encoder.transform(images.pixels[:3]).shape  # [N, D]
        (3, 1024)
        >>> from sklearn.frozen import FrozenEstimator
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> scaled = make_pipeline(FrozenEstimator(encoder), StandardScaler())
        >>> scaled.fit_transform(images.pixels).shape
        (48, 1024)
    """

    model: Model
    description: Description
    folder: Path | None = None

    @property
    def device(self) -> torch.device:
        """The device of the model's weights."""
        return next(iter(self.model.state_dict().values()), torch.empty(0)).device

    def embed(
        self,
        pixels: Pixels,
        *,
        batch_size: int | None = None,
        precision: Precision = "float32",
        views: int = 1,
    ) -> Iterator[Vectors]:
        """Yield the embeddings float32 [<= batch_size, D] of prepared pixels [N, C, H, W].

        Args:
            pixels: uint8, maybe on disk.
            batch_size: images at a time.
            precision: of the arithmetic.
            views: the embeddings of so many views of an image are averaged, see `views_of`.

        Raises:
            UsageError: the encoder's settings do not allow so many views.
        """
        if views != 1:
            yield from self._averaged(pixels, views, precision)
            return
        yield from embeddings(
            self.model,
            pixels,
            crop=self.description.crop,
            device=self.device,
            batch_size=batch_size,
            precision=precision,
        )

    def check_views(self, views: int) -> None:
        """Refuse more views of an image than the encoder's settings allow.

        Raises:
            UsageError: they are too many.
        """
        self._views(views)

    def _views(self, count: int) -> list[View]:
        own = self.description
        return views_of(count, size=own.size, crop=own.crop, training=own.training)

    def _averaged(self, pixels: Pixels, views: int, precision: Precision) -> Iterator[Vectors]:
        chosen = self._views(views)
        for start in range(0, len(pixels), _TOGETHER):
            block = np.asarray(pixels[start : start + _TOGETHER])
            total: Vectors | None = None
            for view in chosen:
                seen = view.of(block, self.description.crop)
                parts = embeddings(
                    self.model, seen, crop=None, device=self.device, precision=precision
                )
                vectors = np.concatenate(list(parts)) / np.float32(views)
                total = vectors if total is None else total + vectors
            assert total is not None
            yield total

    def transform(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the embedding of each image, float32 [N, D].

        Args:
            pixels: uint8 [N, C, H, W], of the size and the channels of the encoder.

        Raises:
            DataError: they are of another form.
        """
        form = self.description.form
        expected = (form.channels, form.size, form.size)
        if pixels.dtype != np.uint8 or pixels.shape[1:] != expected:
            raise DataError(
                f"pixels {pixels.dtype} {list(pixels.shape)} where uint8 [N, {form.channels}, "
                f"{form.size}, {form.size}] is expected; open the images with {form}"
            )
        vectors = list(self.embed(pixels))
        if not vectors:  # the width shows in what comes out
            return self.transform(np.zeros((1, *expected), np.uint8))[:0]
        return np.concatenate(vectors).astype(np.float32, copy=False)

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one vector for each text, float32 [N, D], near by angle to images that show it.

        Raises:
            UsageError: the model has no text tower, or pools images in another way.
        """
        with torch.inference_mode(), full_float32(self.device):
            vectors = self.model.embed_text(texts).float().cpu().numpy()
        return np.asarray(vectors, np.float32)

    def fit(self, pixels: Pixels, y: object = None) -> NoReturn:
        """Refuse to learn: the encoder is trained.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "an Encoder is trained and cannot be fitted again: train another one, or put it into "
            "sklearn.frozen.FrozenEstimator where scikit-learn fits all steps"
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags  # who asks has it

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(two_d_array=False, three_d_array=False),
        )


def save_encoder(folder: Path, model: Model, description: Description) -> None:
    """Write the weights, then the description: where the description lies, all is complete."""
    save_weights(folder / "encoder.safetensors", model)
    facts = asdict(description)
    for name in ("bits", "value_range"):  # most encoders have none
        if facts[name] is None:
            del facts[name]
    write_json(folder / "encoder.json", facts)


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
    path = folder / "encoder.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: damaged or not an encoder's ({brief(error)}); {_REMEDY}"
        ) from None
    known = {field.name for field in fields(Description)}
    unknown = sorted(content.keys() - known) if isinstance(content, dict) else []
    if unknown and "identity" in content:
        raise DataError(
            f"{path}: made by another version of replearn, as it states {some_of(unknown)}; use "
            "that version, or train again"
        )
    try:
        description = Description(**content)
    except TypeError as error:
        cause = f"damaged or not an encoder's ({brief(error)})"
        raise DataError(f"{path}: {cause}; {_REMEDY}") from None
    if description.value_range is not None:  # JSON has no tuples
        black, white = description.value_range
        description = replace(description, value_range=(black, white))
    if description.model not in MODELS:
        raise DataError(f"{path}: no model {description.model!r}; known: {', '.join(MODELS)}")
    return description


def _fill(model: Model, state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Give a model its weights.

    Raises:
        DataError: some are missing, of another shape, or not the model's.
    """
    try:
        model.load_state_dict(dict(state))  # a model may have weights whose shapes the file decides
    except RuntimeError:
        own = model.state_dict()
        shapes = [name for name in own if name in state and own[name].shape != state[name].shape]
        wrong = {
            "missing": [name for name in own if name not in state],
            "unknown": [name for name in state if name not in own],
            "of another shape": shapes,
        }
        said = [f"{len(names)} {how} ({some_of(names)})" for how, names in wrong.items() if names]
        raise DataError(f"{path}: not this model's weights: {', '.join(said)}; {_REMEDY}") from None


def load_encoder(folder: Path | str, device: str = "auto") -> Encoder:
    """Open the folder of a trained encoder.

    Args:
        folder: what `train` filled.
        device: where it is to compute: `auto`, `cpu`, `cuda`, ...

    Raises:
        DataError: the folder is no finished encoder, its weights do not fit its description, or
            the device is not there.

    Example:
        >>> encoder = replearn.load_encoder("runs/aae")
        >>> encoder.description.model
        'aae'
    """
    folder = Path(folder)
    description = read_description(folder)
    with torch.random.fork_rng([]):  # the fresh weights that are replaced take random numbers
        model = description.build()
    path = folder / "encoder.safetensors"
    try:
        state = safetensors.torch.load_file(path)
    except FileNotFoundError:
        raise DataError(f"{path}: not found; {_REMEDY}") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path}: damaged ({brief(error)}); {_REMEDY}") from None
    _fill(model, state, path)
    place = torch.device("cpu") if model.on_cpu else find_device(device)
    if place.type == "cuda":  # as it was trained; a CPU's features stay the same to the bit
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Encoder(model.to(place).eval(), description, folder)
