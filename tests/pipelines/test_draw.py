"""The stage `draw`, as a user types it."""

from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np

Run = Callable[..., tuple[int, str, str]]


def test_named_images_are_drawn_in_their_order(chain: Path, run: Run, tmp_path: Path) -> None:
    names = [f"phantom_00000{number}" for number in (5, 2, 7)]
    asked = [word for name in names for word in ("--image", name)]
    command = ["draw", chain / "aae", chain / "images.h5", tmp_path / "sheets", *asked]
    status, out, _ = run(*command)
    assert status == 0
    kinds = ["reconstructions", "samples", "interpolations", "arithmetic"]
    assert out.split() == [str(tmp_path / f"sheets/{kind}.png") for kind in kinds]
    sheet = cv2.imread(str(tmp_path / "sheets/arithmetic.png"), cv2.IMREAD_GRAYSCALE)
    assert sheet is not None
    with h5py.File(chain / "images.h5") as file:
        ids = file["ids"].asstr()[:].tolist()
        pixels = [file["pixels"][ids.index(name), 0] for name in names]
    for place, image in enumerate(pixels):  # a, b, c, then a - b + c
        left = 2 + place * 66
        np.testing.assert_array_equal(sheet[2:66, left : left + 64], image)
    assert run(*command)[0] == 1, "the folder is not empty"
    command[3] = tmp_path / "again"
    assert run(*command)[0] == 0
    again = (tmp_path / "again/samples.png").read_bytes()
    assert again == (tmp_path / "sheets/samples.png").read_bytes()


def test_a_model_without_pictures_says_so(chain: Path, run: Run, tmp_path: Path) -> None:
    (tmp_path / "raw.yaml").write_text("model: raw\n")
    assert run("train", tmp_path / "raw.yaml", chain / "images.h5", tmp_path / "raw")[0] == 0
    status, _, err = run("draw", tmp_path / "raw", chain / "images.h5", tmp_path / "sheets")
    assert status == 1
    assert "the model raw has no pictures to show" in err
    assert not (tmp_path / "sheets").exists()
