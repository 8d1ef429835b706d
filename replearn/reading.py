"""Files -> pixels: which file has which id, many decoded at a time, with a count of failures.

An unreadable file becomes an error with its reason and the work goes on, until the share of the
errors passes a limit.
"""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np

from replearn.artefacts import warn
from replearn.decoding import Fit, UnreadableImage, decode
from replearn.errors import DataError, UsageError
from replearn.sources import ImageFile, Source

IdsFrom = Literal["name", "path"]
Plan = list[tuple[str, ImageFile | None]]  # (id, its file if there is one), in the final order
Errors = list[tuple[str, str]]  # (id, reason)
Part = dict[str, np.ndarray[Any, Any]]

MISSING = "no image with this id"
_PART_BYTES = 1 << 26


@dataclass(frozen=True)
class Form:
    """What every image is brought to.

    Attributes:
        size: height and width in pixels.
        channels: 1 (grey) or 3 (red, green, blue).
        fit: `stretch` to the square, or keep the aspect and `pad` with black.

    Raises:
        UsageError: a value that cannot be.
    """

    size: int
    channels: int
    fit: Fit

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError(f"size {self.size}: a number of pixels, at least 1")
        if self.channels not in (1, 3):
            raise UsageError(f"channels {self.channels}: 1 (grey) or 3 (colour)")
        if self.fit not in ("stretch", "pad"):
            raise UsageError(f"fit {self.fit}: stretch or pad")

    def __str__(self) -> str:
        return f"size {self.size}, channels {self.channels}, fit {self.fit}"


def make_plan(
    source: Path, files: Sequence[ImageFile], ids: Sequence[str] | None, ids_from: IdsFrom
) -> Plan:
    """Return the wanted ids with their files: in the order of `ids`, or all of them sorted.

    Raises:
        DataError: two wanted files share an id, or an id is asked for twice.
        UsageError: ids cannot be made in this way.
    """
    if ids_from not in ("name", "path"):
        raise UsageError(f"ids-from {ids_from}: name or path")
    refuse_repeated(ids or [])
    wanted = None if ids is None else set(ids)
    found: dict[str, ImageFile] = {}
    for file in sorted(files, key=lambda file: file.path):
        id_ = _identifier(file.path, ids_from)
        if wanted is not None and id_ not in wanted:
            continue
        if id_ in found:
            remedy = "give --ids-from path" if ids_from == "name" else "rename one of them"
            raise DataError(
                f"{source}: {found[id_].path} and {file.path} share the id {id_!r}; {remedy}"
            )
        found[id_] = file
    return [(id_, found.get(id_)) for id_ in (sorted(found) if ids is None else ids)]


def _identifier(path: str, ids_from: IdsFrom) -> str:
    name = path if ids_from == "path" else PurePosixPath(path).name
    stem = name.removesuffix(PurePosixPath(name).suffix)
    # Names of older disks need not be UTF-8, but ids are.
    return os.fsencode(stem).decode("utf-8", "backslashreplace")


def refuse_repeated(ids: Sequence[str]) -> None:
    """Refuse a list that asks for an id twice, with a DataError."""
    id_, count = Counter(ids).most_common(1)[0] if ids else ("", 1)
    if count > 1:
        raise DataError(f"the id {id_!r} is asked for {count} times; list each once")


@dataclass
class Reading:
    """One pass over the files of a plan.

    Attributes:
        place: the source, for messages.
        source: where the files are read.
        plan: the wanted ids and their files.
        form: what the images are brought to.
        max_errors: the largest share of the plan that may be missing or unreadable.
        ids: of the images read so far, in the order of the plan.
        errors: (id, reason) of what could not be read so far.

    Raises:
        DataError: too many files are missing.
    """

    place: Path
    source: Source
    plan: Plan
    form: Form
    max_errors: float
    ids: list[str] = field(default_factory=list)
    errors: Errors = field(default_factory=list)

    def __post_init__(self) -> None:
        if not 0 <= self.max_errors <= 1:
            raise UsageError(f"max-errors {self.max_errors}: a share of the images, 0 to 1")
        missing = [(id_, MISSING) for id_, file in self.plan if file is None]
        check_errors(self.place, missing, len(self.plan), self.max_errors)

    @property
    def part_size(self) -> int:
        """Number of images decoded together: a second of work or so, and at most 64 MiB."""
        return max(1, min(1024, _PART_BYTES // (self.form.size**2 * self.form.channels)))

    def decode(self, start: int, stop: int) -> Part:
        """Return `pixels` uint8 [n, C, H, W] of what can be read, and for each file a `reason`."""
        files = [file for _, file in self.plan[start:stop]]
        # Threads are enough: reading and both decoders release the interpreter lock.
        with ThreadPoolExecutor() as pool:
            results = list(pool.map(self._attempt, files))
        pixels = [result for result in results if not isinstance(result, str)]
        reasons = [result if isinstance(result, str) else "" for result in results]
        none = np.empty((0, self.form.channels, self.form.size, self.form.size), np.uint8)
        return {"pixels": np.stack(pixels) if pixels else none, "reason": np.array(reasons)}

    def _attempt(self, file: ImageFile | None) -> np.ndarray[Any, Any] | str:
        if file is None:
            return MISSING
        form = self.form
        try:
            data = self.source.read(file)
            return decode(data, size=form.size, channels=form.channels, fit=form.fit)
        except UnreadableImage as error:
            return str(error)
        except OSError as error:
            return (error.strerror or str(error) or "cannot be read").lower()

    def count(self, part: Part) -> None:
        """Take note of the next part; raise DataError if there are too many errors by now."""
        start = len(self.ids) + len(self.errors)
        reasons = part["reason"].tolist()
        for (id_, _), reason in zip(self.plan[start : start + len(reasons)], reasons, strict=True):
            if reason:
                self.errors.append((id_, reason))
            else:
                self.ids.append(id_)
        check_errors(self.place, self.errors, len(self.plan), self.max_errors)

    def finish(self) -> None:
        """Say what was left out; raise DataError if nothing remains."""
        check_some(self.place, self.ids, self.errors)
        if self.errors:
            count = f"{len(self.errors):,} of {len(self.plan):,} images left out"
            warn(f"{self.place}: {count}: {_first(self.errors)}")


def check_errors(place: Path, errors: Errors, wanted: int, max_errors: float) -> None:
    """Raise DataError if the errors are more than this share of the wanted images."""
    if len(errors) > max_errors * wanted:
        raise DataError(
            f"{place}: {len(errors):,} of {wanted:,} images cannot be used (allowed: "
            f"{100 * max_errors:.3g} %): {_first(errors)}; mend them or raise --max-errors"
        )


def check_some(place: Path, ids: Sequence[str], errors: Errors) -> None:
    """Raise DataError if there is no image at all."""
    if not ids:
        raise DataError(f"{place}: not one image can be used: {_first(errors)}")


def _first(errors: Errors) -> str:
    more = ", ..." if len(errors) > 3 else ""
    return ", ".join(f"{id_} ({reason})" for id_, reason in errors[:3]) + more
