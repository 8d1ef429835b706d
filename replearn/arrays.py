"""Types of arrays that signatures share, with shapes in docstrings, and what all check of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]  # numbers of any type
Floats = NDArray[np.floating[Any]]  # of any precision and shape
Float64 = NDArray[np.float64]
Integers = NDArray[np.integer[Any]]
Pixels = NDArray[np.uint8]  # images [N, C, H, W]; or one, [C, H, W] or [H, W, C]
Rows = NDArray[np.int64]  # numbers of rows
Vectors = NDArray[np.floating[Any]]  # features or embeddings [N, D]


def fit_float32(rows: Array) -> NDArray[np.bool_]:
    """Tell which rows [N, D] hold only numbers that float32 can hold: no NaN, infinity or 1e39."""
    with np.errstate(over="ignore"):
        finite = np.isfinite(rows.astype(np.float32, copy=False))
    return np.asarray(finite.all(axis=1))
