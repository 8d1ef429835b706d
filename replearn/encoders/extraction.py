"""Encoder x images -> features, in shards that survive a kill.

On a GPU, one process encodes, while threads read and write and processes decode.  On the
processor, every process does all of it for shards of its own, with one thread of arithmetic: so
the vectors are the same bytes whatever the number of processes, here or on a cluster.
"""

import shutil
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from replearn.artefacts import hdf5, workers
from replearn.artefacts.error_budget import Tally
from replearn.artefacts.files import already_made, workspace
from replearn.artefacts.identity import identify
from replearn.artefacts.shard_jobs import Made, enter, say_done, spread
from replearn.artefacts.shards import (
    Content,
    Ledger,
    made_from,
    publish_shards,
    size_of_shards,
    write_shard,
)
from replearn.artefacts.throughput import Rates, Seconds
from replearn.encoders.embedding import PRECISIONS, Precision
from replearn.encoders.encoder import Encoder, load_encoder
from replearn.errors import DataError, UsageError
from replearn.features import Features, Vectors
from replearn.images.image_set import ImageSet
from replearn.images.preparation import identity_of_shards
from replearn.images.readers import Files, Part, Prepared, Supply

Kind = Literal["float32", "float16"]

KINDS: tuple[Kind, ...] = get_args(Kind)
NAME = "vectors"  # of the dataset

_FEW = 3  # shards that are decoded before other processes have begun


@dataclass(frozen=True)
class Manner:
    """How vectors are made; what is not the usual is part of the features' identity.

    Attributes:
        precision: of the arithmetic.
        kind: the type of numbers that is kept.
    """

    precision: Precision = "float32"
    kind: Kind = "float32"

    def __post_init__(self) -> None:
        for value, known in ((self.precision, PRECISIONS), (self.kind, KINDS)):
            if value not in known:
                raise UsageError(f"{value}: one of {', '.join(known)}")

    def facts(self) -> dict[str, str]:
        """Return what is not the usual."""
        own = {"precision": self.precision, "dtype": self.kind}
        return {key: value for key, value in own.items() if value != "float32"}


USUAL = Manner()


@dataclass(frozen=True)
class _Share:
    """The images of one shard, and where its vectors go."""

    folder: Path
    wanted: range
    supply: Supply
    with_digests: bool


@dataclass(frozen=True)
class _Task:
    """A share for another process, with what encodes it."""

    share: _Share
    encoder: Path
    device: str
    manner: Manner


def features_identity(encoder: Encoder, images: str, manner: Manner = USUAL) -> str:
    """Return the identity of the features that this encoder makes of images of this identity."""
    own = manner.facts()
    return identify("features", encoder=encoder.description.identity, images=images, **own)


def extract(
    encoder: Encoder,
    images: ImageSet | Files,
    out: Path,
    *,
    place: Path | None = None,
    max_errors: float = 0.05,
    hints: Mapping[str, str] | None = None,
    manner: Manner = USUAL,
    jobs: int | None = 1,
    cluster: str | None = None,
    overwrite: bool = False,
) -> Features:
    """Write the embedding of every image to a features artefact and open it.

    Running it again goes on where a killed run stopped, and does nothing where one finished.

    Args:
        encoder: what embeds; to be used by other processes it must lie in a folder.
        images: prepared ones, or files that are decoded on the way.
        out: one file if it ends in `.h5`, else a folder of shards.
        place: where the images come from, for messages.
        max_errors: the largest share of files that may be missing or unreadable.
        hints: where encoder and images lie.
        manner: precision of the arithmetic and of what is kept.
        jobs: processes; as many as pay off if None.
        cluster: `ray` or `ray://host:port`, see `replearn.artefacts.workers`.
        overwrite: replace other features at `out`.

    Raises:
        DataError: other features lie at `out`, another process is writing there, the encoder
            gives what is not finite, a worker died, or the disk is full.
    """
    start = time.monotonic()
    supply: Supply
    if isinstance(images, ImageSet):
        supply, errors = Prepared(images.ids, images.pixels), images.errors
    else:
        supply, errors = images, []
    plan = features_identity(encoder, images.identity, manner)
    with workspace(out, keep=True) as work:
        if already_made(out, made_from(out, NAME), plan, overwrite=overwrite):
            return Features.load(out)
        tally = Tally(place or out, len(supply), max_errors)
        tally.check(supply.missing())
        size = size_of_shards(len(supply), supply.image_bytes)
        ledger = Ledger(work, plan, NAME, len(supply), size)
        shares = [
            _Share(ledger.folder, wanted, supply.share(wanted), isinstance(images, Files))
            for wanted in ledger.missing()
        ]
        rates = Rates()
        enter(_encode(encoder, shares, manner, rates, jobs, cluster, work), ledger, tally, rates)
        identity = plan
        if isinstance(images, Files):  # what they became is known by now
            made_of = identity_of_shards(ledger, images.form)
            identity = features_identity(encoder, made_of, manner)
        facts = {"identity": identity, "encoder": encoder.description.identity}
        publish_shards(ledger, NAME, out, facts | dict(hints or {}), errors)
        features = Features.load(out)
        count, width = features.vectors.shape
        made = f"{out}: {count:,} x {width:,} features"
        say_done(made, len(features.errors), rates, time.monotonic() - start)
    return features


