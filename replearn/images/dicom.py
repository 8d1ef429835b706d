"""DICOM files -> 8-bit pixels as a viewer shows them first: window, inversion, one of the frames.

What a stored number means is said by the file (PS3.3, C.7.6.3, C.11.1, C.11.2): the modality's
rescaling, then the window; without a window the whole range in use.
"""

import importlib
import io
from typing import Any

import cv2
import numpy as np

from replearn.arrays import Array
from replearn.errors import DataError, brief

_PREAMBLE = 128  # bytes before the magic


def is_dicom(data: bytes) -> bool:
    """Tell by its first bytes whether this is a DICOM file."""
    return data[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def frame_count(data: bytes) -> int:
    """Return the number of frames that the header states; 1 where it states none.

    Raises:
        DataError: pydicom is not installed.
        ValueError: the header is damaged.
    """
    header = _dataset(data, stop_before_pixels=True)
    return max(1, int(header.get("NumberOfFrames") or 1))


def read_dicom(data: bytes, frame: int | None, max_pixels: int) -> Array:
    """Return a frame as uint8 [H, W], or [H, W, 3] in the order blue, green, red.

    Args:
        data: the bytes of the file.
        frame: from 0; None for the middle one.
        max_pixels: more in one frame are refused before anything is decoded.

    Raises:
        DataError: pydicom is not installed.
        ValueError: with the reason why there are no pixels to be had.
    """
    dataset = _dataset(data)
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if not rows or not columns:
        raise ValueError("a DICOM file without an image")
    if rows * columns > max_pixels:
        raise ValueError(f"{columns} x {rows}: more than {max_pixels:,} pixels")
    count = max(1, int(dataset.get("NumberOfFrames") or 1))
    place = count // 2 if frame is None else frame
    pixels = importlib.import_module("pydicom.pixels")
    try:
        stored = pixels.pixel_array(io.BytesIO(data), index=place, raw=False)
    # Each decoder has its own ways to fail.
    except Exception as error:
        raise ValueError(f"its pixels cannot be decoded ({brief(error)})")
    if stored.ndim == 3:  # colours, which pydicom has brought to red, green, blue
        return cv2.cvtColor(_to_range(stored, *_in_use(stored)), cv2.COLOR_RGB2BGR)
    shown = _apply_window(dataset, stored, pixels)
    inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    return 255 - shown if inverted else shown


def _dataset(data: bytes, **options: Any) -> Any:
    try:
        pydicom = importlib.import_module("pydicom")
    except ImportError:
        raise DataError(
            "a DICOM file among the images: reading it needs pip install 'replearn[dicom]'"
        )
    try:
        return pydicom.dcmread(io.BytesIO(data), **options)
    except Exception as error:
        raise ValueError(f"damaged DICOM header ({brief(error)})")


def _apply_window(dataset: Any, stored: Array, pixels: Any) -> Array:
    """Return [H, W] of stored values as they are shown, uint8, not inverted."""
    values = np.asarray(pixels.apply_modality_lut(stored, dataset))
    centre, width = (_number(dataset, f"Window{part}") for part in ("Center", "Width"))
    if dataset.get("VOILUTSequence"):
        shown = np.asarray(pixels.apply_voi_lut(values, dataset, prefer_lut=True))
        return _to_range(shown, *_in_use(shown))
    if centre is None or width is None or width < 1:
        return _to_range(values, *_in_use(values))
    # From the first value that is not black to the first that is white (C.11.2.1.2.1).
    low = centre - 0.5 - (width - 1) / 2
    return _to_range(values, low, low + max(width - 1, 1))


def _number(dataset: Any, name: str) -> float | None:
    """Return a number of the header; the first where there are several."""
    value = dataset.get(name)
    if value is None or value == "":
        return None
    try:
        return float(value[0] if hasattr(value, "__getitem__") else value)
    except (TypeError, ValueError, IndexError):
        return None


def _in_use(values: Array) -> tuple[float, float]:
    if values.dtype == np.uint8:
        return 0.0, 255.0
    return float(values.min()), float(values.max())


def _to_range(values: Array, low: float, high: float) -> Array:
    """Map low..high linearly to 0..255 and cut off what lies outside."""
    scale = 255 / (high - low) if high > low else 0.0
    scaled = (values.astype(np.float64) - low) * scale
    shown: Array = np.rint(scaled.clip(0, 255)).astype(np.uint8)
    return shown
