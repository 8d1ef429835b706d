"""Images that are still to be decoded: read many at a time, with a reason for each that fails."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from replearn.artefacts.error_budget import Errors
from replearn.artefacts.hdf5 import Rows
from replearn.artefacts.identity import digest, identify
from replearn.artefacts.throughput import Seconds, Throughput
from replearn.console import warn
from replearn.errors import shortened, some_of
from replearn.images.decoding import decode_image
from replearn.images.form import Form
from replearn.images.ids import MISSING, Plan
from replearn.images.image_set import digests_of, identity_of_shards
from replearn.images.native_messages import listening
from replearn.images.picture import UnreadableImage
from replearn.images.reader import ImageBatch
from replearn.images.stores import ImageFile, Store


@dataclass(frozen=True)
class FileReader:
    """Images that are still to be decoded.

    Attributes:
        source: folder, archive, table or list that they lie in.
        store: where the files are read.
        plan: the wanted ids and their files.
        form: what the images are brought to.
    """

    source: Path
    store: Store
    plan: Plan
    form: Form

    errors: ClassVar[Errors] = []  # nobody has left out any yet
    decoded: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.plan)

    def share(self, wanted: range) -> "FileReader":
        """Return those of this range."""
        return replace(self, plan=self.plan[wanted.start : wanted.stop])

    @property
    def image_bytes(self) -> int:
        """Size of one image's pixels."""
        return self.form.channels * self.form.size**2

    @property
    def identity(self) -> str:
        """Depends on what they become, as far as that is known without reading them.

        It changes with sizes and times of the files, or their checksums where an archive has them.
        """
        listing = digest(*(f"{id_}\t{file and (file.size, file.stamp)}" for id_, file in self.plan))
        return identify("prepared", listing=listing, form=str(self.form))

    def missing(self) -> Errors:
        """Return the wanted ids that have no file, with that reason."""
        return [(id_, MISSING) for id_, file in self.plan if file is None]

    def identity_when_read(self, shards: Iterable[Rows]) -> str:
        """Return the identity of the image set that they are; shards hold ids and digests."""
        return identity_of_shards(shards, self.form)

    def read(self, threads: int = 1) -> ImageBatch:
        """Read and decode all of them; what cannot be becomes an error."""
        batch = _Batch(self)
        with ThreadPoolExecutor(threads) as pool, listening():
            # Both decoders release the interpreter's lock, as reading does.  Each thread has
            # files all over the plan, as neighbours may be alike in how long they take.
            strips = [range(start, len(self), threads) for start in range(threads)]
            seconds = list(pool.map(batch.fill, strips))
        throughput = Throughput()
        for spent in seconds:
            throughput.add(0, {part: spent[part] / threads for part in spent})
        batch.tell_remarks()
        return batch.result(throughput.seconds)


class _Batch:
    """Files that are being decoded by several threads, each into rows of its own."""

    def __init__(self, files: FileReader) -> None:
        form = files.form
        self._files = files
        self._pixels = np.empty((len(files), form.channels, form.size, form.size), np.uint8)
        self._frames = np.ones(len(files), np.uint32)
        self._bits = np.zeros(len(files), np.uint8)
        self._reasons: dict[int, str] = {}
        self._remarks: dict[int, str] = {}

    def fill(self, rows: range) -> Seconds:
        """Decode some files into their rows; return how long the parts of the work took."""
        throughput = Throughput()
        for row in rows:
            file = self._files.plan[row][1]
            if file is None:
                self._reasons[row] = MISSING
                continue
            try:
                self._decode(row, file, throughput)
            except UnreadableImage as error:
                self._reasons[row] = str(error)
            except MemoryError:
                self._reasons[row] = "too large for the memory that there is"
            except OSError as error:
                self._reasons[row] = (
                    (error.strerror or "").lower() or str(error) or "cannot be read"
                )
        return throughput.seconds

    def _decode(self, row: int, file: ImageFile, throughput: Throughput) -> None:
        with throughput.timing("reading"):
            data = self._files.store.read(file)
        with throughput.timing("decoding"):
            found = decode_image(data, self._files.form, file.frame)
        self._pixels[row] = found.pixels
        # Where a frame is named, the others are images of their own.
        self._frames[row] = found.frames if file.frame is None else 1
        self._bits[row] = found.bits
        if found.remark:
            self._remarks[row] = found.remark

    def tell_remarks(self) -> None:
        """Warn of files that were read although their decoders complained."""
        if self._remarks:
            ids = [(self._files.plan[row][0], self._remarks[row]) for row in sorted(self._remarks)]
            told = some_of(ids, form=lambda pair: f"{pair[0]} ({shortened(pair[1], 120)})")
            what = "image was" if len(ids) == 1 else "images were"
            warn(f"{self._files.source}: {len(ids):,} {what} read with complaints: {told}")

    def result(self, seconds: Seconds) -> ImageBatch:
        """Return what could be read."""
        plan, reasons = self._files.plan, self._reasons
        good = [row for row in range(len(plan)) if row not in reasons]
        pixels = self._pixels[good] if reasons else self._pixels
        files = [plan[row][1] for row in good]
        paths = [os.fsencode(file.path if file else "") for file in files]
        columns = {
            "digests": digests_of(pixels),
            "paths": np.array(paths, dtype=bytes),
            "frames": self._frames[good],
            "bits": self._bits[good],
        }
        errors = [(plan[row][0], reasons[row]) for row in sorted(reasons)]
        return ImageBatch([plan[row][0] for row in good], pixels, errors, columns, seconds)
