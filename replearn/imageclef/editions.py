"""The rules of each year as data: a new edition is a row of the table `EDITIONS`."""

from dataclasses import dataclass

from replearn.errors import UsageError
from replearn.metrics import EmptyRule


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
