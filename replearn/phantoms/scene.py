"""The words of the scene grammar: a scene, and a finding that it may show."""

from __future__ import annotations

from dataclasses import dataclass

from replearn.phantoms.canvas import Draw


@dataclass(frozen=True)
class Finding:
    """Something that may be seen in a scene: its concept's name, its chance, how it is drawn."""

    name: str
    chance: float  # in a patient of ordinary illness and without company
    draw: Draw  # on a canvas that already shows the anatomy


@dataclass(frozen=True)
class Scene:
    """A kind of picture: what names it carries, how often it comes, its anatomy and findings."""

    names: tuple[str, ...]  # the modality first
    weight: float
    anatomy: Draw
    findings: tuple[Finding, ...]  # in the order in which they are drawn
    turn: float = 0.08  # radians of rotation at most
    flips: bool = False  # whether left and right may be exchanged
