"""Images read ahead: by threads or by other processes, the same."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from replearn.images.file_reader import FileReader
from replearn.images.form import Form
from replearn.images.ids import EVERY_IMAGE
from replearn.images.opening import open_files
from replearn.images.shares import Share, read_ahead


@pytest.fixture
def files(tmp_path: Path) -> Iterator[FileReader]:
    """Six images, one of which is none."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(6):
        Image.new("L", (9, 7), 40 * number).save(folder / f"{number}.png")
    (folder / "3.png").write_bytes(b"nonsense")
    with open_files(folder, Form(8, 1, "stretch"), EVERY_IMAGE) as reader:
        yield reader


def read(files: FileReader, jobs: int, work: Path) -> dict[int, tuple[list[str], bytes, list[str]]]:
    """Return ids, pixels and the ids of errors of each share, by its first image."""
    work.mkdir()
    ranges = [range(0, 2), range(2, 4), range(4, 6)]
    shares = [Share(work / "shards", wanted, files.share(wanted)) for wanted in ranges]
    found = {
        share.wanted.start: (
            part.ids,
            np.asarray(part.pixels).tobytes(),
            [id_ for id_, _ in part.errors],
        )
        for share, part in read_ahead(shares, jobs, work)
    }
    assert not list(work.rglob("*.h5")), "what was handed over is gone"
    return found


def test_other_processes_hand_over_what_threads_read(files: FileReader, tmp_path: Path) -> None:
    expected = read(files, 1, tmp_path / "threads")
    assert [ids for ids, _, _ in expected.values()] == [["0", "1"], ["2"], ["4", "5"]]
    assert [errors for _, _, errors in expected.values()] == [[], ["3"], []]
    assert read(files, 2, tmp_path / "processes") == expected


def test_processes_that_decode_do_not_load_torch(
    files: FileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was loaded')")
    monkeypatch.syspath_prepend(tmp_path)  # the processes search where this one does
    assert len(read(files, 2, tmp_path / "processes")) == 3
