"""Several models as one: their features side by side, each block at the same scale.

The seed's best run joined the features of an AAE and an SDAE.  The parts train side by side on
the same batches, each with players of its own.
"""

import re
from collections.abc import Iterator
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from replearn.encoders.contract import FittedEncoder, Model, Objective, TaughtObjective
from replearn.errors import UsageError


class Part(BaseModel):
    """One of the models, with the arguments of its constructor."""

    # Always validated, so that defaults are completed too.
    model_config = ConfigDict(extra="forbid", revalidate_instances="always")

    model: str
    arguments: dict[str, Any] = {}

    @model_validator(mode="after")
    def _complete(self) -> "Part":
        from replearn.encoders.models import (
            check_arguments,  # MODELS holds Combined, so not at the top
        )

        self.arguments = check_arguments(self.model, self.arguments)
        return self


# Not validated here: that needs MODELS, which needs this module.
_DEFAULT = {name: Part.model_construct(model=name, arguments={}) for name in ("aae", "sdae")}


class Combined(Objective):
    """The concatenation of the parts' embeddings, each divided by its root mean square length.

    Without the scales the block with the largest numbers would decide every distance.  They are
    measured once, after the training.
    """

    def __init__(
        self,
        *,
        size: int = 64,
        channels: int = 1,
        parts: dict[str, Part] = _DEFAULT,
    ) -> None:
        from replearn.encoders.models import build  # MODELS holds this class, so not at the top

        super().__init__()
        if not parts:
            raise UsageError("arguments.parts: empty; name the models to combine")
        for name in parts:
            if not re.fullmatch("[A-Za-z0-9_]+", name):
                raise UsageError(
                    f"arguments.parts: the name {name!r} has other than A-Z, 0-9 and _"
                )
        self.parts = nn.ModuleDict(
            {
                f"part_{name}": build(
                    part.model, size=size, channels=channels, arguments=part.arguments
                )
                for name, part in parts.items()
            }
        )
        self.names = list(parts)
        for name, part in zip(parts, self._models(), strict=True):
            if isinstance(part, TaughtObjective):
                raise UsageError(
                    f"arguments.parts.{name}: model {parts[name].model} has a teacher; train it by "
                    "itself"
                )
        self.scales: Tensor
        self.register_buffer("scales", torch.ones(len(parts)))

    def players(self) -> dict[str, list[nn.Module]]:
        return {
            f"{name}-{player}": networks
            for name, part in self._objectives()
            for player, networks in part.players().items()
        }

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        for name, part in self._objectives():
            for player, terms in part.losses(images, progress):
                yield f"{name}-{player}", terms

    def prepare(self, images: Tensor) -> None:
        for part in self._models():
            if isinstance(part, FittedEncoder):
                part.fit(images)
            elif isinstance(part, Objective):
                part.prepare(images)

    def settle(self, images: Tensor) -> None:
        for place, part in enumerate(self._models()):
            if isinstance(part, Objective):
                part.settle(images)
            squares = [part.embed(batch).square().sum(1) for batch in torch.split(images, 256)]
            self.scales[place] = torch.cat(squares).mean().sqrt().clamp_min(1e-12)

    def embed(self, images: Tensor) -> Tensor:
        blocks = [part.embed(images) for part in self._models()]
        return torch.cat(
            [block / scale for block, scale in zip(blocks, self.scales, strict=True)], dim=1
        )

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        return {
            f"{name}-{kind}": grid
            for name, part in zip(self.names, self._models(), strict=True)
            for kind, grid in part.grids(images).items()
        }

    def statistics(self, images: Tensor) -> dict[str, Tensor]:
        return {
            f"{name}-{kind}": value
            for name, part in zip(self.names, self._models(), strict=True)
            for kind, value in part.statistics(images).items()
        }

    def _models(self) -> list[Model]:
        return [part for part in self.parts.values() if isinstance(part, Model)]

    def _objectives(self) -> list[tuple[str, Objective]]:
        named = zip(self.names, self._models(), strict=True)
        return [(name, part) for name, part in named if isinstance(part, Objective)]
