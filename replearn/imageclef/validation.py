"""A run file checked as the server would check it, with every fault reported at once."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from replearn.imageclef.checks import EXTENSION, find_faults
from replearn.imageclef.editions import Edition
from replearn.imageclef.faults import Fault, some
from replearn.imageclef.rows import Row, Run, decode


@dataclass(frozen=True)
class Report:
    """What a check of a run file found.

    Attributes:
        errors: why the edition's server refuses the file; none if it is valid.
        warnings: what it accepts but was hardly meant.
        images: number of rows.
        concepts: number of predicted concepts over all rows.
    """

    errors: list[Fault]
    warnings: list[Fault]
    images: int
    concepts: int


def validate_run(
    path: Path,
    expected_ids: Sequence[str],
    edition: Edition,
    vocabulary: Collection[str] | None = None,
) -> Report:
    """Check a run file as the edition's server would, but report every fault at once.

    Args:
        path: the run file.
        expected_ids: the images of the test set, in the order of the organisers' list.
        edition: whose rules hold; where it has a pre-check, that is applied, too.
        vocabulary: the known concepts; others are legal everywhere but give a warning.

    Raises:
        DataError: the file cannot be opened.
    """
    text, errors = decode(path)
    # Where a header is skipped because it holds "ID", a byte-order mark before it does no harm.
    if text.startswith("\ufeff") and (edition.precheck or not edition.skips_header):
        errors.append(Fault(1, "starts with a byte-order mark; save the file as UTF-8 without it"))
        text = text[1:]
    run = Run(text, edition, expected_ids, strict=bool(edition.precheck))
    return Report(
        errors=errors + find_faults(run),
        warnings=[*_oddities(run), *_strangers(run, vocabulary)],
        images=len(run.images),
        concepts=sum(bool(concept.strip()) for row in run.images for concept in row.concepts),
    )


def _has_extension(row: Row, run: Run) -> bool:
    return row.id in run.known and bool(EXTENSION.search(row.id))


def _looks_like_header(row: Row, run: Run) -> bool:
    return run.edition.skips_header and "ID" in row.id and row.id in run.known


def _has_empty_item(row: Row, run: Run) -> bool:
    return len(row.concepts) > 1 and any(not c.strip() for c in row.concepts)


def _has_lower_case(row: Row, run: Run) -> bool:
    return any(concept != concept.upper() for concept in row.concepts)


def _has_spaces(row: Row, run: Run) -> bool:
    if run.edition.strips:
        return False
    return any(concept != concept.strip() != "" for concept in row.concepts)


# What to say of rows of which the test holds, unless a check of this name refuses them anyway.
_ODDITIES: tuple[tuple[Callable[[Row, Run], bool], str, str], ...] = (
    (_has_extension, "", "an image extension in the id; the organisers' ids have none"),
    (_looks_like_header, "", "'ID' in the id: the evaluator drops such images as headers"),
    (_has_empty_item, "empty item", "a superfluous separator: it counts as a wrong concept"),
    (_has_lower_case, "form", "lower case in concepts; the evaluator takes it for upper case"),
    (_has_spaces, "", "spaces around concepts: they make other, wrong concepts of them"),
)


def _oddities(run: Run) -> Iterator[Fault]:
    """Yield what is legal but was hardly meant: each kind once, with its first line and count."""
    rows = run.images
    for test, check, text in _ODDITIES:
        if check not in run.edition.precheck and (odd := [row for row in rows if test(row, run)]):
            yield Fault(odd[0].line, f"{len(odd)} of {len(rows)} rows have {text}")
    if rows and not any(concept.strip() for row in rows for concept in row.concepts):
        yield Fault(None, f"no concept is predicted for any of the {len(rows)} images")


def _strangers(run: Run, vocabulary: Collection[str] | None) -> Iterator[Fault]:
    """Yield one warning of all concepts that the vocabulary, if there is one, does not hold."""
    if vocabulary is None:
        return
    known = {"", *(concept.upper() for concept in vocabulary)}
    first_line: dict[str, int] = {}
    for row in run.images:
        for concept in row.concepts:
            if concept.strip().upper() not in known:
                first_line.setdefault(concept, row.line)
    if first_line:
        text = f"not in the vocabulary, {len(first_line)} in all: {some(list(first_line))}"
        yield Fault(min(first_line.values()), text)
