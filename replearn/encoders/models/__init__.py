"""All models by name: to add one is a file here and a line in MODELS."""

import inspect
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from replearn.encoders.contract import Model
from replearn.encoders.models.aae import AAE
from replearn.encoders.models.bigan import BiGAN
from replearn.encoders.models.bovw import BoVW
from replearn.encoders.models.combined import Combined
from replearn.encoders.models.diffusion import Diffusion
from replearn.encoders.models.distilled import Distilled
from replearn.encoders.models.flipped_aae import FlippedAAE
from replearn.encoders.models.gan import GAN
from replearn.encoders.models.infogan import InfoGAN
from replearn.encoders.models.kmeans import KMeans
from replearn.encoders.models.pca import PCA
from replearn.encoders.models.pretrained import Pretrained
from replearn.encoders.models.random import Random
from replearn.encoders.models.raw import Raw
from replearn.encoders.models.sdae import SDAE
from replearn.encoders.models.smt import SMT
from replearn.encoders.models.vae import VAE
from replearn.errors import UsageError
from replearn.settings import check_settings

MODELS: dict[str, type[Model]] = {
    "aae": AAE,
    "bigan": BiGAN,
    "bovw": BoVW,
    "combined": Combined,
    "diffusion": Diffusion,
    "distilled": Distilled,
    "flipped_aae": FlippedAAE,
    "gan": GAN,
    "infogan": InfoGAN,
    "kmeans": KMeans,
    "pca": PCA,
    "pretrained": Pretrained,
    "random": Random,
    "raw": Raw,
    "sdae": SDAE,
    "smt": SMT,
    "vae": VAE,
}


def list_models() -> list[str]:
    """Return the names of the models that `train` knows, the keys of MODELS.

    Example:
        >>> "aae" in replearn.list_models()
        True
        >>> replearn.MODELS["aae"].__doc__.splitlines()[0]
        'Autoencoder against critic of codes, with z drawn from the prior.'
    """
    return list(MODELS)


# What the images decide; everything else in a constructor is the user's to set.
_FROM_IMAGES = ("size", "channels")


def check_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the complete arguments of a model, defaults filled in and types checked.

    Raises:
        UsageError: the model or an argument is unknown, or a value does not fit.
    """
    return _checked(name, arguments).model_dump(mode="json")


def build(name: str, *, size: int, channels: int, arguments: Mapping[str, Any]) -> Model:
    """Return a new, untrained model for images [N, channels, size, size].

    Raises:
        UsageError: as `check_arguments`, or the size does not suit the model's networks.
    """
    checked = _checked(name, arguments)
    complete = {key: getattr(checked, key) for key in type(checked).model_fields}
    return MODELS[name](size=size, channels=channels, **complete)


def _checked(name: str, arguments: Mapping[str, Any]) -> BaseModel:
    if name not in MODELS:
        raise UsageError(f"model: no model {name!r}; known: {', '.join(MODELS)}")
    hints = typing.get_type_hints(MODELS[name].__init__)
    known = {
        key: (hints[key], parameter.default)
        for key, parameter in inspect.signature(MODELS[name]).parameters.items()
        if key not in _FROM_IMAGES
    }
    form = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True)
    schema = create_model(name, __config__=form, **known)  # type: ignore[call-overload]
    checked: BaseModel = check_settings(schema, _on_defaults(known, arguments), "arguments")
    for key, value in checked:
        # Whole numbers are sizes: widths, depths, dimensions; others are weights and deviations.
        least = 1 if type(value) is int else 0
        if type(value) in (int, float) and value < least:
            raise UsageError(f"arguments.{key}: {value} does not fit (it must be at least {least})")
    return checked


def _on_defaults(known: Mapping[str, Any], arguments: Any) -> Any:
    """Put settings inside an argument on top of that argument's own default.

    A model's default adversary is not every adversary's: one setting changed keeps the others.
    """
    if not isinstance(arguments, Mapping):
        return arguments
    complete = dict(arguments)
    for key, (_, default) in known.items():
        if isinstance(default, BaseModel) and isinstance(complete.get(key), Mapping):
            complete[key] = default.model_dump() | dict(complete[key])
    return complete
