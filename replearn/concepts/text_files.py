"""Text files as they come from users; a file that is no text is refused."""

from pathlib import Path

from replearn.errors import DataError

_LOOKED_AT = 1 << 13
_EXCEL = b"\xd0\xcf\x11\xe0"  # of its older files, and of other programs of Microsoft
# What no text of ours holds: control characters but for TAB, line ends, form feed and escape.
_CONTROL = bytes({*range(32)} - {*range(9, 14), 27})


def read_bytes(path: Path, wanted: str) -> bytes:
    """Return the content of a file.

    Args:
        path: the file.
        wanted: what the remedy asks for, such as `a run file`.

    Raises:
        DataError: the file cannot be opened.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give {wanted}")


def refuse_binary(data: bytes, place: str, wanted: str) -> None:
    """Refuse what is an image, an archive, a spreadsheet, ... rather than damaged text.

    Raises:
        DataError: this is not text; a wrong byte here or there is not meant.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise DataError(f"{place}: this is not UTF-8 text but UTF-16; save it as UTF-8")
    if data.startswith(_EXCEL) or (data.startswith(b"PK") and b"xl/workbook" in data):
        raise DataError(f"{place}: this is an Excel file, not text; save it as CSV in UTF-8")
    head = data[:_LOOKED_AT]
    controls = len(head) - len(head.translate(None, _CONTROL))
    if b"\0" in data or (controls > 0.03 * len(head) and not _is_utf8(data)):
        raise DataError(f"{place}: this is not text but a binary file; give {wanted}")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def not_utf8(error: UnicodeDecodeError) -> tuple[int, str]:
    """Return the line of the first byte that is not UTF-8, and a sentence about it."""
    line = error.object.count(b"\n", 0, error.start) + 1
    return line, f"not UTF-8 (byte 0x{error.object[error.start]:02x}); save the file as UTF-8"
