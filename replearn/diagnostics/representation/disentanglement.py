"""Whether one number of a code holds one factor: MIG and DCI, where the factors are known.

MIG is that of Chen et al. 2018 (arXiv:1802.04942): for each factor, by how much the code that tells
most about it leads the second, in mutual information over the factor's entropy.  DCI is that of
Eastwood and Williams 2018 (ICLR): from how important each number of the code is for predicting each
factor, `disentanglement` (a number serves one factor), `completeness` (a factor needs one number)
and `informativeness` (how well factors are predicted at all, by trees).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Float64, Vectors
from replearn.diagnostics.estimates import (
    BLOCKS,
    Estimate,
    blocks_of_rows,
    from_left_out,
    jackknife,
    mean_of,
)
from replearn.errors import DataError

Factor = NDArray[np.float64] | NDArray[np.str_]

_BINS = 20  # of each number of a code, and of each factor that is a number
_TREES = 30
_MOST = 2000  # images


def read_factors(text: str, ids: list[str], source: str) -> dict[str, Factor]:
    """Return the factors of images by name from a table as `replearn phantoms --factors` writes it.

    Args:
        text: lines of fields with tabs between them; the first has the names, `id` before them.
        ids: of the images [N].
        source: name of the table, for messages.

    Returns:
        float [N], or text [N] where a value is no number.

    Raises:
        DataError: it is no such table, or an image is not in it.
    """
    head, *lines = [line.split("\t") for line in text.splitlines()]
    if head[0] != "id" or len(head) < 2 or any(len(line) != len(head) for line in lines):
        raise DataError(f"{source}: no table of `id TAB factor ...`; see phantoms --factors")
    rows = {line[0]: line[1:] for line in lines}
    missing = [id_ for id_ in ids if id_ not in rows]
    if missing:
        raise DataError(f"{source}: no factors of {len(missing)} images, such as {missing[0]}")
    columns = zip(*(rows[id_] for id_ in ids), strict=True)
    return {name: _typed(column) for name, column in zip(head[1:], columns, strict=True)}


def _typed(column: tuple[str, ...]) -> Factor:
    try:
        return np.array(column, np.float64)
    except ValueError:
        return np.array(column, np.str_)


def _levels(values: Factor) -> NDArray[np.int64]:
    """Return the number of each value's level: of texts, their own; of numbers, 20 even ones."""
    if values.dtype.kind != "f":
        return np.asarray(np.unique(values, return_inverse=True)[1], np.int64)
    numbers = values.astype(np.float64)
    distinct = np.unique(numbers)
    if len(distinct) <= _BINS:
        return np.asarray(np.searchsorted(distinct, numbers), np.int64)
    edges = np.quantile(numbers, np.linspace(0, 1, _BINS + 1)[1:-1])
    return np.asarray(np.searchsorted(edges, numbers, side="right"), np.int64)


def _information(codes: NDArray[np.int64], factor: NDArray[np.int64]) -> tuple[Float64, float]:
    """Return each code's mutual information with a factor [D], and the factor's entropy."""
    most, levels = int(codes.max()) + 1, int(factor.max()) + 1
    found = np.empty(codes.shape[1])
    for place, code in enumerate(codes.T):
        joint = np.bincount(code * levels + factor, minlength=most * levels).reshape(most, levels)
        found[place] = _entropy(joint.sum(0)) + _entropy(joint.sum(1)) - _entropy(joint.ravel())
    return found, _entropy(np.bincount(factor))


def _entropy(counts: NDArray[np.int64]) -> float:
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def mutual_information_gap(codes: Vectors, factors: Mapping[str, Factor]) -> dict[str, Estimate]:
    """Return the gap of each factor as `mig_NAME`, and their mean as `mig`; from 0 to 1.

    The baseline is that of the same codes in another order, which hold nothing of the factors.

    Args:
        codes: float [N, D], D at least 2.
        factors: by name [N].
    """
    levels = np.stack([_levels(np.asarray(column, np.float64)) for column in codes.T], axis=1)
    named = {name: _levels(values) for name, values in factors.items()}
    shuffled = levels[np.random.default_rng(0).permutation(len(levels))]

    def gap(codes: NDArray[np.int64], *of: NDArray[np.int64]) -> float:
        return float(np.mean([_gap(*_information(codes, factor)) for factor in of]))

    found = {}
    for name, of in [*((f"_{name}", [of]) for name, of in named.items()), ("", [*named.values()])]:
        # The rows of a block leave codes and factors together: a jackknife of joined columns.
        joined = np.column_stack([levels, *of])
        width = levels.shape[1]
        value = jackknife(
            lambda rows, width=width: gap(rows[:, :width], *rows[:, width:].T), joined
        )
        found[f"mig{name}"] = value.clipped(0, 1).against(gap(shuffled, *of), "shuffled")
    return found


