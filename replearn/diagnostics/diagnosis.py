"""What was found out about a model or a pair of sets: numbers by subject, faults, and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from replearn.arrays import Pixels
from replearn.diagnostics.estimates import Estimate

Numbers = Mapping[str, Estimate]


@dataclass(frozen=True)
class Fault:
    """Something wrong with a model, by the name that docs/diagnostics.md explains it under.

    Attributes:
        name: `collapsed`, `mode-dropped`, `memorising` or `unbalanced`.
        because: the numbers that show it, in a sentence.
        remedy: what to try first.
    """

    name: str
    because: str
    remedy: str


@dataclass(frozen=True)
class Gallery:
    """Images side by side that show what a number means.

    Attributes:
        title: heading.
        text: what is seen, in a sentence.
        names: one for each image, as its id; so it is told without pictures too.
        pixels: uint8 [C, H, W] of each image; none where only features are known.
    """

    title: str
    text: str
    names: Sequence[str]
    pixels: Sequence[Pixels] = ()


@dataclass(frozen=True)
class Diagnosis:
    """Numbers with intervals, by subject and name.

    Attributes:
        of: what was looked at, for a heading.
        facts: name and value of what the numbers were measured on.
        numbers: by subject, as `samples` or `representation`, then by name.
        faults: what is wrong, by these numbers.
        galleries: pictures of it.
        absent: for each subject without numbers, a sentence that says why.
    """

    of: str
    facts: dict[str, str]
    numbers: dict[str, Numbers]
    faults: Sequence[Fault] = ()
    galleries: Sequence[Gallery] = ()
    absent: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the pictures, for JSON."""
        return {
            "of": self.of,
            "facts": self.facts,
            "faults": [asdict(fault) for fault in self.faults],
            "numbers": {
                subject: {name: estimate.to_json() for name, estimate in numbers.items()}
                for subject, numbers in self.numbers.items()
            },
            "shown": {gallery.title: list(gallery.names) for gallery in self.galleries},
            "absent": self.absent,
        }
