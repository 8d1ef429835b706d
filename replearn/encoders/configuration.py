"""The configuration file of an encoder, before the model checks its arguments."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from replearn.errors import DataError
from replearn.ids import IdList
from replearn.images.form import Fit, Form, ValueRange
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
    """The content of a configuration file.

    Attributes:
        model: name in MODELS.
        arguments: of the model.
        training: settings of its training.
        images: their form.
        teacher: file of the features that a model `distilled` learns to give.
    """

    model_config = ConfigDict(extra="forbid")

    model: str
    arguments: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    images: dict[str, Any] | None = None
    teacher: Path | None = None


def open_configured(
    source: Path,
    settings: dict[str, Any] | None,
    ids: Sequence[str] | IdList | None,
    max_errors: float,
) -> ImageSet:
    """Open images in the form that a configuration asks for, else in that of a prepared set.

    Args:
        source: a prepared set, or whatever `replearn.images.sources.open_source` opens.
        settings: the section `images` of the configuration.
        ids: the images wanted, or a file's list of them; all of them if None.
        max_errors: the largest share of the wanted images that may be missing or unreadable.

    Raises:
        DataError: as `open_images`.
        UsageError: a setting is not known or does not fit.
    """
    form = _form(settings, ImageSet.load(source).form if is_prepared(source) else Form())
    return open_images(source, **form.arguments, ids=ids, max_errors=max_errors)


def check_form(settings: dict[str, Any] | None, images: ImageSet) -> None:
    """Refuse images of another form than a configuration asks for.

    Args:
        settings: the section `images` of the configuration.
        images: opened, or prepared.

    Raises:
        DataError: they have another form.
        UsageError: a setting is not known or does not fit.
    """
    form = _form(settings, images.form)
    if images.form != form:
        raise DataError(
            f"{images.source or 'the images'}: {images.form}, where the configuration asks for "
            f"{form}; open or prepare them so, or change its section images"
        )


def _form(settings: dict[str, Any] | None, otherwise: Form) -> Form:
    """Return the form that a configuration asks for; what it does not set is as otherwise."""
    wanted = check_settings(ImageSettings, settings, "images")
    return replace(otherwise, **wanted.model_dump(exclude_unset=True))
