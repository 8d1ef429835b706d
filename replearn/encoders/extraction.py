"""Encoder x images -> features, in shards that survive a kill.

On a GPU, one process encodes, while threads read and write and processes decode.  On the
CPU, every process does all of it for shards of its own, with one thread of arithmetic: so
the vectors are the same bytes whatever the number of processes, here or on a cluster.
"""

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from replearn.arrays import Vectors
from replearn.artefacts.error_budget import ErrorBudget
from replearn.artefacts.hints import hint_to
from replearn.artefacts.identity import identify
from replearn.artefacts.outputs import already_made, place_of, refuse_inputs
from replearn.artefacts.shard_jobs import ShardResult, collect, report_done, run_shards
from replearn.artefacts.shards import (
    Ledger,
    ShardContent,
    plan_of,
    publish_shards,
    refuse_other_format,
    size_of_shards,
    write_shard,
)
from replearn.artefacts.throughput import Seconds, Throughput
from replearn.artefacts.workers import cores
from replearn.artefacts.workspace import workspace
from replearn.encoders.embedding import PRECISIONS, Precision, device_label
from replearn.encoders.encoder import Encoder, load_encoder
from replearn.errors import DataError, UsageError
from replearn.features import FEATURES, Features
from replearn.images.file_facts import NAMES, count_partly_read
from replearn.images.reader import ImageBatch, ImageReader
from replearn.images.shares import Share, read_ahead

_logger = logging.getLogger(__name__)

Dtype = Literal["float32", "float16"]

DTYPES: tuple[Dtype, ...] = get_args(Dtype)
NAME = "vectors"  # of the dataset

_FEW = 3  # shards that are decoded before other processes have begun


@dataclass(frozen=True)
class Numerics:
    """How vectors are computed; what is not the usual is part of the features' identity.

    Attributes:
        precision: of the arithmetic.
        dtype: of the numbers that are kept.
        views: of each image, whose vectors are averaged; see `replearn.encoders.views`.
    """

    precision: Precision = "float32"
    dtype: Dtype = "float32"
    views: int = 1

    def __post_init__(self) -> None:
        for value, known in ((self.precision, PRECISIONS), (self.dtype, DTYPES)):
            if value not in known:
                raise UsageError(f"{value}: one of {', '.join(known)}")

    def facts(self) -> dict[str, str | int]:
        """Return what is not the usual."""
        own = {"precision": self.precision, "dtype": self.dtype}
        views: dict[str, str | int] = {"views": self.views} if self.views != 1 else {}
        return {key: value for key, value in own.items() if value != "float32"} | views


FLOAT32 = Numerics()


@dataclass(frozen=True)
class _Task:
    """A share for another process, with what encodes it."""

    share: Share
    encoder: Path
    device: str
    numerics: Numerics


def features_identity(encoder: Encoder, images: str, numerics: Numerics = FLOAT32) -> str:
    """Return the identity of the features that this encoder makes of images of this identity."""
    made = {"encoder": encoder.description.identity, "images": images}
    return identify("features", **made, **numerics.facts())


def extract(
    encoder: Encoder,
    images: ImageReader,
    out: Path | str,
    *,
    max_errors: float = 0.05,
    numerics: Numerics = FLOAT32,
    jobs: int | None = 1,
    cluster: str | None = None,
    overwrite: bool = False,
) -> Features:
    """Write the embedding of every image to a features artefact and open it.

    Running it again goes on where a killed run stopped, and does nothing where one finished.

    Args:
        encoder: what embeds; to be used by other processes it must lie in a folder.
        images: an image set, or a reader of files that are decoded on the way.
        out: one file if it ends in `.h5`, else a folder of shards.
        max_errors: the largest share of files that may be missing or unreadable.
        numerics: precision of the arithmetic and of what is kept.
        jobs: processes; as many as pay off if None.
        cluster: `ray` or `ray://host:port`, see `replearn.artefacts.workers`.
        overwrite: make them in any case, and replace other features at `out`.

    Raises:
        DataError: something else lies at `out`, another process is writing there, the encoder
            gives what is not finite, a worker died, or the disk is full.
        UsageError: `out` ends as files of another format do, or the encoder's settings do not
            allow so many views.

    Example:
        >>> features = replearn.extract(encoder, images, "runs/features.h5")
        >>> features.vectors.shape, features.vectors.dtype
        ((48, 1024), dtype('float32'))
    """
    out = place_of(Path(out))
    encoder.check_views(numerics.views)
    refuse_inputs(out, [encoder.folder, images.source])
    refuse_other_format(out)
    start = time.monotonic()
    _logger.info(
        f"{encoder.folder or 'encoder'} on {device_label(encoder.device)}, {numerics.precision}"
    )
    plan = features_identity(encoder, images.identity, numerics)
    with workspace(out, keep=True) as work:
        if already_made(out, FEATURES, plan_of(out, NAME), plan, overwrite=overwrite):
            return Features.load(out)
        budget = ErrorBudget(images.source or out, len(images), max_errors)
        budget.check(images.missing())
        size = size_of_shards(len(images), images.image_bytes)
        ledger = Ledger(work, plan, NAME, len(images), size)
        shares = [Share(ledger.folder, wanted, images.share(wanted)) for wanted in ledger.missing()]
        throughput = Throughput()
        results = _encode(encoder, shares, numerics, throughput, _Workers(jobs, cluster, work))
        collect(results, ledger, budget, throughput)
        made_of = images.identity_when_read(ledger.open())
        facts = {
            "identity": features_identity(encoder, made_of, numerics),
            "encoder": encoder.description.identity,
            **_hints(encoder, images, out),
        }
        partly_read = count_partly_read(shard.columns for shard in ledger.open())
        publish_shards(ledger, NAME, out, facts, images.errors)
        features = Features.load(out)
        count, width = features.vectors.shape
        made = f"{out}: {count:,} x {width:,} features{partly_read}"
        report_done(made, len(features.errors), throughput, time.monotonic() - start)
    return features


