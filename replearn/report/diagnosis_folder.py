"""A diagnosis on disk: every number in `diagnosis.json`, and a page to read in `diagnosis.html`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from replearn.artefacts.files import read_json, write_bytes, write_json
from replearn.artefacts.workspace import FolderKind, creating
from replearn.diagnostics.opening import Subject
from replearn.errors import DamagedError
from replearn.report.diagnosis import build_page
from replearn.report.page import to_html

FACTS, PAGE = "diagnosis.json", "diagnosis.html"


def _check(folder: Path) -> None:
    if not (folder / PAGE).exists():
        raise DamagedError(f"{folder}: {PAGE} is missing", "give --overwrite to write it again")


DIAGNOSIS = FolderKind("a diagnosis", r"diagnosis\.(json|html)", facts=FACTS, check=_check)


def write_diagnosis(
    out: Path,
    subject: Subject,
    *,
    overwrite: bool = False,
    inputs: Iterable[Path | str | None] = (),
) -> dict[str, Any]:
    """Write a diagnosis into a folder, unless it lies there, and return what its JSON holds.

    Args:
        out: the folder.
        subject: what is diagnosed.
        overwrite: find the numbers in any case, and replace another diagnosis.
        inputs: what is read, which is never replaced.

    Raises:
        DataError: something lies there that may not be replaced.
    """
    identity = subject.identity
    with creating(out, identity, DIAGNOSIS, overwrite=overwrite, inputs=inputs) as folder:
        if folder is not None:
            found = subject.diagnose()
            write_json(folder / FACTS, {"identity": identity, **found.to_json()})
            write_bytes(folder / PAGE, to_html(build_page(found)).encode())
    content: dict[str, Any] = read_json(out / FACTS)
    return content
