"""Series, tables and archives: whatever images lie in, the same images come out."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from replearn.errors import DataError, ReplearnWarning
from replearn.images.image_set import ImageSet
from replearn.images.opening import is_prepared, open_images
from replearn.images.preparation import prepare
from replearn.images.sources import open_source

IDS = ["a.1", "b", "ü"]


def pixels_of(number: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype(np.uint8)


def encoded(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels_of(number)).save(buffer, "PNG")
    return buffer.getvalue()


def opened(source: Path, **options: Any) -> ImageSet:
    return open_images(source, size=8, channels=3, fit="stretch", **options)


def folder(path: Path) -> Path:
    path.mkdir()
    for number, id_ in enumerate(IDS):
        (path / f"{id_}.png").write_bytes(encoded(number))
    return path


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def series(path: Path, mode: str = "w") -> Path:
    """Two tars as WebDataset writes them: a sample is what shares a name."""
    path.mkdir()
    suffix = {"w": ".tar", "w:gz": ".tar.gz"}[mode]
    for part, numbers in enumerate(([0, 2], [1])):
        target: Any = path / f"train-{part:05d}{suffix}"
        with tarfile.open(target, mode) as archive:  # type: ignore[call-overload]
            for number in numbers:
                add(archive, f"{IDS[number]}.cls", b"3")
                add(archive, f"{IDS[number]}.png", encoded(number))
    return path


def packed_series(path: Path) -> Path:
    return series(path, "w:gz")


def list_of_series(path: Path) -> Path:
    series(path)
    names = sorted(file.name for file in path.iterdir())
    (path / "list.txt").write_text("\n".join(names))
    return path / "list.txt"


def parquet(path: Path) -> Path:
    """One column of bytes and one of ids."""
    arrow = pytest.importorskip("pyarrow", reason="parquet needs replearn[parquet]")
    table = arrow.table({"id": IDS[::-1], "image": [encoded(2), encoded(1), encoded(0)]})
    pytest.importorskip("pyarrow.parquet").write_table(table, f"{path}.parquet", row_group_size=2)
    return Path(f"{path}.parquet")


def parquet_of_structs(path: Path) -> Path:
    """As the `datasets` library writes them, in two files."""
    arrow = pytest.importorskip("pyarrow", reason="parquet needs replearn[parquet]")
    path.mkdir()
    for part, numbers in enumerate(([0, 1], [2])):
        rows = [{"bytes": encoded(n), "path": f"{IDS[n]}.png"} for n in numbers]
        table = arrow.table({"image": rows, "label": numbers})
        pytest.importorskip("pyarrow.parquet").write_table(table, path / f"{part}.parquet")
    return path


def hdf5_of_pixels(path: Path) -> Path:
    with h5py.File(f"{path}.h5", "w") as file:
        file["id"] = IDS
        file["images"] = np.stack([pixels_of(number) for number in range(3)])
    return Path(f"{path}.h5")


def hdf5_of_bytes(path: Path) -> Path:
    with h5py.File(f"{path}.h5", "w") as file:
        file["id"] = IDS
        images = file.create_dataset("image", 3, h5py.vlen_dtype(np.uint8))
        for number in range(3):
            images[number] = np.frombuffer(encoded(number), np.uint8)
    return Path(f"{path}.h5")


KINDS: list[Callable[[Path], Path]] = [
    series,
    packed_series,
    list_of_series,
    parquet,
    parquet_of_structs,
    hdf5_of_pixels,
    hdf5_of_bytes,
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_images_give_the_same_set_from_every_kind_of_source(
    kind: Callable[[Path], Path], tmp_path: Path
) -> None:
    expected = opened(folder(tmp_path / "folder"))
    found = opened(kind(tmp_path / "source"))
    assert found.ids == expected.ids == IDS
    assert np.array_equal(found.pixels, expected.pixels)
    assert found.identity == expected.identity


def test_what_is_unpacked_leaves_nothing_beside_the_output(tmp_path: Path) -> None:
    prepare(packed_series(tmp_path / "source"), tmp_path / "out" / "set.h5", size=8)
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "set.h5"]


def test_other_members_of_a_series_are_counted(tmp_path: Path) -> None:
    with pytest.warns(ReplearnWarning, match=r"not taken for images: 3 \.cls"):
        opened(series(tmp_path / "source"))


def test_one_id_in_two_tars_is_refused_with_both(tmp_path: Path) -> None:
    series(tmp_path / "source")
    with tarfile.open(tmp_path / "source" / "train-00002.tar", "w") as archive:
        add(archive, "b.png", encoded(1))
    with pytest.raises(DataError, match=r"train-00001\.tar/b\.png and train-00002\.tar/b\.png"):
        opened(tmp_path / "source")


def test_a_table_without_images_is_refused_with_what_it_has(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["id"], file["features"] = IDS, np.zeros((3, 4))
    with pytest.raises(
        DataError, match=r"x\.h5: no array holds images, .*: features \(float64 \[3, 4\]\), id"
    ):
        opened(tmp_path / "x.h5")


def test_a_parquet_file_that_is_damaged_anywhere_is_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x")
    whole = path.read_bytes()
    middle = bytearray(whole)
    middle[4:200] = bytes(196)
    for damaged in (whole[:-100], bytes(middle)):
        path.write_bytes(damaged)
        with pytest.raises(
            DataError, match=r"x\.parquet: not readable as Parquet .*fetch it again"
        ):
            opened(path)


def test_rows_without_ids_are_numbered(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["data"] = np.zeros((2, 5, 6), np.uint16)
    assert opened(tmp_path / "x.h5").ids == ["000000000", "000000001"]
    assert not is_prepared(tmp_path / "x.h5")


def test_links_in_a_tar_are_followed_and_those_to_nothing_are_errors(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        add(archive, "deep/a.png", encoded(0))
        for name, target in (("deep/b.png", "a.png"), ("deep/c.png", "none.png")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    found = opened(tmp_path / "x.tar", max_errors=0.5)
    assert found.ids == ["a", "b"]
    assert np.array_equal(found.pixels[0], found.pixels[1])
    assert [id_ for id_, _ in found.errors] == ["c"]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_members_of_every_compression_are_read_by_their_place(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as archive:
        for number, id_ in enumerate(IDS):
            archive.writestr(f"{id_}.png", encoded(number))
    with open_source(tmp_path / "x.zip") as source:
        read = {file.path: source.store.read(file) for file in source.files}
    assert read == {f"{id_}.png": encoded(number) for number, id_ in enumerate(IDS)}


def test_what_a_killed_run_unpacked_is_removed_and_what_another_unpacks_stays(
    tmp_path: Path,
) -> None:
    image = tmp_path / "one.png"
    Image.new("L", (8, 8)).save(image)
    scratch = tmp_path / "beside"
    (scratch / ".unpacked-of-a-killed-run/images").mkdir(parents=True)
    with open_source(image, scratch):
        (mine,) = scratch.iterdir()
        with open_source(image, scratch):
            assert mine in scratch.iterdir()
            assert len(list(scratch.iterdir())) == 2
    assert not list(scratch.iterdir())


@pytest.mark.parametrize(
    ("name", "mode"), [("X.TAR", "w"), ("x.tgz", "w:gz"), ("x.Tar.XZ", "w:xz")]
)
def test_a_tar_is_known_by_its_ending_whatever_its_case(
    name: str, mode: Any, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / name, mode) as archive:
        add(archive, "a.png", encoded(0))
    assert opened(tmp_path / name).ids == ["a"]


def test_what_lies_beside_a_tar_under_its_name_is_no_tar(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        add(archive, "a.png", encoded(0))
    for ending in ("md5", "idx", "bak"):
        (tmp_path / f"x.tar.{ending}").write_text("d41d8cd9")
    assert opened(tmp_path).ids == ["a"]
