"""The encoders of the benchmark and how large, how long and how often they are trained.

All networks see the same number of images: equal steps of equal batches, whatever a step costs.
The seconds stand in the table beside the scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replearn.encoders.configuration import Configuration
from replearn.encoders.training.settings import TrainingSettings
from replearn.errors import UsageError
from replearn.settings import check_settings


@dataclass(frozen=True)
class Scale:
    """How much work the benchmark is.

    Attributes:
        width: channels of the networks' first convolution.
        steps: of each training.
        batch_size: images in a step.
        seeds: trainings of each encoder.
        phantoms: how many are drawn; a fifth is for the test.
        two_level: whether the flipped AAE has its own generator or, much faster, a plain one.
        flip: whether natural images are mirrored at random in training.
    """

    width: int
    steps: int
    batch_size: int
    seeds: int
    phantoms: int
    two_level: bool
    flip: bool


# On one core at 32 px in colour, the networks of width 16 train on 500 (diffusion) to 2,500 images
# a second (autoencoders), those of width 32 on 200 to 1,200; at 64 px on a quarter of that.
# `small` is for less than half an hour on 2 idle cores at 32 px.
SCALES = {
    "small": Scale(16, 2000, 64, 1, 4000, two_level=False, flip=False),
    "medium": Scale(32, 4000, 64, 3, 8000, two_level=False, flip=False),
    "full": Scale(64, 30_000, 256, 3, 20_000, two_level=True, flip=True),
}


@dataclass(frozen=True)
class Recipe:
    """An encoder: its model, what differs from the defaults, and whether it is trained at all.

    Attributes:
        model: name in the library.
        arguments: of the model.
        training: settings of the training besides those of the scale.
        trained: whether more than the normalisation's statistics is learned.
    """

    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    trained: bool = True


# At the same layer as everything else in the table; read first.
BASELINES = ("raw", "random", "pca")
# Not chosen by default: its parts are in the table already.
OPTIONAL = ("combined",)


def recipes(scale: Scale, *, colour: bool) -> dict[str, Recipe]:
    """Return all encoders of the benchmark by name, the settings of configs/ at this width.

    Args:
        scale: gives the width.
        colour: whether these are natural images.
    """
    width: dict[str, Any] = {"width": scale.width}
    # Both chosen on CIFAR-10's validation images at width 16 and 2,000 steps.  Of 1 (the default),
    # 0.1 and 0.01 this gave the GAN the best features (one seed).  Held as softly (two seeds), or
    # with the default weight (one), InfoGAN's code was hardly better than an untrained one's.
    gan = width | ({"adversary": {"r1": 0.01}} if colour else {})
    infogan = width | ({"information_weight": 1.0} if colour else {})
    autoencoders: dict[str, dict[str, Any]] = {
        "sdae": width,
        "vae": width | {"beta": 4.0},
        "aae": width,
    }
    parts = {
        name: {"model": name, "arguments": {**autoencoders[name], "layer": "convolution"}}
        for name in ("aae", "sdae")
    }
    generator = "two-level" if scale.two_level else "plain"
    return {
        "raw": Recipe("raw"),
        "random": Recipe("random", width),
        # The baseline of what reads a critic, a GAN's or an InfoGAN's: these have no normalisation.
        "random-critic": Recipe("infogan", width, trained=False),
        # The baseline of diffusion, whose encoder is deeper than the others'.
        "random-denoiser": Recipe("diffusion", width, trained=False),
        "pca": Recipe("pca"),
        "kmeans": Recipe("kmeans"),
        "patches": _patches(natural=colour),
        "smt": Recipe("smt"),
        "bovw-orb": Recipe("bovw"),
        "bovw-sift": Recipe("bovw", {"keypoints": "sift", "side": 128}),
        **{name: Recipe(name, arguments) for name, arguments in autoencoders.items()},
        "combined": Recipe("combined", {"parts": parts}),
        "flipped_aae": Recipe("flipped_aae", width | {"generator": generator}),
        "bigan": Recipe("bigan", width | {"prior": "sphere", "reconstruction_weight": 10.0}),
        "gan": Recipe("gan", gan),
        "infogan": Recipe("infogan", infogan),
        "diffusion": Recipe("diffusion", width),
    }


def _patches(*, natural: bool) -> Recipe:
    """Return the settings of configs/patches.yaml, for natural images more and mirrored words."""
    arguments: dict[str, Any] = {
        "patch": [5, 9],
        "encoding": "threshold",
        "words": 512,
        "pyramid": [1, 3],
        "components": 1024,
    }
    if not natural:
        return Recipe("kmeans", arguments)
    more = {"words": 1536, "pyramid": [3], "components": 4096, "mirrored": True}
    # In float32 extraction takes twice as long.
    return Recipe("kmeans", arguments | more, {"fit_images": 15_000, "precision": "bfloat16"})


def of_config(name: str, config: Configuration) -> dict[str, Recipe]:
    """Return the encoder of a configuration and, as its baseline, the same one untrained."""
    recipe = Recipe(config.model, config.arguments or {}, config.training or {})
    return {name: recipe, f"{name}-untrained": replace(recipe, trained=False)}


def training_settings(
    recipe: Recipe, scale: Scale, *, colour: bool, own: bool, overrides: dict[str, Any]
) -> TrainingSettings:
    """Return the settings of a training, its seed and device left to whoever trains.

    Args:
        recipe: its own settings win over those of the scale.
        scale: gives steps and batches.
        colour: whether these are natural images, which may be mirrored.
        own: whether length and batches are the recipe's own business, as with a configuration.
        overrides: what the user set, which wins over everything.

    Raises:
        UsageError: a setting is unknown or does not fit.
    """
    common: dict[str, Any] = {}
    if not own:
        mirrored = colour and scale.flip
        common = {"steps": scale.steps, "batch_size": scale.batch_size, "flip": mirrored}
    # Nobody looks at a training of the benchmark; pictures only cost time.
    watching = {"checkpoint_every": 2000, "sheet_every": 10**9}
    settings = watching | common | recipe.training | overrides
    if "steps" in overrides:
        settings["epochs"] = None
    elif "epochs" in overrides:
        settings["steps"] = None
    return check_settings(TrainingSettings, settings, "training")


def choose(names: Sequence[str], known: dict[str, Recipe]) -> dict[str, Recipe]:
    """Return the baselines and the named recipes, in the order of the table; no name means all.

    Raises:
        UsageError: a name is unknown.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"--encoders {unknown[0]}: unknown; known: {', '.join(known)}")
    wanted = set(names) or set(known) - set(OPTIONAL)
    return {name: known[name] for name in known if name in wanted or name in BASELINES}
