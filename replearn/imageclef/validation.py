"""A run file checked as the server would check it, with every fault reported at once."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from replearn.errors import quoted
from replearn.ids import IdList, is_lexical_only
from replearn.imageclef.checks import EXTENSION, find_faults
from replearn.imageclef.editions import EDITIONS, Edition
from replearn.imageclef.faults import Fault, quoted_names
from replearn.imageclef.hints import hint
from replearn.imageclef.parsing import Row, Run, decode
from replearn.memory import no_garbage_collection


@dataclass(frozen=True)
class Report:
    """The findings of a check of a run file.

    Attributes:
        errors: why the edition's server refuses the file; none if it is valid.
        warnings: what it accepts but was hardly meant.
        images: number of rows.
        concepts: number of predicted concepts over all rows.
        hint: which other edition a faulty file seems to be for, "" for none.
    """

    errors: list[Fault]
    warnings: list[Fault]
    images: int
    concepts: int
    hint: str = ""


def validate_run(
    path: Path | str,
    expected_ids: Sequence[str] | IdList,
    edition: Edition,
    vocabulary: Collection[str] | None = None,
) -> Report:
    """Check a run file as the edition's server would, but report every fault at once.

    Args:
        path: the run file; where the edition wants a zip, it may be the zip.
        expected_ids: the images of the test set, or a file's list of them, in the order of the
            organisers' list.
        edition: whose rules hold; where it has a pre-check, that is applied, too.
        vocabulary: the known concepts; others are legal everywhere but give a warning.

    Raises:
        DataError: the file cannot be opened, or this is not text.
    """
    text, faults = decode(Path(path), edition)
    if isinstance(expected_ids, IdList):
        rows = Run(text.removeprefix("\ufeff"), edition, None, strict=False).images
        expected_ids = expected_ids.among({row.id for row in rows})
    report = validate_text(text, expected_ids, edition, vocabulary)
    return replace(report, errors=faults + report.errors)


@no_garbage_collection()
def validate_text(
    text: str,
    expected_ids: Sequence[str],
    edition: Edition,
    vocabulary: Collection[str] | None = None,
) -> Report:
    """Check the text of a run file; the rest is as in `validate_run`."""
    errors = []
    # Where a header is skipped because it holds "ID", a byte-order mark before it does no harm.
    header = edition.is_header(text.partition("\n")[0].partition(edition.delimiters[0])[0])
    if text.startswith("\ufeff") and (edition.precheck or not header):
        errors.append(Fault(1, "starts with a byte-order mark; save the file as UTF-8 without it"))
        text = text[1:]
    run = Run(text, edition, expected_ids, strict=bool(edition.precheck))
    errors += find_faults(run)
    return Report(
        errors=errors,
        warnings=[*_oddities(run, expected_ids), *_strangers(run, vocabulary)],
        images=len(run.images),
        concepts=sum(bool(concept.strip()) for row in run.images for concept in row.concepts),
        hint=hint(text, expected_ids, edition) if errors else "",
    )


def _has_extension(row: Row, run: Run) -> bool:
    return row.id in run.known and bool(EXTENSION.search(row.id))


def _stands_twice(row: Row, run: Run) -> bool:
    return not row.blank and run.first_line.get(row.id, row.line) != row.line


def _has_empty_item(row: Row, run: Run) -> bool:
    return len(row.concepts) > 1 and any(not c.strip() for c in row.concepts)


def _has_repeated(row: Row, run: Run) -> bool:
    return len(set(row.concepts)) < len(row.concepts)


def _has_lower_case(row: Row, run: Run) -> bool:
    return any(concept != concept.upper() for concept in row.concepts)


def _has_spaces(row: Row, run: Run) -> bool:
    if run.edition.strips:
        return False
    return any(concept != concept.strip() != "" for concept in row.concepts)


# What to say of rows of which the test holds, unless a check of this name refuses them anyway.
_ODDITIES: tuple[tuple[Callable[[Row, Run], bool], str, str], ...] = (
    (_has_extension, "", "an image extension in the id; the organisers' ids have none"),
    (_stands_twice, "duplicate", "an id that stands above already; only the last row counts"),
    (_has_empty_item, "empty item", "a superfluous separator: it counts as a wrong concept"),
    (_has_repeated, "repeat", "a concept more than once; it counts once"),
    (_has_lower_case, "form", "lower case in concepts; the evaluator takes it for upper case"),
    (_has_spaces, "", "spaces around concepts: they make other, wrong concepts of them"),
)


def _oddities(run: Run, expected_ids: Sequence[str]) -> Iterator[Fault]:
    """Yield what is legal but was hardly meant: each kind once, with its first line and count."""
    rows = run.images
    for test, check, text in _ODDITIES:
        if not run.edition.refuses(check) and (odd := [row for row in rows if test(row, run)]):
            yield Fault(odd[0].line, f"{len(odd)} of {len(rows)} rows have {text}")
    if rows and not any(concept.strip() for row in rows for concept in row.concepts):
        yield Fault(None, f"no concept is predicted for any of the {len(rows)} images")
    if taken := {id_ for id_ in expected_ids if run.edition.is_header(id_)}:
        line = next((row.line for row in run.rows if row.id in taken), None)
        count = f"{len(taken)} of {len(expected_ids)} ids"
        yield Fault(line, f"'ID' in {count}: the evaluator drops such images as headers")
    if run.edition.refuses("order") and is_lexical_only(expected_ids):
        yield Fault(
            None,
            "the list of ids is in lexical order, as _10 before _2; the pre-check wants the "
            "order of the organisers' list, which is natural, as _2 before _10: give their list",
        )
    if other := _other_edition(expected_ids, run.edition):
        form = f"the ids have the form of {other}: {quoted(expected_ids[0])}"
        yield Fault(None, f"{form}; are the rules of {run.edition.year} meant?")


def _other_edition(ids: Sequence[str], edition: Edition) -> int | None:
    """Return the edition whose form the first id has, if that is another one."""
    if not ids or edition.knows(ids[0]):
        return None
    return next((year for year, rules in EDITIONS.items() if rules.knows(ids[0])), None)


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
        text = f"not in the vocabulary, {len(first_line)} in all: {quoted_names(list(first_line))}"
        yield Fault(min(first_line.values()), text)
