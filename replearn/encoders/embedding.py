"""Embeds images in batches on a device, in float32 or bfloat16."""

from collections.abc import Callable, Iterator
from typing import Literal, get_args

import numpy as np
import torch

from replearn.arrays import Pixels, Vectors
from replearn.encoders.contract import Model
from replearn.encoders.preprocessing import centre_crop, scale_pixels
from replearn.encoders.torch_state import full_float32
from replearn.errors import DEVICE_ERRORS, DataError, brief, no_device
from replearn.memory import keep_freed_memory

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


_BATCH = 256  # images
_BATCH_ON_GPU = 1024

# What CUDA, cuBLAS and cuDNN say, for which torch has no class of its own: the last one where no
# way to convolve has the memory that it works in.
_SHORT = ("CUDA error: out of memory", "STATUS_ALLOC_FAILED", "unable to find an engine")


def embeddings(
    model: Model,
    pixels: Pixels,
    *,
    crop: int | None,
    device: torch.device,
    batch_size: int | None = None,
    precision: Precision = "float32",
) -> Iterator[Vectors]:
    """Yield a model's embeddings float32 [<= batch_size, D] of prepared pixels [N, C, H, W].

    Args:
        model: in evaluation mode.
        pixels: uint8; maybe on disk.
        crop: side of the central crop, None for the whole image.
        device: where the model is.
        batch_size: images at a time; half as many as soon as they do not fit.
        precision: of the arithmetic.

    Raises:
        DataError: not even one image fits into the device's memory.
    """
    if device.type == "cpu":
        keep_freed_memory()
    size = batch_size or (_BATCH if device.type == "cpu" else _BATCH_ON_GPU)
    start = 0
    last: Callable[[], Vectors] | None = None
    while start < len(pixels):
        block = np.array(centre_crop(pixels[start : start + size], crop))
        vectors: Callable[[], Vectors] | None = None
        try:
            vectors = _returned(_embed(model, _sent(block, device), precision))
        except RuntimeError as error:
            if not _is_short_of_memory(error):
                raise
            if len(block) == 1:
                raise DataError(
                    f"device {device}: not enough memory for one image ({brief(error)}); "
                    "use another"
                ) from None
        if vectors is None:
            # Only here: the error keeps the feature maps that were there when it was raised.
            size = len(block) // 2
            torch.cuda.empty_cache()
            continue
        # One batch late, so that the device has the next one before it is waited for.
        if last is not None:
            yield last()
        start, last = start + len(block), vectors
    if last is not None:
        yield last()


def _is_short_of_memory(error: RuntimeError) -> bool:
    """Tell whether a device had not enough memory, as its libraries say it in their own ways."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(text in said for text in _SHORT)


def _sent(block: Pixels, device: torch.device) -> torch.Tensor:
    """Return pixels on the device, a GPU without waiting for what it has to do before."""
    pixels = torch.from_numpy(block)
    if device.type == "cuda":
        return pixels.pin_memory().to(device, non_blocking=True)
    return pixels.to(device)


def _returned(vectors: torch.Tensor) -> Callable[[], Vectors]:
    """Begin to copy vectors to the host; what is returned waits for them, and for nothing later."""
    if vectors.device.type != "cuda":
        return lambda: vectors.cpu().numpy()
    copied = vectors.to("cpu", non_blocking=True)
    done = torch.cuda.current_stream(vectors.device).record_event()

    def wait() -> Vectors:
        done.synchronize()
        return copied.numpy()

    return wait


def _embed(model: Model, pixels: torch.Tensor, precision: Precision) -> torch.Tensor:
    autocast = torch.autocast(pixels.device.type, torch.bfloat16, enabled=precision == "bfloat16")
    with torch.inference_mode(), full_float32(pixels.device), autocast:
        return model.embed(scale_pixels(pixels)).float()


def find_device(name: str) -> torch.device:
    """Return the device of this name; `auto` takes a GPU if there is one.

    Raises:
        DataError: the device was asked for by name and is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=name)
    except DEVICE_ERRORS as error:
        raise DataError(no_device(name, error)) from None
    return torch.device(name)


def device_label(device: torch.device) -> str:
    """Return what people call a device."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)
