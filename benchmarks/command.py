"""The command line of a benchmark."""

import sys
from collections.abc import Callable
from pathlib import Path

import typer

from replearn.console import shown
from replearn.errors import DataError, UsageError


def run_benchmark(main: Callable[..., None]) -> None:
    """Run a benchmark's main function with the options of the command line.

    Bad input ends it with one line on stderr, and exit status 1 (DataError) or 2 (UsageError).

    Args:
        main: a function whose parameters are declared for typer.

    Raises:
        SystemExit: at the end, always.
    """
    try:
        with shown():
            typer.run(main)
    except (DataError, UsageError) as error:
        path = Path(sys.argv[0])
        name = path.parent.name if path.stem == "__main__" else path.stem  # of a package
        print(f"benchmarks.{name}: {error}", file=sys.stderr)
        sys.exit(1 if isinstance(error, DataError) else 2)
