"""The two ways in which a user's run can fail; each message is one line: file, value, remedy.

What other libraries raise has its place in such a line, but not all of its text.
"""

from collections.abc import Sequence
from typing import Any


class DataError(ValueError):
    """A file, an image set or an artefact cannot be used as it is (exit status 1)."""


class UsageError(ValueError):
    """The command or the configuration asks for something that does not exist (exit status 2)."""


def brief(error: Exception) -> str:
    """Return the first line of what an error says, not too long; its kind if it says nothing."""
    lines = str(error).strip().splitlines()
    return " ".join(lines[0].split())[:200] if lines else type(error).__name__


def some_of(ids: Sequence[Any]) -> str:
    """Return the first three of these, for a message."""
    return ", ".join(map(str, ids[:3])) + (", ..." if len(ids) > 3 else "")
