"""Who was winning at the end of an adversarial training, from the lines that it logged."""

import json
from pathlib import Path

import numpy as np

from replearn.diagnostics.estimates import Estimate, mean_of
from replearn.errors import DataError

_LAST = 0.25  # of the logged steps


def critic_balance(folder: Path | None) -> dict[str, Estimate]:
    """Return how often each critic put a real input above a made one at the end of its training.

    0.5 is a critic that cannot tell them apart, the baseline; 1 is one that is never wrong.  N is
    the number of logged lines, each the mean over the steps since the one before.

    Args:
        folder: of an encoder; None, or one without `metrics.jsonl`, gives nothing.

    Raises:
        DataError: a line is no JSON.
    """
    path = None if folder is None else folder / "metrics.jsonl"
    if path is None or not path.exists():
        return {}
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DataError(f"{path}: not readable ({error}); train again or remove it") from None
    names = dict.fromkeys(name for line in lines for name in line if name.endswith("/order"))
    found = {}
    for name in names:
        values = np.array([line[name] for line in lines if name in line])
        last = values[-max(2, round(_LAST * len(values))) :]
        if len(last) > 1:
            balance = mean_of(last).clipped(0, 1)
            found[name] = balance.against(0.5, "a critic that cannot tell")
    return found
