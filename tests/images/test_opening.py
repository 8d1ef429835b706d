"""Opening images: every source gives the same set, and what is odd is reported."""

import os
import tarfile
import unicodedata
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from replearn.errors import DataError, ReplearnWarning, UsageError
from replearn.ids import natural_key
from replearn.images import opening
from replearn.images.ids import ID_LIST, MISSING
from replearn.images.preparation import prepare
from tests.images.helpers import grey, opened, write_images

NAMES = ["b.png", "a.png", "deep/er/c.tif", "d.v2.jpg", "ü.bmp", "E.PNG"]


IDS = ["E", "a", "b", "c", "d.v2", "ü"]


def as_zip(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*"), reverse=True):
            archive.write(file, file.relative_to(folder))
    return path


def as_tar(folder: Path, path: Path) -> Path:
    modes: dict[str, Any] = {".tar": "w:", ".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz"}
    with tarfile.open(path, mode=modes.get(path.suffix, "w:bz2")) as archive:
        archive.add(folder, ".")
    return path


def as_list(folder: Path, path: Path) -> Path:
    files = [file for file in folder.rglob("*") if file.is_file()]
    path.write_text("".join(f"{os.path.relpath(file, path.parent)}\n" for file in files))
    return path


def as_table(folder: Path, path: Path) -> Path:
    rows = [f"{file}\tC1;C2" for file in folder.rglob("*") if file.is_file()]
    path.write_text("\n".join(["path\tconcepts", *rows]), encoding="utf-8-sig")
    return path


PACKINGS: dict[str, Callable[[Path, Path], Path]] = {
    "x.zip": as_zip,
    "x.tar": as_tar,
    "x.tar.gz": as_tar,
    "x.tgz": as_tar,
    "x.tar.xz": as_tar,
    "x.tar.bz2": as_tar,
    "x.txt": as_list,
    "x.tsv": as_table,
}


@pytest.mark.parametrize("name", list(PACKINGS))
def test_every_source_of_the_same_images_gives_the_same_set(name: str, tmp_path: Path) -> None:
    write_images(tmp_path / "images", NAMES)
    folder = opened(tmp_path / "images")
    packed = opened(PACKINGS[name](tmp_path / "images", tmp_path / name))
    assert folder.ids == packed.ids == IDS
    assert np.array_equal(folder.pixels, packed.pixels)
    assert folder.identity == packed.identity


def test_a_single_image_is_a_set_of_one(tmp_path: Path) -> None:
    write_images(tmp_path, ["one.png", "two.png"])
    assert opened(tmp_path / "two.png").ids == ["two"]


def test_the_result_does_not_depend_on_threads_or_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path, [f"{number}.png" for number in range(25)])
    whole = opened(tmp_path)
    monkeypatch.setattr(opening, "_PART_BYTES", 7 * 64)
    in_parts = opened(tmp_path)
    one_by_one = [grey((tmp_path / f"{id_}.png").read_bytes(), 8) for id_ in whole.ids]
    assert np.array_equal(whole.pixels[:, 0], one_by_one)
    assert np.array_equal(in_parts.pixels[:, 0], one_by_one)
    assert in_parts.identity == whole.identity


