"""Names of images, as lists and files of labels have them, matched to the ids of images.

An id is the name of a file without its extension, or its path.  Others write `a.png` for the id
`a`, a path where the id is the name, or a path from another folder; and accented letters may be
one character or two (Unicode NFC and NFD).
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from replearn.errors import DataError, quoted
from replearn.ids import IdList, normal

_EXTENSION = re.compile(
    r"(?<=[^/])\.(png|jpe?g|jpe|jfif|tiff?|bmp|dib|webp|gif|jp2|j2k|mpo|dcm|dicom|npy)$", re.I
)
_Parts = tuple[str, ...]


def match_names(names: Sequence[str], ids: Iterable[str], place: object) -> dict[str, str]:
    """Return the id that each name means; a name that means none is left out.

    A name that is an id means that.  Any other means the id that is the same in Unicode NFC and
    without the extension of an image file.  Where no name means any, all are read without their
    first folders, and ids too: without as few as any of them means an id.

    Args:
        names: of images, each once.
        ids: of images, each once.
        place: of the names, for messages.

    Raises:
        DataError: two names mean the same image, or a name means two.
    """
    known = set(ids)
    if all(name in known for name in names):
        return {name: name for name in names}
    parts_of_names = {name: _parts(name) for name in names}
    parts_of_ids = {id_: _parts(id_) for id_ in known}
    depth = max(map(len, (*parts_of_names.values(), *parts_of_ids.values())), default=1)
    for dropped in range(2 * depth - 1):
        for of_ids in range(dropped + 1):
            try:
                meant = _match(parts_of_names, parts_of_ids, dropped - of_ids, of_ids)
            except DataError as error:
                raise DataError(f"{place}: {error}") from None
            if meant:
                return meant
    return {}


def match_list(
    names: Sequence[str] | IdList, ids: Iterable[str], place: object
) -> tuple[list[str], dict[str, str]]:
    """Return names without what is no name but a header, and the id that each means.

    Args:
        names: of images, each once, or a file's list of them, whose first line may be a header,
            see `IdList.among`.
        ids: of images, each once.
        place: of the names, for messages; a file's list has its own.

    Raises:
        DataError: two names mean the same image, or a name means two.
    """
    if not isinstance(names, IdList):
        return list(names), match_names(names, ids, place)
    meant = match_names(names.cells, ids, names.path)
    return names.among(meant), meant


def ids_meant(names: Sequence[str] | IdList, ids: Iterable[str], place: object) -> list[str]:
    """Return for each name the id that it means, as `match_list` finds it.

    A name that is an id in some Unicode form stays as it is, and so does one that means none.

    Args:
        names: of images, each once, or a file's list of them.
        ids: of images, each once.
        place: of the names, for messages; a file's list has its own.

    Raises:
        DataError: two names mean the same image, or a name means two.
    """
    names, meant = match_list(names, ids, place)
    same = {name for name, id_ in meant.items() if normal(name) == normal(id_)}
    return [name if name in same else meant.get(name, name) for name in names]


def _match(
    names: Mapping[str, _Parts], ids: Mapping[str, _Parts], of_names: int, of_ids: int
) -> dict[str, str]:
    """Match names to ids, both without so many of their first folders."""
    candidates: dict[_Parts, list[str]] = {}
    for id_, parts in ids.items():
        if len(parts) > of_ids:
            candidates.setdefault(parts[of_ids:], []).append(id_)
    meant: dict[str, str] = {}
    for name, parts in names.items():
        found = candidates.get(parts[of_names:], []) if len(parts) > of_names else []
        if not of_names + of_ids and name in ids:
            found = [name]
        if len(found) > 1:
            raise DataError(
                f"the name {quoted(name)} means the images {quoted(found[0])} and "
                f"{quoted(found[1])}; write the ids themselves"
            )
        meant.update((name, id_) for id_ in found)
    _refuse_shared(meant)
    return meant


def _refuse_shared(meant: Mapping[str, str]) -> None:
    """Refuse two names of the same image, with a DataError."""
    first: dict[str, str] = {}
    for name, id_ in meant.items():
        if first.setdefault(id_, name) != name:
            raise DataError(
                f"the names {quoted(first[id_])} and {quoted(name)} mean the same image, "
                f"{quoted(id_)}; list it once, or prepare the images with --ids-from path"
            )


def _parts(name: str) -> _Parts:
    """Return the folders and the name of a path in Unicode NFC, without an extension."""
    path = normal(name).replace("\\", "/")
    folders = _EXTENSION.sub("", path).split("/")
    return tuple(part for part in folders if part not in ("", ".", ".."))
