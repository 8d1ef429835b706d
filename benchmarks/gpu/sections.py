"""The sections in their order: what matters most first, because the time may be short."""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

from benchmarks.gpu.form import Form
from benchmarks.gpu.rows import Row

Work = Callable[[Form], Iterator[Row]]


@dataclass(frozen=True)
class Section:
    """A part of the whole, which runs in a process of its own.

    Attributes:
        name: by which it is asked for.
        kind: `right` decides the exit status, `fast` and `worth` do not.
        seconds: it takes about, in the full form on a GPU of a data centre with 16 cores.
        small_seconds: it takes about, in the small form on two cores.
        place: module and function below this package.
        about: what it does.
    """

    name: str
    kind: Literal["right", "fast", "worth"]
    seconds: float
    small_seconds: float
    place: str
    about: str

    @property
    def module(self) -> str:
        """The module that does the work."""
        return _module_of(self.place)

    def work(self) -> Work:
        """Return the function that does the work, and import its module."""
        return work_at(self.place)


def work_at(place: str) -> Work:
    """Import the module and return the function of a place, as `module:function`.

    Not before they are needed, and not where sections are only planned: they need torch.
    """
    return cast(Work, getattr(importlib.import_module(_module_of(place)), place.split(":")[1]))


def _module_of(place: str) -> str:
    return f"benchmarks.gpu.{place.split(':')[0]}"


SECTIONS = (
    Section(
        "embeddings",
        "right",
        35,
        5,
        "embeddings:check_embeddings",
        "every model and layer against the CPU, in float32 and bfloat16",
    ),
    Section(
        "steps",
        "right",
        50,
        5,
        "steps:check_steps",
        "two steps of every objective, and of each loss, prior and architecture: all finite",
    ),
    Section(
        "resume",
        "right",
        45,
        3,
        "resume:check_resume",
        "with deterministic, a training that was stopped ends with the same bits",
    ),
    Section(
        "memory",
        "right",
        20,
        1,
        "short_memory:check_memory",
        "out of memory halves the batch; images that do not fit are streamed",
    ),
    Section(
        "regression",
        "right",
        25,
        1,
        "regression:check_regression",
        "logistic regression against NumPy, rows on the device and streamed",
    ),
    Section(
        "search",
        "right",
        15,
        1,
        "search:check_search",
        "exact search by torch and FAISS against sorting in double precision",
    ),
    Section(
        "processes",
        "right",
        35,
        10,
        "processes:check_processes",
        "two processes by torchrun, on one card if there is one, against one process",
    ),
    Section(
        "compile",
        "right",
        60,
        6,
        "compiling:check_compiled",
        "compiled layers learn what others learn",
    ),
    Section(
        "ceilings",
        "fast",
        12,
        2,
        "ceilings:measure_ceilings",
        "what the device reaches: matrix products in each precision, a copy",
    ),
    Section(
        "training",
        "fast",
        100,
        4,
        "training:measure_training",
        "AAE, VAE, BiGAN, diffusion against a bare loop; pythae; a DataLoader of files",
    ),
    Section(
        "extraction",
        "fast",
        45,
        3,
        "extraction:measure_extraction",
        "from JPEG files, against decoding alone and encoding alone",
    ),
    Section(
        "regression-speed",
        "fast",
        65,
        2,
        "regression:measure_regression",
        "223,859 rows x 1,024 features x 500 labels",
    ),
    Section(
        "search-speed",
        "fast",
        20,
        1,
        "search:measure_search",
        "9,938 queries against 223,859 x 1,024",
    ),
    Section(
        "encoders",
        "worth",
        65,
        3,
        "encoders:measure_encoders",
        "the best encoders of benchmarks.encoders on phantoms, as many as the time allows",
    ),
)
