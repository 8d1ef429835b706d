"""The passes of the logistic regression on a device of torch, as a GPU."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from replearn.arrays import Floats
from replearn.detection.logistic.loss import Pass
from replearn.detection.logistic.standardised_rows import StandardisedRows
from replearn.device_memory import free_memory
from replearn.errors import DEVICE_ERRORS, DataError, no_device

_BLOCK = 16384  # rows: products large enough to fill a GPU


def device_pass(rows: StandardisedRows, device: str, memory: float) -> Pass:
    """Return what `loss.through_rows` does, done on a device.

    Args:
        rows: features, standardised and with a last entry of 1 [N, K].
        device: as torch names it.
        memory: bytes for the rows, on a GPU half of what is free there instead; where it is not
            enough for all, each pass sends them anew.

    Raises:
        DataError: there is no such device.
    """
    try:
        target = torch.zeros(0, device=device).device
    except DEVICE_ERRORS as error:
        raise DataError(no_device(device, error)) from None

    def blocks() -> Iterator[Tensor]:
        for start in range(0, rows.shape[0], _BLOCK):
            yield torch.from_numpy(rows[slice(start, start + _BLOCK)]).to(target)

    if target.type == "cuda":
        memory = free_memory(target) / 2
    fits = 4 * rows.shape[0] * rows.shape[1] <= memory
    kept = list(blocks()) if fits else None

    def through(minus: Floats) -> tuple[Floats, Floats, Floats]:
        against = torch.from_numpy(minus).to(target)
        pushes = torch.zeros(minus.shape, dtype=torch.float64, device=target)
        losses, weight = torch.zeros_like(pushes[0]), torch.zeros_like(pushes[0])
        for x in kept or blocks():
            z = x @ against
            p = torch.sigmoid(-z)
            losses += F.softplus(-z).sum(dim=0, dtype=torch.float64)
            weight += (p * (1 - p)).sum(dim=0, dtype=torch.float64)
            pushes += x.T @ p
        return losses.cpu().numpy(), weight.cpu().numpy(), pushes.cpu().numpy()

    return through
