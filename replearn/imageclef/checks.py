"""What the organisers' programs check in a run file; an edition names its checks, in order."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

from replearn.imageclef.faults import Fault, short, some
from replearn.imageclef.rows import Row, Run

EXTENSION = re.compile(r"\.(jpe?g|png|tiff?|gif|bmp|webp|dcm)$", re.IGNORECASE)
"""An image extension at the end of an id."""

_CUI = re.compile(r"C\d+")


def find_faults(run: Run) -> list[Fault]:
    """Make the checks of the program that reads the run: first of the text, then row by row."""
    names = run.edition.precheck if run.strict else run.edition.checks
    faults = list(run.faults)
    for before in (_BEFORE[name] for name in names if name in _BEFORE):
        faults += before(run)
    by_row = [_BY_ROW[name] for name in names if name in _BY_ROW]
    for row in run.images:
        if not row.blank:
            faults += _row_faults(row, run, by_row)
        elif "blank lines" not in names:
            faults.append(Fault(row.line, "a blank line; remove it"))
    for after in (_AFTER[name] for name in names if name in _AFTER):
        faults += after(run)
    return faults


def _row_faults(row: Row, run: Run, checks: list["_RowCheck"]) -> Iterator[Fault]:
    for check in checks:
        if text := check(row, run):
            yield Fault(row.line, text)
            if check in (_columns, _two_columns):
                return  # the other checks would only say the same again


def _blank_lines(run: Run) -> Iterator[Fault]:
    for number, line in enumerate(run.text.splitlines(), 1):
        if not line.strip():
            yield Fault(number, "a blank line; remove it")


def _header(run: Run) -> Iterator[Fault]:
    if not run.has_header:
        found = run.text.split("\n", 1)[0]
        yield Fault(1, f"the header must be exactly {run.edition.header}, found {short(found)}")


def _columns(row: Row, run: Run) -> str:
    if len(row.cells) <= 2:
        return ""
    return (
        f"{len(row.cells)} columns where an id and its concepts are expected; "
        f"join the concepts with {run.edition.separator!r}"
    )


def _two_columns(row: Row, run: Run) -> str:
    if len(row.cells) == 2:
        return ""
    delimiter = run.edition.delimiters[0]
    return (
        f"exactly 2 columns are expected, found {len(row.cells)}: "
        f"{short(delimiter.join(row.cells))}; an image without concepts is 'id{delimiter}'"
    )


def _start(row: Row, run: Run) -> str:
    # The 2018 evaluator uses the concepts of the row before where the second column is missing.
    if row is not run.rows[0] or len(row.cells) > 1:
        return ""
    return "the evaluator crashes on a first row without a delimiter; write a TAB after the id"


def _id_spaces(row: Row, run: Run) -> str:
    return f"spaces around the id {short(row.id)}; remove them" if row.id != row.id.strip() else ""


def _field_spaces(row: Row, run: Run) -> str:
    field = row.cells[1]
    return "" if field == field.strip() else f"spaces around {short(field)}; remove them"


def _duplicate(row: Row, run: Run) -> str:
    line = run.first_line[row.id]
    if line == row.line:
        return ""
    return f"the id {short(row.id)} stands already in line {line}; keep one"


def _unknown(row: Row, run: Run) -> str:
    if row.id in run.known:
        return ""
    text = f"the id {short(row.id)} is not one of the {len(run.known)} images"
    if row.id.strip() in run.known:
        return f"{text}; remove the spaces around it"
    if EXTENSION.sub("", row.id) in run.known:
        return f"{text}; leave out the extension"
    if row is run.rows[0] and row.id.strip().lower() == "id":
        return f"{text}; {run.edition.year} has no header, remove it"
    return f"{text}; remove the row or correct the id"


def _limit(row: Row, run: Run) -> str:
    limit = run.edition.max_concepts
    if limit is None or len(row.concepts) <= limit:
        return ""
    return f"{len(row.concepts)} concepts for {short(row.id)}; at most {limit} are allowed"


def _empty_item(row: Row, run: Run) -> str:
    if not row.cells[1].strip() or "" not in row.concepts:
        return ""
    separator = run.edition.separator
    return f"an empty concept in {short(row.cells[1])}; remove the superfluous {separator!r}"


def _form(row: Row, run: Run) -> str:
    wrong = [concept for concept in row.concepts if concept and not _CUI.fullmatch(concept)]
    return f"not a CUI, C and digits: {some(wrong)}; correct or remove it" if wrong else ""


def _repeat(row: Row, run: Run) -> str:
    if len(set(row.concepts)) == len(row.concepts):
        return ""
    repeated = [concept for concept, count in Counter(row.concepts).items() if count > 1]
    return f"repeated for {short(row.id)}: {some(repeated)}; list each concept once"


def _surplus(run: Run) -> Iterator[Fault]:
    full = [row for row in run.images if not row.blank]
    if len(full) > len(run.expected):
        line = full[len(run.expected)].line
        yield Fault(line, f"{len(full)} rows for {len(run.expected)} images, too many from here")


def _order(run: Run) -> Iterator[Fault]:
    # What is missing, unknown or repeated is reported as such and shifts nothing here.
    found = [id_ for id_ in run.first_line if id_ in run.known]
    wanted = [id_ for id_ in dict.fromkeys(run.expected) if id_ in run.first_line]
    wrong = [(f, w) for f, w in zip(found, wanted, strict=True) if f != w]
    if wrong:
        here, due = wrong[0]
        yield Fault(
            run.first_line[here],
            f"the order is not that of the list: {short(due)} is expected here, found "
            f"{short(here)} ({len(wrong)} of {len(found)} rows out of place); sort the rows",
        )


def _missing(run: Run) -> Iterator[Fault]:
    missing = [id_ for id_ in dict.fromkeys(run.expected) if id_ not in run.first_line]
    if missing:
        count, images = len(missing), len(run.known)
        yield Fault(None, f"{count} of {images} images missing: {some(missing)}; add their rows")


_RowCheck = Callable[[Row, Run], str]
"""Returns what is wrong with a row, "" if nothing is."""

_BEFORE: dict[str, Callable[[Run], Iterator[Fault]]] = {
    "blank lines": _blank_lines,
    "header": _header,
}
_BY_ROW: dict[str, _RowCheck] = {
    "columns": _columns,
    "two columns": _two_columns,
    "start": _start,
    "id spaces": _id_spaces,
    "field spaces": _field_spaces,
    "duplicate": _duplicate,
    "unknown": _unknown,
    "limit": _limit,
    "empty item": _empty_item,
    "form": _form,
    "repeat": _repeat,
}
_AFTER: dict[str, Callable[[Run], Iterator[Fault]]] = {
    "surplus": _surplus,
    "order": _order,
    "missing": _missing,
}
