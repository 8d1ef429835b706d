"""The command `replearn`: runs the stage that its first word names, and imports no other stage."""

import importlib
import os
import select
import sys
import tempfile
import traceback

import typer

from replearn import __version__
from replearn.console import shown
from replearn.errors import DataError, UsageError

_STOPPED = 130  # exit status after Ctrl-C, as shells have it
_UNREAD = 141  # and of a command whose output nobody reads any more, as before `head`

# What the extras `cpu` and `gpu` bring, by the name that is imported.
PARTS = {
    "PIL": "pillow",
    "cv2": "OpenCV",
    "faiss": "FAISS",
    "jinja2": "Jinja2",
    "matplotlib": "matplotlib",
    "tensorboard": "tensorboard",
    "torch": "torch",
}

STAGES = {
    "phantoms": "Draw labelled synthetic radiographs for trying things out.",
    "split": "Divide a concept file into train, validation and test lists.",
    "prepare": "Decode and resize images into one image set.",
    "train": "Train an encoder on images without labels.",
    "draw": "Draw an encoder's reconstructions, samples and interpolations.",
    "extract": "Turn images into features with a trained encoder.",
    "classify": "Fit a detector of concepts on features.",
    "predict": "Write a run file: the concepts that a detector predicts.",
    "validate": "Check a run file as the benchmark's server would.",
    "evaluate": "Score a run file as the benchmark's evaluator would.",
    "merge": "Merge run files: union, intersection, votes, groups of concepts.",
    "convert": "Write a concept file of any layout in the format of an edition.",
    "vocabulary": "Count the concepts of files; list their images and pairs.",
    "index": "Build a search index of features.",
    "query": "Find the images most like a given one.",
    "compare": "Run encoders x detectors on one data folder into one table.",
    "serve": "Open a page in the browser to search by image.",
    "report": "Write one HTML file that shows an encoder or a comparison.",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one stage and return the exit status: 0 done, 1 failed on the data, 2 wrong usage."""
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _drop_unread()
        return _UNREAD
    return status


def _run(arguments: list[str]) -> int:
    stage = arguments[0] if arguments else "--help"
    if stage in ("--help", "-h", "help"):
        print(_overview())
        return 0
    if stage == "--version":
        print(f"replearn {__version__}")
        return 0
    if stage not in STAGES:
        print(f"replearn: no stage {stage!r}; known: {', '.join(STAGES)}", file=sys.stderr)
        return 2
    try:
        with shown():
            result = command(stage)(
                arguments[1:], prog_name=f"replearn {stage}", standalone_mode=False
            )
        if result == _STOPPED:  # what Typer returns on Ctrl-C
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
    except Exception as error:  # unexpected: one line here, the traceback in a file
        with tempfile.NamedTemporaryFile(
            "w", prefix="replearn-traceback-", suffix=".txt", encoding="utf-8", delete=False
        ) as log:
            log.write(traceback.format_exc())
        return _fail(stage, f"{type(error).__name__}: {error} (traceback in {log.name})", 1)


def command(stage: str) -> typer.Typer:
    """Return the command line of one stage."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    # By what this package is called: `pipelines` in a checkout, or `replearn.pipelines`.
    module = importlib.import_module(f".{stage}", __package__)
    app.command(context_settings={"help_option_names": ["-h", "--help"]})(getattr(module, stage))
    return app


def _overview() -> str:
    width = max(map(len, STAGES))
    stages = "\n".join(f"  {name:{width}}  {line}" for name, line in STAGES.items())
    return (
        "Usage: replearn STAGE ...\n\n"
        "From unlabelled images to features, concepts and similar images.\n\n"
        f"{stages}\n\nreplearn STAGE --help explains a stage, with an example."
    )


if __name__ == "__main__":
    sys.exit(main())
