"""What the results depend on beside the code."""

import platform
from collections.abc import Iterator

import torch

import replearn
from benchmarks.gpu.form import Form
from benchmarks.gpu.rows import Row, fact
from benchmarks.training import processor
from replearn.artefacts.workers import cores


def describe(form: Form) -> Iterator[Row]:
    """Yield the device on which to run, first of all, and the machine around it."""
    there = torch.cuda.is_available()
    yield fact("device", "cuda" if there else "cpu")
    if there:
        card = torch.cuda.get_device_properties(0)
        yield fact("GPU", card.name)
        yield fact("memory of the GPU", f"{card.total_memory / 2**30:.0f} GiB")
        yield fact("GPUs", str(torch.cuda.device_count()))
        yield fact("CUDA", f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}")  # type: ignore[no-untyped-call]
    else:  # which on a machine with a GPU would be a surprise
        yield fact("GPU", f"none is available; torch is built for CUDA {torch.version.cuda}")
    yield fact("processor", processor())
    yield fact("cores", f"{cores()}, {torch.get_num_threads()} threads")
    yield fact("Python", platform.python_version())
    yield fact("torch", torch.__version__)
    yield fact("replearn", replearn.__version__)
