"""What the configuration file of an encoder may say, before the model checks its arguments."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from replearn.images.form import Fit


class ImageSettings(BaseModel):
    """The form of the images; what is not set follows a prepared image set."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(64, ge=8)
    channels: Literal[1, 3] = 1
    fit: Fit = "stretch"


class Configuration(BaseModel):
    """What a configuration file may say."""

    model_config = ConfigDict(extra="forbid")

    model: str
    arguments: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    images: dict[str, Any] | None = None
