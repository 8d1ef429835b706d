"""A training run: a model that learns from images, in a folder that a killed run can go on in."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from replearn.artefacts.files import publish
from replearn.artefacts.identity import identify
from replearn.artefacts.outputs import place_of, refuse_inputs
from replearn.artefacts.workspace import workspace
from replearn.encoders.configuration import Configuration, ImageSettings, check_form
from replearn.encoders.contract import FittedEncoder, Model, Objective, TaughtObjective, Trained
from replearn.encoders.embedding import find_device
from replearn.encoders.encoder import Description, Encoder, load_encoder, save_encoder
from replearn.encoders.models import MODELS, check_arguments
from replearn.encoders.networks.collective import rank, world_size
from replearn.encoders.sheets import fixed_images, grids_of, write_sheets
from replearn.encoders.torch_state import restored_torch_state
from replearn.encoders.training.distributed import check_device, of_first, process_group
from replearn.encoders.training.folder import TrainingFolder
from replearn.encoders.training.loop import Probe, fit, fit_encoder
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.teaching import check_teacher, targets_of
from replearn.encoders.training.trainer import Trainer, seed_all
from replearn.errors import DataError, UsageError
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.settings import check_settings, find_settings, merge_settings, read_yaml

_logger = logging.getLogger(__name__)


def read_configuration(path: Path, overrides: Sequence[str] = ()) -> Configuration:
    """Read an encoder's YAML file with overrides `key=value`, and check all of its settings.

    Args:
        path: of the file, or the name of one that is shipped, as `aae`.
        overrides: `key.key=value`.

    Raises:
        DataError: the file is missing or is not YAML.
        UsageError: a setting is not known or does not fit.
    """
    config = check_settings(Configuration, read_yaml(find_settings(path), overrides), "")
    _, training = check_configuration(config)
    check_device(training.device)
    return config


def check_configuration(config: Configuration) -> tuple[dict[str, Any], TrainingSettings]:
    """Return the complete arguments of the model, and the settings of its training.

    Raises:
        UsageError: a model, an argument or a setting is not known or does not fit.
    """
    check_settings(ImageSettings, config.images, "images")
    arguments = check_arguments(config.model, config.arguments or {})
    return arguments, check_settings(TrainingSettings, config.training, "training")


def train(
    model: str | Path | Configuration,
    images: ImageSet,
    folder: Path | str,
    *,
    probe: Probe | None = None,
    init: Path | str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    **settings: Any,
) -> Encoder:
    """Train an encoder on images without labels; `load_encoder` opens its folder again.

    Where the folder holds an encoder of the same settings and images, nothing is trained unless
    `overwrite` is given.  Of several processes that `torchrun` started, all call this with the same
    arguments.  The random numbers of torch, and its choices for the whole process, are left as they
    were.

    Args:
        model: the name of a model, whose shipped settings are taken, or of other shipped settings,
            as `seed-aae`; the path of a YAML file; or a configuration.
        images: what it learns from, all of them: pixels uint8 [N, C, H, W], in the form that the
            section `images` of the configuration asks for, if it has one.
        folder: where the encoder goes; filled while the training goes on.
        probe: labelled images; the weights that serve these best are kept.  An encoder that is
            fitted at once needs none.
        init: folder of an encoder of the same model, to begin with its weights.
        resume: go on from the checkpoint in the folder, if there is one.
        overwrite: train in any case, and replace what another training left there.
        **settings: on top of the configuration, named as in its file: sections, as
            `training={"steps": 4000}`, or single settings, as `**{"training.steps": 4000}`; for a
            model `distilled`, `teacher="features.h5"`.

    Raises:
        DataError: there are no such settings, the images are too few or of another form than the
            configuration asks for, the folder holds something else, a loss diverged, or another
            process failed.
        UsageError: an argument or a setting that is not known or does not fit.
        KeyboardInterrupt: stopped by a signal, after a checkpoint was saved.

    Example:
        >>> encoder = replearn.train("aae", images, "runs/aae", training={"steps": 2})
        >>> encoder.transform(images.pixels).shape  # [N, D]
        (48, 1024)
    """
    config, folder = _configuration(model, settings), Path(folder)
    _, training = check_configuration(config)
    make_encoder(
        folder,
        config,
        images,
        probe=probe,
        init=Path(init) if init else None,
        resume=resume,
        overwrite=overwrite,
    )
    return load_encoder(folder, training.device)


def make_encoder(
    folder: Path,
    config: Configuration,
    images: ImageSet,
    *,
    probe: Probe | None = None,
    init: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Train an encoder into a folder, if the same one does not lie there already.

    Args and errors are those of `train`, which also opens the folder.
    """
    folder = place_of(folder)
    refuse_inputs(folder, [init, images.source, config.teacher])
    arguments, training = check_configuration(config)
    check_images(config, images)
    teacher = Features.load(config.teacher) if config.teacher else None
    check_teacher(config.model, teacher, images)
    with (
        process_group(training.device),
        restored_torch_state(find_device(training.device)),
    ):
        run = _Run(
            folder=folder,
            model=config.model,
            arguments=arguments,
            training=training,
            images=images,
            probe=probe if is_trained(config.model) else None,
            init=init,
            teacher=teacher,
            start=_first_weights(init, config.model) if init else None,
            resume=resume,
            overwrite=overwrite,
        )
        _fill(run)


def _configuration(model: str | Path | Configuration, settings: Mapping[str, Any]) -> Configuration:
    """Return a configuration, shipped or not, with these settings on top."""
    if isinstance(model, Configuration):
        content = model.model_dump(exclude_unset=True)
    else:
        content = read_yaml(find_settings(Path(model)))
    return check_settings(Configuration, merge_settings(content, settings), "")


