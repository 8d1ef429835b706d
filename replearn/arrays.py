"""Types of arrays that signatures share; their shapes stand in docstrings."""

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
