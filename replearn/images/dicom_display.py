"""Stored values of a DICOM frame -> 8-bit pixels as a viewer shows them first.

What a stored value means is said by the header (PS3.3: C.7.6.3, C.7.6.16, C.11.1, C.11.2,
C.11.6): first the modality's rescaling or table, then a table or window of interest, then how
brightness is presented.  In files of several frames, rescaling and window may stand with each
frame.  Without a window, up to 8 bits are shown with their whole range, and more with the range of
the values that are not padding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from replearn.arrays import Array
from replearn.images.dicom_tables import Table, read_table
from replearn.images.picture import UnreadableImage, strips

_Map = Callable[[Array], Array]  # of a strip of values

_STEEP = 700.0  # beyond it the exponential function overflows


def display(dataset: Any, frame: int, stored: Array) -> Array:
    """Return stored values [H, W] of a frame as uint8 [H, W].

    Raises:
        UnreadableImage: the header contradicts itself, or lacks a part of what it refers to.
    """
    to_values = _modality(dataset, frame)
    to_grey = _interest(dataset, frame) or _whole_range(dataset, stored, to_values)
    shown = np.empty(stored.shape, np.uint8)
    for rows in strips(stored):
        grey = to_grey(to_values(stored[rows]))
        shown[rows] = np.rint(np.nan_to_num(grey, copy=False).clip(0, 255))  # no number: black
    return _present(dataset, shown)


def _modality(dataset: Any, frame: int) -> _Map:
    """Return the map from stored values to those of the modality, as Hounsfield units."""
    table = read_table(dataset, dataset, "ModalityLUTSequence")
    if table is not None:
        return table
    places = _places(dataset, frame, "PixelValueTransformationSequence")
    slope, intercept = (_number(places, f"Rescale{part}") for part in ("Slope", "Intercept"))
    if slope == 0:
        raise UnreadableImage("a DICOM file whose RescaleSlope is 0; export it again")
    by, plus = slope or 1.0, intercept or 0.0
    if (by, plus) == (1, 0):
        return lambda stored: stored
    return lambda stored: stored * by + plus


def _interest(dataset: Any, frame: int) -> _Map | None:
    """Return the map from the modality's values to 0..255 that a table or a window is."""
    places = _places(dataset, frame, "FrameVOILUTSequence")
    for place in places:
        table = read_table(dataset, place, "VOILUTSequence")
        if table is not None:
            return lambda values: table(values) * (255 / table.white)
    return _window(places)


def _window(places: Sequence[Any]) -> _Map | None:
    centre, width = (_number(places, f"Window{part}") for part in ("Center", "Width"))
    if centre is None or width is None or width <= 0:
        return None
    named = [place.get("VOILUTFunction") for place in places]
    function = next((str(name).upper() for name in named if name), "LINEAR")
    if function == "SIGMOID":
        by = -4 / width
        return lambda values: 255 / (1 + np.exp(((values - centre) * by).clip(-_STEEP, _STEEP)))
    if function == "LINEAR_EXACT":
        return _linear(centre - width / 2, centre + width / 2)
    if function != "LINEAR":
        raise UnreadableImage(
            f"a DICOM file whose VOILUTFunction is {function}, which is not known"
        )
    if width < 1:
        return None
    # From the first value that is not black to the first that is white (C.11.2.1.2.1).
    low = centre - 0.5 - (width - 1) / 2
    return _linear(low, low + max(width - 1, 1))


def _linear(low: float, high: float) -> _Map:
    if high <= low:
        return lambda values: np.zeros(np.shape(values))
    scale = 255 / (high - low)
    return lambda values: (np.asarray(values, np.float64) - low) * scale


def _whole_range(dataset: Any, stored: Array, to_values: _Map) -> _Map:
    """Return the map to 0..255 of what a file without a window is shown with."""
    bits = int(dataset.get("BitsStored") or 8 * stored.itemsize)
    if bits <= 8 and stored.dtype.kind in "ui" and not isinstance(to_values, Table):
        least = -(2 ** (bits - 1)) if stored.dtype.kind == "i" else 0
        ends = to_values(np.array([least, least + 2**bits - 1], np.float64))
        return _linear(float(ends.min()), float(ends.max()))
    low, high = np.inf, -np.inf
    for rows in strips(stored):
        values = to_values(stored[rows])
        values = values[np.isfinite(values) & ~_is_padding(dataset, stored[rows])]
        if values.size:
            low, high = min(low, float(values.min())), max(high, float(values.max()))
    return _linear(low, high)


def _is_padding(dataset: Any, stored: Array) -> Array:
    """Tell of stored values [h, W] whether they only fill what was not imaged (C.7.5.1.1.2)."""
    pad = _number([dataset], "PixelPaddingValue")
    if pad is None or stored.dtype.kind == "f":
        return np.zeros(stored.shape, bool)
    limit = _number([dataset], "PixelPaddingRangeLimit")
    # The header may state them with the other sign.
    ends = np.array([pad, pad if limit is None else limit]).astype(np.int64).astype(stored.dtype)
    found: Array = (stored >= ends.min()) & (stored <= ends.max())
    return found


def _present(dataset: Any, shown: Array) -> Array:
    """Return pixels as brightness is to be presented: by a table, or inverted."""
    table = read_table(dataset, dataset, "PresentationLUTSequence")
    if table is not None:
        levels = np.arange(256) * ((len(table.entries) - 1) / 255)
        return np.rint(table(levels + table.first) * (255 / table.white)).astype(np.uint8)[shown]
    shape = str(dataset.get("PresentationLUTShape") or "")
    # Both say the same, and mostly stand together.
    is_inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1" or shape == "INVERSE"
    return 255 - shown if is_inverted else shown


def _places(dataset: Any, frame: int, sequence: str) -> list[Any]:
    """Return where something may stand: with the frame, with all frames, with the file."""
    each = dataset.get("PerFrameFunctionalGroupsSequence") or []
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    groups = [*each[frame : frame + 1], *shared[:1]]
    found = [group.get(sequence) for group in groups]
    return [*(items[0] for items in found if items), dataset]


def _number(places: Sequence[Any], name: str) -> float | None:
    """Return a number of a header, the first where there are several; None where there is none."""
    for place in places:
        value = place.get(name)
        if value is None or value == "":
            continue
        try:
            number = float(value[0] if hasattr(value, "__getitem__") else value)
        except (TypeError, ValueError, IndexError):
            continue
        if np.isfinite(number):
            return number
    return None
