"""The command `replearn`: it runs the stage that is named first, and imports no other."""

import importlib
import sys
import tempfile
import traceback

import typer

from replearn.console import warnings_as_lines
from replearn.errors import DataError, UsageError

_STOPPED = 130  # exit status after Ctrl-C, as shells have it

STAGES = {
    "phantoms": "Draw labelled synthetic radiographs to try everything on.",
    "split": "Divide a concept file into train, validation and test lists.",
    "prepare": "Decode and resize images into one image set.",
    "train": "Train an encoder on images without labels.",
    "draw": "Draw an encoder's reconstructions, samples and interpolations.",
    "extract": "Turn images into features with a trained encoder.",
    "classify": "Fit a detector of concepts on features.",
    "predict": "Write a run file: the concepts that a detector finds.",
    "validate": "Check a run file as the benchmark's server would.",
    "evaluate": "Score a run file as the benchmark's evaluator would.",
    "merge": "Merge run files: union, intersection, votes, groups of concepts.",
    "convert": "Write a concept file of any layout in the format of an edition.",
    "vocabulary": "Count the concepts of files; list their images and companions.",
    "index": "Build a search index of features.",
    "query": "Find the images most like a given one.",
    "compare": "Run encoders x detectors on one data folder into one table.",
    "serve": "Open a page in the browser to search by image.",
    "report": "Write one HTML file that shows an encoder or a comparison.",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one stage and return the exit status: 0 done, 1 failed on the data, 2 wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    stage = arguments[0] if arguments else "--help"
    if stage in ("--help", "-h", "help"):
        print(_overview())
        return 0
    if stage not in STAGES:
        print(f"replearn: no stage {stage!r}; known: {', '.join(STAGES)}", file=sys.stderr)
        return 2
    try:
        with warnings_as_lines():
            result = command(stage)(
                arguments[1:], prog_name=f"replearn {stage}", standalone_mode=False
            )
        if result == _STOPPED:  # what Typer makes of Ctrl-C
            return _fail(stage, "stopped", _STOPPED)
        return int(result or 0)
    except DataError as error:
        return _fail(stage, str(error), 1)
    except (UsageError, typer.TyperException) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        return _fail(stage, f"{message} (see: replearn {stage} --help)", 2)
    except OSError as error:
        return _fail(
            stage, f"{error.filename or 'writing the output'}: {error.strerror or error}", 1
        )
    except MemoryError as error:
        return _fail(stage, f"not enough memory: {error}", 1)
    except (KeyboardInterrupt, typer.Abort):
        return _fail(stage, "stopped", _STOPPED)
    except Exception as error:  # not foreseen: one line all the same, and all of it in a file
        with tempfile.NamedTemporaryFile(
            "w", prefix="replearn-traceback-", suffix=".txt", encoding="utf-8", delete=False
        ) as log:
            log.write(traceback.format_exc())
        return _fail(stage, f"{type(error).__name__}: {error} (traceback in {log.name})", 1)


def command(stage: str) -> typer.Typer:
    """Return the command line of one stage."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(getattr(importlib.import_module(f"pipelines.{stage}"), stage))
    return app


def _overview() -> str:
    width = max(map(len, STAGES))
    stages = "\n".join(f"  {name:{width}}  {line}" for name, line in STAGES.items())
    return (
        "Usage: replearn STAGE ...\n\n"
        "Unlabelled images to representations, representations to answers.\n\n"
        f"{stages}\n\nreplearn STAGE --help explains one, with an example."
    )


def _fail(stage: str, message: str, status: int) -> int:
    print(f"replearn {stage}: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
