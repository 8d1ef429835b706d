"""Fields that hold all concepts of an image: lists in text, separators, and marks of no value.

Cardiomegaly|Effusion          a separator: `;`, `|` or comma
['cardiomegaly', 'effusion']   a list as Python, NumPy (without commas) and JSON print one
nan                            no value, and no concept
"""

import ast
import json
import re
from collections.abc import Iterable, Sequence

from replearn.errors import DataError, quoted

# What programs write for a missing value.
_MISSING = frozenset(("", "nan", "-nan", "<na>", "na", "n/a", "#n/a", "none", "null", "nat"))
_BRACKETS = {"[": "]", "{": "}", "(": ")"}
_OPENINGS = (*_BRACKETS, "set()")
_ITEM = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<bare>[^\s,'"\[\]{}()][^,'"\[\]{}()]*))"""
    r"""\s*(?P<comma>,?)"""
)
_CODE = re.compile(r"(?=[^\d]*\d)\S+")  # no blank, at least one digit
_OTHERS = (" ", "/", "+", "&", ":")  # that may stand between concepts, and often in their names
_FEWEST = 8  # different fields that show whether their parts are concepts


def is_missing(text: str) -> bool:
    """Tell whether a cell says that there is no value, as `nan` does."""
    return text.strip().lower() in _MISSING


def items_of(field: str) -> tuple[str, ...] | None:
    """Return the items of a list in text, without outer spaces; None if the text is no list.

    NumPy prints no commas, and Python would read its items as one text.
    """
    text = field.strip()
    closing = _BRACKETS.get(text[:1])
    if text == "set()":
        return ()
    if closing is None or len(text) < 2 or not text.endswith(closing):
        return None
    items: list[str] = []
    inner, place = text[1:-1].strip(), 0
    while place < len(inner):
        match = _ITEM.match(inner, place)
        if match is None:
            return None
        place = match.end()
        if match["text"] is not None:
            items.append(_unescape(match["text"]))
        elif text[0] != "[":  # words in other brackets are words
            return None
        elif all(map(_is_number, match["bare"].split())):
            items += match["bare"].split()
        else:
            items.append(match["bare"])
    return tuple(item.strip() for item in items)


def _unescape(text: str) -> str:
    # JSON escapes more than Python does, and only in double quotes.
    if text[0] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            pass
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):  # an escape that Python does not know
        return text[1:-1]


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d*)?", word) is not None


def are_lists(fields: Sequence[str], place: str) -> bool:
    """Tell whether fields are lists in text.

    Args:
        fields: none of them missing.
        place: of the fields, for messages.

    Raises:
        DataError: some are and others are not, or each is a vector of 0 and 1.
    """
    if not any(field.lstrip().startswith(_OPENINGS) for field in fields):
        return False
    found = [items_of(field) for field in fields]
    if all(items is None for items in found):
        return False
    if None in found:
        other, listed = fields[found.index(None)], _first_list(fields)
        raise DataError(
            f"{place}: {quoted(listed)} is a list in text, {quoted(other)} is none; write all in "
            "one way, or give --separator"
        )
    lengths = {len(items) for items in found if items is not None}
    digits = {item for items in found for item in items or ()}
    if lengths == {max(lengths)} and max(lengths) > 1 and digits <= {"0", "1"}:
        raise DataError(
            f"{place}: {quoted(fields[0])} is a vector of 0 and 1, whose concepts have no names; "
            "give a file with a column for each concept"
        )
    return True


def _first_list(fields: Sequence[str]) -> str:
    return next(field for field in fields if items_of(field) is not None)


def find_separator(fields: Sequence[str], place: str) -> str:
    """Return what stands between the concepts of a field: `;`, `|` or comma.

    Args:
        fields: none of them missing or a list in text.
        place: of the fields, for messages.

    Raises:
        DataError: that is in doubt.
    """
    used = [part for part in ";|" if any(part in field for field in fields)]
    if len(used) == 2:
        raise _doubt(place, next(field for field in fields if ";" in field), ";", "|")
    if used:
        return used[0]
    with_comma = [field for field in fields if "," in field]
    if with_comma:
        return _comma(with_comma, place)
    for part in _OTHERS:
        example = _parted(set(fields), part)
        if example is not None:
            raise _doubt(place, example, part, ";")
    return ";"


def _parted(fields: set[str], part: str) -> str | None:
    """Return a field in which a character may stand between concepts, None without any.

    It may if all words are numbers, if each of them is a field elsewhere, or if there are far more
    fields than words: those of names are mostly their own.
    """
    words = {field: split_field(field, part) for field in fields if part in field}
    parted = {field: of for field, of in words.items() if len(of) > 1}
    if not parted:
        return None
    used = {word for of in parted.values() for word in of}
    numbers = all(map(_is_number, used))
    elsewhere = len(parted) > 1 and used <= fields
    rest = {field.strip() for field in fields if field not in parted}
    few = len(fields) >= _FEWEST and 2 * len(used | rest) <= len(fields)
    return min(parted) if numbers or elsewhere or few else None


def _comma(fields: Sequence[str], place: str) -> str:
    """Return the comma if it parts concepts; followed by a space it may belong to a name."""
    spaced = [field for field in fields if re.search(r",\s", field)]
    if spaced and not all(_CODE.fullmatch(p) for f in fields for p in split_field(f, ",")):
        raise _doubt(place, spaced[0], ",", ";")
    return ","


def _doubt(place: str, field: str, part: str, other: str) -> DataError:
    name = {" ": "space"}.get(part, f"'{part}'")
    return DataError(
        f"{place}: does {name} stand between concepts in {quoted(field)}? give --separator {name} "
        f"if it does, --separator '{other}' if not"
    )


def split_field(field: str, separator: str) -> tuple[str, ...]:
    """Return the concepts in a field: without outer spaces, empty ones and repetitions."""
    return unique(field.split(separator))


def unique(concepts: Iterable[str]) -> tuple[str, ...]:
    """Return concepts without outer spaces, empty ones and repetitions, in their order."""
    stripped = (concept.strip() for concept in concepts)
    return tuple(dict.fromkeys(concept for concept in stripped if concept))
