"""DICOM files -> pictures as a viewer shows them first: one of the frames, in the header's window.

pydicom reads the header and unpacks the frame; `replearn.images.dicom_display` says what its
stored values mean.
"""

import importlib
import io
import logging
from typing import Any

import cv2

from replearn.arrays import Array
from replearn.images.dicom_display import display
from replearn.images.dicom_tables import colours_of
from replearn.images.optional_codecs import require
from replearn.images.picture import Picture, UnreadableImage, check_size

_logger = logging.getLogger(__name__)

_EXTRA = "dicom"
_IMPLICIT, _EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
_DAMAGED = "a damaged DICOM file; export it again"


def count_frames(data: bytes) -> int:
    """Return the number of frames that the header states; 1 where it states none.

    Raises:
        UnreadableImage: pydicom is not installed, or the header is damaged.
    """
    return _frames(_dataset(data, stop_before_pixels=True))


def read_dicom(data: bytes, frame: int | None = None) -> Picture:
    """Return a frame, counted from 0; the middle one if None.

    Raises:
        UnreadableImage: pydicom is not installed, or why there is no picture to be had.
    """
    dataset = _dataset(data)
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    if not rows or not columns:
        raise UnreadableImage(f"a DICOM file without an image{_class_of(dataset)}")
    samples = int(dataset.get("SamplesPerPixel") or 1)
    check_size(columns, rows, samples * -(-int(dataset.get("BitsAllocated") or 8) // 8))
    frames = _frames(dataset)
    place = frames // 2 if frame is None else frame
    stored = _stored(dataset, place)
    if stored.ndim == 3 or dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        colours = colours_of(dataset, stored)
        return Picture(cv2.cvtColor(colours, cv2.COLOR_RGB2BGR), blue_first=True, frames=frames)
    return Picture(display(dataset, place, stored), frames=frames)


def _dataset(data: bytes, **options: Any) -> Any:
    pydicom = require("pydicom", "a DICOM file", _EXTRA)
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), force=True, **options)
        if "TransferSyntaxUID" not in dataset.file_meta:  # one without a preamble
            uid = _IMPLICIT if dataset.original_encoding[0] else _EXPLICIT
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(uid)
    except MemoryError:
        raise
    except Exception as error:
        _logger.debug("a DICOM header", exc_info=error)
        raise UnreadableImage(_DAMAGED)
    return dataset


def _frames(dataset: Any) -> int:
    number = dataset.get("NumberOfFrames")
    try:
        return max(1, int(number or 1))
    except (TypeError, ValueError):
        raise UnreadableImage(f"a DICOM file whose NumberOfFrames is {number!r}, no number")


def _class_of(dataset: Any) -> str:
    uid = dataset.get("SOPClassUID")
    return f" ({uid.name})" if hasattr(uid, "name") else ""


def _stored(dataset: Any, place: int) -> Array:
    """Return the stored values of a frame: [H, W], or [H, W, 3] of red, green, blue."""
    frames = importlib.import_module("replearn.images.dicom_frames")
    stored: Array = frames.read_frame(dataset, place)
    return stored