def _encode(
    encoder: Encoder,
    shares: Sequence[_Share],
    manner: Manner,
    rates: Rates,
    jobs: int | None,
    cluster: str | None,
    work: Path,
) -> Generator[Made, None, None]:
    """Encode the shares, by whatever processes there are to be."""
    on_gpu = encoder.device.type != "cpu"
    if cluster is None and (on_gpu or encoder.folder is None):
        decoders = jobs or (workers.cores() if len(shares) > _FEW else 1)
        parts = _decoded(shares, decoders if on_gpu else 1, work)
        return _encode_here(encoder, parts, manner)
    if encoder.folder is None:
        raise UsageError("an encoder that lies in no folder cannot be sent to a cluster")
    folder, device = encoder.folder.absolute(), encoder.device.type
    tasks = [_Task(share, folder, device, manner) for share in shares]

    def here(few: Sequence[_Task]) -> Iterator[Made]:
        return _encode_here(encoder, _decoded([task.share for task in few], 1, work), manner)

    return spread(_encode_task, tasks, rates, jobs=jobs, cluster=cluster, on_gpu=on_gpu, here=here)


def _encode_task(task: _Task) -> Made:
    """Do all of one shard, in a process of many."""
    share = task.share
    encoder = _loaded(task.encoder, task.device)
    part = share.supply.read()
    with _same_bits(encoder):
        vectors, seconds = _vectors(encoder, part, task.manner)
    return _write(share, part, vectors, seconds, encoder.description.identity)


@lru_cache(maxsize=1)
def _loaded(folder: Path, device: str) -> Encoder:
    return load_encoder(folder, device)


def _encode_here(
    encoder: Encoder, parts: Iterator[tuple[_Share, Part]], manner: Manner
) -> Generator[Made, None, None]:
    """Encode shares in this process, while one thread reads the next and one writes the last."""
    made_by = encoder.description.identity
    with ThreadPoolExecutor(1) as writer, _same_bits(encoder):
        last: Future[Made] | None = None
        failure: Exception | None = None
        try:
            for share, part in parts:
                vectors, seconds = _vectors(encoder, part, manner)
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


def _decoded(shares: Sequence[_Share], jobs: int, work: Path) -> Iterator[tuple[_Share, Part]]:
    """Yield the images of each share, read ahead by a thread or decoded by processes."""
    if jobs == 1 or not all(isinstance(share.supply, Files) for share in shares):
        threads = workers.cores()
        yield from workers.ahead((share, share.supply.read(threads)) for share in shares)
        return
    scratch = work / "decoded"
    shutil.rmtree(scratch, ignore_errors=True)  # a killed run's
    scratch.mkdir()
    told = [replace(share, folder=scratch) for share in shares]
    by_start = {share.wanted.start: share for share in shares}
    for made in workers.ahead(workers.run(_decode, told, jobs=jobs)):
        path = scratch / made.shard.file
        rows = hdf5.read_rows(path, "pixels")
        path.unlink()  # what is mapped stays until it is not needed
        seconds = {part: spent / jobs for part, spent in made.seconds.items()}
        part = Part(rows.ids, rows.rows, rows.errors, rows.columns, seconds)
        yield by_start[made.shard.start], part


def _decode(share: _Share) -> Made:
    """Decode one share, in a process of many, into a file that the encoding process maps."""
    part = share.supply.read()
    content = Content(part.pixels, part.ids, part.errors, part.columns)
    shard = write_shard(share.folder, "pixels", share.wanted, content, "")
    return Made(shard, part.errors, part.seconds)


def _vectors(encoder: Encoder, part: Part, manner: Manner) -> tuple[Vectors, Seconds]:
    rates = Rates(seconds=part.seconds)
    with rates.timing("encoding"):
        blocks = list(encoder.embed(part.pixels, precision=manner.precision))
        vectors = np.concatenate(blocks) if blocks else np.empty((0, 1), np.float32)
    if not np.isfinite(vectors).all():
        raise DataError(
            f"encoder {encoder.description.identity}: it gives NaN or infinity; its training has "
            "diverged"
        )
    with np.errstate(over="ignore"):
        kept = vectors.astype(manner.kind)
    if not np.isfinite(kept).all():
        raise DataError(
            f"encoder {encoder.description.identity}: its features reach "
            f"{np.abs(vectors).max():.3g}, too much for float16; keep float32"
        )
    return kept, rates.seconds


def _write(share: _Share, part: Part, vectors: Vectors, seconds: Seconds, made_by: str) -> Made:
    rates = Rates(seconds=seconds)
    columns = {"digests": part.columns["digests"]} if share.with_digests else {}
    content = Content(vectors, part.ids, part.errors, columns)
    with rates.timing("writing"):
        shard = write_shard(share.folder, NAME, share.wanted, content, made_by)
    return Made(shard, part.errors, rates.seconds)


@contextmanager
def _same_bits(encoder: Encoder) -> Iterator[None]:
    """Compute with one thread on the processor: how sums are cut among threads shows in them."""
    before = torch.get_num_threads()
    if encoder.device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
