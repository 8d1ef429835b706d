"""Ids of images: from the names of their files, in a fixed order."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from replearn.artefacts.error_budget import check_share
from replearn.artefacts.outputs import FileKind
from replearn.console import warn
from replearn.errors import DataError, UsageError, refuse_repeated
from replearn.ids import IdList, IdsFrom, natural_key, normal, rows_of
from replearn.images.frames import Frames, Pages, every_image
from replearn.images.kinds import image_suffix
from replearn.images.sources import Source
from replearn.images.stores import ImageFile
from replearn.matching import ids_meant

Plan = list[tuple[str, ImageFile | None]]  # (id, its file if there is one), in the final order

MISSING = "no image with this id"


@dataclass(frozen=True)
class Selection:
    """A selection of the images of a source, and the way to their ids.

    Attributes:
        ids: the images wanted, in this order, or a file's list of them; all of them, sorted by id,
            if None.
        ids_from: whether an id is the file's name or its path, without extension.
        frames: of a DICOM file with several, the `middle` one, or `all`: `scan-0001` and so on.
        max_errors: the largest share of the wanted images that may be missing or unreadable.
        pages: of any other file with several frames or pages, the `first` one, or `all`.

    Raises:
        DataError: an id is asked for twice.
        UsageError: a value that cannot be.

    Example:
        >>> some = replearn.Selection(ids=images.ids[:3])
        >>> replearn.prepare("mydata/images", "runs/some.h5", selection=some, size=32).ids
        ['phantom_000000', 'phantom_000001', 'phantom_000002']
    """

    ids: Sequence[str] | IdList | None = None
    ids_from: IdsFrom = "name"
    frames: Frames = "middle"
    max_errors: float = 0.05
    pages: Pages = "first"

    def __post_init__(self) -> None:
        if self.ids_from not in ("name", "path"):
            raise UsageError(f"ids-from {self.ids_from}: name or path")
        if self.frames not in ("middle", "all"):
            raise UsageError(f"frames {self.frames}: middle or all")
        if self.pages not in ("first", "all"):
            raise UsageError(f"pages {self.pages}: first or all")
        check_share(self.max_errors)
        if self.ids is not None and not isinstance(self.ids, IdList):
            refuse_repeated(self.ids)


EVERY_IMAGE = Selection()


def _is_id_list(data: bytes) -> bool:
    """Tell whether bytes are ids, one a line, in the natural order in which they are listed."""
    try:
        *ids, rest = data.decode().split("\n")
    except UnicodeDecodeError:
        return False
    return not rest and all(ids) and ids == sorted(set(ids), key=natural_key)


ID_LIST = FileKind("a list of ids", _is_id_list)


def match_ids(place: Path, source: Source, selection: Selection) -> Plan:
    """Return the wanted ids with their files: in the order of the ids, or all of them sorted.

    A name that a list has for an image becomes the image's id, see `ids_meant`: whichever list
    chose it, an image has one id.

    Args:
        place: of the source, for messages.
        source: whose files are meant.
        selection: the images wanted.

    Raises:
        DataError: two wanted files share an id, or two wanted ids mean the same file.
    """
    ids_from = selection.ids_from
    files = every_image(source.files, source.store, selection.frames, selection.pages)
    named = [(_identifier(file.path, ids_from), file) for file in files]
    _warn_of_other_encodings(place, [file.path for _, file in named])
    wanted = None
    if selection.ids is not None:
        there = dict.fromkeys(id_ for id_, _ in named)
        wanted = rows_of(ids_meant(selection.ids, there, place))
    found: dict[str, tuple[str, ImageFile]] = {}
    for id_, file in sorted(named, key=lambda pair: pair[1].path):
        if wanted is not None and id_ not in wanted:
            continue
        _, other = found.setdefault(normal(id_), (id_, file))
        if other is not file:
            raise DataError(
                f"{place}: {other.path} and {file.path} share the id {id_!r}; "
                f"{_remedy(other.path, file.path, ids_from)}"
            )
    if wanted is None:
        return sorted(found.values(), key=lambda pair: pair[0])
    return [(id_, found.get(normal(id_), (id_, None))[1]) for id_ in wanted]


def _remedy(path: str, other: str, ids_from: IdsFrom) -> str:
    apart = normal(_identifier(path, "path")) != normal(_identifier(other, "path"))
    if ids_from == "name" and apart:
        return "give --ids-from path (with make: IDS_FROM=path), or rename one of them"
    return "rename one of them"


def _warn_of_other_encodings(place: Path, paths: Sequence[str]) -> None:
    """Tell of names that are no UTF-8, as the ids of such files do not look like their names."""
    other = [path for path in paths if not path.isascii() and _text(path) != path]
    if other:
        warn(
            f"{place}: {len(other)} names are not UTF-8, such as {_text(other[0])!r}, which is how "
            "their ids are written; rename them if other ids are listed"
        )


def _identifier(path: str, ids_from: IdsFrom) -> str:
    name = path if ids_from == "path" else PurePosixPath(path).name
    return _text(name.removesuffix(image_suffix(name)))


def _text(path: str) -> str:
    # Names of older disks need not be UTF-8, but ids are.
    return os.fsencode(path).decode("utf-8", "backslashreplace")
