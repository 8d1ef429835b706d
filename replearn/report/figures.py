"""Figures as SVG that take their colours from the page around them.

matplotlib draws with stand-in colours, and each is then replaced by a CSS variable: one figure
serves light pages, dark pages and paper.  Text stays text, so it can be searched and read aloud.
"""

import io
import re
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from replearn.artefacts.identity import digest

INK, MUTED, GRID, PAPER, FAINT = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = ("#0a0000", "#0a0001", "#0a0002", "#0a0003", "#0a0004", "#0a0005")
"""Colours of series, to be told apart by more than colour: see MARKERS and DASHES."""
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)), (0, (2, 2)))

_GAP = 2  # pixels between the images of a sheet

_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    PAPER: "var(--paper)",
    FAINT: "var(--faint)",
}
_VARIABLES |= {colour: f"var(--series-{number})" for number, colour in enumerate(SERIES)}

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 12,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "font.size": 12,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.fontsize": 12,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 2,
    "path.simplify": False,
    "lines.markersize": 5,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    # Names inside the file then depend on the content alone: the same data, the same report.
    "svg.hashsalt": "replearn",
    "text.color": INK,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
}


def draw(paint: Callable[[Axes], None], *, alt: str, width: int = 380, height: int = 230) -> Markup:
    """Return a figure as SVG markup.

    Args:
        paint: draws on empty axes, with the colours above.
        alt: a description for readers who do not see it.
        width: in CSS pixels; on a narrower page the figure shrinks.
        height: in CSS pixels.
    """
    text = io.StringIO()
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
        paint(figure.add_subplot())
        figure.savefig(text, format="svg", metadata={"Date": None})
    return _in_page_colours(text.getvalue(), alt, width)


def _in_page_colours(text: str, alt: str, width: int) -> Markup:
    """Turn an SVG file of matplotlib into an element of a page."""
    body = text[text.index("<svg") :]
    # The style would be that of the whole page.
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    body = re.sub(r"font: ([^;\"]*?px) [^;\"]*", r"font-size: \1", body)
    body = re.sub(r' (?:d|x|y)="[^"]*"', _rounded, body)
    # Every figure has an `axes_1`; on one page names must differ.
    prefix = f"f{digest(alt, body)[:8]}-"
    body = re.sub(r'\bid="', f'id="{prefix}', body)
    body = body.replace("url(#", f"url(#{prefix}").replace('href="#', f'href="#{prefix}')
    box = re.search(r'viewBox="[^"]*"', body)
    assert box is not None
    start = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box.group()} role="img" '
        f'aria-label="{escape(alt)}" style="max-width: {width}px">'
    )
    return Markup(start + body[body.index(">") + 1 :].rstrip())


def _rounded(attribute: re.Match[str]) -> str:
    """Keep two decimals: a hundredth of a pixel."""
    return re.sub(r"(\.\d\d)\d+", r"\1", attribute.group())


def draw_dots(axes: Axes, points: NDArray[np.float64], *, colour: str, size: float) -> None:
    """Draw points [N, 2] as one path, a tenth of the size of N markers.

    Args:
        axes: to draw on.
        points: their positions.
        colour: of all.
        size: diameter in pixels.
    """
    vertices = np.repeat(points, 2, axis=0)
    codes = np.tile([Path.MOVETO, Path.LINETO], len(points))
    # A line of no length with round ends is a dot.
    patch = PathPatch(
        Path(vertices, codes), fill=False, edgecolor=colour, linewidth=size, capstyle="round"
    )
    axes.add_patch(patch)


def use_log_scale(axes: Axes) -> None:
    """Make the horizontal axis logarithmic, with 1, 2, 5, 10, ... written out."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())


def make_gaps_transparent(sheet: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Make the white between the images of a sheet [H, W, 3] transparent, uint8 [H, W, 4].

    Args:
        sheet: from `replearn.encoders.sheets.sheet`.
        side: of its square images, in pixels.
    """
    in_gap = [np.arange(length) % (side + _GAP) < _GAP for length in sheet.shape[:2]]
    opaque = ~(in_gap[0][:, None] | in_gap[1])
    return np.dstack([sheet, np.where(opaque, 255, 0).astype(np.uint8)])
