"""Counts images that could not be read, reports them, and stops the work if they are too many."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replearn.console import warn
from replearn.errors import DataError, UsageError, some_of

Errors = list[tuple[str, str]]  # (id, reason) of what could not be read


class TooManyErrors(DataError):  # noqa: N818 - it names the finding
    """More images cannot be used than is allowed."""


@dataclass
class ErrorBudget:
    """The images that could not be read so far, and how many are allowed.

    Attributes:
        place: the source, for messages.
        wanted: number of images.
        max_errors: the largest share of these that may be missing or unreadable.
        errors: (id, reason) so far.

    Raises:
        UsageError: a share that cannot be.
    """

    place: Path
    wanted: int
    max_errors: float
    errors: Errors = field(default_factory=list)

    def __post_init__(self) -> None:
        check_share(self.max_errors)

    def add(self, errors: Errors) -> None:
        """Count more errors; raise TooManyErrors if there are too many by now."""
        self.errors += errors
        self.check(self.errors)

    def check(self, errors: Errors) -> None:
        """Raise TooManyErrors if these alone are too many."""
        check_errors(self.place, errors, self.wanted, self.max_errors)

    def finish(self) -> None:
        """Say what was left out; raise TooManyErrors if nothing remains."""
        if len(self.errors) == self.wanted:
            check_some(self.place, [], self.errors)
        if self.errors:
            count = f"{len(self.errors):,} of {self.wanted:,} images left out"
            warn(f"{self.place}: {count}: {_first(self.errors)}")


def check_share(max_errors: float) -> None:
    """Refuse a share of images that is none, with a UsageError."""
    if not 0 <= max_errors <= 1:
        raise UsageError(f"max-errors {max_errors}: a share of the images, 0 to 1")


def check_errors(place: Path, errors: Errors, wanted: int, max_errors: float) -> None:
    """Raise TooManyErrors if the errors are more than this share of the wanted images."""
    if len(errors) > max_errors * wanted:
        raise TooManyErrors(
            f"{place}: {len(errors):,} of {wanted:,} images cannot be used (allowed: "
            f"{100 * max_errors:.3g} %): {_first(errors)}; mend them or raise --max-errors"
        )


def check_some(place: Path, ids: Sequence[str], errors: Errors) -> None:
    """Raise TooManyErrors if there is no image at all."""
    if not ids:
        raise TooManyErrors(f"{place}: not one image can be used: {_first(errors)}")


def _first(errors: Errors) -> str:
    return some_of(errors, form=lambda error: f"{error[0]} ({error[1]})")
