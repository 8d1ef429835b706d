"""Time and memory of `replearn diagnose` on two sets of features.

python -m benchmarks.diagnosis_speed --count 50000 --width 1024
"""

import json
import os
import resource
import time
from typing import Annotated

import numpy as np
import typer

from benchmarks.command import run_benchmark
from replearn.arrays import Vectors
from replearn.diagnostics.generators.comparison import compare_samples


def main(
    count: Annotated[int, typer.Option(help="Images of each set.")] = 50_000,
    width: Annotated[int, typer.Option(help="Of the features.")] = 1024,
) -> None:
    """Compare two sets of features of low rank and noise; print seconds and peak memory."""
    real, fake = features(count, width, 0), features(count, width, 1)
    start, used = time.perf_counter(), time.process_time()
    found = compare_samples(real, fake)
    print(
        json.dumps(
            {
                "count": count,
                "width": width,
                "cores": os.cpu_count(),
                "seconds": round(time.perf_counter() - start, 1),
                "processor_seconds": round(time.process_time() - used, 1),
                "peak_gigabytes": round(
                    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2
                ),
                **{name: round(one.value, 4) for name, one in found.numbers.items()},
            }
        )
    )


def features(count: int, width: int, seed: int) -> Vectors:
    """Return features [count, width]: 32 directions and noise, as those of encoders have few."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(99).normal(size=(32, width)).astype(np.float32)
    codes = random.normal(size=(count, 32)).astype(np.float32)
    rows = codes @ directions
    rows += random.normal(0, 0.3, rows.shape).astype(np.float32)
    return np.asarray(rows, np.float32)


if __name__ == "__main__":
    run_benchmark(main)
