"""The rules of each year as data: a new edition is a row of the table `EDITIONS`.

Where the organisers' program of a year was not to be had, its row repeats that of the nearest
year whose program was, and says so in `unconfirmed`.
"""

import re
from dataclasses import dataclass, replace

from replearn.errors import UsageError
from replearn.metrics import EmptyRule


@dataclass(frozen=True)
class Edition:
    """The rules of one year.

    All evaluators take concepts in upper case, and none has a vocabulary.

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
        checks: what the evaluator refuses, names of `checks.py`.  Each tuple is one pass over the
            file, made after the one before; in a pass all checks are made row by row.
        precheck: the same for the stricter program that runs before it; () where there is none.
        archive: the name of the run file in the zip that is to be sent; None for no zip.
        secondary: the concepts of the secondary score; none where there is no such score.
        id_form: what the organisers' ids look like, a regular expression; None where not known.
        unconfirmed: which of these rules are inferred, in words; "" for none.
    """

    year: int
    delimiters: tuple[str, ...]
    separator: str
    header: str | None
    skips_header: bool
    strips: bool
    empty: EmptyRule
    max_concepts: int | None
    checks: tuple[tuple[str, ...], ...]
    precheck: tuple[tuple[str, ...], ...] = ()
    archive: str | None = None
    secondary: frozenset[str] = frozenset()
    id_form: str | None = None
    unconfirmed: str = ""

    def split(self, field: str) -> tuple[str, ...]:
        """Return the concepts of a field as the evaluator counts them; "" holds one, the ""."""
        items = field.split(self.separator)
        return tuple(map(str.strip, items) if self.strips else items)

    def scored(self, field: str, separator: str | None = None) -> frozenset[str]:
        """Return the set that the evaluator scores a field as, in upper case.

        Args:
            field: what stands in the file.
            separator: between its concepts, where that is not the edition's.
        """
        if self.empty == "skip" and not field.strip():
            return frozenset()
        items = field.upper().split(separator or self.separator)
        return frozenset(map(str.strip, items) if self.strips else items)

    def knows(self, id_: str) -> bool:
        """Tell whether an id has the form of the organisers'; False where that is not known."""
        return self.id_form is not None and re.fullmatch(self.id_form, id_) is not None

    def is_header(self, cell: str) -> bool:
        """Tell whether the evaluator takes a row for a header, by its first cell."""
        return self.skips_header and "ID" in cell

    def refuses(self, check: str) -> bool:
        """Tell whether one of the edition's programs makes a check."""
        return any(check in names for names in (*self.checks, *self.precheck))


_MANUAL_2024 = frozenset(
    {
        *("C0002978", "C0040405", "C0024485", "C0032743", "C0041618", "C1306645", "C1140618"),
        *("C0037949", "C0030797", "C0023216", "C0037303", "C0817096", "C0006141", "C0000726"),
    }
)
_MANUAL_2025 = _MANUAL_2024 | {"C0920367"}  # optical coherence tomography

# The script that participants could download, `evaluate-f1.py`.  It has no limit, and of an id
# that stands twice the last row counts.
_2019 = Edition(
    year=2019,
    delimiters=("\t",),
    separator=";",
    header=None,
    skips_header=False,
    strips=False,
    empty="skip",
    max_concepts=None,
    checks=(("columns",), ("missing",), ("unknown",)),
    id_form=r"ROCO_CLEF_(TEST_)?\d{5}",
)
_2018 = replace(
    _2019,
    year=2018,
    max_concepts=1286,
    checks=(("columns", "start", "unknown", "limit", "repeat", "duplicate"), ("missing",)),
    id_form=None,
)
_2022 = Edition(
    year=2022,
    delimiters=("|",),
    separator=";",
    header=None,
    skips_header=False,
    strips=True,
    empty="match",
    max_concepts=100,
    checks=(("columns", "unknown", "duplicate", "limit", "repeat"), ("missing",)),
    id_form=r"ImageCLEFmedCaption_2022_(train|valid|test)_\d{6}",
)
_2023 = replace(
    _2022,
    year=2023,
    delimiters=("|", "\t"),
    skips_header=True,
    checks=(("start",), *_2022.checks),
    secondary=_MANUAL_2024,
    id_form=r"ImageCLEFmedical_Caption_2023_(train|valid|test)_\d+",
    unconfirmed="the secondary score: its algorithm is that of 2024",
)
_2025 = replace(
    _2023,
    year=2025,
    delimiters=(",",),
    header="ID,CUIs",
    checks=_2022.checks,
    archive="submission.csv",
    secondary=_MANUAL_2025,
    id_form=r"ImageCLEFmedical_Caption_2025_(train|valid|test)_\d+",
    unconfirmed="",
)

EDITIONS: dict[int, Edition] = {
    rules.year: rules
    for rules in (
        replace(
            _2019,
            year=2017,
            separator=",",
            id_form=None,
            unconfirmed="the evaluator: that of 2019 with commas between concepts",
        ),
        _2018,
        _2019,
        replace(
            _2019,
            year=2020,
            id_form=r"ROCO2_CLEF_(TEST_)?\d+",
            unconfirmed="the evaluator: that of 2019",
        ),
        replace(
            _2022,
            year=2021,
            id_form=r"synpic\d+",
            unconfirmed="the evaluator: that of 2022",
        ),
        _2022,
        _2023,
        replace(
            _2025,
            year=2024,
            archive=None,
            secondary=_MANUAL_2024,
            id_form=r"ImageCLEFmedical_Caption_2024_(train|valid|test)_\d{6}",
            unconfirmed="that the evaluator published after it was the one of the server",
        ),
        _2025,
        replace(
            _2025,
            year=2026,
            precheck=(
                ("blank lines",),
                ("header",),
                (
                    *("two columns", "id spaces", "field spaces", "duplicate", "surplus", "order"),
                    *("unknown", "empty item", "form", "repeat"),
                ),
                ("missing",),
                ("limit",),  # of the evaluator, which runs then
            ),
            id_form=r"ImageCLEFmedical_Caption_2026_(synth_)?(train|valid|test)_\d+",
        ),
    )
}


def edition(year: int) -> Edition:
    """Return the rules of a year.

    Raises:
        UsageError: the year is not known.
    """
    if year not in EDITIONS:
        raise UsageError(f"no edition {year}; known: {', '.join(map(str, sorted(EDITIONS)))}")
    return EDITIONS[year]
