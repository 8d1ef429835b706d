"""Images that are still to be decoded: read many at a time, with a reason for each that fails."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from replearn.arrays import Array
from replearn.artefacts.error_budget import Errors
from replearn.artefacts.hdf5 import Rows
from replearn.artefacts.identity import digest, identify
from replearn.artefacts.throughput import Seconds, Throughput
from replearn.images.decoding import UnreadableImage, decode
from replearn.images.form import Form
from replearn.images.ids import MISSING, Plan
from replearn.images.image_set import digests_of, identity_of_shards
from replearn.images.reader import ImageBatch
from replearn.images.stores import Store


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
        form = self.form
        pixels = np.empty((len(self), form.channels, form.size, form.size), np.uint8)
        with ThreadPoolExecutor(threads) as pool:
            # Both decoders release the interpreter's lock, as reading does.  Each thread has
            # files all over the plan, as neighbours may be alike in how long they take.
            strips = [range(start, len(self), threads) for start in range(threads)]
            results = list(pool.map(lambda strip: self._fill(pixels, strip), strips))
        reasons = {row: reason for result, _ in results for row, reason in result.items()}
        throughput = Throughput()
        for _, spent in results:
            throughput.add(0, {part: spent[part] / threads for part in spent})
        good = [row for row in range(len(self)) if row not in reasons]
        chosen = pixels[good] if reasons else pixels
        files = [self.plan[row][1] for row in good]
        paths = [os.fsencode(file.path if file else "") for file in files]
        return ImageBatch(
            [self.plan[row][0] for row in good],
            chosen,
            [(self.plan[row][0], reasons[row]) for row in sorted(reasons)],
            {"digests": digests_of(chosen), "paths": np.array(paths, dtype=bytes)},
            throughput.seconds,
        )

    def _fill(self, pixels: Array, rows: range) -> tuple[dict[int, str], Seconds]:
        """Decode some files into their rows; return reasons for those that cannot be, and times."""
        form, throughput = self.form, Throughput()
        reasons: dict[int, str] = {}
        for row in rows:
            file = self.plan[row][1]
            if file is None:
                reasons[row] = MISSING
                continue
            try:
                with throughput.timing("reading"):
                    data = self.store.read(file)
                with throughput.timing("decoding"):
                    pixels[row] = decode(
                        data,
                        size=form.size,
                        channels=form.channels,
                        fit=form.fit,
                        frame=file.frame,
                    )
            except UnreadableImage as error:
                reasons[row] = str(error)
            except OSError as error:
                reasons[row] = (error.strerror or str(error) or "cannot be read").lower()
        return reasons, throughput.seconds
