"""The page of a diagnosis: the faults, the numbers with their intervals, and pictures of both."""

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from replearn.diagnostics.diagnosis import Diagnosis, Gallery, Numbers
from replearn.diagnostics.estimates import Estimate
from replearn.images.data_url import image_url
from replearn.report.figures import MUTED, SERIES, draw
from replearn.report.page import Absent, Card, Figure, Page, Panel, Strip, Table

_HEAD = ["number", "value", "95% interval", "where nothing is wrong", "p", "N"]
_TITLES = {
    "samples": "Samples against real images",
    "representation": "Features without labels",
    "robustness": "Neighbours of changed images",
    "labels": "F1 by the number of labels",
    "factors": "Factors in the features",
    "training": "Critic at the end of the training",
    "generalisation": "Images that were held out",
    "codes": "Codes against the prior",
    "information": "What the codes of a VAE carry",
    "conditioning": "How strongly images answer to codes",
}
_TEXTS = {
    "samples": "How samples differ from real images; the dot is the value, the line its interval, "
    "and the cross one half of the real images against the other.",
    "representation": "What the features of the images say of themselves; the cross is half of "
    "them.",
    "robustness": "Whether an image's nearest others stay when it is cropped, noisy or of another "
    "contrast; the cross is chance, or a view of another image.",
    "labels": "A linear detector that learned from so many images; the cross names the same "
    "concepts on every image.",
    "factors": "Whether one number of the features holds one factor; the cross is shuffled.",
    "training": "How often the critic put a real input above a made one; at 1 it is never wrong.",
}
_SHARES = 1.5  # numbers that stay below can share an axis from 0 to 1


def build_page(diagnosis: Diagnosis) -> Page:
    """Return the page of a diagnosis."""
    panels: list[Panel | Absent] = [_fault_panel(diagnosis)]
    panels += [_gallery_panel(gallery) for gallery in diagnosis.galleries if gallery.pixels]
    panels += [_number_panel(subject, numbers) for subject, numbers in sorted_by_subject(diagnosis)]
    panels += [Absent(_title(subject), why) for subject, why in diagnosis.absent.items()]
    lead = (
        "Each number with its 95 % interval, and with the same number where nothing is wrong. "
        "docs/diagnostics.md says what each means and leads from a symptom to a remedy."
    )
    return Page(f"Diagnosis of {diagnosis.of}", lead, [*diagnosis.facts.items()], panels)


def sorted_by_subject(diagnosis: Diagnosis) -> list[tuple[str, Numbers]]:
    """Return the numbers in the order of the page, whatever order they were found in."""
    order = [*_TITLES]
    return sorted(
        diagnosis.numbers.items(),
        key=lambda item: order.index(item[0]) if item[0] in order else len(order),
    )


def _title(subject: str) -> str:
    return _TITLES.get(subject, subject.capitalize())


def _fault_panel(diagnosis: Diagnosis) -> Panel:
    if not diagnosis.faults:
        return Panel("Faults", ["No number lies beyond doubt on the wrong side of its threshold."])
    rows = [[fault.name, fault.because, fault.remedy] for fault in diagnosis.faults]
    return Panel("Faults", [], [Table("What is wrong", ["fault", "because", "remedy"], rows)])


def _gallery_panel(gallery: Gallery) -> Panel:
    cards = [
        Card(name, image_url(picture.transpose(1, 2, 0)))
        for name, picture in zip(gallery.names, gallery.pixels, strict=True)
    ]
    return Panel(gallery.title, [gallery.text], [Strip("", cards)])


def _number_panel(subject: str, numbers: Numbers) -> Panel:
    text = [_TEXTS[subject]] if subject in _TEXTS else []
    shares = {
        name: found
        for name, found in numbers.items()
        if found.low >= 0 and max(found.high, found.baseline or 0) <= _SHARES
    }
    figures = [Figure(_intervals(shares, _title(subject)))] if len(shares) > 1 else []
    return Panel(_title(subject), text, [*figures, _table(subject, numbers)])


def _intervals(numbers: Numbers, title: str) -> Markup:
    """Draw values with their intervals and baselines, one below the other."""
    places = np.arange(len(numbers))[::-1]

    def paint(axes: Axes) -> None:
        for place, found in zip(places, numbers.values(), strict=True):
            axes.plot([found.low, found.high], [place, place], color=SERIES[0])
            axes.plot([found.value], [place], color=SERIES[0], marker="o")
            if found.baseline is not None:
                axes.plot([found.baseline], [place], color=MUTED, marker="x", linestyle="")
        axes.set_yticks(places, [name.replace("_", " ") for name in numbers])
        axes.set(xlim=(-0.02, None), ylim=(-0.6, len(numbers) - 0.4))

    said = ", ".join(f"{name} {found.value:.3g}" for name, found in numbers.items())
    return draw(paint, alt=f"{title}: {said}", width=620, height=60 + 26 * len(numbers))


def _table(subject: str, numbers: Numbers) -> Table:
    rows = [[name.replace("_", " "), *_cells(found)] for name, found in numbers.items()]
    return Table(_title(subject), _HEAD, rows)


def _cells(found: Estimate) -> list[str]:
    baseline = "" if found.baseline is None else f"{found.baseline:.4g} ({found.baseline_of})"
    return [
        f"{found.value:.4g}",
        f"{found.low:.4g} to {found.high:.4g}",
        baseline,
        "" if found.p is None else f"{found.p:.3g}",
        f"{found.n:,}",
    ]
