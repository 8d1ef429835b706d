"""The checks of the organisers' programs on a run file; an edition names its own, in order."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator

from replearn.errors import quoted
from replearn.ids import normal
from replearn.imageclef.faults import Fault, quoted_names
from replearn.imageclef.parsing import Row, Run

EXTENSION = re.compile(r"\.(jpe?g|png|tiff?|gif|bmp|webp|dcm)$", re.IGNORECASE)
"""An image extension at the end of an id."""

_CUI = re.compile(r"C\d+")
_BLANK = "a blank line; remove it"


def find_faults(run: Run, more: tuple[str, ...] = ()) -> list[Fault]:
    """Make the checks of the program that reads the run, in its order.

    The first fault is where the program would stop.  There is one exception: to the pre-check of
    2026 all rows after a missing one are out of order; here that is one missing row.

    Args:
        run: the file.
        more: further checks, made in a last pass.
    """
    faults = list(run.faults)
    for names in (*(run.edition.precheck if run.strict else run.edition.checks), more):
        found = [(rank, fault) for rank, name in enumerate(names) for fault in _whole(name, run)]
        found += _row_faults(run, names)
        # A pass goes from row to row; at the end of the file comes what stands in no line.
        found.sort(key=lambda ranked: (ranked[1].line or sys.maxsize, ranked[0]))
        faults += [fault for _, fault in found]
    return faults


def _whole(name: str, run: Run) -> Iterator[Fault]:
    return _OF_FILES[name](run) if name in _OF_FILES else iter(())


def _row_faults(run: Run, names: tuple[str, ...]) -> Iterator[tuple[int, Fault]]:
    checks = [(rank, _OF_ROWS[name]) for rank, name in enumerate(names) if name in _OF_ROWS]
    for row in run.images if checks else ():
        if row.blank and "columns" not in names:
            continue  # another pass says so
        for rank, check in checks:
            if text := check(row, run):
                yield rank, Fault(row.line, text)
                if check in (_columns, _two_columns):
                    break  # the other checks would only say the same again


def _blank_lines(run: Run) -> Iterator[Fault]:
    for number, line in enumerate(run.text.splitlines(), 1):
        if not line.strip():
            yield Fault(number, _BLANK)


def _header(run: Run) -> Iterator[Fault]:
    if not run.has_header:
        found = run.text.split("\n", 1)[0]
        yield Fault(1, f"the header must be exactly {run.edition.header}, found {quoted(found)}")


def _columns(row: Row, run: Run) -> str:
    if row.blank:
        return _BLANK
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
        f"{quoted(delimiter.join(row.cells))}; an image without concepts is 'id{delimiter}'"
    )


def _start(run: Run) -> Iterator[Fault]:
    if run.rows and len(run.rows[0].cells) == 1 and run.delimiter == run.edition.delimiters[0]:
        sign = "a TAB" if run.delimiter == "\t" else repr(run.delimiter)
        # In 2018 the evaluator takes the concepts of the row before where there is no second
        # column; in 2023 it looks here for the delimiter and takes the TAB if it finds none.
        yield Fault(1, f"the evaluator fails on a first row without {sign}; write one after the id")


def _id_spaces(row: Row, run: Run) -> str:
    return f"spaces around the id {quoted(row.id)}; remove them" if row.id != row.id.strip() else ""


def _field_spaces(row: Row, run: Run) -> str:
    field = row.cells[1]
    return "" if field == field.strip() else f"spaces around {quoted(field)}; remove them"


def _duplicate(row: Row, run: Run) -> str:
    line = run.first_line[row.id]
    if line == row.line:
        return ""
    return f"the id {quoted(row.id)} stands already in line {line}; keep one"


def _unknown(row: Row, run: Run) -> str:
    if row.id in run.known:
        return ""
    text = f"the id {quoted(row.id)} is not one of the {len(run.known)} images"
    if row.id.strip() in run.known:
        return f"{text}; remove the spaces around it"
    if EXTENSION.sub("", row.id) in run.known:
        return f"{text}; leave out the extension"
    if row.id.removeprefix("\ufeff") in run.known:
        return f"{text}; save the file as UTF-8 without a byte-order mark"
    if row is run.rows[0] and row.id.strip().lower() == "id":
        header, none = run.edition.header, f"{run.edition.year} has no header, remove it"
        return f"{text}; " + (f"the header must be exactly {header}" if header else none)
    if normal(row.id) in run.normal_forms:
        return f"{text}; it is, in another Unicode form: write it as the list does"
    return f"{text}; remove the row or correct the id"


def _limit(row: Row, run: Run) -> str:
    limit = run.edition.max_concepts
    if limit is None or len(row.concepts) <= limit:
        return ""
    return f"{len(row.concepts)} concepts for {quoted(row.id)}; at most {limit} are allowed"


def _empty_item(row: Row, run: Run) -> str:
    if not row.cells[1].strip() or "" not in row.concepts:
        return ""
    separator = run.edition.separator
    return f"an empty concept in {quoted(row.cells[1])}; remove the superfluous {separator!r}"


def _form(row: Row, run: Run) -> str:
    wrong = [concept for concept in row.concepts if concept and not _CUI.fullmatch(concept)]
    return f"not a CUI, C and digits: {quoted_names(wrong)}; correct or remove it" if wrong else ""


def _repeat(row: Row, run: Run) -> str:
    if len(set(row.concepts)) == len(row.concepts):
        return ""
    repeated = [concept for concept, count in Counter(row.concepts).items() if count > 1]
    return f"repeated for {quoted(row.id)}: {quoted_names(repeated)}; list each concept once"


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
            f"the order is not that of the list: {quoted(due)} is expected here, found "
            f"{quoted(here)} ({len(wrong)} of {len(found)} rows out of place); sort the rows",
        )


def _missing(run: Run) -> Iterator[Fault]:
    missing = [id_ for id_ in dict.fromkeys(run.expected) if id_ not in run.first_line]
    if missing:
        count, images = len(missing), len(run.known)
        yield Fault(
            None, f"{count} of {images} images missing: {quoted_names(missing)}; add their rows"
        )


_OF_ROWS: dict[str, Callable[[Row, Run], str]] = {  # "" where nothing is wrong with a row
    "columns": _columns,
    "two columns": _two_columns,
    "id spaces": _id_spaces,
    "field spaces": _field_spaces,
    "duplicate": _duplicate,
    "unknown": _unknown,
    "limit": _limit,
    "empty item": _empty_item,
    "form": _form,
    "repeat": _repeat,
}
_OF_FILES: dict[str, Callable[[Run], Iterator[Fault]]] = {
    "start": _start,
    "blank lines": _blank_lines,
    "header": _header,
    "surplus": _surplus,
    "order": _order,
    "missing": _missing,
}
