"""The speed of each part of a pipeline, and its bottleneck."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

Seconds = dict[str, float]  # by part of the work


@dataclass
class Throughput:
    """Seconds that each part of the work took, all processes together.

    Attributes:
        images: that went through.
        seconds: by part: `reading`, `decoding`, `encoding`, `writing`.
        processes: that work at a time.
    """

    images: int = 0
    seconds: Seconds = field(default_factory=dict)
    processes: int = 1

    @contextmanager
    def timing(self, part: str) -> Iterator[None]:
        """Count the time that is spent inside for this part."""
        start = perf_counter()
        try:
            yield
        finally:
            self._count(part, perf_counter() - start)

    def add(self, images: int, seconds: Mapping[str, float]) -> None:
        """Count what was done elsewhere."""
        self.images += images
        for part, spent in seconds.items():
            self._count(part, spent)

    def _count(self, part: str, spent: float) -> None:
        self.seconds[part] = self.seconds.get(part, 0.0) + spent

    def per_second(self) -> dict[str, float]:
        """Return the images per second that each part could do if it did nothing but work."""
        return {
            part: self.images * self.processes / seconds
            for part, seconds in self.seconds.items()
            if seconds > 0
        }

    def bottleneck(self) -> str:
        """Return the slowest part; nothing where nothing was done."""
        rates = self.per_second()
        return min(rates, key=rates.__getitem__, default="")

    def __str__(self) -> str:
        rates = self.per_second()
        parts = ", ".join(f"{part} {rate:,.0f}" for part, rate in rates.items())
        # Of a single part there is nothing to compare.
        slowest = f"; the bottleneck is {self.bottleneck()}" if len(rates) > 1 else ""
        return f"{parts} images/s{slowest}"
