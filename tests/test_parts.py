"""Work in parts: what an interrupted run leaves is used, and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replearn.parts import Part, make_parts, read_parts


class Work:
    """Makes parts that hold their own range, and notes which it was asked for."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.made: list[tuple[int, int]] = []
        self.fail_at = fail_at

    def __call__(self, start: int, stop: int) -> Part:
        if start == self.fail_at:
            raise RuntimeError("stopped")
        self.made.append((start, stop))
        return {"range": np.arange(start, stop), "names": np.array([f"ü{start}"])}


def joined(folder: Path, work: Work, **settings: Any) -> list[int]:
    arguments: dict[str, Any] = {"plan": "one", "count": 10, "size": 4}
    made = make_parts(folder, make=work, **(arguments | settings))
    return [int(item) for part in made for item in part["range"]]


def test_parts_come_in_order_and_cover_every_item_once(tmp_path: Path) -> None:
    work = Work()
    assert joined(tmp_path, work) == list(range(10))
    assert work.made == [(0, 4), (4, 8), (8, 10)]
    assert [part["names"].tolist() for part in read_parts(tmp_path)] == [["ü0"], ["ü4"], ["ü8"]]


def test_nothing_to_do_gives_no_parts(tmp_path: Path) -> None:
    assert joined(tmp_path, Work(), count=0) == []


def test_only_missing_parts_are_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError):
        joined(tmp_path, Work(fail_at=8))
    work = Work()
    assert joined(tmp_path, work) == list(range(10))
    assert work.made == [(8, 10)]
    assert "going on after 2 of 3 parts" in capsys.readouterr().err


@pytest.mark.parametrize("other", [{"plan": "two"}, {"size": 3}, {"count": 9}])
def test_parts_of_another_plan_size_or_count_are_thrown_away(
    other: dict[str, Any], tmp_path: Path
) -> None:
    joined(tmp_path, Work())
    work = Work()
    assert joined(tmp_path, work, **other) == list(range(other.get("count", 10)))
    assert len(work.made) == len(list(read_parts(tmp_path)))
    assert work.made[0][0] == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense", None])
def test_a_damaged_part_is_made_again(content: bytes | None, tmp_path: Path) -> None:
    joined(tmp_path, Work())
    second = sorted(tmp_path.glob("*.npz"))[1]
    second.write_bytes(second.read_bytes()[:-30] if content is None else content)
    work = Work()
    assert joined(tmp_path, work) == list(range(10))
    assert work.made == [(4, 8)]


def test_a_half_written_part_is_not_taken_for_one(tmp_path: Path) -> None:
    joined(tmp_path, Work())
    (tmp_path / "000000000012.tmp.npz").write_bytes(b"PK")
    assert len(list(read_parts(tmp_path))) == 3
