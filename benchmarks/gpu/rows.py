"""What a section reports: checks with a limit, speeds with a share of the roofline, troubles."""

import math
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks import markdown
from replearn.errors import brief

Kind = Literal["fact", "check", "number", "speed", "failure", "skipped"]


@dataclass(frozen=True)
class Row:
    """One result.

    Attributes:
        kind: `check` has a limit, `number` is only stated, `speed` has a share of the roofline;
            `failure` and `skipped` say in `text` why there is no result, and a `fact` is a text.
        name: of what was measured, within its section.
        value: that was measured.
        unit: of the value.
        limit: the largest value that passes, of a check.
        share: of the roofline: the least time that the work can take over the measured time.
        text: what the value is to be read with.
    """

    kind: Kind
    name: str
    value: float | None = None
    unit: str = ""
    limit: float | None = None
    share: float | None = None
    text: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether a check passed, which NaN does not; None for anything else."""
        if self.limit is None or self.value is None:
            return None
        return self.value <= self.limit

    def facts(self) -> dict[str, Any]:
        """Return what is not empty, for JSON; a value that is not finite as a word."""
        own = asdict(self) | {"passed": self.passed}
        if self.value is not None and not math.isfinite(self.value):
            own["value"] = str(self.value)
        return {key: value for key, value in own.items() if value not in (None, "")}

    def line(self) -> str:
        """Return the result in one line."""
        if self.kind == "fact":
            return f"{self.name}: {self.text}"
        if self.value is None:
            return f"{self.name}: {self.kind}: {self.text}"
        line = f"{self.name}: {written(self.value)}{' ' * bool(self.unit)}{self.unit}"
        if self.passed is not None:
            line += f" (limit {written(self.limit)}): {'pass' if self.passed else 'FAIL'}"
        if self.share is not None:
            line += f", {100 * self.share:.1f} % of the roofline"
        return line + (f"; {self.text}" if self.text else "")


def fact(name: str, text: str) -> Row:
    """Return what is known of the machine."""
    return Row("fact", name, text=text)


def check(name: str, value: float, limit: float, unit: str = "", text: str = "") -> Row:
    """Return a value that passes if it is at most `limit`."""
    return Row("check", name, float(value), unit, limit, text=text)


def number(name: str, value: float, unit: str = "", text: str = "") -> Row:
    """Return a value that is only stated."""
    return Row("number", name, float(value), unit, text=text)


def speed(name: str, value: float, unit: str, share: float | None, text: str = "") -> Row:
    """Return a speed; the share of the roofline is None where that was not measured."""
    return Row("speed", name, float(value), unit, share=share, text=text)


def failure(name: str, error: Exception | str) -> Row:
    """Return what went wrong, in one line; of an exception also where, and on stderr the way."""
    if isinstance(error, str):
        return Row("failure", name, text=error)
    traceback.print_exception(error)
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" ({Path(at.filename).name}:{at.lineno})" for at in frame)
    return Row("failure", name, text=f"{type(error).__name__}: {brief(error)}{place}")


def skipped(name: str, why: str) -> Row:
    """Return what was left out."""
    return Row("skipped", name, text=why)


def each(names: Iterable[str], work: Callable[[str], Iterator[Row]]) -> Iterator[Row]:
    """Yield the rows of each name; what fails with one is its row, and the next one goes on."""
    for name in names:
        try:
            yield from work(name)
        except Exception as error:
            yield failure(name, error)


def written(value: float | None) -> str:
    """Return a number in at most five digits."""
    if value is None:
        return ""
    if math.isfinite(value) and value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def tables(rows: Iterable[dict[str, Any]]) -> str:
    """Return the results of all sections, as `facts` gives them with their section, as Markdown."""
    every = list(rows)
    checks = [
        [
            row["section"],
            row["name"],
            _number(row),
            row.get("unit", ""),
            written(row.get("limit")),
            _outcome(row),
        ]
        for row in every
        if row["kind"] in ("check", "number")
    ]
    speeds = [
        [
            row["section"],
            row["name"],
            _number(row),
            row.get("unit", ""),
            f"{100 * row['share']:.1f}" if "share" in row else "",
            row.get("text", ""),
        ]
        for row in every
        if row["kind"] == "speed"
    ]
    troubles = [
        [row["section"], row["name"], row["kind"], row["text"]]
        for row in every
        if row["kind"] in ("failure", "skipped")
    ]
    facts = [[row["name"], row["text"]] for row in every if row["kind"] == "fact"]
    parts = (
        (["machine", ""], facts),
        (["section", "check", "value", "unit", "limit", "result"], checks),
        (["section", "speed", "value", "unit", "% of the roofline", "beside"], speeds),
        (["section", "what", "why not", "because"], troubles),
    )
    return "\n".join(
        markdown.table(columns, lines, words=len(columns)) for columns, lines in parts if lines
    )


def _outcome(row: dict[str, Any]) -> str:
    if "passed" not in row:
        return "stated"
    return "pass" if row["passed"] else "**FAIL**"


def _number(row: dict[str, Any]) -> str:
    value = row["value"]
    return value if isinstance(value, str) else written(value)
