"""The page of a diagnosis: its numbers with their intervals."""

from replearn.diagnostics.diagnosis import Diagnosis, Numbers
from replearn.report.page import Absent, Page, Panel, Table

_HEAD = ["number", "value", "95% interval", "baseline", "p", "N"]
_TITLES = {"samples": "Samples against real images"}


def build_page(diagnosis: Diagnosis) -> Page:
    """Return the page of a diagnosis."""
    panels: list[Panel | Absent] = [
        Panel(title_of(subject), [], [_table(subject, numbers)])
        for subject, numbers in diagnosis.numbers.items()
    ]
    panels += [Absent(title_of(subject), why) for subject, why in diagnosis.absent.items()]
    lead = (
        "Each number with the interval that leaving out a twentieth of the images gives, and with "
        "the same number where nothing is wrong."
    )
    return Page(f"Diagnosis of {diagnosis.of}", lead, [*diagnosis.facts.items()], panels)


def title_of(subject: str) -> str:
    """Return the heading of a subject."""
    return _TITLES.get(subject, subject.capitalize())


def _table(subject: str, numbers: Numbers) -> Table:
    rows = [
        [
            name.replace("_", " "),
            f"{found.value:.4g}",
            f"{found.low:.4g} to {found.high:.4g}",
            "" if found.baseline is None else f"{found.baseline:.4g} ({found.baseline_of})",
            "" if found.p is None else f"{found.p:.3g}",
            f"{found.n:,}",
        ]
        for name, found in numbers.items()
    ]
    return Table(title_of(subject), _HEAD, rows)
