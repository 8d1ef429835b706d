"""Labels of many kinds at once, as scikit-learn's users give them."""

from typing import Any

import numpy as np
from scipy import sparse

from replearn.errors import DataError


def label_matrix(Y: Any) -> sparse.csr_array:
    """Return labels 0/1 [N, L], dense or sparse, as sparse float32.

    Raises:
        DataError: there are none, or they are not 0/1 [N, L].
    """
    if Y is None:
        raise DataError("fit requires y to be passed, but the target y is None")
    if not sparse.issparse(Y):
        Y = np.asarray(Y)
    if Y.ndim != 2:
        raise DataError(f"labels {list(Y.shape)} where 0/1 [N, L] is expected")
    try:
        labels = sparse.csr_array(Y, dtype=np.float32, copy=True)
    except (TypeError, ValueError):
        raise DataError(f"labels of {Y.dtype} where 0/1 is expected") from None
    # What is stored is a label from here on: no zeros, and no entry in parts.
    labels.sum_duplicates()
    labels.eliminate_zeros()
    if not np.isin(labels.data, (0, 1)).all():
        raise DataError("Unknown label type: the labels are continuous or hold others than 0 and 1")
    return labels
