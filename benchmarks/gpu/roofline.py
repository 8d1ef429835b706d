"""The least time that work can take on a device, from its operations and its bytes.

Every operation of torch takes at least as long as its arithmetic at the device's speed for
matrix products of that precision, and at least as long as it takes to read its inputs and write
its outputs once at the speed of a copy (Williams et al. 2009, "Roofline").  What layers cost
follows from torch's own formulas, of which the two that matter are

    matrix product [m, k] x [k, n]                 2 m n k operations, m k + k n + m n numbers
    convolution [N, I, h, w] -> [N, O, H, W],      2 N O H W I r s operations,
    kernel r x s                                   N I h w + N O H W + O I r s numbers

and twice the operations backward.  All others count no operations, only bytes.  The operations of
a task run one after the other, so their least times add up.  A faster way may exist where several
operations are one, as in a compiled network; and what fits into the device's cache may be read
faster than the bandwidth of its memory allows.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from benchmarks.gpu.form import Form

_PRECISIONS = {torch.float32: "float32", torch.bfloat16: "bfloat16"}


class LeastTime(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the work of all that is computed inside, on one kind of device.

    Attributes:
        operations: additions and multiplications.
        bytes: read and written.
        seconds: the least that it takes.
    """

    def __init__(self, ceilings: Mapping[str, float], device: str) -> None:
        """Begin at nothing.

        Args:
            ceilings: see `Form`.
            device: tensors elsewhere do not count.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self._ceilings, self._device = ceilings, device
        self.operations, self.bytes = 0, 0
        self.seconds = 0.0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if _moves_data(func):
            inputs = self._tensors((args, kwargs))
            moved = sum(map(_bytes, [*inputs, *self._tensors(result)]))
            formula = flop_registry.get(func.overloadpacket)
            operations = formula(*args, **(kwargs or {}), out_val=result) if formula else 0
            self._add(operations, moved, inputs)
        return result

    def _tensors(self, values: Any) -> list[Tensor]:
        leaves = tree_leaves(values)
        return [x for x in leaves if isinstance(x, Tensor) and x.device.type == self._device]

    def _add(self, operations: int, moved: int, inputs: list[Tensor]) -> None:
        self.operations += operations
        self.bytes += moved
        least = moved / self._ceilings["bandwidth"]
        if operations and inputs:
            speed = self._ceilings[_PRECISIONS.get(inputs[0].dtype, "float32")]
            least = max(least, operations / speed)
        self.seconds += least


def _moves_data(func: Any) -> bool:
    """Tell views, and memory that is only reserved, from what reads and writes."""
    return not (func.is_view or "empty" in func.overloadpacket.__name__)


def _bytes(tensor: Tensor) -> int:
    """Return how much memory a tensor's values take; an expanded one lies there once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


def share_of(least: float | None, seconds: float) -> float | None:
    """Return the share of the roofline that was reached, None where the least is not known."""
    return None if least is None else least / seconds


def least_seconds(work: Callable[[], object], form: Form) -> float | None:
    """Do the work once, and return the least time that it can take; None without ceilings."""
    if not form.ceilings:
        work()
        return None
    least = LeastTime(form.ceilings, form.device)
    with least:
        work()
    return least.seconds


def least_seconds_of_search(queries: int, vectors: int, width: int, form: Form) -> float | None:
    """Return the least time of an exact search in float32, whatever does it.

    It is a matrix product [queries, width] x [width, vectors], 2 operations for each of the
    products, of which the largest numbers are kept as they come: only the two factors move.
    """
    if not form.ceilings:
        return None
    operations, moved = 2 * queries * vectors * width, 4 * width * (queries + vectors)
    return max(operations / form.ceilings["float32"], moved / form.ceilings["bandwidth"])
