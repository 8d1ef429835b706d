"""What is to be told of the files of a set: that there was more in them, or how deep they are."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from replearn.arrays import Array
from replearn.console import warn
from replearn.images.form import Form

NAMES = ("frames", "bits")  # of the columns


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
    found = [part["bits"] for part in columns if "bits" in part]
    counts = Counter(np.concatenate(found).tolist()) if found else Counter[int]()
    del counts[0]
    deep, least, most = sum(counts.values()), min(counts, default=0), max(counts, default=0)
    if form.bits is not None:
        fewer = sum(count for bits, count in counts.items() if bits < form.bits)
        if fewer:
            warn(
                f"{place}: {fewer:,} of {deep:,} images with more than 8 bits a sample use fewer "
                f"than {form.bits} (the least {least}), and are dark"
            )
    elif least != most:
        each = ", ".join(f"{bits} bits {count:,}" for bits, count in sorted(counts.items()))
        warn(
            f"{place}: the {deep:,} images with more than 8 bits a sample use different numbers of "
            f"bits ({each}), each from black to white; --bits {most} gives all the same range"
        )
