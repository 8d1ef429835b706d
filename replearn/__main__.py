"""The command: `replearn`, `python -m replearn`."""

import importlib
import sys
from pathlib import Path

import replearn

_HERE = Path(__file__).parent
if not (_HERE / "pipelines").is_dir():  # a checkout: the stages lie beside the library
    replearn.__path__.append(str(_HERE.parent))

main = importlib.import_module("replearn.pipelines.__main__").main

if __name__ == "__main__":
    sys.exit(main())
