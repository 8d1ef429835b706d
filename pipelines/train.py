"""train: images without labels -> an encoder."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from replearn.artefacts.files import publish
from replearn.artefacts.identity import identify
from replearn.artefacts.workspace import workspace
from replearn.concepts.table import read_concepts, read_ids
from replearn.console import say, warn
from replearn.detection.probe import Probe
from replearn.encoders.configuration import Configuration, ImageSettings
from replearn.encoders.contract import FittedEncoder, Model, Objective
from replearn.encoders.encoder import (
    Description,
    Encoder,
    load_encoder,
    read_description,
    save_encoder,
)
from replearn.encoders.models import MODELS, check_arguments
from replearn.encoders.networks.collective import rank, world_size
from replearn.encoders.sheets import fixed_images, grids_of, write_sheets
from replearn.encoders.training.distributed import broadcast, process_group
from replearn.encoders.training.folder import TrainingFolder
from replearn.encoders.training.loop import fit, fit_encoder
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer, seed_all
from replearn.errors import DataError, UsageError
from replearn.images.image_set import ImageSet
from replearn.images.opening import is_prepared, open_images
from replearn.settings import check_settings, read_yaml

_PROBED = 2000  # labelled images at most: a probe is taken many times
_FEWEST = 20


def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG.yaml",
            help="Which model, and what differs from the defaults: see configs/.",
        ),
    ],
    source: Annotated[
        Path, typer.Argument(metavar="IMAGES", help="Image set, folder, .zip, .tar or list.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="ENCODER", help="Where the encoder goes.")],
    ids: Annotated[
        Path | None, typer.Option(help="Train on the ids in the first column of this file only.")
    ] = None,
    valid_concepts: Annotated[
        Path | None,
        typer.Option(
            help="Concepts of some of IMAGES: the weights that serve these best are kept."
        ),
    ] = None,
    init: Annotated[
        Path | None, typer.Option(metavar="ENCODER", help="Begin with this encoder's weights.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a setting, as training.steps=4000; may be repeated.",
        ),
    ] = None,
    max_errors: Annotated[
        float, typer.Option(help="Stop if a larger share of the images is missing or unreadable.")
    ] = 0.05,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint, if there is one.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what another training left in ENCODER.")
    ] = False,
) -> None:
    """Train an encoder on images without labels.

    Example: replearn train configs/aae.yaml images.h5 runs/aae

    On 4 GPUs: torchrun --nproc-per-node 4 --no-python replearn train ...
    """
    if folder.is_symlink() or not folder.name:
        folder = folder.resolve()  # what it points to is filled, and may be set aside
    chosen = check_settings(Configuration, read_yaml(config, settings or ()), "")
    arguments = check_arguments(chosen.model, chosen.arguments or {})
    training = check_settings(TrainingSettings, chosen.training, "training")
    with process_group(training.device):
        images = _open(source, chosen.images, read_ids(ids) if ids else None, max_errors)
        if training.crop and training.crop > images.size:
            raise UsageError(f"training.crop: {training.crop} from images of size {images.size}")
        is_trained = issubclass(MODELS[chosen.model], Objective)  # others are fitted at once
        if is_trained and len(images) < 2:
            raise DataError(f"{source}: one image; a training takes statistics of two or more")
        probe = _probe(source, images, valid_concepts) if valid_concepts and is_trained else None
        if init and not is_trained:
            raise UsageError(f"--init: {chosen.model} is fitted, not trained, and starts afresh")
        start = load_encoder(init, "cpu") if init else None
        if start and start.description.model != chosen.model:
            raise DataError(
                f"{init}: weights of a model {start.description.model} for a {chosen.model}; "
                "begin with an encoder of the same model"
            )
        plan = _Plan(
            folder=folder,
            model=chosen.model,
            arguments=arguments,
            training=training,
            images=images,
            probe=probe,
            init=init,
            start=start,
            resume=resume,
            overwrite=overwrite,
        )
        if rank() > 0:
            _follow(plan)
        else:
            _lead(plan)


@dataclass(frozen=True)
class _Plan:
    """One training: which model, on which images, from where, into which folder."""

    folder: Path
    model: str
    arguments: dict[str, Any]
    training: TrainingSettings
    images: ImageSet
    probe: Probe | None
    init: Path | None
    start: Encoder | None
    resume: bool
    overwrite: bool

    @cached_property
    def place(self) -> TrainingFolder:
        """Where the encoder goes."""
        identity = self.description.identity
        return TrainingFolder(self.folder, identity, self.facts, self.resume, self.overwrite)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What decides the result."""
        facts: dict[str, Any] = {
            "model": self.model,
            "arguments": self.arguments,
            "training": self.training.facts(),
            "images": self.images.identity,
        }
        if self.probe:
            facts |= {"probe": self.probe.identity, "probe_every": self.training.probe_every}
        if self.start:
            facts["init"] = self.start.description.identity
        if world_size() > 1 and issubclass(MODELS[self.model], Objective):
            facts["processes"] = world_size()  # each draws noise of its own
        return facts

    @cached_property
    def description(self) -> Description:
        """What the encoder will say of itself."""
        return Description(
            model=self.model,
            arguments=self.arguments,
            size=self.images.size,
            channels=self.images.channels,
            fit=self.images.fit,
            crop=self.training.crop,
            identity=identify(self.model, **self.facts),
            training=self.training.facts(),
        )


