"""Images of any source -> an image set on disk, in shards that survive a kill."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from replearn.artefacts import workers
from replearn.artefacts.error_budget import ErrorBudget, check_errors
from replearn.artefacts.hints import hint_to
from replearn.artefacts.outputs import Kind, already_made, place_of, refuse_inputs
from replearn.artefacts.shard_jobs import ShardResult, collect, report_done, run_shards
from replearn.artefacts.shards import (
    FILES,
    Ledger,
    ShardContent,
    plan_of,
    publish_shards,
    refuse_other_format,
    size_of_shards,
    write_shard,
)
from replearn.artefacts.throughput import Throughput
from replearn.artefacts.workspace import workspace
from replearn.errors import DataError
from replearn.images.file_facts import count_partly_read, warn_of_depths
from replearn.images.file_reader import FileReader
from replearn.images.form import Form, FormArguments
from replearn.images.ids import EVERY_IMAGE, Selection
from replearn.images.image_set import ImageSet
from replearn.images.opening import is_prepared, open_files
from replearn.images.sources import refuse_missing

NAME = "pixels"  # of the dataset
IMAGE_SET = Kind("an image set", FILES)


@dataclass(frozen=True)
class _Share:
    """The images of one shard, and where it goes."""

    folder: Path
    wanted: range
    files: FileReader
    threads: int


def prepare(
    source: Path | str,
    out: Path | str,
    *,
    selection: Selection = EVERY_IMAGE,
    jobs: int | None = 1,
    cluster: str | None = None,
    overwrite: bool = False,
    **form: Unpack[FormArguments],
) -> ImageSet:
    """Write the images of `source` to the image set `out`, going on where a killed run stopped.

    Args:
        source: whatever `replearn.images.sources.open_source` opens.
        out: one file if it ends in `.h5`, else a folder of shards.
        selection: the images wanted, all by default; see `Selection`.
        jobs: processes; as many as pay off if None.
        cluster: `ray` or `ray://host:port`, see `replearn.artefacts.workers`.
        overwrite: make it in any case, and replace another set at `out`.
        form: what the images are brought to: the fields of `Form`.

    Raises:
        DataError: as `open_images`, or `out` holds something else or is being written now, or a
            worker died, or the disk is full.
        UsageError: a value that cannot be.

    Example:
        >>> images = replearn.prepare("mydata/images", "runs/images.h5", size=32)
        >>> images.pixels.shape, images.pixels.dtype
        ((48, 1, 32, 32), dtype('uint8'))
    """
    source, out = Path(source), place_of(Path(out))
    if is_prepared(source):
        raise DataError(f"{source}: prepared already; give it to the next stage as it is")
    wanted = Form(**form)
    refuse_missing(source)
    refuse_inputs(out, [source])
    refuse_other_format(out)
    start = time.monotonic()
    with (
        workspace(out, keep=True) as work,
        open_files(source, wanted, selection, scratch=work) as files,
    ):
        budget = ErrorBudget(source, len(files), selection.max_errors)
        plan = files.identity
        if not already_made(out, IMAGE_SET, plan_of(out, NAME), plan, overwrite=overwrite):
            budget.check(files.missing())
            size_of_shard = size_of_shards(len(files), files.image_bytes)
            ledger = Ledger(work, plan, NAME, len(files), size_of_shard)
            throughput = _make_shards(ledger, files, budget, jobs, cluster)
            facts = wanted.arguments | {
                "folder": hint_to(source, out.parent),
                "identity": files.identity_when_read(ledger.open()),
            }
            columns = [shard.columns for shard in ledger.open()]
            partly_read = count_partly_read(columns)
            warn_of_depths(source, columns, wanted)
            publish_shards(ledger, NAME, out, facts)
            left_out = len(budget.errors)
            made = f"{out}: {len(files) - left_out:,} images ({wanted}){partly_read}"
            report_done(made, left_out, throughput, time.monotonic() - start)
    images = ImageSet.load(out)
    check_errors(out, images.errors, len(files), selection.max_errors)
    return images


def _make_shards(
    ledger: Ledger, files: FileReader, budget: ErrorBudget, jobs: int | None, cluster: str | None
) -> Throughput:
    # In a process of many, one thread decodes while another waits for a file.
    threads = workers.cores() if jobs == 1 and cluster is None else 2
    shares = [
        _Share(ledger.folder, wanted, files.share(wanted), threads) for wanted in ledger.missing()
    ]
    throughput = Throughput()
    made = run_shards(_make_shard, shares, throughput, jobs=jobs, cluster=cluster)
    collect(made, ledger, budget, throughput)
    return throughput


def _make_shard(share: _Share) -> ShardResult:
    """Decode the images of one shard and write it."""
    part = share.files.read(share.threads)
    throughput = Throughput(seconds=part.seconds)
    content = ShardContent(part.pixels, part.ids, part.errors, part.columns)
    with throughput.timing("writing"):
        made_by = str(share.files.form)
        shard = write_shard(share.folder, NAME, share.wanted, content, made_by)
    return ShardResult(shard, part.errors, throughput.seconds)
