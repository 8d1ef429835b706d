"""Decoders of rarer kinds, in packages that the extras bring and that are imported when needed."""

import importlib
from typing import Any

from replearn.images.picture import UnreadableImage


def require(package: str, what: str, extra: str = "cpu") -> Any:
    """Import a package that decodes `what`.

    Raises:
        UnreadableImage: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UnreadableImage(f"{what}: reading it needs pip install 'replearn[{extra}]'")
