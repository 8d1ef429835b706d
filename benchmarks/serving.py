"""How soon the search page is up, and how long many users at once wait for answers.

    python -m benchmarks.serving                          some minutes, 2 GB of disk, 2 cores
    python -m benchmarks.serving --rows 2000 --width 128 --clients 4 --seconds 5          quick

The real `replearn serve` answers on an index of synthetic vectors: those of phantoms by an
untrained encoder, many times over with noise, each with its image and concepts.  Users share the
machine with it and speak to it as browsers do: each uploads an image, clicks one of the hits,
uploads another, and so on, without a pause.  One user alone comes first.  `own` memory is what
the server has beside the files that it maps.

Prints tables and, in the last line, the same as JSON.
"""

import json
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

from benchmarks import markdown
from benchmarks.command import run_benchmark
from benchmarks.time_and_memory import memory
from pipelines.__main__ import main as replearn
from replearn.artefacts.hdf5 import write_rows
from replearn.artefacts.workers import cores
from replearn.concepts.table import ConceptTable, read_concepts
from replearn.console import say
from replearn.features import Features
from replearn.images.image_set import ImageSet
from replearn.neighbors.build_index import index_vectors
from replearn.neighbors.storage import save_index

Row = dict[str, Any]
_PHANTOMS = 400
_HITS = 12
_API = "/gradio_api"
_ROOT = Path(__file__).parent.parent


