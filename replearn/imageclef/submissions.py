"""Submissions: the run file, and beside it the zip if the organisers want one."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from replearn.artefacts.outputs import FileKind, Result, is_stream, write_results
from replearn.console import warn
from replearn.errors import UsageError
from replearn.imageclef.archives import holds_only, pack
from replearn.imageclef.editions import EDITIONS, Edition
from replearn.imageclef.faults import Fault
from replearn.imageclef.runs import is_run, write_run
from replearn.imageclef.validation import validate_text

_ARCHIVES = {rules.archive for rules in EDITIONS.values() if rules.archive}
RUN_FILE = FileKind("a run file", is_run)
ARCHIVE = FileKind(
    "the zip of a run file",
    lambda data: any(holds_only(data, name, is_run) for name in _ARCHIVES),
)


def write_submission(
    run_file: Path | str,
    ids: Sequence[str],
    concepts: Sequence[Iterable[str]],
    edition: Edition,
    *,
    overwrite: bool,
    inputs: Iterable[Path | str | None] = (),
) -> list[Fault]:
    """Write a valid run file, and the zip beside it where the edition wants one.

    The zip has the name of the run file, with the ending `.zip`.

    Args:
        run_file: where the run goes; `-`, a pipe or a device gets no zip beside it.
        ids: of the images [N], in the order of the organisers' list.
        concepts: what is predicted for each image [N].
        edition: whose rules hold.
        overwrite: whether other run files may be replaced.
        inputs: files that ids and concepts are read from, which are never replaced.

    Returns:
        What is legal but was hardly meant.

    Raises:
        DataError: the edition would refuse the file, or something lies there that may not be
            replaced.
        UsageError: the run file is called as the zip beside it.
    """
    run_file = Path(run_file)
    text = write_run(ids, concepts, edition)
    results = {run_file: Result(text, RUN_FILE)}
    if edition.archive is not None and is_stream(run_file):
        warn(f"{run_file}: the zip that {edition.year} wants is not written beside a stream")
    elif edition.archive is not None:
        zipped = run_file.with_suffix(".zip")
        if zipped == run_file:
            raise UsageError(f"{run_file}: give a name such as {run_file.with_suffix('.csv')}")
        results[zipped] = Result(pack(text, edition.archive), ARCHIVE)
    warnings = validate_text(text, ids, edition).warnings
    write_results(results, overwrite=overwrite, inputs=inputs)
    return warnings
