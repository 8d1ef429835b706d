"""Shares of the images, read ahead while the caller works on those before.

Where a GPU encodes, other processes decode.  They need nothing of what encodes and load none of it:
torch in each of them would take longer to load, and more memory, than thousands of images.
"""

import shutil
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from replearn.artefacts import hdf5
from replearn.artefacts.shard_jobs import ShardResult
from replearn.artefacts.shards import ShardContent, write_shard
from replearn.artefacts.workers import cores, prefetch, run
from replearn.images.reader import ImageBatch, ImageReader

_NAME = "pixels"  # of the dataset in which another process hands them over


@dataclass(frozen=True)
class Share:
    """The images of one shard, and where what is made of them goes.

    Attributes:
        folder: of the shard.
        wanted: their numbers among all images.
        images: reads them.
    """

    folder: Path
    wanted: range
    images: ImageReader


def read_ahead(
    shares: Sequence[Share], jobs: int, work: Path
) -> Generator[tuple[Share, ImageBatch], None, None]:
    """Yield the images of each share, read ahead by a thread or decoded by processes.

    Close it: what reads ahead goes on until then.

    Args:
        shares: in the order in which they are to be read; decoded ones come as they are done.
        jobs: processes that decode; with one, threads of this process do.
        work: a folder for what the processes hand over.
    """
    if jobs == 1 or all(share.images.decoded for share in shares):
        threads = cores()
        with prefetch((share, share.images.read(threads)) for share in shares) as read:
            yield from read
        return
    scratch = work / "decoded"
    shutil.rmtree(scratch, ignore_errors=True)  # a killed run's
    scratch.mkdir()
    jobs = min(jobs, len(shares))
    elsewhere = [replace(share, folder=scratch) for share in shares]
    by_start = {share.wanted.start: share for share in shares}
    with prefetch(run(_decode, elsewhere, jobs=jobs)) as decoded:
        for made in decoded:
            path = scratch / made.shard.file
            rows = hdf5.read_rows(path, _NAME)
            path.unlink()  # what is mapped stays until it is not needed
            seconds = {part: spent / jobs for part, spent in made.seconds.items()}
            part = ImageBatch(rows.ids, rows.rows, rows.errors, rows.columns, seconds)
            yield by_start[made.shard.start], part


def _decode(share: Share) -> ShardResult:
    """Decode one share, in a process of many, into a file that the caller's process maps."""
    part = share.images.read()
    content = ShardContent(part.pixels, part.ids, part.errors, part.columns)
    shard = write_shard(share.folder, _NAME, share.wanted, content, "")
    return ShardResult(shard, part.errors, part.seconds)
