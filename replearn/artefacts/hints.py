"""Hints: where an input of an artefact lay, relative to the artefact, so that both can be moved.

The way begins where the artefact itself lies, not where a link to it does.
"""

import os
from pathlib import Path


def hint_to(place: Path, folder: Path) -> str:
    """Return the way to a place from a folder, which need not be there yet."""
    return os.path.relpath(place, os.path.realpath(folder))


def folder_of(artefact: Path) -> Path:
    """Return the folder that an artefact lies in."""
    return (Path(os.path.realpath(artefact)) if artefact.is_symlink() else artefact).parent
