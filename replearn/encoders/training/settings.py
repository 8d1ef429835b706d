"""Settings of a training, and the learning rate that follows from them."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, model_validator

from replearn.errors import UsageError

Decay = Annotated[float, Field(ge=0, lt=1)]

# What may differ between a training and its resumption: how it is watched, and by what it is run.
_NOT_DECIDING = {
    "device",
    "deterministic",
    "compile",
    "log_every",
    "checkpoint_every",
    "sheet_every",
    "probe_every",  # until there is something to probe with: then it decides what is kept
}


class TrainingSettings(BaseModel):
    """Settings of a training; the defaults suit 200 to 200,000 images of 64 px.

    Attributes:
        steps: length of the training, whatever the size of the set.
        epochs: this many passes over the set instead of `steps`, which has to be null if it is set.
        batch_size: images in a batch, of all processes together; a smaller set is one batch.
        learning_rate: of Adam, one number or one for each player.
        betas: of Adam.
        schedule: `cosine` falls to zero at the end, `constant` does not.
        warmup: steps in which the learning rate rises to its value.
        gradient_clip: a player's gradient is shortened to this length; 0 leaves it.
        ema: decay of the averaged weights, which are the ones kept; 0 keeps the last.
        crop: side of a random crop of the prepared images; extraction takes the central one.
        flip: mirror half of the images, left to right; not where sides mean something.
        seed: decides initial weights, batches, crops and noise.
        precision: of the networks' arithmetic; `auto` is bfloat16 where the device has units for
            it, else float32.  Weights, losses and averages are float32 in any case.  A fitted
            encoder takes `auto` for float32.
        compile: let torch.compile make faster networks, which takes a minute or more at the start.
        deterministic: the same bits again on a GPU too, at some cost in speed; a CPU gives them in
            any case.
        fit_images: at most this many images, drawn at random, go to a fitted encoder.
        device: `auto`, `cpu`, `cuda`, ...
        log_every: steps between two lines of metrics.
        checkpoint_every: steps between two checkpoints.
        sheet_every: steps between two sheets of pictures.
        probe_every: steps between two probes, where labelled images are given.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    steps: int | None = Field(2000, gt=0)
    epochs: int | None = Field(None, gt=0)
    batch_size: int = Field(64, gt=1)
    learning_rate: NonNegativeFloat | dict[str, NonNegativeFloat] = 1e-3
    betas: tuple[Decay, Decay] = (0.5, 0.99)
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: int = Field(100, ge=0)
    gradient_clip: NonNegativeFloat = 0.0
    ema: Decay = 0.999
    crop: int | None = Field(None, gt=0)
    flip: bool = False
    seed: int = Field(0, ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    deterministic: bool = False
    fit_images: int = Field(10_000, gt=1)
    device: str = "auto"
    log_every: int = Field(50, gt=0)
    checkpoint_every: int = Field(500, gt=0)
    sheet_every: int = Field(500, gt=0)
    probe_every: int = Field(500, gt=0)

    @model_validator(mode="after")
    def _has_one_length(self) -> Self:
        if self.epochs is not None and "steps" in self.model_fields_set and self.steps is not None:
            raise UsageError("steps and epochs: give one of them, and null for the other")
        if self.epochs is None and self.steps is None:
            raise UsageError("steps and epochs: give one of them")
        return self

    def facts(self) -> dict[str, Any]:
        """Return the settings that decide the result; watching and device are left out."""
        return self.model_dump(mode="json", exclude=_NOT_DECIDING)

    def length(self, count: int) -> int:
        """Return the number of steps for a set of `count` images."""
        if self.epochs is None:
            assert self.steps is not None
            return self.steps
        return math.ceil(self.epochs * count / min(self.batch_size, count))

    def rate_at(self, step: int, steps: int) -> float:
        """Return the share of the learning rate that this step of so many uses, in (0, 1]."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        fall = 0.5 * (1 + math.cos(math.pi * step / steps)) if self.schedule == "cosine" else 1.0
        return rise * fall