def make(work: Path, rows: int, width: int) -> None:
    """Make an index of so many vectors, the images and a detector in a new folder."""
    few, truth, features = (
        work / "few.h5",
        work / "data/train-concepts.tsv",
        work / "few-vectors.h5",
    )
    settings = ["--set", f"arguments.latent_dim={width}", "--set", "arguments.layer=code"]
    for words in (
        ["phantoms", work / "data", "--count", _PHANTOMS],
        ["prepare", work / "data/images", few, "--ids", truth],
        ["train", _ROOT / "configs/random.yaml", few, work / "encoder", *settings],
        ["extract", work / "encoder", few, features],
        ["classify", features, truth, features, truth, work / "linear"],
    ):
        if replearn([str(word) for word in words]) != 0:
            raise SystemExit(1)
    made, images = Features.load(features), ImageSet.load(few)
    concepts = read_concepts(truth).select(made.ids).concepts
    source = np.arange(rows) % len(made)
    ids = [f"image-{number:08d}" for number in range(rows)]
    blocks = np.array_split(source, max(1, rows // 4096))
    facts = {"fit": images.fit, "identity": "images:synthetic"}
    pixels = (images.pixels[block] for block in blocks)
    write_rows(work / "images.h5", "pixels", pixels, ids, [], facts)
    vectors = np.random.default_rng(0).standard_normal((rows, made.vectors.shape[1]), np.float32)
    vectors *= np.float32(0.1 * made.vectors.std())
    for block in np.array_split(np.arange(rows), len(blocks)):
        vectors[block] += made.vectors[source[block]]
    table = ConceptTable(ids, [concepts[row] for row in source.tolist()])
    index = index_vectors(ids, vectors, concepts=table)
    hints = {"encoder_path": "../encoder", "images_path": "../images.h5"}
    save_index(work / "index", replace(index, encoder=made.encoder, hints=hints))


@contextmanager
def served(work: Path) -> Iterator[tuple[str, int, float]]:
    """Serve the index; yield the address, the process, and the seconds until the page was up."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", work / "index", "--detector", work / "linear", "--port", port]
    command = [sys.executable, "-m", "pipelines", *map(str, words)]
    address, start = f"http://127.0.0.1:{port}", time.perf_counter()
    server = subprocess.Popen(command, cwd=_ROOT)
    try:
        while not _is_up(address):
            if server.poll() is not None or time.perf_counter() - start > 300:
                raise SystemExit("the page did not come up")
            time.sleep(0.02)
        yield address, server.pid, time.perf_counter() - start
    finally:
        server.terminate()
        server.wait(30)


def _is_up(address: str) -> bool:
    try:
        return bool(httpx.get(address).is_success)
    except httpx.HTTPError:
        return False


class Visitor:
    """A user of the page.

    Attributes:
        waits: seconds for each answer, uploads included.
        errors: what went wrong.
    """

    def __init__(self, address: str, images: list[Path], seed: int) -> None:
        """Open the page; ask about these image files, in an order that depends on the seed."""
        self.http = httpx.Client(base_url=address, timeout=120)
        self.session = uuid.uuid4().hex
        known = self.http.get("/config").raise_for_status().json()["dependencies"]
        self.handlers = {one["api_name"]: one["id"] for one in known}
        self.images, self.choose = images, random.Random(seed)
        self.waits: list[float] = []
        self.errors: list[str] = []

    def visit(self, seconds: float) -> None:
        """Ask about images, and about hits, until the time is over."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            try:
                hits = self._timed(self.choose.choice(self.images))
                self._timed(self.choose.choice(hits))
            except (httpx.HTTPError, RuntimeError) as error:
                self.errors.append(f"{type(error).__name__}: {error}")

    def _timed(self, about: Path | str) -> list[str]:
        start = time.perf_counter()
        if isinstance(about, Path):
            said = self._ask("search_file", [self._upload(about), _HITS, "cosine"])
        else:
            said = self._ask("search_id", [_HITS, "cosine"], {"id": about})
        self.waits.append(time.perf_counter() - start)
        hits = re.findall(r'data-id="([^"]+)"><img', said[4])
        if len(hits) != _HITS or about in hits:
            raise RuntimeError(f"{about}: {len(hits)} hits with pictures")
        return hits

    def _upload(self, path: Path) -> Row:
        with path.open("rb") as file:
            found = self.http.post(f"{_API}/upload", files={"files": file}).raise_for_status()
        return {"path": found.json()[0], "meta": {"_type": "gradio.FileData"}}

    def _ask(self, handler: str, data: list[Any], event: Row | None = None) -> list[Any]:
        number = self.handlers[handler]
        body = {"fn_index": number, "data": data, "session_hash": self.session, "event_data": event}
        self.http.post(f"{_API}/queue/join", json=body).raise_for_status()
        said = None
        where = {"session_hash": self.session}
        with self.http.stream("GET", f"{_API}/queue/data", params=where) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data: ") or "{}")
                if message.get("msg") == "process_completed":
                    said = message
        if said is None or not said["success"]:
            raise RuntimeError(f"{handler}: no answer")
        answer: list[Any] = said["output"]["data"]
        return answer


def waits_of(visitors: list[Visitor], seconds: float) -> Row:
    """Let visitors ask at the same time; return how long they waited, and what went wrong."""
    for visitor in visitors:
        visitor.waits.clear()
    with ThreadPoolExecutor(len(visitors)) as pool:
        list(pool.map(lambda visitor: visitor.visit(seconds), visitors))
    waits = [wait for visitor in visitors for wait in visitor.waits]
    errors = [error for visitor in visitors for error in visitor.errors]
    middle, slow, slowest = np.percentile(waits, [50, 99, 100]).tolist()
    return {
        "users": len(visitors),
        "answers": len(waits),
        "answers_a_second": len(waits) / seconds,
        "median": middle,
        "p99": slow,
        "slowest": slowest,
        "errors": len(errors),
        "first_error": errors[0] if errors else "",
    }


def first(visitor: Visitor) -> float:
    """Return the seconds that the first answer takes."""
    visitor.visit(0.001)
    return visitor.waits[0]


def memory_of(process: int) -> Row:
    """Return a process's resident memory in MiB: its own, and with the files that it maps."""
    return {"own": memory(process), "all": memory(process, "VmRSS")}


def to_markdown(result: Row) -> str:
    """Return the tables for people."""
    columns = ["users", "answers", "per second", "median s", "99 % within s", "slowest s", "errors"]
    rows = [
        [
            row["users"],
            row["answers"],
            f"{row['answers_a_second']:.1f}",
            *(f"{row[key]:.3f}" for key in ("median", "p99", "slowest")),
            row["errors"],
        ]
        for row in (result["alone"], result["together"])
    ]
    before, after = result["memory_before"], result["memory_after"]
    return (
        f"{markdown.table(columns, rows, words=0)}\n"
        f"Up after {result['start_seconds']:.1f} s, the first answer took "
        f"{result['first_seconds']:.3f} s. Own memory: {before['own']:.0f} MiB before the many "
        f"users' questions, {after['own']:.0f} MiB after them."
    )


def main(
    rows: Annotated[int, typer.Option(help="Indexed vectors.")] = 223_859,
    width: Annotated[int, typer.Option(help="Their width.")] = 1024,
    clients: Annotated[int, typer.Option(help="Users at once.")] = 20,
    seconds: Annotated[float, typer.Option(help="How long they ask.")] = 60,
    work: Annotated[
        Path | None, typer.Option(help="Keep the index here, or take it from here.")
    ] = None,
) -> None:
    """Time the search page with one user and with many."""
    result: Row = {
        "benchmark": "serving",
        "cores": cores(),
        "sizes": [rows, width],
        "seconds": seconds,
    }
    with nullcontext(work) if work else tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not (folder / "index/index.json").exists():
            make(folder, rows, width)
        images = sorted((folder / "data/images").iterdir())
        with served(folder) as (address, process, up):
            say(f"up after {up:.1f} s")
            visitors = [Visitor(address, images, seed) for seed in range(clients)]
            result |= {"start_seconds": up, "first_seconds": first(visitors[0])}
            result["alone"] = waits_of(visitors[:1], seconds / 6)
            waits_of(visitors, seconds / 6)  # each has a session of its own from here on
            result["memory_before"] = memory_of(process)
            result["together"] = waits_of(visitors, seconds)
            result["memory_after"] = memory_of(process)
    print(to_markdown(result))
    print(json.dumps(result))


if __name__ == "__main__":
    run_benchmark(main)
