"""The report of an encoder: how it was trained, what it makes of images, what it says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replearn.encoders.encoder import Description
from replearn.images.data_url import image_url
from replearn.report import embeddings, training
from replearn.report.embeddings import EmbeddedImages
from replearn.report.figures import without_gaps
from replearn.report.page import Absent, Image, Page, Panel, Table

_SHEETS = {
    "reconstructions": (
        "Reconstructions",
        "Rows in pairs: images, and below each what is decoded from its code.",
    ),
    "samples": ("Samples", "Images made from codes drawn from the prior, or from noise."),
    "interpolations": (
        "Interpolations",
        "Each row leads from an image on the left to another on the right, through what is "
        "decoded on the way from code to code.",
    ),
    "arithmetic": (
        "Arithmetic on codes",
        "Each row shows a, b, c, and what a - b + c of their codes decodes to.",
    ),
}
# What only some models can draw is not missed where it was not drawn.
_OWN_SHEETS = {
    "denoised": (
        "Denoised",
        "Each row is an image, then mixtures of it with more and more noise, each before what the "
        "network takes for the image behind it.",
    ),
    "categories": ("Categories", "Each row is a code with one category after the other."),
    "numbers": ("Numbers", "Each row is a code with its first number going from -2 to 2."),
}
_EMBEDDED = ("Map of embeddings", "Nearest neighbours", "Dead dimensions")


@dataclass(frozen=True)
class Sheet:
    """A sheet of images that the training drew.

    Attributes:
        pixels: uint8 [H, W, 3].
        step: at which it was drawn.
    """

    pixels: NDArray[np.uint8]
    step: int


def page(
    description: Description,
    lines: Sequence[Mapping[str, float]],
    sheets: Mapping[str, Sheet],
    shown: EmbeddedImages | None,
) -> Page:
    """Return the report of an encoder.

    Args:
        description: what `encoder.json` says.
        lines: of `metrics.jsonl`, none for encoders that learn at once.
        sheets: the last of each kind.
        shown: images with their embeddings, None if there are none.
    """
    model = description.model
    panels = training.panels(lines, model)
    for kind, (title, text) in (_SHEETS | _OWN_SHEETS).items():
        if kind in sheets:
            panels.append(_sheet(title, text, sheets[kind], description))
        elif kind in _SHEETS:
            panels.append(Absent(title, f"the training of {model} drew none."))
    if shown is None:
        reason = "no features of this encoder lie beside it; give them with --features."
        panels += [Absent(title, reason) for title in _EMBEDDED]
    else:
        panels += embeddings.panels(shown)
    panels.append(_provenance(description, shown))
    return Page(
        f"Encoder {model}",
        "What this encoder learned, and what its embeddings say about images.",
        _facts(description, lines, shown),
        panels,
    )


def _facts(
    description: Description, lines: Sequence[Mapping[str, float]], shown: EmbeddedImages | None
) -> list[tuple[str, str]]:
    side = description.crop or description.size
    colours = "grey" if description.channels == 1 else "colour"
    facts = [("model", description.model), ("images", f"{side} x {side}, {colours}")]
    if lines:
        facts.append(("steps", f"{lines[-1]['step']:,.0f}"))
        speeds = [line["images_per_second"] for line in lines if "images_per_second" in line]
        if speeds:
            facts.append(("images per second", f"{np.median(speeds):,.0f}"))
    if shown is not None:
        facts.append(("width of an embedding", f"{shown.features.vectors.shape[1]:,}"))
    return facts


def _sheet(title: str, text: str, sheet: Sheet, description: Description) -> Panel:
    pixels = without_gaps(sheet.pixels, description.crop or description.size)
    when = f"After {sheet.step:,} steps." if sheet.step else ""
    return Panel(title, [text], [Image(image_url(pixels), f"{title}: {text}", when)])


def _provenance(description: Description, shown: EmbeddedImages | None) -> Panel:
    facts: dict[str, Any] = {"identity": description.identity, "model": description.model}
    facts |= {f"arguments.{key}": value for key, value in _flat(description.arguments)}
    facts |= {f"training.{key}": value for key, value in _flat(description.training)}
    facts |= {
        "images.size": description.size,
        "images.channels": description.channels,
        "images.fit": description.fit,
        "images.crop": description.crop,
    }
    facts |= {f"weights chosen by {key}": v for key, v in _flat(description.selected or {})}
    if shown is not None:
        facts["features"] = f"{shown.name}, {len(shown.features):,} images"
        facts["features.identity"] = shown.features.identity
        facts["features.left out"] = f"{len(shown.features.errors):,} images"
    rows = [[key, "" if value is None else str(value)] for key, value in facts.items()]
    return Panel(
        "Provenance",
        ["What determines these weights; an encoder with the same identity is the same encoder."],
        [Table("All settings", ["setting", "value"], rows)],
    )


def _flat(settings: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return nested settings as `outer.inner` and value."""
    found: list[tuple[str, Any]] = []
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found += [(f"{key}.{inner}", v) for inner, v in _flat(value)]
        else:
            found.append((key, value))
    return found
