"""Mixed precision, compiled layers, and determinism or speed of the device."""

import logging
from collections.abc import Callable, Iterator
from types import FunctionType

import torch
from torch import Tensor, nn

from replearn.encoders.contract import Trained
from replearn.encoders.losses.adversarial import adversaries_of
from replearn.encoders.networks.collective import rank
from replearn.encoders.torch_state import make_deterministic
from replearn.encoders.training.settings import TrainingSettings
from replearn.errors import UsageError
from replearn.memory import keep_freed_memory

_logger = logging.getLogger(__name__)


def precision_of(settings: TrainingSettings, device: torch.device) -> torch.dtype:
    """Return the precision of a training's arithmetic on this device."""
    if settings.precision != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[settings.precision]
    if device.type == "cuda":
        has_units = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        # Elsewhere bfloat16 is emulated, and slower than float32.
        has_units = device.type == "cpu" and (
            torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        )
    return torch.bfloat16 if has_units else torch.float32


def set_up(settings: TrainingSettings, device: torch.device) -> None:
    """Choose between the same bits and the fastest ones on a GPU; keep memory on a CPU.

    This is for the whole process, until `restored_torch_state` puts it back.
    """
    if device.type == "cpu":
        keep_freed_memory()
        if settings.deterministic and rank() == 0:
            _logger.info("training.deterministic: nothing to do, a CPU gives the same bits anyway")
        return
    torch.backends.cudnn.allow_tf32 = False  # who asks for float32 gets it
    torch.backends.cudnn.benchmark = not settings.deterministic
    torch.use_deterministic_algorithms(False)
    if settings.deterministic:
        make_deterministic()


def compile_layers(objective: Trained) -> None:
    """Compile every chain of layers.

    Raises:
        UsageError: the objective differentiates twice, which compiled layers cannot do.
    """
    if any(adversary.differentiates_twice for adversary in adversaries_of(objective)):
        raise UsageError(
            "training.compile: compiled networks cannot be differentiated twice, as "
            "arguments.adversary.r1 and gradient_penalty need; set these to 0, or "
            "training.compile to false"
        )
    for name, module in objective.named_modules():
        inside = any(isinstance(outer, nn.Sequential) for outer in _outer(objective, name))
        if isinstance(module, nn.Sequential) and not inside:
            module.forward = _compiled(module.forward)  # type: ignore[method-assign]


def _compiled(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return a chain's forward, compiled.

    `chain.compile()` would do nothing and say nothing: torch compiles no code of its own files
    unless it is called from another's.
    """

    def called(values: Tensor) -> Tensor:
        return forward(values)

    # What is compiled is kept, and limited in number, by code: each chain gets code of its own.
    own = FunctionType(called.__code__.replace(), globals(), closure=called.__closure__)
    compiled: Callable[[Tensor], Tensor] = torch.compile(own)
    return compiled


def _outer(objective: nn.Module, name: str) -> Iterator[nn.Module]:
    """Yield the modules that hold the one of this name."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield objective.get_submodule(name)
