"""The two ways in which a user's run can fail, and the class of warnings.

Each message is one line: file, value, remedy.

What other libraries raise has its place in such a line, but not all of its text.  Long texts and
long lists are cut by the functions below.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any


class DataError(ValueError):
    """A file, an image set or an artefact cannot be used as it is (exit status 1)."""


class DamagedError(DataError):
    """A part of an artefact is missing, damaged or of another one: it has to be made anew.

    A folder that still states its identity would be taken for complete, so it must go first.

    Attributes:
        what: is wrong, with the file.
        remedy: names the folder to remove where the code that raises it knows the artefact.
    """

    def __init__(self, what: str, remedy: str = "remove the artefact and make it again") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


class UsageError(ValueError):
    """The command or the configuration asks for something that does not exist (exit status 2)."""


class ReplearnWarning(UserWarning):
    """A message to the user that stops nothing; `replearn.console.warn` issues it."""


def brief(error: Exception) -> str:
    """Return the first line of what an error says, not too long; its kind if it says nothing."""
    lines = str(error).strip().splitlines()
    return " ".join(lines[0].split())[:200] if lines else type(error).__name__


def unknown_fact(error: Exception) -> str:
    """Return which fact of an artefact a KeyError or TypeError is about, in quotes."""
    quoted_name = re.search(r"'(\w+)'$", str(error))
    return quoted_name.group() if quoted_name else brief(error)


# What asking torch for a device raises: it imports modules of other makers, and asserts.
DEVICE_ERRORS = (RuntimeError, AssertionError, ImportError)


def no_device(name: str, error: Exception) -> str:
    """Return what to say of a device that torch refused with one of `DEVICE_ERRORS`."""
    kind = name.partition(":")[0]
    if isinstance(error, (NotImplementedError, ImportError)):  # else all that it has is listed
        reason = f"this torch has no {kind}"
    elif "device type" in str(error):  # else all that it knows is listed
        reason = f"torch knows no {kind!r}"
    else:
        reason = brief(error)
    return f"device {name!r}: not usable here ({reason}); give another, such as cpu"


def some_of(items: Sequence[Any], most: int = 3, form: Callable[[Any], str] = str) -> str:
    """Return the first few items, for a message.

    Args:
        items: any number of them.
        most: how many are named.
        form: turns an item into text.
    """
    return ", ".join(map(form, items[:most])) + (", ..." if len(items) > most else "")


def quoted(text: str, most: int = 60) -> str:
    """Return a text in quotes, cut if it is longer than `most` characters."""
    return repr(shortened(text, most, "..."))


def shortened(text: str, most: int, mark: str = "…") -> str:
    """Return a text, or its beginning and a mark, in at most `most` characters."""
    return text if len(text) <= most else f"{text[: most - len(mark)]}{mark}"


def refuse_repeated(ids: Sequence[str]) -> None:
    """Refuse a list that asks for an id twice, with a DataError."""
    id_, count = Counter(ids).most_common(1)[0] if ids else ("", 1)
    if count > 1:
        raise DataError(f"the id {id_!r} is asked for {count} times; list each once")
