"""Decoders of rarer kinds, in packages that the extras bring and that are imported when needed."""

import importlib
import logging
from typing import Any

from replearn.images.picture import UnreadableImage

# Where nobody listens, what they log would be on stderr; it becomes the reason of a file.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def require(package: str, what: str, extra: str = "cpu") -> Any:
    """Import a package that decodes `what`.

    Raises:
        UnreadableImage: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UnreadableImage(f"{what}: reading it needs pip install 'replearn[{extra}]'")
