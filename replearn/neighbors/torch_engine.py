"""Exact search through torch, for GPUs without faiss-gpu: blocks, and a running top-k."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from replearn.arrays import Vectors
from replearn.device_memory import free_memory
from replearn.errors import DEVICE_ERRORS, UsageError, no_device
from replearn.neighbors.engine import Hits, ReadOnlyEngine, Space, even_blocks

_QUERIES, _ROWS = 1024, 65536  # whose similarities are on the device at a time: 256 MiB
_SHARE = 0.5  # of the free memory of a device that the vectors may take


@dataclass
class TorchEngine(ReadOnlyEngine):
    """Vectors that are searched on a device; on it if they fit, else sent block by block.

    Attributes:
        space: in which the vectors are compared.
        stored: the vectors as `space` transforms them, float32 [N, D], maybe a memory map.
        device: where it searches, as torch calls it.
        rows: vectors in a block.
        owner: of the memory of `stored`, kept alive.
    """

    space: Space
    stored: NDArray[np.float32]
    device: str
    rows: int = _ROWS
    owner: object = None
    exact: ClassVar[bool] = True
    kind: ClassVar[str] = "torch"
    description: ClassVar[str] = "an index on a device"
    remedy: ClassVar[str] = "load it on the CPU"
    _on_device: Tensor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        try:
            if torch.device(self.device).type == "cuda":
                fits = self.stored.nbytes <= _SHARE * free_memory(self.device)
                self._on_device = self._send(slice(None)) if fits else None
            else:
                torch.empty(0, device=self.device)
        except DEVICE_ERRORS as error:
            raise UsageError(no_device(self.device, error)) from None

    def __len__(self) -> int:
        return len(self.stored)

    def search(self, vectors: Vectors, k: int) -> Hits:
        """Return the k nearest of each vector [M, D]."""
        values = np.empty((len(vectors), k), np.float32)
        rows = np.empty((len(vectors), k), np.int64)
        for some in even_blocks(len(vectors), _QUERIES):
            queries = torch.from_numpy(self.space.transform(vectors[some])).to(self.device)
            best, found = self._best(queries, k)
            values[some], rows[some] = best.cpu().numpy(), found.cpu().numpy()
        return self.space.to_hits(values, rows)

    def _best(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return inner products or squared distances [M, k] and rows [M, k], nearest first."""
        best = queries.new_empty(len(queries), 0)
        rows = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
        for start in range(0, len(self), self.rows):
            block = self._block(slice(start, start + self.rows))
            near = queries @ block.T  # [M, rows]
            if self.space.metric == "l2":
                near.mul_(2).sub_(block.square().sum(1))  # |q|^2 less the squared distance
            near, places = near.topk(min(k, near.shape[1]))
            best = torch.cat([best, near], dim=1)
            rows = torch.cat([rows, places + start], dim=1)
            best, order = best.topk(min(k, best.shape[1]))
            rows = rows.gather(1, order)
        if self.space.metric == "l2":
            best = queries.square().sum(1, keepdim=True) - best
        return best, rows

    def _block(self, some: slice) -> Tensor:
        return self._send(some) if self._on_device is None else self._on_device[some]

    def _send(self, some: slice) -> Tensor:
        block = self.stored[some]
        # torch has no tensors that cannot be written to; on the CPU this one is only read.
        writable = block if block.flags.writeable else block.copy()
        return torch.from_numpy(writable).to(self.device)

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return indexed vectors [M, D]; their direction alone for cosine."""
        return np.asarray(self.stored[list(rows)] + self.space.centre)
