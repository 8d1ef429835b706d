"""Search by FAISS: exact, by any structure that its factory knows, and on a GPU.

Three traps (FAISS 1.15): a batch is fast only where queries x width reach 128,000, so queries go
in together; removing rows renumbers them in some structures and not in others; and what it maps
is read from the disk page by page, far slower than the disk can, even where all is read.
"""

import ctypes
import hashlib
import mmap
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Vectors
from replearn.artefacts.identity import digest
from replearn.errors import DamagedError, DataError, UsageError
from replearn.neighbors.engine import Engine, Hits, Space, blocks_of, even_blocks

_METRICS = {"cosine": faiss.METRIC_INNER_PRODUCT, "l2": faiss.METRIC_L2}
_QUERIES = 4096  # at a time, as FAISS's own kernel takes them
_GPU_MOST = 2048  # neighbours that FAISS finds on a GPU
_TRAIN = 2**18  # vectors that a structure is trained on, or 64 for each list if that is more
FILE = "index.faiss"

_DIRECT_MAP: Any = vars(faiss)["DirectMap"]  # which the types of the package leave out


@dataclass
class FaissEngine:
    """A FAISS index in its space.

    Attributes:
        space: in which the vectors are compared.
        index: of N vectors.
        factory: FAISS's description of the structure.
        file: from which vectors are read as they are needed, and which must not change; None if
            all are in memory.
        fingerprint: of that file.
        resources: of the GPU it lies on, kept alive; None on the CPU.
        labels: FAISS's number of each row [N], ascending, where that is not the row itself.
        effort: search parameters that were set, by name.
    """

    space: Space
    index: Any
    factory: str = "Flat"
    file: Path | None = None
    resources: Any = None
    labels: NDArray[np.int64] | None = None
    effort: dict[str, int] = field(default_factory=dict)
    fingerprint: str = ""
    kind: ClassVar[str] = "faiss"

    @property
    def exact(self) -> bool:
        """True if the search always finds the nearest."""
        return self.factory == "Flat"

    def __len__(self) -> int:
        return int(self.index.ntotal)

    def search(self, vectors: Vectors, k: int) -> Hits:
        """Return the k nearest of each vector [M, D].

        Raises:
            UsageError: a GPU cannot find so many.
        """
        if self.resources is not None and k > _GPU_MOST:
            raise UsageError(f"k {k}: FAISS finds at most {_GPU_MOST} on a GPU; search on the CPU")
        values = np.empty((len(vectors), k), np.float32)
        rows = np.empty((len(vectors), k), np.int64)
        for some in even_blocks(len(vectors), _QUERIES):
            self.index.search(self.space.transform(vectors[some]), k, D=values[some], I=rows[some])
        if self.labels is not None:
            rows = np.where(rows < 0, -1, np.searchsorted(self.labels, rows))
        return self.space.to_hits(values, rows)

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return indexed vectors [M, D], as exactly as the structure keeps them."""
        wanted = np.asarray(rows, np.int64)
        labels = wanted if self.labels is None else self.labels[wanted]
        lists = faiss.try_extract_index_ivf(self.index)
        if lists is not None:  # which need a direct map to find a vector
            numbered = self.labels is None
            lists.set_direct_map_type(_DIRECT_MAP.Array if numbered else _DIRECT_MAP.Hashtable)
        kept = [self.index.reconstruct(int(label)) for label in labels]
        if lists is not None:  # FAISS removes nothing while there is one
            lists.set_direct_map_type(_DIRECT_MAP.NoMap)
        return np.asarray(kept, np.float32).reshape(-1, self.space.width) + self.space.centre

    def add(self, vectors: Vectors) -> None:
        """Append vectors [M, D].

        Raises:
            UsageError: the index is mapped from its file.
        """
        if self.file:  # FAISS would end the process
            raise UsageError("a memory-mapped index takes no vectors; load it with mapped=False")
        for block in blocks_of(vectors):
            if self.labels is None:
                self.index.add(self.space.transform(block))
                continue
            new = self.labels.max(initial=-1) + 1 + np.arange(len(block))
            self.index.add_with_ids(self.space.transform(block), new)
            self.labels = np.concatenate([self.labels, new])

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Take rows out; those behind them move up.

        Raises:
            UsageError: the structure cannot remove vectors, as graphs and refined ones cannot.
        """
        if self.file:
            raise UsageError("a memory-mapped index gives no vectors; load it with mapped=False")
        labels = rows if self.labels is None else self.labels[rows]
        kept = np.delete(np.arange(len(self)) if self.labels is None else self.labels, rows)
        try:
            self.index.remove_ids(labels)
        except RuntimeError:
            raise UsageError(
                f"factory {self.factory!r}: FAISS cannot remove from it; index again without "
                "these images"
            ) from None
        # Inverted lists keep the numbers of the remaining vectors, other structures renumber them.
        if faiss.try_extract_index_ivf(self.index) is not None:
            self.labels = kept

    def set_effort(self, effort: dict[str, int]) -> None:
        """Set how thoroughly an approximate index searches: `nprobe`, `efSearch`, ..."""
        for name, value in effort.items():
            faiss.ParameterSpace().set_index_parameter(self.index, name, value)
        self.effort = effort

    def save(self, folder: Path) -> dict[str, Any]:
        """Write `index.faiss` and return how to open it."""
        if self.file is None:
            on_cpu = self.index if self.resources is None else faiss.index_gpu_to_cpu(self.index)
            faiss.write_index(on_cpu, str(folder / FILE))
        else:  # FAISS would write where mapped lists lie, and not what is in them
            shutil.copyfile(self.file, folder / FILE)
            if fingerprint(folder / FILE) != self.fingerprint:
                raise DataError(f"{self.file}: replaced while it was in use; run this again")
        labels = None if self.labels is None else self.labels.tolist()
        facts = {"factory": self.factory, "effort": self.effort, "labels": labels}
        return facts | {"imprint": fingerprint(folder / FILE), "hash": file_digest(folder / FILE)}

    @classmethod
    def load(
        cls,
        folder: Path,
        facts: dict[str, Any],
        space: Space,
        *,
        mapped: bool = True,
        verify: bool = False,
    ) -> "FaissEngine":
        """Open what `save` wrote.

        Args:
            folder: of the file.
            facts: what `save` returned.
            space: in which the vectors are compared.
            mapped: reads vectors from the file as they are needed.
            verify: reads all of it first, to see whether it is what was written.

        Raises:
            DamagedError: the file is missing, damaged, or not the one that was written.
        """
        path, factory = folder / FILE, facts["factory"]
        _check_file(path, facts, verify=verify)
        # FAISS maps inverted lists by one flag, everything else by another.
        flag = faiss.IO_FLAG_MMAP if "IVF" in factory else faiss.IO_FLAG_MMAP_IFC
        try:
            index = faiss.read_index(str(path), flag if mapped else 0)
        except (RuntimeError, MemoryError):
            raise DamagedError(f"{path}: missing or damaged") from None
        if (index.d, index.metric_type) != (space.width, _METRICS[space.metric]):
            raise DamagedError(f"{folder}: ids and vectors do not belong together")
        labels = facts["labels"]
        engine = cls(
            space,
            index,
            factory,
            path if mapped else None,
            labels=None if labels is None else np.array(labels, np.int64),
            fingerprint=facts["imprint"],
        )
        engine.set_effort(facts["effort"])
        if mapped and engine.exact:
            _read_ahead(engine.stored_vectors())
        return engine

    def stored_vectors(self) -> NDArray[np.float32]:
        """Return a view of all vectors of an exact index as it holds them, float32 [N, D]."""
        index: Any = faiss.downcast_index(self.index)
        flat: NDArray[np.float32] = faiss.rev_swig_ptr(index.get_xb(), len(self) * self.space.width)
        return flat.reshape(len(self), self.space.width)

    def to(self, device: str) -> Engine:
        """Return an engine that does the same search on another device, such as `cuda`.

        Without faiss-gpu an exact index is searched there by torch.

        Raises:
            UsageError: the structure cannot be searched there.
        """
        if device.startswith("cuda") and _has_gpu():
            resources = faiss.StandardGpuResources()  # searching uses it: it has to stay
            number = int(device.partition(":")[2] or 0)
            try:
                index = faiss.index_cpu_to_gpu(resources, number, self.index)
            except RuntimeError:
                raise UsageError(f"factory {self.factory!r}: FAISS has none for a GPU") from None
            return replace(self, index=index, resources=resources)
        if not self.exact:
            raise UsageError(
                f"factory {self.factory!r} on {device!r}: needs the package faiss-gpu; "
                "an exact index does not"
            )
        from replearn.neighbors.torch_engine import TorchEngine  # torch only where it is asked for

        return TorchEngine(self.space, self.stored_vectors(), device, owner=self)


