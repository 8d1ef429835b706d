"""train: images without labels -> an encoder."""

from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.id_lists import read_id_list
from replearn.concepts.reading import Reading
from replearn.detection.probe import open_probe
from replearn.encoders.configuration import open_configured
from replearn.encoders.training import run

from .options import ColumnsOption, LayoutOption, SeparatorOption, UncertainOption


def train(
    config_path: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG",
            help="YAML file with the model and the settings that differ from the defaults, or the "
            "name of a shipped one.",
        ),
    ],
    source: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Image set, folder, .zip, .tar or list.")
    ],
    folder: Annotated[
        Path, typer.Argument(metavar="ENCODER", help="Folder to write the encoder to.")
    ],
    ids: Annotated[
        Path | None, typer.Option(help="Train only on the ids in the first column of this file.")
    ] = None,
    valid_concepts: Annotated[
        Path | None,
        typer.Option(
            help="Concepts of some of the images; the weights that detect them best are kept."
        ),
    ] = None,
    layout: LayoutOption = None,
    separator: SeparatorOption = None,
    columns: ColumnsOption = None,
    uncertain: UncertainOption = None,
    init: Annotated[
        Path | None, typer.Option(metavar="ENCODER", help="Start from this encoder's weights.")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(metavar="FEATURES.h5", help="distilled: the features that it learns to give."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a setting: training.steps=4000; may be repeated.",
        ),
    ] = None,
    max_errors: Annotated[
        float, typer.Option(help="Stop if a larger share of the images is missing or unreadable.")
    ] = 0.05,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint, if there is one.")
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Train anew, and replace another encoder."),
    ] = False,
) -> None:
    """Train an encoder on images without labels.

    Example: replearn train aae images.h5 runs/aae

    On 4 GPUs: torchrun --nproc-per-node 4 -m replearn train ...
    """
    config = run.read_configuration(config_path, settings or ())
    if teacher:
        config = config.model_copy(update={"teacher": teacher})
    wanted = read_id_list(ids) if ids else None
    images = open_configured(source, config.images, wanted, max_errors)
    run.check_images(config, images)  # before the labelled images are opened
    probe = None
    if valid_concepts and run.is_trained(config.model):
        reading = Reading.of_options(layout, separator, columns, uncertain)
        probe = open_probe(source, images.form, valid_concepts, reading)
    run.make_encoder(
        folder,
        config,
        images,
        probe=probe,
        init=init,
        resume=resume,
        overwrite=overwrite,
    )
