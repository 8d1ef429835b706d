"""What the sections work on: images, and models and trainers of a size that suits the form."""

from typing import Any

import numpy as np

from benchmarks.gpu.form import Form
from replearn.arrays import Pixels
from replearn.encoders.contract import Objective
from replearn.encoders.losses.adversarial import LOSSES
from replearn.encoders.losses.priors import PRIORS
from replearn.encoders.models import MODELS, build, check_arguments
from replearn.encoders.training.settings import TrainingSettings
from replearn.encoders.training.trainer import Trainer, seed_all
from replearn.phantoms.rendering import render

OBJECTIVES = [name for name, model in MODELS.items() if issubclass(model, Objective)]

_TINY = {"width": 4, "latent_dim": 8, "critic_width": 16, "noise_dim": 8, "words": 8}
# Parts of a combination that are fitted to a few images at once, on the device.
_FITTED: dict[str, dict[str, Any]] = {
    "pca": {"latent_dim": 16},
    "kmeans": {"words": 32},
    "bovw": {"words": 32},
    "random": {},
}

# A model and its arguments, beside those that every model has by default: what else is computed
# on a device when somebody asks for it.
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"aae, {name}": ("aae", {"architecture": name}) for name in ("sndcgan", "resnet", "dense")},
    **{f"aae, {name} prior": ("aae", {"prior": name}) for name in PRIORS if name != "sphere"},
    "aae, three moves": ("aae", {"moves": "three"}),
    **{f"gan, {name}": ("gan", {"adversary": {"loss": name, "r1": 1.0}}) for name in LOSSES},
    "bigan, gradient penalty": (
        "bigan",
        {"adversary": {"gradient_penalty": 10.0, "minibatch_stddev": True, "critic_steps": 2}},
    ),
    "bigan, doubts": (
        "bigan",
        {"adversary": {"label_flipping": 0.2, "label_smoothing": 0.1, "instance_noise": 0.1}},
    ),
    "bigan, feature matching": (
        "bigan",
        {"adversary": {"feature_matching": 1.0, "spectral_norm": True, "drift": 0.01}},
    ),
    "bigan, reconstruction": ("bigan", {"reconstruction_weight": 10.0}),
    "flipped_aae, plain": ("flipped_aae", {"generator": "plain"}),
    "vae, free bits": ("vae", {"free_bits": 0.05}),
    "combined, fitted parts": (
        "combined",
        {
            "parts": {
                name: {"model": name, "arguments": arguments}
                for name, arguments in {"aae": {}, **_FITTED}.items()
            }
        },
    ),
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in OBJECTIVES} | VARIANTS


def phantoms(count: int, size: int) -> Pixels:
    """Return phantoms uint8 [N, 1, size, size]."""
    return np.stack([render(number, size=size).pixels for number in range(count)])


def noise(count: int, size: int) -> Pixels:
    """Return images of noise uint8 [N, 1, size, size], much sooner than phantoms."""
    return np.random.default_rng(0).integers(0, 256, (count, 1, size, size), np.uint8)


def arguments_of(model: str, form: Form, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the complete arguments of a model, made tiny in the small form."""
    arguments = check_arguments(model, given or {})
    return arguments if form.full else resized(arguments, _TINY)


def resized(arguments: dict[str, Any], sizes: dict[str, int]) -> dict[str, Any]:
    """Return arguments with these sizes where they have such, in parts of a combination too."""

    def changed(key: str, value: Any) -> Any:
        return resized(value, sizes) if isinstance(value, dict) else sizes.get(key, value)

    return {key: changed(key, value) for key, value in arguments.items()}


def new_trainer(case: str, pixels: Pixels, form: Form, **settings: Any) -> Trainer:
    """Return a trainer of one of CASES on pixels uint8 [N, C, H, W], always from the same weights.

    Args:
        case: names model and arguments.
        pixels: to train on.
        form: gives the device and the sizes.
        settings: of the training, on top of four steps of batches of 16.
    """
    model, given = CASES[case]
    seed_all(0)
    objective = build(
        model,
        size=pixels.shape[-1],
        channels=pixels.shape[1],
        arguments=arguments_of(model, form, given),
    )
    assert isinstance(objective, Objective)
    common = {"device": form.device, "steps": 4, "batch_size": 16, "fit_images": len(pixels)}
    return Trainer(objective, pixels, TrainingSettings.model_validate(common | settings))
