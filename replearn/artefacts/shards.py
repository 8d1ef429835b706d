"""Long work cut into shards, so that whatever ends a run costs only the shards being made.

The wanted images, in their final order, are cut into contiguous ranges.  Each range becomes a file
of its own: written under a temporary name, synced, renamed, and only then entered into the
manifest.  A later run with the same plan makes what the manifest does not have.  In the end the
shards become one artefact: a folder with its manifest, or one file.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from replearn.arrays import Array
from replearn.artefacts import hdf5
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.files import publish, replacing, write_text, writing
from replearn.artefacts.identity import digest
from replearn.errors import DataError, UsageError

_logger = logging.getLogger(__name__)

FILES = r"manifest\.json|shard-\d{12}\.h5"  # of an artefact that is a folder of shards
_OTHER_FORMATS = frozenset(
    {".arrow", ".csv", ".feather", ".gz", ".hdf", ".jsonl", ".json", ".mat", ".npy", ".npz"}
    | {".parquet", ".pickle", ".pkl", ".pt", ".pth", ".safetensors", ".tar", ".tsv", ".txt", ".zip"}
    | {".xlsx", ".zarr"}
)
ROWS = 2048  # in a shard: seconds of work, and little to write beside the rows
_MANY = 4096  # shards; rather larger ones than more of them
_BYTES = 1 << 28  # of pixels that a process may hold


@dataclass(frozen=True)
class Shard:
    """A line of the manifest.

    Attributes:
        file: name of the shard's file.
        start: the first of the wanted images in it.
        stop: the first one after it.
        rows: how many of these could be read.
        ids: hash of the ids of the rows.
        size: of the file, in bytes.
        made_by: fingerprint of what made the rows: the encoder, or the form of the pixels.
    """

    file: str
    start: int
    stop: int
    rows: int
    ids: str
    size: int
    made_by: str


@dataclass(frozen=True)
class ShardContent:
    """The content of a shard.

    Attributes:
        rows: [n, ...].
        ids: of the rows.
        errors: (id, reason) of the wanted images that are no rows.
        columns: more about each row.
    """

    rows: Array
    ids: list[str]
    errors: Errors
    columns: Mapping[str, Array]


def size_of_shards(count: int, image_bytes: int) -> int:
    """Return how many images a shard of this work has.

    It depends on the work alone, so that any number of processes makes the same shards.
    """
    rows = ROWS
    while rows * _MANY < count:
        rows *= 2
    while rows > 1 and rows * image_bytes > _BYTES:
        rows //= 2
    return rows


def write_shard(
    folder: Path, name: str, wanted: range, content: ShardContent, made_by: str
) -> Shard:
    """Write one shard, `name` being its dataset; it appears all at once.

    Raises:
        DataError: the disk is full, or cannot be written for another reason.
    """
    path = folder / f"shard-{wanted.start:012d}.h5"
    # A killed run's worker on another machine may still be writing: each process has its own name.
    with replacing(path, tag=f".{os.getpid()}") as temporary:
        hdf5.write_rows(
            temporary, name, [content.rows], content.ids, content.errors, {}, content.columns
        )
        size = temporary.stat().st_size
    ids = digest(*content.ids)
    return Shard(path.name, wanted.start, wanted.stop, len(content.ids), ids, size, made_by)


class Ledger:
    """The shards of one plan that are finished, in a work folder.

    Attributes:
        plan: identity of what is made.
        folder: where the files of the shards lie.
        count: number of wanted images.
    """

    def __init__(self, work: Path, plan: str, name: str, count: int, size: int) -> None:
        """Find what an earlier run of the same plan finished; throw away other plans' shards.

        Args:
            work: the work folder.
            plan: identity of what is made.
            name: of the dataset in each shard.
            count: number of wanted images.
            size: of these in a shard.
        """
        # Under a name of their own: what a process of another plan still writes goes nowhere.
        place = f"shards-{digest(plan, name, str(count), str(size))}"
        self.folder = work / place
        self._lines = work / f"{place}.jsonl"
        self.plan, self.count, self._name, self._size = plan, count, name, size
        for other in work.glob("shards-*"):
            if other not in (self.folder, self._lines):
                shutil.rmtree(other) if other.is_dir() else other.unlink()
        self.folder.mkdir(exist_ok=True)
        self._done = {shard.start: shard for shard in self._read()}
        self._write()

    def missing(self) -> list[range]:
        """Return the ranges of wanted images that are not finished."""
        starts = range(0, self.count, self._size)
        missing = [start for start in starts if start not in self._done]
        if self._done:
            kept = len(self._done)
            _logger.info(
                f"going on after {kept} of {len(starts)} shards that an earlier run finished"
            )
        return [range(start, min(start + self._size, self.count)) for start in missing]

    def add(self, shard: Shard) -> None:
        """Enter a finished shard."""
        with writing(self._lines), self._lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(shard)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._done[shard.start] = shard

    def finished(self) -> list[Shard]:
        """Return the finished shards, in order."""
        return [self._done[start] for start in sorted(self._done)]

    def open(self) -> Iterator[hdf5.Rows]:
        """Open the finished shards, one after the other."""
        return (hdf5.read_rows(self.folder / shard.file, self._name) for shard in self.finished())

    def forget(self) -> None:
        """Throw away what is finished."""
        shutil.rmtree(self.folder)
        self._lines.unlink()

    def _read(self) -> Iterator[Shard]:
        """Yield the shards that the manifest names and that lie there as it says."""
        lines = self._lines.read_text(encoding="utf-8") if self._lines.exists() else ""
        for line in lines.splitlines():
            try:
                shard = Shard(**json.loads(line))
                path = self.folder / shard.file
                found = hdf5.read_rows(path, self._name)
            except (ValueError, TypeError):  # a line that a kill cut short, or a damaged shard
                continue
            if path.stat().st_size == shard.size and digest(*found.ids) == shard.ids:
                yield shard

    def _write(self) -> None:
        lines = (json.dumps(asdict(shard)) + "\n" for shard in self.finished())
        write_text(self._lines, "".join(lines))
        for path in self.folder.glob(".*.tmp"):
            path.unlink()  # what a killed process was writing


def publish_shards(
    ledger: Ledger,
    name: str,
    out: Path,
    attributes: Mapping[str, Any],
    errors: Errors | None = None,
) -> None:
    """Make the finished shards one artefact: one file if `out` ends in `.h5`, else a folder.

    Its attribute `source` is the plan of the ledger, which `plan_of` reads.

    Args:
        ledger: names the shards.
        name: of their dataset.
        out: where the artefact goes.
        attributes: facts about the whole.
        errors: (id, reason) of what is in no shard.

    Raises:
        DataError: the disk is full, or cannot be written for another reason.
    """
    attributes = {**attributes, "source": ledger.plan}
    if is_one_file(out):
        made = ledger.folder.with_suffix(".h5")
        _join(ledger, name, made, attributes, errors or [])
    else:
        made = ledger.folder
        hdf5.write_manifest(
            made, attributes, errors or [], [asdict(shard) for shard in ledger.finished()]
        )
    with writing(out):
        publish(made, out)


def _join(
    ledger: Ledger, name: str, made: Path, attributes: Mapping[str, Any], errors: Errors
) -> None:
    """Write one file of all shards, which are read twice: what is large goes through at once."""
    ids: list[str] = []
    errors = list(errors)
    columns = []
    for shard in ledger.open():
        ids += shard.ids
        errors += shard.errors
        columns += [shard.columns] if shard.ids else []
    blocks = (shard.rows for shard in ledger.open() if shard.ids)
    hdf5.write_rows(made, name, blocks, ids, errors, attributes, hdf5.join_columns(columns))


def is_one_file(out: Path) -> bool:
    """Tell by its name whether an artefact is one file or a folder of shards."""
    return out.suffix.lower() in (".h5", ".hdf5")


def refuse_other_format(out: Path) -> None:
    """Refuse a name of a file of another format, which nobody expects to be a folder.

    Raises:
        UsageError: it has the ending of one.
    """
    if out.suffix.lower() in _OTHER_FORMATS:
        raise UsageError(
            f"{out}: is written as HDF5; name it {out.with_suffix('.h5').name} for one file, or "
            f"{out.stem} for a folder of shards"
        )


def plan_of(out: Path, name: str) -> str | None:
    """Return the plan that the artefact at this place was made by; None if there is none.

    What was made in another way is known by its identity.
    """
    try:
        facts = hdf5.read_rows(out, name).attributes
    except DataError:  # nothing there, or nothing of use
        return None
    plan = facts.get("source") or facts.get("identity")
    return None if plan is None else str(plan)
