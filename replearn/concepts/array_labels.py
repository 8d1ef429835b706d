"""Labels in NumPy's `.npz` files, as MedMNIST has them beside the pixels, as cells of text.

`train_labels` [N] or [N, 1] holds the number of each image's class, [N, L] says 1 or 0 of each
class.  A class is called by its number, and an image by the number of its row, as its pixels are:
`train-000000007`, or `000000007` where the file has one part.
"""

import json
import re
import zipfile
from pathlib import Path

import numpy as np

from replearn.arrays import Array
from replearn.concepts.delimited import Line
from replearn.errors import DataError, brief, some_of

_LABELS = re.compile(r"(?:(\w+)_)?(?:labels?|targets?|y)|(?:labels?|targets?|y)_(\w+)", re.I)


def read_array_labels(path: Path) -> tuple[tuple[str, ...], list[Line]]:
    """Return a header and numbered rows of an id and a list of classes.

    Raises:
        DataError: the file is damaged, or holds no labels.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            parts = {name: _LABELS.fullmatch(name) for name in arrays.files}
            found = {match[1] or match[2]: arrays[match[0]] for match in parts.values() if match}
            names = arrays.files
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: not readable as arrays ({brief(error)}); fetch it again"
        ) from None
    if not found:
        raise DataError(f"{path}: no labels among its arrays {some_of(names, 8)}; call them labels")
    lines: list[Line] = []
    for part, labels in found.items():
        for row, classes in enumerate(_classes(path, labels)):
            id_ = f"{part}-{row:09d}" if len(found) > 1 else f"{row:09d}"
            lines.append((len(lines) + 1, [id_, json.dumps(classes)]))
    return ("id", "classes"), lines


def _classes(path: Path, labels: Array) -> list[list[str]]:
    """Return the names of the classes of each image."""
    flat = labels.reshape(len(labels), -1)
    if labels.dtype.kind not in "biu" or labels.ndim > 2 or not flat.size:
        raise DataError(
            f"{path}: labels {labels.dtype} {list(labels.shape)}, where whole numbers [N] or "
            "[N, L] are expected"
        )
    if flat.shape[1] == 1:
        return [[str(number)] for number in flat[:, 0].tolist()]
    if not np.isin(flat, (0, 1)).all():
        raise DataError(f"{path}: labels {list(labels.shape)} with other values than 0 and 1")
    return [[str(number) for number in np.flatnonzero(row)] for row in flat]
