"""Numbers that half precision would spoil are taken at full precision."""

import torch
from torch import Tensor


def to_full_precision(values: Tensor) -> Tensor:
    """Return the values in at least single precision; double stays double."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
