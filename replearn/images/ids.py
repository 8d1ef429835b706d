"""Ids of images: from the names of their files, in a fixed order."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from replearn.artefacts.error_budget import check_share
from replearn.errors import DataError, UsageError, refuse_repeated
from replearn.images.frames import Frames, Pages, every_image
from replearn.images.kinds import image_suffix
from replearn.images.sources import Source
from replearn.images.stores import ImageFile
from replearn.matching import match_names

IdsFrom = Literal["name", "path"]
Plan = list[tuple[str, ImageFile | None]]  # (id, its file if there is one), in the final order

MISSING = "no image with this id"


@dataclass(frozen=True)
class Selection:
    """A selection of the images of a source, and the way to their ids.

    Attributes:
        ids: the images wanted, in this order; all of them, sorted by id, if None.
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

    ids: Sequence[str] | None = None
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
        refuse_repeated(self.ids or [])


EVERY_IMAGE = Selection()


def match_ids(place: Path, source: Source, selection: Selection) -> Plan:
    """Return the wanted ids with their files: in the order of the ids, or all of them sorted.

    Ids are matched as `match_names` does, and stay as they were given.

    Args:
        place: of the source, for messages.
        source: whose files are meant.
        selection: the images wanted.

    Raises:
        DataError: two wanted files share an id, or two wanted ids mean the same file.
    """
    ids, ids_from = selection.ids, selection.ids_from
    found: dict[str, ImageFile] = {}
    files = every_image(source.files, source.store, selection.frames, selection.pages)
    named = [(_identifier(file.path, ids_from), file) for file in files]
    meant = {} if ids is None else match_names(ids, (id_ for id_, _ in named), place)
    wanted = set(meant.values())
    for id_, file in sorted(named, key=lambda of: of[1].path):
        if ids is not None and id_ not in wanted:
            continue
        if id_ in found:
            by_path = "prepare them with --ids-from path"
            remedy = by_path if ids_from == "name" else "rename one of them"
            raise DataError(
                f"{place}: {found[id_].path} and {file.path} share the id {id_!r}; {remedy}"
            )
        found[id_] = file
    if ids is None:
        return [(id_, found[id_]) for id_ in sorted(found)]
    return [(id_, found[meant[id_]] if id_ in meant else None) for id_ in ids]


def _identifier(path: str, ids_from: IdsFrom) -> str:
    name = path if ids_from == "path" else PurePosixPath(path).name
    stem = name.removesuffix(image_suffix(name))
    # Names of older disks need not be UTF-8, but ids are.
    return os.fsencode(stem).decode("utf-8", "backslashreplace")
