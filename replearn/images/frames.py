"""Files of several frames or pages: which of them are images."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from replearn.images.dicom import count_frames as count_dicom_frames
from replearn.images.kinds import image_suffix, kind_of
from replearn.images.picture import UnreadableImage
from replearn.images.pillow_files import count_frames, open_with_pillow
from replearn.images.stores import ImageFile, Store
from replearn.images.tiff import count_pages

Frames = Literal["middle", "all"]  # of DICOM files
Pages = Literal["first", "all"]  # of TIFF, GIF and WebP files

_OF_A_FRAME = re.compile(r"(.+)-(?!0+$)(\d{4,})", re.DOTALL)
_PAGED = (".gif", ".tif", ".tiff", ".webp")
_FRAMED = ("", ".dcm", ".dic", ".dicom", ".ima")  # those without a name that tells, too


def every_image(
    files: list[ImageFile], store: Store, frames: Frames, pages: Pages
) -> Iterator[ImageFile]:
    """Yield the files, and where all frames or pages are wanted, each of them as one.

    Those of `scan.dcm` have the paths `scan-0001.dcm`, `scan-0002.dcm` and so on.

    Args:
        files: of a source.
        store: reads them, where their frames or pages have to be counted.
        frames: of DICOM files that are wanted.
        pages: of other files that are wanted.
    """
    for file in files:
        suffix = image_suffix(file.path)
        looked_at = (frames == "all" and suffix.lower() in _FRAMED) or (
            pages == "all" and suffix.lower() in _PAGED
        )
        count = _count(store, file, frames, pages) if looked_at else 1
        if count == 1:
            yield file
            continue
        stem = file.path.removesuffix(suffix)
        for frame in range(count):
            yield replace(file, path=f"{stem}-{frame + 1:04d}{suffix}", frame=frame)


def frames_named_by(ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return those ids that may be of a frame, with the id of its file and its number, from 0."""
    matches = {id_: _OF_A_FRAME.fullmatch(id_) for id_ in ids}
    return {id_: (match[1], int(match[2]) - 1) for id_, match in matches.items() if match}


def _count(store: Store, file: ImageFile, frames: Frames, pages: Pages) -> int:
    """Return how many images are in a file; 1 where it cannot be read, as decoding will say."""
    try:
        data = store.read(file)
        kind = kind_of(data)
        if kind == "DICOM":
            return count_dicom_frames(data) if frames == "all" else 1
        if pages == "first":
            return 1
        if kind == "TIFF":
            return count_pages(data)
        if kind in ("GIF", "WebP"):
            return count_frames(open_with_pillow(data, ("GIF", "WEBP"), kind))
    except (OSError, MemoryError, UnreadableImage):
        pass
    return 1
