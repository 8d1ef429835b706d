"""Frames of DICOM pixel data, unpacked by pydicom with imagecodecs among its decoders.

pydicom decodes run lengths and Pillow JPEG of 8 bits; JPEG of more bits, lossless JPEG, JPEG-LS and
JPEG 2000 are imagecodecs', which is made a plugin of pydicom here.  The plugin is named for each
transfer syntax, so that pixels do not depend on what else is installed.

Whoever imports this imports pydicom.
"""

import logging
from typing import Any

import cv2
import numpy as np
import pydicom.uid as uids
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder, pixel_array

from replearn.arrays import Array
from replearn.images.opencv import imdecode
from replearn.images.optional_codecs import require
from replearn.images.picture import UnreadableImage

_logger = logging.getLogger(__name__)

_PLUGIN = "replearn"
_JPEG_2000 = (
    *(uids.JPEG2000, uids.JPEG2000Lossless),
    *(uids.HTJ2K, uids.HTJ2KLossless, uids.HTJ2KLosslessRPCL),
)
_JPEG_LS = (uids.JPEGLSLossless, uids.JPEGLSNearLossless)
_JPEG = (uids.JPEGExtended12Bit, uids.JPEGLossless, uids.JPEGLosslessSV1)
# Retired ones of 12 bits, of the same codestreams: spectral selection, full progression.
_AS_EXTENDED = ("1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")
_OTHERS = {uids.JPEGBaseline8Bit: "pillow", uids.RLELossless: "pydicom"}
_SIZE = b"\xff\x4f\xff\x51"  # the start of a JPEG 2000 codestream
_SIGN = 42  # bytes after it, the sign of the first component

DECODER_DEPENDENCIES = dict.fromkeys((*_JPEG_2000, *_JPEG_LS, *_JPEG), ("imagecodecs",))


def read_frame(dataset: Any, place: int) -> Array:
    """Return the stored values of a frame, counted from 0.

    Args:
        dataset: of the file; what it says of its pixels' sign may be mended.
        place: of the frame, from 0.

    Returns:
        [H, W], or [H, W, 3] of red, green, blue.

    Raises:
        UnreadableImage: it is truncated or damaged, or nobody decodes it.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in _AS_EXTENDED:
        syntax = dataset.file_meta.TransferSyntaxUID = uids.JPEGExtended12Bit
    what = f"a DICOM file whose pixels are {syntax.name}"
    try:
        get_decoder(syntax)
    except NotImplementedError:
        raise UnreadableImage(f"{what}, which is not read; export it uncompressed")
    plugin = _OTHERS.get(syntax, "")
    if syntax == uids.JPEGExtended12Bit and dataset.get("BitsStored") == 8:
        plugin = "pillow"
    elif syntax in DECODER_DEPENDENCIES:
        require("imagecodecs", what, "dicom")
        plugin = _PLUGIN
    try:
        if syntax in _JPEG_2000:
            _take_sign(dataset, place)
        elif plugin == "pillow":
            # Pillow overlooks data that end early; OpenCV complains, and somebody listens.
            imdecode(_packed(dataset, place), cv2.IMREAD_REDUCED_GRAYSCALE_8)
        found = pixel_array(dataset, index=place, raw=False, decoding_plugin=plugin)
    except MemoryError:
        raise
    except Exception as error:  # each decoder has its own ways to fail
        _logger.debug(what, exc_info=error)
        raise UnreadableImage(f"{what}, cut off or damaged; export it again")
    stored: Array = found.astype(found.dtype.newbyteorder("="), copy=False)
    return stored


def _take_sign(dataset: Any, place: int) -> None:
    """Let signed samples be signed where the header says that they are not: decoders make them."""
    data = _packed(dataset, place)
    start = data.find(_SIZE)
    if start >= 0 and data[start + _SIGN] & 0x80:
        dataset.PixelRepresentation = 1


def _packed(dataset: Any, place: int) -> bytes:
    """Return the codestream of a frame."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    return bytes(get_frame(dataset.PixelData, place, number_of_frames=frames))


def is_available(uid: str) -> bool:
    """Tell pydicom whether this plugin can decode a transfer syntax."""
    return uid in DECODER_DEPENDENCIES


def decode_frame(data: bytes, runner: Any) -> bytes:
    """Decode a frame for pydicom, and tell it what it got."""
    codecs: Any = require("imagecodecs", "its pixels", "dicom")
    if runner.transfer_syntax in _JPEG_2000:
        samples = codecs.jpeg2k_decode(data)
    elif runner.transfer_syntax in _JPEG_LS:
        samples = codecs.jpegls_decode(data)
    else:
        samples = codecs.jpeg8_decode(data)
    if samples.ndim == 3:
        runner.set_option("planar_configuration", 0)
        # The colours are red, green, blue where the codestream says how to make these.
        if runner.transfer_syntax == uids.JPEGExtended12Bit or (
            runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT")
        ):
            runner.set_option("photometric_interpretation", "RGB")
    runner.set_option("bits_allocated", 8 * samples.itemsize)
    return np.ascontiguousarray(samples).tobytes()


def _register() -> None:
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if _PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(_PLUGIN, (__name__, decode_frame.__name__))


_register()
