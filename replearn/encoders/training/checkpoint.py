"""Checkpoints: read without running code, and compared setting by setting before resuming."""

import json
from pathlib import Path
from typing import Any

import torch

from replearn.errors import DataError, brief
from replearn.settings import flatten_settings


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint; loading runs no code.

    Raises:
        DataError: the file is damaged or no checkpoint.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        if not {"identity", "facts", "step", "objective", "average", "optimisers"} <= set(state):
            raise ValueError("no checkpoint of a training")
    except Exception as error:  # torch raises many kinds for a damaged file, some without a text
        raise DataError(
            f"{path}: damaged ({brief(error)}); give --overwrite to train anew"
        ) from None
    return state


def checkpoint_of(path: Path, identity: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the checkpoint of the training that these facts determine.

    Raises:
        DataError: the checkpoint is damaged or of another training.
    """
    state = read_checkpoint(path)
    if state["identity"] != identity:
        unlike = differences(json.loads(state["facts"]), facts)
        raise DataError(
            f"{path}: belongs to another training ({unlike}); "
            "resume with the same settings, or give --overwrite to start anew"
        )
    return state


def differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """Say in one line how nested settings differ."""
    flat_old, flat_new = flatten_settings(old), flatten_settings(new)
    return "; ".join(
        f"{key}: {flat_old.get(key, 'unset')} there, {flat_new.get(key, 'unset')} now"
        for key in sorted(flat_old | flat_new)
        if flat_old.get(key) != flat_new.get(key)
    )
