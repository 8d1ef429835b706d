"""The configuration file of an encoder, before the model checks its arguments."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from replearn.images.form import Fit, ValueRange
from replearn.images.image_set import ImageSet
from replearn.images.opening import is_prepared, open_images
from replearn.settings import check_settings


class ImageSettings(BaseModel):
    """The form of the images; what is not set follows a prepared image set."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(64, ge=8)
    channels: Literal[1, 3] = 1
    fit: Fit = "stretch"
    bits: int | None = Field(None, ge=8, le=32)
    value_range: ValueRange | None = None


class Configuration(BaseModel):
    """The content of a configuration file."""

    model_config = ConfigDict(extra="forbid")

    model: str
    arguments: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    images: dict[str, Any] | None = None


def open_configured(
    source: Path, settings: dict[str, Any] | None, ids: Sequence[str] | None, max_errors: float
) -> ImageSet:
    """Open images in the form that a configuration asks for, else in that of a prepared set.

    Args:
        source: a prepared set, or whatever `replearn.images.sources.open_source` opens.
        settings: the section `images` of the configuration.
        ids: the images wanted; all of them if None.
        max_errors: the largest share of the wanted images that may be missing or unreadable.

    Raises:
        DataError: as `open_images`.
        UsageError: a setting is not known or does not fit.
    """
    wanted = check_settings(ImageSettings, settings, "images")
    if is_prepared(source):
        there = ImageSet.load(source)
        form = asdict(there.form)
        wanted = wanted.model_copy(
            update={key: form[key] for key in form if key not in wanted.model_fields_set}
        )
    return open_images(source, ids=ids, max_errors=max_errors, **wanted.model_dump())