def check_images(config: Configuration, images: ImageSet) -> None:
    """Refuse images that a model cannot learn from in this way.

    Raises:
        DataError: they have another form than the configuration asks for, or there is one image
            and the model is trained step by step.
        UsageError: the crop is larger than the images.
    """
    _, training = check_configuration(config)
    check_form(config.images, images)
    if training.crop and training.crop > images.size:
        raise UsageError(f"training.crop: {training.crop} from images of size {images.size}")
    if is_trained(config.model) and len(images) < 2:
        where = f"{images.source}: " if images.source else ""
        raise DataError(f"{where}one image; a training takes statistics of two or more")


def is_trained(model: str) -> bool:
    """Tell whether a model is trained step by step; the others are fitted at once."""
    return issubclass(MODELS[model], Trained)


def _first_weights(init: Path, model: str) -> Encoder:
    if not is_trained(model):
        raise UsageError(f"--init: {model} is fitted, not trained, and starts afresh")
    start = load_encoder(init, "cpu")
    if start.description.model != model:
        raise DataError(
            f"{init}: weights of a model {start.description.model} for a {model}; "
            "begin with an encoder of the same model"
        )
    return start


@dataclass(frozen=True)
class _Run:
    """One training: which model, on which images, from where, into which folder."""

    folder: Path
    model: str
    arguments: dict[str, Any]
    training: TrainingSettings
    images: ImageSet
    probe: Probe | None
    init: Path | None
    teacher: Features | None
    start: Encoder | None
    resume: bool
    overwrite: bool

    @cached_property
    def output(self) -> TrainingFolder:
        """The folder that receives the encoder."""
        identity = self.description.identity
        return TrainingFolder(self.folder, identity, self.facts, self.resume, self.overwrite)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts that determine the result."""
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
        if self.teacher:
            facts["teacher"] = self.teacher.identity
        if world_size() > 1 and is_trained(self.model):
            facts["processes"] = world_size()  # each draws noise of its own
        return facts

    @cached_property
    def description(self) -> Description:
        """The description that is stored with the encoder."""
        return Description(
            model=self.model,
            arguments=self.arguments,
            **asdict(self.images.form),
            crop=self.training.crop,
            identity=identify(self.model, **self.facts),
            training=self.training.facts(),
        )


def _fill(run: _Run) -> None:
    """Train into the folder; of several processes the first one writes."""
    folder = run.folder
    with ExitStack() as stack:
        work = of_first(lambda: stack.enter_context(workspace(folder)))
        if of_first(run.output.is_finished):
            of_first(run.output.finish)  # a kill may have come before that
            _log(f"{folder}: already trained from the same inputs, nothing to do")
            return
        try:
            selected = _train(run, work)
        except KeyboardInterrupt:
            if (folder / "checkpoint.pt").exists():
                _log(f"{folder}: go on with --resume")
            raise
        of_first(run.output.finish)
    left_out = f", {len(run.images.errors):,} left out" if run.images.errors else ""
    count = f"{len(run.images):,} images{left_out}"
    _log(f"{folder}: {run.model} trained on {count}{_chosen(selected)}")


def _log(line: str) -> None:
    """Say it once."""
    if rank() == 0:
        _logger.info(line)


def _chosen(selected: dict[str, Any] | None) -> str:
    """Say which weights the encoder has, where a probe chose."""
    if selected is None:
        return ""
    return f"; the weights of step {selected['step']} served best ({selected['linear']:.4f})"


def _new_model(run: _Run) -> Model:
    seed_all(run.training.seed)
    try:
        return run.description.build()
    except UsageError as error:
        if not run.training.crop:
            raise
        # The size is the crop's, and the user may not have thought of that.
        raise UsageError(f"{error} (training.crop is {run.training.crop})") from None


def _train(run: _Run, work: Path) -> dict[str, Any] | None:
    """Train and save; return step and scores of the probe that chose the weights, if one did."""
    model = _new_model(run)
    if isinstance(model, FittedEncoder):
        of_first(partial(_fit_at_once, run, model, work))
        return None
    assert isinstance(model, Objective | TaughtObjective)
    trained, selected = _fit(run, model)
    described = replace(run.description, selected=selected)
    of_first(lambda: save_encoder(run.folder, trained, described))
    return selected


def _fit_at_once(run: _Run, model: FittedEncoder, work: Path) -> None:
    fit_encoder(model, run.images.pixels, run.training)
    made = work / "encoder"
    made.mkdir()
    shown = fixed_images(run.images.pixels, run.training.crop)
    write_sheets(made / "sheets", grids_of(model, shown))
    save_encoder(made, model, run.description)
    run.output.make_room()
    publish(made, run.folder)


def _fit(run: _Run, model: Objective | TaughtObjective) -> tuple[Model, dict[str, Any] | None]:
    """Return the trained model, and step and scores of the probe that chose its weights."""
    targets = None
    if isinstance(model, TaughtObjective):
        assert run.teacher
        targets = targets_of(model, run.teacher, run.images)
    trainer = Trainer(model, run.images.pixels, run.training, targets)
    if run.start:
        trainer.start_from(run.start.model.state_dict(), str(run.init))
    # Nothing was refused.  Checkpoints have to outlive a kill, so the folder fills up from now on.
    of_first(run.output.make_room)  # before the others look for a checkpoint
    identity = run.description.identity
    trained = fit(trainer, run.folder, identity, run.facts, resume=run.resume, probe=run.probe)
    if trainer.best is None:
        return trained, None
    return trained, {"step": trainer.best["step"], **trainer.best["scores"]}
