"""The page of an encoder: its training, its sheets, its embeddings and its provenance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replearn.encoders.encoder import Description
from replearn.images.data_url import image_url
from replearn.report import embeddings, training
from replearn.report.embeddings import EmbeddedImages
from replearn.report.figures import make_gaps_transparent
from replearn.report.page import Absent, Image, Page, Panel, Table
from replearn.settings import flatten_settings

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
# Drawn by some models only; a page without them does not call them missing.
_OPTIONAL_SHEETS = {
    "denoised": (
        "Denoised",
        "Each row is an image, then mixtures of it with more and more noise, each before what the "
        "network takes for the image behind it.",
    ),
    "categories": ("Categories", "Each row is a code with one category after the other."),
    "numbers": ("Numbers", "Each row is a code with its first number going from -2 to 2."),
}
_EMBEDDING_PANELS = ("Map of embeddings", "Nearest neighbours", "Dead dimensions")


@dataclass(frozen=True)
class Sheet:
    """A sheet of images, drawn during the training.

    Attributes:
        pixels: uint8 [H, W, 3].
        step: of the training, 0 if it has none.
    """

    pixels: NDArray[np.uint8]
    step: int


def build_page(
    description: Description,
    lines: Sequence[Mapping[str, float]],
    sheets: Mapping[str, Sheet],
    images: EmbeddedImages | None,
) -> Page:
    """Return the page of an encoder.

    Args:
        description: what `encoder.json` says.
        lines: of `metrics.jsonl`, none for encoders that are fitted at once.
        sheets: the last of each kind.
        images: with their embeddings, None if there are none.
    """
    model = description.model
    panels = training.build_panels(lines, model)
    for kind, (title, text) in (_SHEETS | _OPTIONAL_SHEETS).items():
        if kind in sheets:
            panels.append(_sheet_panel(title, text, sheets[kind], description))
        elif kind in _SHEETS:
            panels.append(Absent(title, f"the training of {model} drew none."))
    if images is None:
        reason = "no features of this encoder lie beside it; give them with --features."
        panels += [Absent(title, reason) for title in _EMBEDDING_PANELS]
    else:
        panels += embeddings.build_panels(images)
    panels.append(_provenance_panel(description, images))
    return Page(
        f"Encoder {model}",
        "What this encoder learned, and what its embeddings say about images.",
        _facts(description, lines, images),
        panels,
    )


def _facts(
    description: Description, lines: Sequence[Mapping[str, float]], images: EmbeddedImages | None
) -> list[tuple[str, str]]:
    side = description.crop or description.size
    colours = "grey" if description.channels == 1 else "colour"
    facts = [("model", description.model), ("images", f"{side} x {side}, {colours}")]
    if lines:
        facts.append(("steps", f"{lines[-1]['step']:,.0f}"))
        speeds = [line["images_per_second"] for line in lines if "images_per_second" in line]
        if speeds:
            facts.append(("images per second", f"{np.median(speeds):,.0f}"))
    if images is not None:
        facts.append(("width of an embedding", f"{images.features.vectors.shape[1]:,}"))
    return facts


def _sheet_panel(title: str, text: str, sheet: Sheet, description: Description) -> Panel:
    pixels = make_gaps_transparent(sheet.pixels, description.crop or description.size)
    caption = f"After {sheet.step:,} steps." if sheet.step else ""
    return Panel(title, [text], [Image(image_url(pixels), f"{title}: {text}", caption)])


def _provenance_panel(description: Description, images: EmbeddedImages | None) -> Panel:
    facts: dict[str, Any] = {"identity": description.identity, "model": description.model}
    facts |= flatten_settings(
        {"arguments": description.arguments, "training": description.training}
    )
    facts |= {
        "images.size": description.size,
        "images.channels": description.channels,
        "images.fit": description.fit,
        "images.crop": description.crop,
    }
    shown = {"images.bits": description.bits, "images.value_range": description.value_range}
    facts |= {name: value for name, value in shown.items() if value is not None}
    chosen = flatten_settings(description.selected or {})
    facts |= {f"weights chosen by {key}": value for key, value in chosen.items()}
    if images is not None:
        facts["features"] = f"{images.name}, {len(images.features):,} images"
        facts["features.identity"] = images.features.identity
        facts["features.left out"] = f"{len(images.features.errors):,} images"
    rows = [[key, "" if value is None else str(value)] for key, value in facts.items()]
    return Panel(
        "Provenance",
        ["What determines these weights; an encoder with the same identity is the same encoder."],
        [Table("All settings", ["setting", "value"], rows)],
    )
