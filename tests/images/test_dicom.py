"""DICOM is shown as a viewer shows it: window, inversion, range, frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from replearn.images.decoding import decode
from replearn.images.opening import open_images
from replearn.images.picture import UnreadableImage
from tests.images.dicoms import dicom

pytest.importorskip("pydicom", reason="DICOM needs replearn[dicom]")

Pixels = np.ndarray[Any, Any]


def shown(data: bytes, frame: int | None = None) -> Pixels:
    pixels: Pixels = decode(data, size=16, channels=1, fit="stretch", frame=frame)[0]
    return pixels


RAMP = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)


def test_without_a_window_the_range_in_use_is_shown_whole() -> None:
    expected = RAMP * (255 / 4095)
    assert np.abs(shown(dicom(RAMP)) - expected).max() <= 0.51
    assert np.abs(shown(dicom(RAMP + 20_000)) - expected).max() <= 0.51


def test_a_window_maps_its_ends_to_black_and_white() -> None:
    found = shown(dicom(RAMP, WindowCenter=1000.5, WindowWidth=1001))
    expected = ((RAMP.astype(float) - 500) / 1000).clip(0, 1) * 255
    assert np.abs(found - expected).max() <= 0.51


def test_values_are_rescaled_before_the_window() -> None:
    stored = (RAMP.astype(np.int32) - 1024).astype(np.int16)
    slope: dict[str, Any] = {"RescaleSlope": 2, "RescaleIntercept": -100}
    found = shown(dicom(stored, **slope, WindowCenter=[0.5, 40], WindowWidth=[801, 400]))
    expected = ((stored * 2.0 - 100 + 400) / 800).clip(0, 1) * 255
    assert np.abs(found - expected).max() <= 0.51


def test_monochrome1_is_inverted() -> None:
    assert np.array_equal(shown(dicom(RAMP, "MONOCHROME1")), 255 - shown(dicom(RAMP)))


def test_of_several_frames_the_middle_one_is_shown_unless_another_is_asked() -> None:
    frames = np.stack([np.full((16, 16), 10 * number, np.uint8) for number in range(1, 6)])
    assert (shown(dicom(frames)) == 30).all()
    assert (shown(dicom(frames), frame=4) == 50).all()


def test_all_frames_become_images_of_their_own(tmp_path: Path) -> None:
    frames = np.stack([np.full((16, 16), 10 * number, np.uint8) for number in range(1, 4)])
    (tmp_path / "scan.dcm").write_bytes(dicom(frames))
    (tmp_path / "one.dcm").write_bytes(dicom(frames[0]))
    found = open_images(tmp_path, size=16, channels=1, fit="stretch", frames="all")
    assert found.ids == ["one", "scan-0001", "scan-0002", "scan-0003"]
    assert found.pixels[:, 0, 0, 0].tolist() == [10, 10, 20, 30]
    middle = open_images(tmp_path, size=16, channels=1, fit="stretch")
    assert middle.ids == ["one", "scan"]
    assert middle.pixels[1].max() == 20


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_unreadable(share: float) -> None:
    data = dicom(RAMP)
    with pytest.raises(UnreadableImage):
        shown(data[: int(len(data) * share)])


def test_a_file_without_an_image_or_with_too_large_a_one_is_unreadable() -> None:
    with pytest.raises(UnreadableImage, match="without an image"):
        shown(dicom(RAMP, Rows=0))
    with pytest.raises(UnreadableImage, match="100,000,000 pixels"):
        shown(dicom(RAMP, Rows=20_000, Columns=20_000))