def _lead(plan: _Plan) -> None:
    folder = plan.folder
    with ExitStack() as stack:
        try:
            work = stack.enter_context(workspace(folder))
            finished = plan.place.is_finished()
        except Exception:
            broadcast(True)  # the other processes would wait for an answer
            raise
        if broadcast(finished):
            plan.place.finish()  # a kill may have come before that
            say(f"{folder}: already trained from the same inputs, nothing to do")
            return
        try:
            _train(plan, work)
        except KeyboardInterrupt:
            if (folder / "checkpoint.pt").exists():
                say(f"{folder}: go on with --resume")
            raise
        plan.place.finish()
    say(f"{folder}: {plan.model} trained on {len(plan.images):,} images{_chosen(folder)}")


def _chosen(folder: Path) -> str:
    """Say which weights the encoder in a folder has, where a probe chose."""
    selected = read_description(folder).selected
    if selected is None:
        return ""
    return f"; the weights of step {selected['step']} served best ({selected['linear']:.4f})"


def _follow(plan: _Plan) -> None:
    """Take part in what the first of several processes leads, if there is anything to do."""
    finished = broadcast(False)
    model = _new_model(plan)
    if not finished and isinstance(model, Objective):
        _fit(plan, model)


def _open(
    source: Path, settings: dict[str, Any] | None, ids: list[str] | None, max_errors: float
) -> ImageSet:
    wanted = check_settings(ImageSettings, settings, "images")
    if is_prepared(source):
        there = ImageSet.load(source)
        form = {"size": there.size, "channels": there.channels, "fit": there.fit}
        wanted = wanted.model_copy(
            update={key: form[key] for key in form if key not in wanted.model_fields_set}
        )
    return open_images(
        source,
        size=wanted.size,
        channels=wanted.channels,
        fit=wanted.fit,
        ids=ids,
        max_errors=max_errors,
    )


def _probe(source: Path, images: ImageSet, concepts: Path) -> Probe | None:
    """Open the labelled images, at most `_PROBED` of them, in the form of the others.

    Returns:
        None where they are too few to tell weights apart.
    """
    table = read_concepts(concepts)
    labelled = [id_ for id_, named in zip(table.ids, table.concepts, strict=True) if named]
    if len(labelled) < _FEWEST:
        warn(
            f"{concepts}: {len(labelled)} images have concepts, and fewer than {_FEWEST} do not "
            "tell which weights are best; the last ones are kept"
        )
        return None
    # Not every other one: lists alternate.
    rows = np.random.default_rng(0).permutation(len(labelled))[:_PROBED]
    wanted = [labelled[row] for row in np.sort(rows)]
    form = {"size": images.size, "channels": images.channels, "fit": images.fit}
    try:
        shown = _open(source, form, wanted, 1.0)
    except DataError as error:
        raise DataError(f"{concepts}: {error}") from None
    found = f"{concepts}: {len(shown):,} of {len(wanted):,} labelled images are among {source}"
    if len(shown) < _FEWEST:
        raise DataError(f"{found}, at least {_FEWEST} are needed to probe with")
    if len(shown) < len(wanted):
        warn(f"{found}; these are probed with")
    return Probe(np.asarray(shown.pixels), table.select(shown.ids))


def _new_model(plan: _Plan) -> Model:
    seed_all(plan.training.seed)
    try:
        return plan.description.build()
    except UsageError as error:
        if not plan.training.crop:
            raise
        # The size is the crop's, and the user may not have thought of that.
        raise UsageError(f"{error} (training.crop is {plan.training.crop})") from None


def _train(plan: _Plan, work: Path) -> None:
    folder, model = plan.folder, _new_model(plan)
    if isinstance(model, Objective):
        trained, selected = _fit(plan, model)
        save_encoder(folder, trained, replace(plan.description, selected=selected))
    elif isinstance(model, FittedEncoder):
        fit_encoder(model, plan.images.pixels, plan.training)
        made = work / "encoder"
        made.mkdir()
        shown = fixed_images(plan.images.pixels, plan.training.crop)
        write_sheets(made / "sheets", grids_of(model, shown))
        save_encoder(made, model, plan.description)
        plan.place.make_room()
        publish(made, folder)


def _fit(plan: _Plan, model: Objective) -> tuple[Model, dict[str, Any] | None]:
    """Return the trained model, and step and scores of the probe that chose its weights."""
    trainer = Trainer(model, plan.images.pixels, plan.training)
    if plan.start:
        trainer.start_from(plan.start.model.state_dict(), str(plan.init))
    # Nothing was refused.  Checkpoints have to outlive a kill, so the folder fills up from now on.
    if rank() == 0:
        plan.place.make_room()
    broadcast("made")  # before the others look for a checkpoint
    identity = plan.description.identity
    trained = fit(trainer, plan.folder, identity, plan.facts, resume=plan.resume, probe=plan.probe)
    if trainer.best is None:
        return trained, None
    return trained, {"step": trainer.best["step"], **trainer.best["scores"]}
