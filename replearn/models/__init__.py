"""All models by name: to add one is a file here and a line in MODELS."""

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from replearn.errors import UsageError
from replearn.models.aae import AAE
from replearn.models.ae import AE
from replearn.models.pca import PCA
from replearn.models.random import Random
from replearn.models.raw import Raw
from replearn.objective import Model
from replearn.settings import check_settings

MODELS: dict[str, type[Model]] = {
    "aae": AAE,
    "ae": AE,
    "pca": PCA,
    "random": Random,
    "raw": Raw,
}

# What the images decide; everything else in a constructor is the user's to set.
_FROM_IMAGES = ("size", "channels")


def check_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete arguments of a model, defaults filled in and types checked.

    Raises:
        UsageError: the model or an argument is unknown, or a value has the wrong type.
    """
    if name not in MODELS:
        raise UsageError(f"model: no model {name!r}; known: {', '.join(MODELS)}")
    hints = typing.get_type_hints(MODELS[name].__init__)
    known = {
        key: (hints[key], parameter.default)
        for key, parameter in inspect.signature(MODELS[name]).parameters.items()
        if key not in _FROM_IMAGES
    }
    schema = create_model(name, __config__=ConfigDict(extra="forbid"), **known)  # type: ignore[call-overload]
    checked: BaseModel = check_settings(schema, arguments, "arguments")
    complete = checked.model_dump()
    for key, value in complete.items():
        # Whole numbers are sizes: widths, depths, dimensions.
        if type(value) is int and value < 1:
            raise UsageError(f"arguments.{key}: {value} does not fit (it must be at least 1)")
    return complete


def build(name: str, *, size: int, channels: int, arguments: Mapping[str, Any]) -> Model:
    """Return a new, untrained model for images [N, channels, size, size].

    Raises:
        UsageError: as `check_arguments`, or the size does not suit the model's networks.
    """
    complete = check_arguments(name, arguments)
    return MODELS[name](size=size, channels=channels, **complete)
