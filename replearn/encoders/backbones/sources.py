"""Where a network's name leads: a folder or a file here, or a repository of the hub."""

import importlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from replearn.errors import DataError, UsageError, brief

_SMALL = ["*.json", "*.txt", "*.model", "*.spm"]
_WEIGHTS = (
    ["*.safetensors"],
    ["*.bin", "*.pt", "*.pth"],
)  # the first are enough where there are some
_OFFLINE = {
    "ConnectError",
    "ConnectTimeout",
    "ConnectionError",
    "LocalEntryNotFoundError",
    "OfflineModeIsEnabled",
    "ReadTimeout",
}
_UNKNOWN = {"RepositoryNotFoundError", "RevisionNotFoundError", "HFValidationError"}


def library(name: str) -> Any:
    """Import a library that is not always installed.

    Raises:
        DataError: it is missing, or does not work.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise DataError("model pretrained: it needs pip install 'replearn[pretrained]'") from None
    except Exception as error:  # as torchvision of another build than torch raises
        raise DataError(
            f"model pretrained: {name} is installed but cannot be imported ({brief(error)})"
        ) from None


def locate(name: str) -> Path:
    """Return the folder or the file that a name leads to, fetched from the hub where it has to be.

    What was fetched once is not asked for again.

    Raises:
        DataError: there is no such file, folder or repository, or the hub cannot be reached.
        UsageError: no name is given.
    """
    if not name:
        raise UsageError(
            "arguments.name: give the folder or file of a pretrained model, or its name on the "
            "hub, such as facebook/dinov2-small"
        )
    path = Path(name).expanduser()
    if path.exists():
        return path
    if name.count("/") != 1 or name.startswith((".", "/", "~")) or path.parent.is_dir():
        raise DataError(
            f"arguments.name: {name!r} is neither a folder nor a file, nor a name on the hub "
            "(owner/model)"
        )
    return fetched(name, [*_SMALL, *_WEIGHTS[0]], _WEIGHTS[1])


def fetched(name: str, wanted: Sequence[str], otherwise: Sequence[str] = ()) -> Path:
    """Return the folder of a repository of the hub, kept from an earlier time or fetched now.

    Args:
        name: owner/model.
        wanted: patterns of the files to fetch.
        otherwise: more patterns where the last of those wanted matches nothing.

    Raises:
        DataError: there is no such repository, its terms are not accepted, or there is no network.
    """
    hub = library("huggingface_hub")
    with explained(name), _hushed("huggingface_hub"):
        for local in (True, False):
            try:
                folder = _snapshot(hub, name, wanted, local)
                if otherwise and not any(folder.glob(wanted[-1])):
                    folder = _snapshot(hub, name, otherwise, local)
                if not local or any(any(folder.glob(end)) for end in (wanted[-1], *otherwise)):
                    return folder
            except hub.errors.LocalEntryNotFoundError:
                if not local:
                    raise
    raise AssertionError


def _snapshot(hub: Any, name: str, patterns: Sequence[str], local: bool) -> Path:
    return Path(hub.snapshot_download(name, allow_patterns=list(patterns), local_files_only=local))


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Say in one line why a library could not load what has this name.

    Raises:
        DataError: in place of whatever the library raised.
    """
    try:
        yield
    except UsageError:
        raise
    except DataError as error:
        said = str(error)
        known = said.startswith(("arguments.", "model pretrained"))
        raise DataError(said if known else f"arguments.name: {name!r}: {said}") from None
    except Exception as error:
        raise DataError(f"arguments.name: {name!r}: {_reason(error, name)}") from None


def _reason(error: Exception, name: str) -> str:
    kinds = set()
    cause: BaseException | None = error
    while cause is not None:
        kinds |= {kind.__name__ for kind in type(cause).__mro__}
        cause = cause.__cause__ or cause.__context__
    if "GatedRepoError" in kinds:
        return (
            f"its terms have to be accepted at https://huggingface.co/{name}; then log in with "
            "`hf auth login`"
        )
    if kinds & _UNKNOWN:
        return "there is no folder or file of this name, and no such model on the hub"
    if kinds & _OFFLINE:
        return (
            "neither a folder nor a file nor fetched before, and the hub cannot be reached; fetch "
            "it once where there is a network, or give the folder of a copy"
        )
    return f"it cannot be loaded ({brief(error)})"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep libraries from telling how they build a network, or that its weights are still fresh."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _hushed(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
