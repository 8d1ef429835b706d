"""Loads a network of any library by name, and builds it again from its recipe."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from replearn.encoders.backbones.backbone import Backbone, Library
from replearn.encoders.backbones.open_clip_backbone import OpenClipBackbone
from replearn.encoders.backbones.sources import explained, library, locate
from replearn.encoders.backbones.timm_backbone import TimmBackbone
from replearn.encoders.backbones.transformers_backbone import TransformersBackbone
from replearn.errors import DataError

LIBRARIES: dict[
    Library, type[TransformersBackbone] | type[TimmBackbone] | type[OpenClipBackbone]
] = {"transformers": TransformersBackbone, "timm": TimmBackbone, "open_clip": OpenClipBackbone}


def load_backbone(
    name: str, *, library: Library | Literal["auto"], architecture: str, text: bool
) -> Backbone:
    """Load a network with its weights.

    Args:
        name: a folder or a file here, or owner/model on the hub.
        library: which one reads it; `auto` goes by the files of a folder.
        architecture: of a file of weights alone, as its library names it.
        text: keep the text tower, where there is one.

    Raises:
        DataError: there is no such network, it cannot be loaded, or it wants images that are not
            known here.
        UsageError: an argument is missing or does not fit.
    """
    path = locate(name)
    with explained(name):
        chosen = _library_of(path, architecture) if library == "auto" else library
        return LIBRARIES[chosen].load(path, architecture, text)


def build_backbone(recipe: Mapping[str, Any]) -> Backbone:
    """Build a network from its recipe, with fresh weights.

    Raises:
        DataError: its library is missing, or can no longer build it.
    """
    files = {name: base64.b64decode(text) for name, text in recipe["files"].items()}
    try:
        return LIBRARIES[recipe["library"]].build(dict(recipe), files)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"model pretrained: this version of {recipe['library']} cannot build its network "
            f"({error}); use the version that it was made with, or train again"
        ) from None


def _library_of(path: Path, architecture: str) -> Library:
    """Return which library a folder or a file of weights is of.

    Raises:
        DataError: that does not show.
    """
    if path.is_file():
        return "open_clip" if architecture in library("open_clip").list_models() else "timm"
    if (path / "open_clip_config.json").is_file():
        return "open_clip"
    config = path / "config.json"
    if config.is_file():
        settings = json.loads(config.read_text(encoding="utf-8"))
        if "model_type" in settings:
            return "transformers"
        if "architecture" in settings:
            return "timm"
    raise DataError(f"{path}: no config.json of transformers or timm, and no open_clip_config.json")
