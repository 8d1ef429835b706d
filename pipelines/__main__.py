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
    "imagecodecs": "imagecodecs",
    "jinja2": "Jinja2",
    "matplotlib": "matplotlib",
    "tensorboard": "tensorboard",
    "tifffile": "tifffile",
    "torch": "torch",
}

STAGES = {
    "phantoms": "Draw labelled synthetic radiographs, to try the other stages.",
    "split": "Divide a concept file into train, validation and test lists.",
    "ids": "List the ids of images, in natural order.",
    "prepare": "Decode and resize images into one image set.",
    "train": "Train an encoder on images without labels.",
    "draw": "Draw an encoder's reconstructions, samples and interpolations.",
    "extract": "Turn images into features with a trained encoder.",
    "classify": "Fit a detector of concepts on features.",
    "ensemble": "Combine detectors by their scores into one.",
    "predict": "Write a run file: the concepts that a detector predicts.",
    "validate": "Check a run file as the benchmark's server would.",
    "evaluate": "Score a run file as the benchmark's evaluator would.",
    "merge": "Merge run files: union, intersection, votes, groups of concepts.",
    "convert": "Write a concept file of any layout in the format of an edition.",
    "vocabulary": "Count the concepts of files; list their images and pairs.",
    "index": "Build a search index of features.",
    "query": "Find the images most like a given one.",
    "compare": "Compare pairs of encoder and detector on one data folder.",
    "serve": "Open a page in the browser to search by image.",
    "diagnose": "Say what is wrong with an encoder or generator, in numbers.",
    "report": "Write one HTML file that shows an encoder or a comparison.",
}


def main(arguments: list[str] | None = None) -> int:
    """Run one stage and return the exit status: 0 done, 1 failed on the data, 2 wrong usage."""
    try:
        status = _run(sys.argv[1:] if arguments is None else arguments)
        _flush()
    except BrokenPipeError:
        _drop_unread()
        return _UNREAD
    except OSError as error:  # as where the disk is full
        if sys.__stdout__ is not None:
            _drop(sys.__stdout__.fileno())
        print(f"replearn: writing the output: {error.strerror or error}", file=sys.stderr)
        return 1
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
            raise KeyboardInterrupt
        return int(result or 0)
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        # Typer makes SystemExit of any pipe that was closed; only those to a reader end quietly.
        if isinstance(error, SystemExit) and _drop_unread():
            return _UNREAD
        if isinstance(error, OSError):
            _flush()  # which fails too if stdout is what cannot be written
        cause = error.__context__ if isinstance(error, SystemExit) else error
        message, status = _explain(stage, cause or error)
        print(f"replearn {stage}: {' '.join(message.split())}", file=sys.stderr)
        return status


def _explain(stage: str, error: BaseException) -> tuple[str, int]:
    """Return what to say of an error, and the exit status."""
    match error:
        case DataError():
            return str(error), 1
        case UsageError():
            return f"{error} (see: replearn {stage} --help)", 2
        case typer.TyperException():
            return f"{error.format_message()} (see: replearn {stage} --help)", 2
        case KeyboardInterrupt() | typer.Abort():
            return "stopped", _STOPPED
        case ModuleNotFoundError(name=str(name)) if name.split(".")[0] in PARTS:
            return f"needs {PARTS[name.split('.')[0]]}; pip install 'replearn[cpu]'", 1
        case OSError():
            return f"{error.filename or 'writing the output'}: {error.strerror or error}", 1
        case MemoryError():
            return f"not enough memory: {error}", 1
    # Not foreseen: one line all the same, and all of it in a file.
    with tempfile.NamedTemporaryFile(
        "w", prefix="replearn-traceback-", suffix=".txt", encoding="utf-8", delete=False
    ) as log:
        log.writelines(traceback.format_exception(error))
    return f"{type(error).__name__}: {error} (traceback in {log.name})", 1


def _flush() -> None:
    if sys.stdout is not None:
        sys.stdout.flush()


def _drop_unread() -> bool:
    """Return whether stdout or stderr is a pipe that was closed; what waits for it is dropped."""
    poll = select.poll()
    for stream in filter(None, (sys.__stdout__, sys.__stderr__)):
        poll.register(stream.fileno(), 0)
    closed = [descriptor for descriptor, event in poll.poll(0) if event & select.POLLERR]
    for descriptor in closed:
        _drop(descriptor)
    return bool(closed)


def _drop(descriptor: int) -> None:
    """Write to nowhere from now on; Python writes what waits once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


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
        "Usage: replearn STAGE ..., or replearn --version\n\n"
        "From unlabelled images to features, concepts and similar images.\n\n"
        f"{stages}\n\nreplearn STAGE --help explains a stage, with an example."
    )


if __name__ == "__main__":
    sys.exit(main())
