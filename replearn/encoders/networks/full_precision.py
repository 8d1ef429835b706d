"""Numbers that half precision would spoil are taken at full precision."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def to_full_precision(values: Tensor) -> Tensor:
    """Return the values in at least single precision; double stays double."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def in_full_precision(values: Tensor) -> AbstractContextManager[object]:
    """Return a context in which products on the values' device are not computed in less."""
    kind = values.device.type
    return (
        torch.autocast(kind, enabled=False)
        if torch.amp.is_autocast_available(kind)
        else nullcontext()
    )