def _hints(encoder: Encoder, images: ImageReader, out: Path) -> dict[str, str]:
    """Return where encoder and images lie, relative to the features."""
    places = {"encoder_path": encoder.folder, "images_path": images.source}
    return {key: hint_to(path, out.parent) for key, path in places.items() if path}


@dataclass(frozen=True)
class _Workers:
    """The processes or the cluster that do the work, and a folder for their files."""

    jobs: int | None
    cluster: str | None
    scratch: Path


def _encode(
    encoder: Encoder,
    shares: Sequence[Share],
    numerics: Numerics,
    throughput: Throughput,
    workers: _Workers,
) -> Generator[ShardResult, None, None]:
    """Encode the shares, by whatever processes there are to be."""
    on_gpu = encoder.device.type != "cpu"
    if workers.cluster is None and (on_gpu or encoder.folder is None):
        decoders = workers.jobs or (cores() if len(shares) > _FEW else 1)
        batches = read_ahead(shares, decoders if on_gpu else 1, workers.scratch)
        return _encode_here(encoder, batches, numerics)
    if encoder.folder is None:
        raise UsageError("an encoder that lies in no folder cannot be sent to a cluster")
    folder, device = encoder.folder.absolute(), encoder.device.type
    tasks = [_Task(share, folder, device, numerics) for share in shares]

    def here(few: Sequence[_Task]) -> Iterator[ShardResult]:
        batches = read_ahead([task.share for task in few], 1, workers.scratch)
        return _encode_here(encoder, batches, numerics)

    return run_shards(
        _encode_task,
        tasks,
        throughput,
        jobs=workers.jobs,
        cluster=workers.cluster,
        on_gpu=on_gpu,
        here=here,
    )


def _encode_task(task: _Task) -> ShardResult:
    """Do all of one shard, in a process of many."""
    share = task.share
    encoder = _loaded(task.encoder, task.device)
    part = share.images.read()
    with _same_bits(encoder):
        vectors, seconds = _vectors(encoder, part, task.numerics)
    return _write(share, part, vectors, seconds, encoder.description.identity)


@lru_cache(maxsize=1)
def _loaded(folder: Path, device: str) -> Encoder:
    return load_encoder(folder, device)


def _encode_here(
    encoder: Encoder, parts: Generator[tuple[Share, ImageBatch], None, None], numerics: Numerics
) -> Generator[ShardResult, None, None]:
    """Encode shares in this process, while one thread reads the next and one writes the last."""
    made_by = encoder.description.identity
    with closing(parts), ThreadPoolExecutor(1) as writer, _same_bits(encoder):
        last: Future[ShardResult] | None = None
        failure: Exception | None = None
        try:
            for share, part in parts:
                vectors, seconds = _vectors(encoder, part, numerics)
                writing = writer.submit(_write, share, part, vectors, seconds, made_by)
                if last:
                    yield last.result()
                last = writing
        except Exception as error:  # what is written is entered before the work ends
            failure = error
        if last:
            yield last.result()
        if failure:
            raise failure


def _vectors(encoder: Encoder, part: ImageBatch, numerics: Numerics) -> tuple[Vectors, Seconds]:
    throughput = Throughput(seconds=part.seconds)
    with throughput.timing("encoding"):
        embedded = encoder.embed(part.pixels, precision=numerics.precision, views=numerics.views)
        blocks = list(embedded)
        vectors = np.concatenate(blocks) if blocks else np.empty((0, 1), np.float32)
    if not np.isfinite(vectors).all():
        raise DataError(
            f"encoder {encoder.description.identity}: it gives NaN or infinity; its training has "
            "diverged"
        )
    with np.errstate(over="ignore"):
        kept = vectors.astype(numerics.dtype)
    if not np.isfinite(kept).all():
        raise DataError(
            f"encoder {encoder.description.identity}: its features reach "
            f"{np.abs(vectors).max():.3g}, too much for float16; keep float32"
        )
    return kept, throughput.seconds


def _write(
    share: Share, part: ImageBatch, vectors: Vectors, seconds: Seconds, made_by: str
) -> ShardResult:
    throughput = Throughput(seconds=seconds)
    columns = {name: part.columns[name] for name in ("digests", *NAMES) if name in part.columns}
    content = ShardContent(vectors, part.ids, part.errors, columns)
    with throughput.timing("writing"):
        shard = write_shard(share.folder, NAME, share.wanted, content, made_by)
    return ShardResult(shard, part.errors, throughput.seconds)


@contextmanager
def _same_bits(encoder: Encoder) -> Iterator[None]:
    """Compute with one thread on the CPU: how sums are cut among threads shows in them."""
    before = torch.get_num_threads()
    if encoder.device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
