"""The parts of a page, whatever a report is about, and their HTML.

A panel without data is not shown empty: its place is taken by a sentence that says why.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption.

    Attributes:
        drawing: SVG markup of `figures.draw`.
        caption: text below it.
        wide: takes the whole width of the page.
    """

    drawing: Markup
    caption: str = ""
    wide: bool = False
    kind: str = "figure"


@dataclass(frozen=True)
class Image:
    """A picture of pixels.

    Attributes:
        url: `data:` address.
        alt: a description for readers who do not see it.
        caption: below it.
    """

    url: str
    alt: str
    caption: str = ""
    kind: str = "image"


@dataclass(frozen=True)
class Table:
    """Rows of texts.

    Attributes:
        caption: above it.
        head: one heading for each column.
        rows: as wide as the head.
        marked: number of a row that stands out.
        folded: shown on a click only, as the numbers behind a figure are.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: int | None = None
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Concept:
    """A concept on a card: its name, and whether it is `found`, `missed`, `wrong` or `plain`."""

    name: str
    state: str = "plain"


@dataclass(frozen=True)
class Card:
    """An image with what is known of it.

    Attributes:
        title: above the image.
        url: `data:` address, None where the image is not there.
        concepts: below it.
        note: below the title.
        is_query: whether the others on the strip are its search results.
    """

    title: str
    url: str | None
    concepts: Sequence[Concept] = ()
    note: str = ""
    is_query: bool = False


@dataclass(frozen=True)
class Strip:
    """Cards side by side, with a heading."""

    title: str
    cards: Sequence[Card]
    kind: str = "strip"


Content = Figure | Image | Table | Strip


@dataclass(frozen=True)
class Panel:
    """A section of a report.

    Attributes:
        title: heading.
        text: what is seen and how to read it, paragraph by paragraph.
        content: in order; figures that follow each other stand side by side.
    """

    title: str
    text: Sequence[str]
    content: Sequence[Content] = ()


@dataclass(frozen=True)
class Absent:
    """A panel that there is no data for.

    Attributes:
        title: heading that it would have.
        reason: a sentence: why, and what would bring it.
    """

    title: str
    reason: str


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        title: heading and name of the page.
        lead: what it is about, in a sentence or two.
        facts: name and value of what to see first.
        panels: in order.
    """

    title: str
    lead: str
    facts: Sequence[tuple[str, str]] = ()
    panels: Sequence[Panel | Absent] = field(default_factory=list)


def to_html(page: Page) -> str:
    """Return a page as one HTML document that needs no other file and no network."""
    loader = PackageLoader("replearn.report", ".")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(
        page=page,
        groups=_group_by_kind,
        shown=[panel for panel in page.panels if isinstance(panel, Panel)],
        absent=[panel for panel in page.panels if isinstance(panel, Absent)],
    )


def _group_by_kind(content: Sequence[Content]) -> list[tuple[str, list[Content]]]:
    """Group parts of the same kind that follow each other."""
    return [(kind, list(group)) for kind, group in groupby(content, lambda part: part.kind)]
