"""train: images without labels -> an encoder."""

import re
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel, ConfigDict, Field

from replearn.artefacts import identify, identity_in, publish, say, workspace
from replearn.checkpoints import read_checkpoint
from replearn.concepts import read_ids
from replearn.encoders import Description, save_encoder
from replearn.errors import DataError, UsageError
from replearn.images import Fit, ImageSet, is_prepared, open_images
from replearn.models import check_arguments
from replearn.objective import FittedEncoder, Objective
from replearn.settings import check_settings, read_yaml
from replearn.sheets import fixed_images, pictures_of, write_sheets
from replearn.training import Trainer, fit, fit_encoder, seed_all
from replearn.training_settings import TrainingSettings

# What a training writes; a folder with anything else in it is not touched.
_OURS = re.compile(
    r"encoder\.(json|safetensors)|checkpoint\.pt|metrics\.jsonl|sheets|events\..*|\..*\.tmp"
)


class ImageSettings(BaseModel):
    """The form of the images; what is not set follows a prepared image set."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(64, ge=8)
    channels: int = Field(1)
    fit: Fit = "stretch"


class Configuration(BaseModel):
    """What a configuration file may say."""

    model_config = ConfigDict(extra="forbid")

    model: str
    arguments: dict[str, Any] | None = None
    training: dict[str, Any] | None = None
    images: dict[str, Any] | None = None


def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG.yaml", help="Which model, and what differs from the defaults."
        ),
    ],
    source: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Image set, folder, .zip, .tar or list.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="ENCODER", help="Where the encoder goes.")],
    ids: Annotated[
        Path | None, typer.Option(help="Train on the ids in the first column of this file only.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Override a setting; may be repeated."),
    ] = None,
    max_errors: Annotated[
        float, typer.Option(help="Stop if a larger share of the images is missing or unreadable.")
    ] = 0.05,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint, if there is one.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Throw away what lies in ENCODER.")
    ] = False,
) -> None:
    """Train an encoder on images without labels.

    Example: replearn train configs/aae.yaml images.h5 runs/aae
    """
    chosen = check_settings(Configuration, read_yaml(config, settings or ()), "")
    arguments = check_arguments(chosen.model, chosen.arguments or {})
    training = check_settings(TrainingSettings, chosen.training, "training")
    images = _open(source, chosen.images, ids, max_errors)
    if training.crop and training.crop > images.size:
        raise UsageError(f"training.crop: {training.crop} from images of size {images.size}")
    facts: dict[str, Any] = {
        "model": chosen.model,
        "arguments": arguments,
        "training": training.facts(),
        "images": images.identity,
    }
    description = Description(
        model=chosen.model,
        arguments=arguments,
        size=images.size,
        channels=images.channels,
        fit=images.fit,
        crop=training.crop,
        identity=identify(chosen.model, **facts),
        training=training.facts(),
    )
    with workspace(folder) as work:
        if _finished(folder, description, resume=resume, overwrite=overwrite):
            say(f"{folder}: already trained from the same inputs, nothing to do")
            return
        _train(folder, work, description, training, images, facts, resume=resume)
        _remove(_set_aside(folder))
    say(f"{folder}: {chosen.model} trained on {len(images):,} images")


def _open(
    source: Path, settings: dict[str, Any] | None, ids: Path | None, max_errors: float
) -> ImageSet:
    wanted = check_settings(ImageSettings, settings, "images")
    if is_prepared(source):
        there = ImageSet.load(source)
        form = {"size": there.size, "channels": there.channels, "fit": there.fit}
        wanted = wanted.model_copy(
            update={key: form[key] for key in form if key not in wanted.model_fields_set}
        )
    if wanted.channels not in (1, 3):
        raise UsageError(f"images.channels: {wanted.channels} is neither 1 (grey) nor 3 (colour)")
    return open_images(
        source,
        size=wanted.size,
        channels=wanted.channels,
        fit=wanted.fit,
        ids=read_ids(ids) if ids else None,
        max_errors=max_errors,
    )


def _finished(folder: Path, description: Description, *, resume: bool, overwrite: bool) -> bool:
    """Tell whether there is nothing to do; make room for a new start where that is allowed."""
    others = [path.name for path in _entries(folder) if not _OURS.fullmatch(path.name)]
    if others:
        raise DataError(f"{folder}: holds other files ({others[0]}); choose another place")
    there = identity_in(folder / "encoder.json")
    if there == description.identity:
        return True
    if there is not None:
        if not overwrite:
            raise DataError(
                f"{folder}: holds {there}, trained from other images or settings, not "
                f"{description.identity}; choose another place or give --overwrite"
            )
        _remove(_set_aside(folder))
        folder.rename(_set_aside(folder))
    elif (folder / "checkpoint.pt").exists():
        if not resume and not overwrite:
            raise DataError(f"{folder}: a training was begun there; give --resume or --overwrite")
        begun = read_checkpoint(folder / "checkpoint.pt")["identity"] if resume else None
        if overwrite and begun != description.identity:
            _remove(folder)
    elif not resume:
        _remove(folder)  # a training that ended before its first checkpoint
    return False


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []


def _set_aside(folder: Path) -> Path:
    """Return where a finished encoder waits until the one that replaces it is finished too."""
    return folder.with_name(f"{folder.name}.replaced")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _train(
    folder: Path,
    work: Path,
    description: Description,
    training: TrainingSettings,
    images: ImageSet,
    facts: dict[str, Any],
    *,
    resume: bool,
) -> None:
    seed_all(training.seed)
    model = description.build()
    if isinstance(model, Objective):
        # Its checkpoint has to outlive a kill, so this folder fills up while the training runs.
        folder.mkdir(parents=True, exist_ok=True)
        trainer = Trainer(model, images.pixels, training)
        trained = fit(trainer, folder, description.identity, facts, resume=resume)
        save_encoder(folder, trained, description)
    elif isinstance(model, FittedEncoder):
        fit_encoder(model, images.pixels, training)
        made = work / "encoder"
        made.mkdir()
        shown = fixed_images(images.pixels, training.crop)
        write_sheets(made / "sheets", pictures_of(model, shown))
        save_encoder(made, model, description)
        publish(made, folder)