def _read_ahead(vectors: NDArray[np.float32]) -> None:
    """Let the system read mapped vectors in large pieces, as for any file."""
    within = vectors.ctypes.data % mmap.PAGESIZE
    start, size = vectors.ctypes.data - within, vectors.nbytes + within
    # FAISS advised against; if this advice is not taken, all is as before.
    ctypes.CDLL(None).madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.MADV_NORMAL)


def _check_file(path: Path, facts: dict[str, Any], *, verify: bool) -> None:
    if not path.exists():
        raise DamagedError(f"{path}: missing or damaged")
    changed = facts["imprint"] != fingerprint(path)
    if changed or (verify and facts["hash"] != file_digest(path)):
        raise DamagedError(f"{path}: missing or damaged, or of other vectors than index.json")


def fingerprint(path: Path) -> str:
    """Return a hash of a file's length and of 64 pages spread over it, which is quick."""
    size = path.stat().st_size
    with path.open("rb") as file:
        pages = []
        for start in np.linspace(0, max(size - 4096, 0), 64).astype(int).tolist():
            file.seek(start)
            pages.append(file.read(4096))
    return digest(str(size), *pages)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as 16 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _has_gpu() -> bool:
    return hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus() > 0


def build(space: Space, vectors: Vectors, factory: str) -> FaissEngine:
    """Return an engine of vectors [N, D], N at least 1.

    Raises:
        UsageError: FAISS does not know the factory string, or cannot train it on these vectors.
    """
    try:
        index = faiss.index_factory(space.width, factory, _METRICS[space.metric])
        if isinstance(index, faiss.IndexFlat):
            # Room for all at once: as it grows, FAISS would hold everything twice.
            index.codes.resize(len(vectors) * index.code_size)
            index.codes.resize(0)
            factory = "Flat"
        if not index.is_trained:
            index.train(space.transform(_sample(vectors, index)))
        engine = FaissEngine(space, index, factory)
        engine.add(vectors)
    except RuntimeError as error:
        brief = str(error).splitlines()[0][-120:]
        raise UsageError(f"--factory {factory!r}: FAISS refuses it ({brief})") from None
    return engine


def _sample(vectors: Vectors, index: Any) -> Vectors:
    lists = faiss.try_extract_index_ivf(index)
    most = max(_TRAIN, 64 * lists.nlist if lists is not None else 0)
    if len(vectors) <= most:
        return vectors
    rows = np.random.default_rng(0).choice(len(vectors), most, replace=False)
    return np.asarray(vectors[np.sort(rows)])
