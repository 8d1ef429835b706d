"""Folders of images: what lies below one, through links too, each real folder once."""

import os
from collections.abc import Iterator
from pathlib import Path

from replearn.errors import DataError


def paths_below(root: Path) -> Iterator[str]:
    """Yield the files below a folder, by their paths in it with `/` between the parts.

    Links to folders are followed after everything else, the least deep first.  What was gone
    through under another path is not gone through again, nor is a folder that holds the root.

    Raises:
        DataError: a folder cannot be listed.
    """
    done = {str(folder) for folder in Path(os.path.realpath(root)).parents}
    waiting, links = [root], list[Path]()
    while waiting or links:
        if not waiting:
            links.sort(key=lambda link: (len(link.parts), link))
            waiting.append(links.pop(0))
        base = waiting.pop()
        real = os.path.realpath(base)
        if real in done:
            continue
        done.add(real)
        inner = base.relative_to(root).as_posix()
        for entry in _entries(base):
            if not _is_folder(entry):
                yield entry.name if inner == "." else f"{inner}/{entry.name}"
            elif entry.is_symlink():
                links.append(base / entry.name)
            else:
                waiting.append(base / entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be listed ({error.strerror}); allow reading it"
        ) from None
