"""Lookup tables of DICOM files: of grey values, and palettes of colours."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from replearn.arrays import Array
from replearn.images.picture import UnreadableImage, strips

_COLOURS = ("Red", "Green", "Blue")


@dataclass(frozen=True)
class Table:
    """A lookup table.

    Attributes:
        first: the value of the first entry; smaller ones have this entry too, larger ones the last.
        entries: [N].
    """

    first: int
    entries: Array

    def __call__(self, values: Array) -> Array:
        """Return the entry of each value."""
        places = np.rint(values).astype(np.int64) - self.first
        found: Array = self.entries[places.clip(0, len(self.entries) - 1)]
        return found

    @property
    def white(self) -> int:
        """The largest number of as many bits as the entries use; stated numbers are often wrong."""
        return (1 << max(1, int(self.entries.max()).bit_length())) - 1


def read_table(dataset: Any, place: Any, sequence: str) -> Table | None:
    """Return the first table of a sequence; None if there is none, or an empty one.

    Args:
        dataset: the whole file, which tells the order of bytes.
        place: the part of it that has the sequence.
        sequence: its name.

    Raises:
        UnreadableImage: a part of the table is missing.
    """
    items = place.get(sequence)
    if not items:
        return None
    descriptor, data = items[0].get("LUTDescriptor"), items[0].get("LUTData")
    if not descriptor and not data:
        return None
    if not descriptor or not data or len(descriptor) != 3:
        raise UnreadableImage(f"a DICOM file with a part of its {sequence} alone; export it again")
    return Table(int(descriptor[1]), _entries(dataset, int(descriptor[0]), data))


def _entries(dataset: Any, count: int, data: Any) -> Array:
    """Return the entries of a table [N]; 0 stands for 65536 of them."""
    if isinstance(data, bytes):
        # Entries of 8 bits may lie one by one, or in two bytes each.
        order = "<" if dataset.file_meta.TransferSyntaxUID.is_little_endian else ">"
        is_narrow = len(data) < 2 * (count or 1 << 16)
        data = np.frombuffer(data, np.uint8 if is_narrow else f"{order}u2")
    return np.atleast_1d(np.asarray(data)).astype(np.int64)[: count or 1 << 16]


def colours_of(dataset: Any, stored: Array) -> Array:
    """Return stored values [H, W] of a palette, or [H, W, 3], as uint8 [H, W, 3], red first.

    Raises:
        UnreadableImage: they are no colours that are known, or the palette is missing.
    """
    meaning = str(dataset.get("PhotometricInterpretation") or "")
    if meaning == "PALETTE COLOR":
        return np.stack([table(stored) for table in _palette(dataset)], axis=-1)
    if stored.shape[2] != 3 or meaning in ("HSV", "ARGB", "CMYK"):
        raise UnreadableImage(
            f"a DICOM file of {stored.shape[2]} samples a pixel ({meaning}), which is not read; "
            "export it as RGB"
        )
    bits = int(dataset.get("BitsStored") or 8 * stored.itemsize)
    if stored.dtype == np.uint8 and bits == 8:
        return stored
    shown = np.empty(stored.shape, np.uint8)
    for rows in strips(stored):
        shown[rows] = np.rint(stored[rows] * (255 / (2.0**bits - 1))).clip(0, 255)
    return shown


def _palette(dataset: Any) -> list[Table]:
    """Return the tables of red, green and blue, with entries uint8."""
    descriptor = dataset.get("RedPaletteColorLookupTableDescriptor")
    name = "{}PaletteColorLookupTableData"
    if descriptor and dataset.get(f"Segmented{name.format('Red')}"):
        count, first = int(descriptor[0]) or 1 << 16, int(descriptor[1])
        apply = importlib.import_module("pydicom.pixels").apply_color_lut
        entries = apply(np.arange(first, first + count, dtype=np.int32), dataset)
        columns = [entries[:, colour].astype(np.int64) for colour in range(3)]
    else:
        tables = [dataset.get(name.format(colour)) for colour in _COLOURS]
        if not descriptor or not all(tables):
            raise UnreadableImage(
                "a DICOM file in PALETTE COLOR without its palette; export it again"
            )
        count, first = int(descriptor[0]), int(descriptor[1])
        columns = [_entries(dataset, count, data) for data in tables]
    # Entries of 8 bits may be stated to have 16.
    wide = max(int(column.max()) for column in columns) > 255
    return [Table(first, (column >> 8 * wide).astype(np.uint8)) for column in columns]
