"""DICOM files made by code: any header, stored values plain or compressed."""

import importlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT = "1.2.840.10008.1.2.1"

Pixels = np.ndarray[Any, Any]


def item(**elements: Any) -> Any:
    """Return an item of a sequence."""
    dataset = importlib.import_module("pydicom.dataset").Dataset()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def table(entries: Sequence[int], first: int, bits: int = 16, vr: str = "OW") -> Any:
    """Return the item of a lookup table, its entries as words (OW) or as numbers (US)."""
    made = item(LUTDescriptor=[len(entries) % 65536, first, bits])
    element = importlib.import_module("pydicom.dataelem").DataElement
    data = np.array(entries, "<u2").tobytes() if vr == "OW" else list(entries)
    made.add(element(0x00283006, vr, data))
    return made


def dataset_of(stored: Pixels, kind: str = "MONOCHROME2", **more: Any) -> Any:
    """Return a dataset of stored values [H, W], [frames, H, W] or [H, W, 3]."""
    module = importlib.import_module("pydicom.dataset")
    meta = module.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = EXPLICIT, SECONDARY_CAPTURE
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    file = module.FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID, file.SOPInstanceUID = SECONDARY_CAPTURE, "1.2.3"
    bits = stored.dtype.itemsize * 8
    in_colour = stored.ndim == 3 and stored.shape[2] == 3
    file.Rows, file.Columns = stored.shape[:2] if in_colour else stored.shape[-2:]
    file.BitsAllocated, file.BitsStored, file.HighBit = bits, bits, bits - 1
    file.PixelRepresentation = int(stored.dtype.kind == "i")
    file.SamplesPerPixel, file.PhotometricInterpretation = (3 if in_colour else 1), kind
    if in_colour:
        file.PlanarConfiguration = 0
    elif stored.ndim == 3:
        file.NumberOfFrames = len(stored)
    file.PixelData = stored.tobytes()
    for name, value in more.items():
        setattr(file, name, value)
    return file


def written(dataset: Any) -> bytes:
    """Return the bytes of a file."""
    buffer = io.BytesIO()
    importlib.import_module("pydicom").dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def dicom(stored: Pixels, kind: str = "MONOCHROME2", **more: Any) -> bytes:
    """Return an uncompressed file."""
    return written(dataset_of(stored, kind, **more))


def compressed(stored: Pixels, syntax: str, frames: Sequence[bytes], **more: Any) -> bytes:
    """Return a file of frames that are encoded already; stored values tell the header."""
    file = dataset_of(stored, **more)
    file.file_meta.TransferSyntaxUID = importlib.import_module("pydicom.uid").UID(syntax)
    file.PixelData = importlib.import_module("pydicom.encaps").encapsulate(list(frames))
    file["PixelData"].VR = "OB"
    return written(file)