def _gap(information: Float64, entropy: float) -> float:
    second, first = np.sort(information)[-2:]
    return float((first - second) / entropy) if entropy > 0 else 0.0


def dci(codes: Vectors, factors: Mapping[str, Factor]) -> dict[str, Estimate]:
    """Return disentanglement, completeness and informativeness, each from 0 to 1.

    Informativeness is the mean over factors of R^2 (of numbers) or of accuracy (of text), with each
    block of images predicted by trees grown on the others.  The baseline is that of shuffled codes.

    Args:
        codes: float [N, D]; of more than 2,000 images the first count.
        factors: by name [N].
    """
    rows = np.asarray(codes[:_MOST], np.float64)
    named = {name: values[:_MOST] for name, values in factors.items()}
    shuffled = rows[np.random.default_rng(0).permutation(len(rows))]
    whole, plain = (_importances(some, named) for some in (rows, shuffled))
    block = blocks_of_rows(len(rows))
    left_out = [_importances(rows, named, block != number) for number in range(BLOCKS)]
    found = {
        name: from_left_out(of(whole), [of(weights) for weights in left_out], len(rows))
        .clipped(0, 1)
        .against(of(plain), "shuffled")
        for name, of in {"disentanglement": _disentangled, "completeness": _complete}.items()
    }
    informed = mean_of(_informed(rows, named, block)).clipped(0, 1)
    chance = float(_informed(shuffled, named, blocks_of_rows(len(rows), blocks=5)).mean())
    return found | {"informativeness": informed.against(chance, "shuffled")}


def _importances(
    rows: Float64, factors: Mapping[str, Factor], kept: NDArray[np.bool_] | None = None
) -> Float64:
    """Return how important each number of a code is for each factor [D, F]."""
    some = np.ones(len(rows), bool) if kept is None else kept
    grown = [_grow(rows[some], values[some]) for values in factors.values()]
    return np.stack([trees.feature_importances_ for trees in grown], axis=1)


def _informed(
    rows: Float64, factors: Mapping[str, Factor], block: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how well the factors of each image are predicted by trees grown without its block."""
    scores = np.zeros((len(factors), len(rows)))
    for place, values in enumerate(factors.values()):
        for number in range(int(block.max()) + 1):
            tested = block == number
            trees = _grow(rows[~tested], values[~tested])
            scores[place, tested] = _score(values, tested, trees.predict(rows[tested]))
    return np.asarray(scores.mean(axis=0), np.float64)


def _grow(rows: Float64, values: Factor) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    kind = ExtraTreesRegressor if values.dtype.kind == "f" else ExtraTreesClassifier
    share = max(1, min(rows.shape[1], 64)) / rows.shape[1]
    trees = kind(_TREES, max_features=share, min_samples_leaf=3, random_state=0)
    return trees.fit(rows, values)


def _score(values: Factor, tested: NDArray[np.bool_], predicted: Factor) -> Float64:
    """Return what each tested image adds to R^2, or whether its text was right [M]."""
    truth = values[tested]
    if truth.dtype.kind != "f":
        return np.asarray(truth == predicted, np.float64)
    variance = float(values.astype(np.float64).var())
    errors = np.square(truth.astype(np.float64) - predicted.astype(np.float64))
    return 1 - errors / max(variance, 1e-30)


def _disentangled(weights: Float64) -> float:
    """Return 1 - entropy over factors of each code, weighted by its importance [D, F]."""
    total = weights.sum(axis=1)
    shares = weights / np.maximum(total[:, None], 1e-30)
    return float(((1 - _relative_entropy(shares)) * total).sum() / max(total.sum(), 1e-30))


def _complete(weights: Float64) -> float:
    """Return 1 - entropy over codes, averaged over factors [D, F]."""
    shares = weights / np.maximum(weights.sum(axis=0), 1e-30)
    return float((1 - _relative_entropy(shares.T)).mean())


def _relative_entropy(shares: Float64) -> Float64:
    """Return the entropy of each row over that of the even distribution."""
    logs = np.log(np.where(shares > 0, shares, 1))
    return np.asarray(-(shares * logs).sum(axis=1) / np.log(max(shares.shape[1], 2)), np.float64)