def test_what_is_no_image_is_counted_and_told(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    for name in ("notes.txt", "more.txt", ".hidden.png", "README"):
        (tmp_path / name).write_text("x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "b.png").write_text("x")
    (tmp_path / "again").symlink_to(tmp_path)
    with pytest.warns(ReplearnWarning) as given:
        assert opened(tmp_path).ids == ["a"]
    [told] = given
    for count in ("2 .txt", "2 hidden", "1 without extension"):
        assert count in str(told.message)


def test_two_files_of_one_id_are_refused_with_both_and_the_remedy(tmp_path: Path) -> None:
    write_images(tmp_path, ["one/a.png", "two/a.jpg", "one/b.png"])
    with pytest.raises(DataError, match=r"one/a\.png and two/a\.jpg.*--ids-from path"):
        opened(tmp_path)
    assert opened(tmp_path, ids_from="path").ids == ["one/a", "one/b", "two/a"]
    assert opened(tmp_path, ids=["b"]).ids == ["b"]
    write_images(tmp_path, ["one/a.jpg"])
    with pytest.raises(DataError, match="rename"):
        opened(tmp_path, ids_from="path")


def test_wanted_ids_give_the_selection_and_the_order(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{number}.png" for number in range(30)])
    wanted = ["9", "21", "missing", *map(str, range(10, 20)), "3", *map(str, range(22, 30))]
    found = opened(tmp_path, ids=wanted)
    assert found.ids == [id_ for id_ in wanted if id_ != "missing"]
    assert found.errors == [("missing", MISSING)]
    with pytest.raises(DataError, match="'9' is asked for 2 times"):
        opened(tmp_path, ids=["9", "9"])


def test_unreadable_files_are_kept_as_errors_up_to_the_limit(tmp_path: Path) -> None:
    write_images(tmp_path, [f"{number:02}.png" for number in range(19)])
    (tmp_path / "empty.png").touch()
    with pytest.warns(ReplearnWarning, match=r"1 of 20 images left out: empty \(empty file\)"):
        found = opened(tmp_path)
    assert found.errors == [("empty", "empty file")]
    assert len(found) == 19
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(DataError, match=r"2 of 21 .*5 %.*empty file.*page.*--max-errors"):
        opened(tmp_path)
    assert len(opened(tmp_path, max_errors=0.1).errors) == 2


def test_odd_things_in_place_of_a_file_are_errors_not_the_end(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "itself.png").symlink_to("itself.png")
    (tmp_path / "linked.png").symlink_to(tmp_path / "a.png")
    found = opened(tmp_path, max_errors=1)
    assert found.ids == ["a", "linked"]
    assert dict(found.errors) == {
        "dangling": "no such file or directory: dangling.png",
        "itself": "no such file or directory: itself.png",
        "pipe": "not a regular file: pipe.png",
    }


def test_a_damaged_member_of_an_archive_is_an_error(tmp_path: Path) -> None:
    write_images(tmp_path / "images", ["a.png", "b.png"])
    path = as_zip(tmp_path / "images", tmp_path / "x.zip")
    content = bytearray(path.read_bytes())
    content[content.index(b"a.png") + 20] ^= 0xFF
    path.write_bytes(content)
    found = opened(path, max_errors=0.5)
    assert found.ids == ["b"]
    assert found.errors[0][0] == "a"


def test_a_list_reports_what_is_missing_wherever_it_stands(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "x.txt").write_text("../gone.png\n\n../a.png\r\n")
    found = opened(tmp_path / "lists" / "x.txt", max_errors=0.5)
    assert found.ids == ["a"]
    assert found.errors == [("gone", "no such file or directory: ../gone.png")]


@pytest.mark.parametrize(
    ("line", "asked"), [("{},C1", "{}.png,C1"), ("{}", "images\\{}.png"), ("{}", "{}.jpg")]
)
def test_the_reason_of_what_is_missing_has_the_path_that_was_looked_for(
    line: str, asked: str, tmp_path: Path
) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    listed = [asked.format(name) for name in "ab"]
    (tmp_path / "x.csv").write_text("\n".join(listed))
    with pytest.raises(DataError) as caught:
        opened(tmp_path / "x.csv")
    assert f"(no such file or directory: {listed[0]})" in str(caught.value)


def test_a_header_above_a_list_of_paths_is_told_whatever_its_words(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png", "b.png"])
    (tmp_path / "x.txt").write_text("image.path\na.png\nb.png\n")
    with pytest.warns(ReplearnWarning, match=r"its first line, 'image\.path', is no file"):
        assert opened(tmp_path / "x.txt").ids == ["a", "b"]


def test_linked_folders_are_read_each_real_folder_once(tmp_path: Path) -> None:
    root, store = tmp_path / "images", tmp_path / "store"
    write_images(root, ["deep/a.png", "b.png"])
    write_images(store, ["one/c.png", "two/d.png"])
    (root / "train").symlink_to(store)  # which is not below the root
    (root / "again").symlink_to(store / "one")
    (root / "more").symlink_to("deep")
    (store / "two" / "back").symlink_to(tmp_path)
    (store / "one" / "round").symlink_to("..")
    found = opened(root, ids_from="path")
    assert found.ids == ["again/c", "b", "deep/a", "train/two/d"]
    assert opened(root).ids == ["a", "b", "c", "d"]
    (tmp_path / "linked").symlink_to(root)
    assert opened(tmp_path / "linked").identity == opened(root).identity


def test_names_in_another_unicode_form_are_found_and_written_as_the_list_has_them(
    tmp_path: Path,
) -> None:
    composed, decomposed = (unicodedata.normalize(form, "Lésion") for form in ("NFC", "NFD"))
    write_images(tmp_path / "images", [f"{decomposed}.png", "a.png"])
    assert opened(tmp_path / "images").ids == [decomposed, "a"]
    found = opened(tmp_path / "images", ids=["a", composed])
    assert found.ids == ["a", composed]
    assert found.select([decomposed]).ids == [decomposed]
    write_images(tmp_path / "images", [f"{composed}.png"])
    with pytest.raises(DataError, match=r"share the id .*; rename one of them$"):
        opened(tmp_path / "images")


def test_names_that_are_no_utf8_are_told_with_the_ids_that_they_become(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    (tmp_path / "a.png").rename(os.fsdecode(os.fsencode(tmp_path) + b"/L\xe9sion.png"))
    told = r"1 names are not UTF-8, such as 'L\\\\xe9sion\.png'"
    with pytest.warns(ReplearnWarning, match=told):
        assert opened(tmp_path).ids == ["L\\xe9sion"]


def zip_of(path: Path, names: dict[str, str]) -> Path:
    """Pack an image under names in the given encodings, without a word of which it is."""
    image = path.parent / "image.png"
    write_images(path.parent, ["image.png"])
    with zipfile.ZipFile(path, "w") as archive:
        for number, encoding in enumerate(names.values()):
            length = len(list(names)[number].encode(encoding))
            archive.write(image, f"{number}".ljust(length, "x"))
    content = path.read_bytes()
    for number, (name, encoding) in enumerate(names.items()):
        raw = name.encode(encoding)
        content = content.replace(f"{number}".ljust(len(raw), "x").encode(), raw)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("encoding", "read", "ids"),
    [
        ("cp1252", "code page 437", ["a", "▄bung"]),
        ("utf-8", "UTF-8", ["a", "Übung"]),
        ("cp437", "code page 437", ["a", "Übung"]),
    ],
)
def test_a_zip_that_does_not_say_how_its_names_are_encoded_is_told(
    encoding: str, read: str, ids: list[str], tmp_path: Path
) -> None:
    path = zip_of(tmp_path / "x.zip", {"Übung.png": encoding, "a.png": "ascii"})
    told = rf"x\.zip: does not say how 1 names are encoded; read as {read}, as in '{ids[1]}"
    with pytest.warns(ReplearnWarning, match=told):
        assert sorted(opened(path).ids, key=len) == ids
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        archive.write(tmp_path / "image.png", "Übung.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert opened(tmp_path / "y.zip").ids == ["Übung"]


def test_paths_in_archives_are_cleaned(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "a.png", "./one/a.png")
        archive.write(tmp_path / "a.png", "two\\a.png")
    assert opened(tmp_path / "x.zip", ids_from="path").ids == ["one/a", "two/a"]


def test_a_tar_that_ends_in_a_zip_is_still_a_tar(tmp_path: Path) -> None:
    write_images(tmp_path / "images", ["a.png"])
    as_zip(tmp_path / "images", tmp_path / "images" / "z.zip")
    assert opened(as_tar(tmp_path / "images", tmp_path / "x.tar")).ids == ["a"]


def test_a_name_that_is_not_utf8_gives_an_id_that_is(tmp_path: Path) -> None:
    write_images(tmp_path, ["a.png"])
    (tmp_path / "a.png").rename(tmp_path / os.fsdecode(b"\xe9t\xe9.png"))
    assert prepare(tmp_path, tmp_path / "x.h5", size=8).ids == [r"\xe9t\xe9"]


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.xz"])
@pytest.mark.parametrize("share", [0, 0.3, 0.9])
def test_a_truncated_archive_is_refused(name: str, share: float, tmp_path: Path) -> None:
    write_images(tmp_path / "images", NAMES)
    path = PACKINGS[name](tmp_path / "images", tmp_path / name)
    content = path.read_bytes()
    used = len(content.rstrip(b"\0")) if name == "x.tar" else len(content)
    path.write_bytes(content[: int(used * share)])
    with pytest.raises(DataError, match=r"damaged|no images in it"):
        opened(path)


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or file"):
        opened(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="no images in it"):
        opened(tmp_path / "folder")
    (tmp_path / "x.bin").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match="neither a folder"):
        opened(tmp_path / "x.bin")


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"channels": 2}, {"fit": "crop"}, {"max_errors": 5}]
)
def test_impossible_forms_are_wrong_usage(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=str(next(iter(wrong.values())))):
        opened(tmp_path, **wrong)


@given(st.lists(st.text("ab_0129", min_size=1), min_size=1, unique=True))
def test_a_list_of_ids_is_told_from_other_lines_by_its_order(ids: list[str]) -> None:
    listed = "".join(f"{id_}\n" for id_ in sorted(ids, key=natural_key))
    assert ID_LIST.is_own(listed.encode())
    for other in (listed[:-1], f"{listed}\n", listed + listed, f"b\n{listed}a\n"):
        assert not ID_LIST.is_own(other.encode())
    assert not ID_LIST.is_own(b"\xff\n")
