"""The concept detection task of ImageCLEF Caption: run files, their checks and their score.

What differs between years stands in the table `EDITIONS`, as data: the layout, the checks in the
order in which the organisers' programs make them, and what an empty truth counts.  Two programs
are followed: the evaluator, which decides what a file scores, and, where a year has one, the
stricter pre-check that decides whether it gets that far.

Sources: crowdAI/CLEF_evaluators_2018 (2018), taubsity/clef-caption-evaluation-2026 (2026).
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from replearn.concepts import ConceptTable, read_concepts
from replearn.errors import DataError, UsageError
from replearn.metrics import EmptyRule, bootstrap_interval, f1_of_sets, mean_score


@dataclass(frozen=True)
class Edition:
    """The rules of one year.

    Attributes:
        year: of the benchmark.
        delimiters: between id and concepts; a reader takes the first that line 1 holds, a writer
            the first.  Cells may be quoted where it is the comma.
        separator: between the concepts of an image.
        header: the first line that a run file carries, None for none.
        skips_header: whether the evaluator drops each row with `ID` in its first cell.
        strips: whether the evaluator drops spaces around a concept.
        empty: what an image without true concepts counts.
        max_concepts: for one image; None for no limit.
        checks: what the evaluator refuses, names of the checks below in its order.
        precheck: the same for the stricter program that runs before it; () where there is none.
        secondary: the concepts of the secondary score; none where there is no such score.
        file_name: what a run file is called.
    """

    year: int
    delimiters: tuple[str, ...]
    separator: str
    header: str | None
    skips_header: bool
    strips: bool
    empty: EmptyRule
    max_concepts: int | None
    checks: tuple[str, ...]
    precheck: tuple[str, ...] = ()
    secondary: frozenset[str] = frozenset()
    file_name: str = "run.txt"

    def split(self, field: str) -> tuple[str, ...]:
        """Return the concepts of a field as the evaluator counts them; "" holds one, the ""."""
        items = field.split(self.separator)
        return tuple(item.strip() for item in items) if self.strips else tuple(items)

    def scored(self, field: str) -> frozenset[str]:
        """Return the set that the evaluator scores a field as, in upper case."""
        if self.empty == "skip" and not field.strip():
            return frozenset()
        return frozenset(concept.upper() for concept in self.split(field))


_MANUAL_2026 = frozenset(
    {
        *("C0002978", "C0040405", "C0024485", "C0032743", "C0041618", "C1306645", "C1140618"),
        *("C0037949", "C0030797", "C0023216", "C0037303", "C0817096", "C0006141", "C0000726"),
        "C0920367",  # optical coherence tomography, since 2025
    }
)

EDITIONS: dict[int, Edition] = {
    2018: Edition(
        year=2018,
        delimiters=("\t",),
        separator=";",
        header=None,
        skips_header=False,
        strips=False,
        empty="skip",
        max_concepts=1286,
        checks=("columns", "start", "unknown", "limit", "repeat", "duplicate", "missing"),
    ),
    2026: Edition(
        year=2026,
        delimiters=(",",),
        separator=";",
        header="ID,CUIs",
        skips_header=True,
        strips=True,
        empty="match",
        max_concepts=100,
        checks=("columns", "unknown", "duplicate", "limit", "repeat", "missing"),
        precheck=(
            *("blank lines", "header", "two columns", "id spaces", "field spaces", "duplicate"),
            *("surplus", "order", "unknown", "empty item", "form", "repeat", "missing", "limit"),
        ),
        secondary=_MANUAL_2026,
        file_name="submission.csv",
    ),
}


def edition(year: int) -> Edition:
    """Return the rules of a year.

    Raises:
        UsageError: the year is not known.
    """
    if year not in EDITIONS:
        raise UsageError(f"no edition {year}; known: {', '.join(map(str, sorted(EDITIONS)))}")
    return EDITIONS[year]


class Fault(NamedTuple):
    """One thing that is wrong or unusual, in one line of text; `line` None: in no single line."""

    line: int | None
    text: str

    def __str__(self) -> str:
        return self.text if self.line is None else f"line {self.line}: {self.text}"


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


@dataclass(frozen=True)
class Score:
    """What the evaluator makes of a run file.

    Attributes:
        edition: year whose rules were applied.
        f1: mean over images of the F1 of the concept sets.
        f1_secondary: the same for the manually checked concepts; None without their truth.
        interval: 95 % bootstrap interval (low, high) of `f1` over images.
        images: number of images in the truth.
        scored: how many of them count in `f1`; in 2018 those without concepts do not.
    """

    edition: int
    f1: float
    f1_secondary: float | None
    interval: tuple[float, float]
    images: int
    scored: int


class _Row(NamedTuple):
    line: int
    cells: list[str]
    concepts: tuple[str, ...]  # as the evaluator splits them; () for an id alone

    @property
    def id(self) -> str:
        return self.cells[0] if self.cells else ""

    @property
    def blank(self) -> bool:
        return len(self.cells) < 2 and not self.id.strip()


class _Run:
    """A run file being checked: its rows, what is expected of it, what was found so far."""

    def __init__(self, text: str, edition: Edition, expected: Sequence[str]):
        self.text = text
        self.edition = edition
        self.expected = expected
        self.known = frozenset(expected)
        self.first_line: dict[str, int] = {}
        self.faults: list[Fault] = []
        self.rows: list[_Row] = []
        try:
            for line, cells in _cells(text, _delimiter(text, edition.delimiters)):
                concepts = edition.split(cells[1]) if len(cells) > 1 else ()
                self.rows.append(_Row(line, cells, concepts))
        except csv.Error as error:
            line = self.rows[-1].line + 1 if self.rows else 1
            self.faults.append(Fault(line, f"not readable ({error}); is a quote left open?"))


_RowCheck = Callable[[_Row, _Run], str]
"""Returns what is wrong with a row, "" if nothing is."""


def _delimiter(text: str, delimiters: Sequence[str]) -> str:
    first = text.split("\n", 1)[0]
    return next((d for d in delimiters if d in first), delimiters[-1])


def _cells(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (first line, cells) of each row; only commas know quotes, as in the evaluators."""
    stream = io.StringIO(text, newline=None)
    if delimiter == ",":
        reader = csv.reader(stream)
    else:
        reader = csv.reader(stream, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    line = 1
    for cells in reader:
        yield line, cells
        line = reader.line_num + 1


def _decode(path: Path) -> tuple[str, list[Fault]]:
    """Return the text of a file, and as a fault the first byte that is not UTF-8."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; give a run file")
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fault = Fault(line, f"not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8")
        return data.decode("utf-8", errors="replace"), [fault]


def write_run(ids: Sequence[str], concepts: Sequence[Iterable[str]], edition: Edition) -> str:
    """Return the text of a run file, exactly as the organisers ask.

    Args:
        ids: of the images [N], in the order of the organisers' list.
        concepts: what is predicted for each image [N].
        edition: whose rules hold.

    Raises:
        DataError: the edition would refuse the file, or would read other names from it.
    """
    if len(ids) != len(concepts):
        raise DataError(f"{len(concepts)} predictions for {len(ids)} images")
    delimiter, separator = edition.delimiters[0], edition.separator
    lines = [] if edition.header is None else [edition.header]
    for id_, predicted in zip(ids, map(tuple, concepts), strict=True):
        _refuse_unwritable(id_, delimiter)
        for concept in predicted:
            _refuse_unwritable(concept, delimiter + separator)
        lines.append(f"{id_}{delimiter}{separator.join(predicted)}")
    text = "".join(f"{line}\n" for line in lines)
    run = _Run(text, edition, ids)
    _check(run, edition.precheck or edition.checks, strict=bool(edition.precheck))
    if run.faults:
        raise DataError(f"{edition.year} would refuse the run file: {run.faults[0]}")
    return text


def _refuse_unwritable(name: str, separators: str) -> None:
    special = separators + ('"\ufeff' if "," in separators else "\ufeff")
    one_line = name.splitlines() == [name] and name == name.strip()
    if not one_line or any(character in special for character in name):
        raise DataError(
            f"the name {_short(name)} cannot stand in a run file: it is empty or holds a "
            "separator, a quote, a line break or outer spaces; rename it"
        )


def read_run(path: Path, edition: Edition) -> ConceptTable:
    """Read a run file by the rules of the edition, whichever images it should hold.

    Raises:
        DataError: the file is missing, or the evaluator would refuse it for another reason than
            its ids.
    """
    rows = _accepted_rows(path, edition, None)
    concepts = [tuple(c for c in row.concepts if c.strip()) for row in rows]
    return ConceptTable([row.id for row in rows], concepts)


def _accepted_rows(path: Path, edition: Edition, expected: Sequence[str] | None) -> list[_Row]:
    """Return the rows of a file that the evaluator accepts; DataError for its first fault."""
    text, faults = _decode(path)
    run = _Run(text, edition, expected or [])
    needs_ids = ("unknown", "missing") if expected is None else ()
    _check(run, tuple(name for name in edition.checks if name not in needs_ids), strict=False)
    faults += run.faults
    if faults:
        more = f" (faults in all: {len(faults)}; see: replearn validate)" if faults[1:] else ""
        raise DataError(f"{path}: {faults[0]}{more}")
    return _image_rows(run, strict=False)


def _image_rows(run: _Run, *, strict: bool) -> list[_Row]:
    """Return the rows that the evaluator, or with `strict` the pre-check, takes for images."""
    if not strict:
        return [row for row in run.rows if not (run.edition.skips_header and "ID" in row.id)]
    # The pre-check reads line 1 as the header whatever it holds; an image there is not also lost.
    headless = bool(run.rows) and run.rows[0].id in run.known and not _has_header(run)
    return run.rows if headless else run.rows[1:]


def _has_header(run: _Run) -> bool:
    wanted = (run.edition.header or "").split(run.edition.delimiters[0])
    return bool(run.rows) and run.rows[0].cells == wanted


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
    text, errors = _decode(path)
    # Where a header is skipped because it holds "ID", a byte-order mark before it does no harm.
    if text.startswith("\ufeff") and (edition.precheck or not edition.skips_header):
        errors.append(Fault(1, "starts with a byte-order mark; save the file as UTF-8 without it"))
        text = text[1:]
    run = _Run(text, edition, expected_ids)
    strict = bool(edition.precheck)
    _check(run, edition.precheck or edition.checks, strict=strict)
    rows = _image_rows(run, strict=strict)
    return Report(
        errors=errors + run.faults,
        warnings=list(_oddities(run, rows, vocabulary)),
        images=len(rows),
        concepts=sum(bool(concept.strip()) for row in rows for concept in row.concepts),
    )


def _check(run: _Run, names: Collection[str], *, strict: bool) -> None:
    """Make the named checks, in their order, and collect the faults in `run.faults`."""
    rows = _image_rows(run, strict=strict)
    for before in (_BEFORE[name] for name in names if name in _BEFORE):
        run.faults += before(run)
    by_row = [_BY_ROW[name] for name in names if name in _BY_ROW]
    for row in rows:
        if not row.blank:
            run.faults += _row_faults(row, run, by_row)
            run.first_line.setdefault(row.id, row.line)
        elif "blank lines" not in names:
            run.faults.append(Fault(row.line, "a blank line; remove it"))
    for after in (_AFTER[name] for name in names if name in _AFTER):
        run.faults += after(run, rows)


def _row_faults(row: _Row, run: _Run, checks: list[_RowCheck]) -> Iterator[Fault]:
    for check in checks:
        if text := check(row, run):
            yield Fault(row.line, text)
            if check in (_columns, _two_columns):
                return  # the other checks would only say the same again


def _blank_lines(run: _Run) -> Iterator[Fault]:
    for number, line in enumerate(run.text.splitlines(), 1):
        if not line.strip():
            yield Fault(number, "a blank line; remove it")


def _header(run: _Run) -> Iterator[Fault]:
    if not _has_header(run):
        found = run.text.split("\n", 1)[0]
        yield Fault(1, f"the header must be exactly {run.edition.header}, found {_short(found)}")


def _columns(row: _Row, run: _Run) -> str:
    if len(row.cells) <= 2:
        return ""
    return (
        f"{len(row.cells)} columns where an id and its concepts are expected; "
        f"join the concepts with {run.edition.separator!r}"
    )


def _two_columns(row: _Row, run: _Run) -> str:
    if len(row.cells) == 2:
        return ""
    delimiter = run.edition.delimiters[0]
    return (
        f"exactly 2 columns are expected, found {len(row.cells)}: "
        f"{_short(delimiter.join(row.cells))}; an image without concepts is 'id{delimiter}'"
    )


def _start(row: _Row, run: _Run) -> str:
    # The 2018 evaluator uses the concepts of the row before where the second column is missing.
    if row is not run.rows[0] or len(row.cells) > 1:
        return ""
    return "the evaluator crashes on a first row without a delimiter; write a TAB after the id"


def _id_spaces(row: _Row, run: _Run) -> str:
    return f"spaces around the id {_short(row.id)}; remove them" if row.id != row.id.strip() else ""


def _field_spaces(row: _Row, run: _Run) -> str:
    field = row.cells[1]
    return "" if field == field.strip() else f"spaces around {_short(field)}; remove them"


def _duplicate(row: _Row, run: _Run) -> str:
    line = run.first_line.get(row.id)
    return f"the id {_short(row.id)} stands already in line {line}; keep one" if line else ""


def _unknown(row: _Row, run: _Run) -> str:
    if row.id in run.known:
        return ""
    text = f"the id {_short(row.id)} is not one of the {len(run.known)} images"
    if row.id.strip() in run.known:
        return f"{text}; remove the spaces around it"
    if _EXTENSION.sub("", row.id) in run.known:
        return f"{text}; leave out the extension"
    if row is run.rows[0] and row.id.strip().lower() == "id":
        return f"{text}; {run.edition.year} has no header, remove it"
    return f"{text}; remove the row or correct the id"


def _limit(row: _Row, run: _Run) -> str:
    limit = run.edition.max_concepts
    if limit is None or len(row.concepts) <= limit:
        return ""
    return f"{len(row.concepts)} concepts for {_short(row.id)}; at most {limit} are allowed"


def _empty_item(row: _Row, run: _Run) -> str:
    if not row.cells[1].strip() or "" not in row.concepts:
        return ""
    separator = run.edition.separator
    return f"an empty concept in {_short(row.cells[1])}; remove the superfluous {separator!r}"


def _form(row: _Row, run: _Run) -> str:
    wrong = [concept for concept in row.concepts if concept and not _CUI.fullmatch(concept)]
    return f"not a CUI, C and digits: {_some(wrong)}; correct or remove it" if wrong else ""


def _repeat(row: _Row, run: _Run) -> str:
    if len(set(row.concepts)) == len(row.concepts):
        return ""
    repeated = [concept for concept, count in Counter(row.concepts).items() if count > 1]
    return f"repeated for {_short(row.id)}: {_some(repeated)}; list each concept once"


def _surplus(run: _Run, rows: list[_Row]) -> Iterator[Fault]:
    full = [row for row in rows if not row.blank]
    if len(full) > len(run.expected):
        line = full[len(run.expected)].line
        yield Fault(line, f"{len(full)} rows for {len(run.expected)} images, too many from here")


def _order(run: _Run, rows: list[_Row]) -> Iterator[Fault]:
    # What is missing, unknown or repeated is reported as such and shifts nothing here.
    found = [id_ for id_ in run.first_line if id_ in run.known]
    wanted = [id_ for id_ in dict.fromkeys(run.expected) if id_ in run.first_line]
    wrong = [(f, w) for f, w in zip(found, wanted, strict=True) if f != w]
    if wrong:
        here, due = wrong[0]
        yield Fault(
            run.first_line[here],
            f"the order is not that of the list: {_short(due)} is expected here, found "
            f"{_short(here)} ({len(wrong)} of {len(found)} rows out of place); sort the rows",
        )


def _missing(run: _Run, rows: list[_Row]) -> Iterator[Fault]:
    missing = [id_ for id_ in dict.fromkeys(run.expected) if id_ not in run.first_line]
    if missing:
        count, images = len(missing), len(run.known)
        yield Fault(None, f"{count} of {images} images missing: {_some(missing)}; add their rows")


_EXTENSION = re.compile(r"\.(jpe?g|png|tiff?|gif|bmp|webp|dcm)$", re.IGNORECASE)
_CUI = re.compile(r"C\d+")

_BEFORE: dict[str, Callable[[_Run], Iterator[Fault]]] = {
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
_AFTER: dict[str, Callable[[_Run, list[_Row]], Iterator[Fault]]] = {
    "surplus": _surplus,
    "order": _order,
    "missing": _missing,
}


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(_short, names[:5])) + (", ..." if len(names) > 5 else "")


def _has_extension(row: _Row, run: _Run) -> bool:
    return row.id in run.known and bool(_EXTENSION.search(row.id))


def _looks_like_header(row: _Row, run: _Run) -> bool:
    return run.edition.skips_header and "ID" in row.id and row.id in run.known


def _has_empty_item(row: _Row, run: _Run) -> bool:
    return len(row.concepts) > 1 and any(not c.strip() for c in row.concepts)


def _has_lower_case(row: _Row, run: _Run) -> bool:
    return any(concept != concept.upper() for concept in row.concepts)


def _has_spaces(row: _Row, run: _Run) -> bool:
    if run.edition.strips:
        return False
    return any(concept != concept.strip() != "" for concept in row.concepts)


# What to say of rows of which the test holds, unless a check of this name refuses them anyway.
_ODDITIES: tuple[tuple[Callable[[_Row, _Run], bool], str, str], ...] = (
    (_has_extension, "", "an image extension in the id; the organisers' ids have none"),
    (_looks_like_header, "", "'ID' in the id: the evaluator drops such images as headers"),
    (_has_empty_item, "empty item", "a superfluous separator: it counts as a wrong concept"),
    (_has_lower_case, "form", "lower case in concepts; the evaluator takes it for upper case"),
    (_has_spaces, "", "spaces around concepts: they make other, wrong concepts of them"),
)


def _oddities(run: _Run, rows: list[_Row], vocabulary: Collection[str] | None) -> Iterator[Fault]:
    """Yield what is legal but was hardly meant: each kind once, with its first line and count."""
    for test, check, text in _ODDITIES:
        if check not in run.edition.precheck and (odd := [row for row in rows if test(row, run)]):
            yield Fault(odd[0].line, f"{len(odd)} of {len(rows)} rows have {text}")
    if rows and not any(concept.strip() for row in rows for concept in row.concepts):
        yield Fault(None, f"no concept is predicted for any of the {len(rows)} images")
    if vocabulary is not None:
        known = {"", *(concept.upper() for concept in vocabulary)}
        outside = {
            concept: row.line
            for row in reversed(rows)
            for concept in reversed(row.concepts)
            if concept.strip().upper() not in known
        }
        if outside:
            text = f"not in the vocabulary, {len(outside)} in all: {_some(list(outside)[::-1])}"
            yield Fault(min(outside.values()), text)


def evaluate_run(
    path: Path,
    truth: ConceptTable | Path,
    edition: Edition,
    manual: ConceptTable | Path | None = None,
) -> Score:
    """Score a run file as the edition's evaluator does; its pre-check need not pass.

    Args:
        path: the run file.
        truth: the true concepts of the images; a file may have any layout.
        edition: whose rules hold.
        manual: the manually checked concepts; with them the secondary score is computed.

    Raises:
        DataError: the evaluator would refuse the file, or no image counts in the score.
        UsageError: `manual` is given but the edition has no secondary score.
    """
    if manual is not None and not edition.secondary:
        raise UsageError(f"{edition.year} has no secondary score; leave out the manual truth")
    true = _true_sets(truth, edition)
    rows = _accepted_rows(path, edition, list(true))
    predicted = {row.id: _predicted_set(row, edition) for row in rows}
    scores = np.array([_f1(true[id_], predicted[id_], edition) for id_ in predicted])
    try:
        f1 = mean_score(scores)
    except DataError as error:
        raise DataError(f"{path}: {error}")
    return Score(
        edition=edition.year,
        f1=f1,
        f1_secondary=None if manual is None else _secondary(predicted, manual, edition),
        interval=bootstrap_interval(scores),
        images=len(true),
        scored=int(np.count_nonzero(~np.isnan(scores))),
    )


def _f1(true: frozenset[str], predicted: frozenset[str], edition: Edition) -> float:
    return np.nan if edition.empty == "skip" and not true else f1_of_sets(true, predicted)


def _predicted_set(row: _Row, edition: Edition) -> frozenset[str]:
    # An id alone predicts nothing, not even the "" that an empty field stands for.
    return edition.scored(row.cells[1]) if len(row.cells) > 1 else frozenset()


def _true_sets(truth: ConceptTable | Path, edition: Edition) -> dict[str, frozenset[str]]:
    """Return the set that the evaluator makes of each image's true concepts, by id."""
    table = read_concepts(truth) if isinstance(truth, Path) else truth
    joined = map(edition.separator.join, table.concepts)
    fields = dict(zip(table.ids, joined, strict=True))
    if isinstance(truth, Path):
        fields |= _literal_fields(truth, table, edition)
    return {
        id_: edition.scored(field)
        for id_, field in fields.items()
        if not (edition.skips_header and "ID" in id_)
    }


def _literal_fields(path: Path, table: ConceptTable, edition: Edition) -> dict[str, str]:
    """Return the concepts of each image as they stand in the file, where the edition reads them.

    `read_concepts` mends what the evaluators do not: to them `C1;C2;` has a third concept, "".
    """
    text = path.read_text(encoding="utf-8-sig")
    delimiter = next((d for d in "\t|," if d in text), "\t")
    cells = (cells for _, cells in _cells(text, delimiter) if len(cells) == 2)
    known = dict(zip(table.ids, table.concepts, strict=True))
    fields = ((cell[0].strip(), cell[1]) for cell in cells)
    return {
        id_: field
        for id_, field in fields
        # Several concepts without the edition's separator: another year's layout.
        if id_ in known and (edition.separator in field or len(known[id_]) <= 1)
    }


def _secondary(
    predicted: dict[str, frozenset[str]], manual: ConceptTable | Path, edition: Edition
) -> float:
    """Return the F1 over the whitelisted concepts of the manual truth.

    An image without one there is skipped; one that only the manual truth has scores 0.
    """
    name = manual if isinstance(manual, Path) else "the manual truth"
    true = _true_sets(manual, edition)
    absent = [id_ for id_ in predicted if id_ not in true]
    if absent:
        raise DataError(f"{name}: lacks {len(absent)} of the run's images: {_some(absent)}")
    allowed = edition.secondary
    counting = {id_ for id_ in predicted if true[id_] & allowed}
    images = len(true) - len(predicted) + len(counting)
    if not images:
        raise DataError(f"{name}: no image has one of the {len(allowed)} concepts that count")
    total = sum(f1_of_sets(true[id_] & allowed, predicted[id_] & allowed) for id_ in counting)
    return total / images
