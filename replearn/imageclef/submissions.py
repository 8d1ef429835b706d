"""Submissions: the run file, and beside it the zip if the organisers want one."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from replearn.artefacts.files import write_results
from replearn.errors import UsageError
from replearn.imageclef.archives import pack
from replearn.imageclef.editions import Edition
from replearn.imageclef.faults import Fault
from replearn.imageclef.runs import write_run
from replearn.imageclef.validation import validate_text


def write_submission(
    run_file: Path | str,
    ids: Sequence[str],
    concepts: Sequence[Iterable[str]],
    edition: Edition,
    *,
    overwrite: bool,
) -> list[Fault]:
    """Write a valid run file, and the zip beside it where the edition wants one.

    The zip has the name of the run file, with the ending `.zip`.

    Args:
        run_file: where the run goes.
        ids: of the images [N], in the order of the organisers' list.
        concepts: what is predicted for each image [N].
        edition: whose rules hold.
        overwrite: whether other files may be replaced.

    Returns:
        What is legal but was hardly meant.

    Raises:
        DataError: the edition would refuse the file, or another file lies there.
        UsageError: the run file is called as the zip beside it.
    """
    run_file = Path(run_file)
    text = write_run(ids, concepts, edition)
    files: dict[Path, str | bytes] = {run_file: text}
    if edition.archive is not None:
        zipped = run_file.with_suffix(".zip")
        if zipped == run_file:
            raise UsageError(f"{run_file}: give a name such as {run_file.with_suffix('.csv')}")
        files[zipped] = pack(text, edition.archive)
    warnings = validate_text(text, ids, edition).warnings
    write_results(files, overwrite=overwrite)
    return warnings
