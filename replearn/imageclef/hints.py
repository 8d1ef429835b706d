"""Guesses the editions that a run file was written for from its first lines."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

from replearn.imageclef.checks import find_faults
from replearn.imageclef.editions import EDITIONS, Edition
from replearn.imageclef.parsing import Run

_LINES = 20
# What says that a file is of another edition, not that a row of it is wrong.
_FORM = {"start", "columns", "two columns", "unknown"}


def hint(text: str, ids: Sequence[str], edition: Edition) -> str:
    """Return which editions a run file has the form of, if not of this one; "" for none."""
    years = looks_like(text, ids)
    if not years or edition.year in years:
        return ""
    return f"it has the form of edition {' or '.join(map(str, years))}"


def looks_like(text: str, ids: Sequence[str]) -> list[int]:
    """Return the editions that take the first lines of a run file for images of the test set."""
    head = "".join(itertools.islice(text.removeprefix("\ufeff").splitlines(keepends=True), _LINES))
    return [year for year, rules in EDITIONS.items() if _suits(head, ids, rules)]


def _suits(head: str, ids: Sequence[str], rules: Edition) -> bool:
    form = tuple(n for names in (*rules.checks, *rules.precheck) for n in names if n in _FORM)
    only = replace(rules, checks=(form,), precheck=(form,) if rules.precheck else ())
    run = Run(head, only, ids, strict=bool(rules.precheck))
    fields = [row.cells[1] for row in run.images if len(row.cells) > 1]
    # No concept holds what other years part the concepts with.
    other = {";": ",", ",": ";"}[rules.separator]
    return bool(fields) and not any(other in field for field in fields) and not find_faults(run)
