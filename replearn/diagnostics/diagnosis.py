"""What was found out about a model or a pair of sets: numbers by subject, and the faults named."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replearn.diagnostics.estimates import Estimate

Numbers = Mapping[str, Estimate]


@dataclass(frozen=True)
class Diagnosis:
    """Numbers with intervals, by subject and name.

    Attributes:
        of: what was looked at, for a heading.
        facts: name and value of what the numbers were measured on.
        numbers: by subject, as `samples` or `representation`, then by name.
        absent: for each subject without numbers, a sentence that says why.
    """

    of: str
    facts: dict[str, str]
    numbers: dict[str, Numbers]
    absent: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return everything for JSON."""
        return {
            "of": self.of,
            "facts": self.facts,
            "numbers": {
                subject: {name: estimate.to_json() for name, estimate in numbers.items()}
                for subject, numbers in self.numbers.items()
            },
            "absent": self.absent,
        }
