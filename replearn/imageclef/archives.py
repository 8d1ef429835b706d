"""The zip that an edition wants: the run file alone in it, under a fixed name."""

import io
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from replearn.errors import DataError
from replearn.imageclef.faults import Fault, quoted_names

_LARGEST = 1 << 30
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(text: str, name: str) -> bytes:
    """Return a zip that holds the text under this name; the same text gives the same bytes."""
    member = zipfile.ZipInfo(name, _EPOCH)
    member.external_attr = 0o644 << 16
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(member, text, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def unpack(data: bytes, path: Path, name: str) -> tuple[bytes, list[Fault]]:
    """Return the run file in a zip, and what else is wrong with the zip.

    Args:
        data: the zip.
        path: where it lies, for messages.
        name: what the run file in it must be called.

    Raises:
        DataError: the zip is damaged, or no single file in it is the run file.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            wanted = name if name in names else names[0] if len(names) == 1 else None
            if wanted is None:
                raise DataError(f"{path}: holds {quoted_names(names)}; pack {name} alone")
            if archive.getinfo(wanted).file_size > _LARGEST:
                raise DataError(f"{path}: {wanted} in it has more than 1 GiB; is it a run file?")
            content = archive.read(wanted)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError) as error:
        raise DataError(f"{path}: the zip is not readable ({error}); pack {name} again")
    text = f"the zip must hold {name} alone, found {quoted_names(names)}; pack it again"
    return content, [] if names == [name] else [Fault(None, text)]


def holds_only(data: bytes, name: str, is_own: Callable[[bytes], bool]) -> bool:
    """Tell whether bytes are a zip of one file, under this name, whose content is one's own."""
    with suppress(DataError):
        content, faults = unpack(data, Path(name), name)
        return not faults and is_own(content)
    return False
