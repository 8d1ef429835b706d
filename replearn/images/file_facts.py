"""What is to be told of the files of a set: that there was more in them, or how deep they are."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from replearn.arrays import Array
from replearn.console import warn
from replearn.images.form import Form

NAMES = ("frames", "bits")  # of the columns

_MOST = 0.95  # of the images are to keep all of their bits


def count_partly_read(columns: Iterable[Mapping[str, Array]]) -> str:
    """Say for the last line of a stage of how many files only one frame or page was read."""
    count = sum(int((part["frames"] > 1).sum()) for part in columns if "frames" in part)
    return f", {count:,} of them one of several frames or pages" if count else ""


def warn_of_depths(place: Path, columns: Iterable[Mapping[str, Array]], form: Form) -> None:
    """Warn if images of more than 8 bits are shown with different ranges, or use less than theirs.

    Args:
        place: of the set.
        columns: of all its parts.
        form: of the set.
    """
    found = [part["bits"][part["bits"] > 0] for part in columns if "bits" in part]
    bits = np.concatenate(found) if found else np.empty(0, np.uint8)
    if not len(bits):
        return
    if form.bits is not None:
        fewer = int((bits < form.bits).sum())
        if fewer:
            warn(
                f"{place}: {fewer:,} of {len(bits):,} images with more than 8 bits a sample use "
                f"fewer than {form.bits} (the least {bits.min()}), and are dark"
            )
    elif bits.min() != bits.max():
        counts = zip(*np.unique(bits, return_counts=True), strict=True)
        each = ", ".join(f"{number} bits {count:,}" for number, count in counts)
        enough = int(np.quantile(bits, _MOST))
        warn(
            f"{place}: the {len(bits):,} images with more than 8 bits a sample use different "
            f"numbers of bits ({each}), each from black to white; --bits {enough} gives all the "
            "same range"
        )
