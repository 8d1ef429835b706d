"""serve: an index -> a page in the browser to search by image."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.table import read_names
from replearn.console import say
from replearn.detection.detector import load_detector
from replearn.errors import UsageError
from replearn.features import Features
from replearn.interrupts import interrupt_on_sigterm
from replearn.retrieval.address import Address
from replearn.retrieval.explorer import Explorer
from replearn.retrieval.image_search import ImageSearch


def serve(
    index_folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    encoder: Annotated[Path | None, typer.Option(help="The encoder, if it was moved.")] = None,
    detector: Annotated[Path | None, typer.Option(help="Detector of the concepts to show.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="The indexed images, if they were moved.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="Features of the index; for both distances and the detector's errors."),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="Names of concepts: lines of `concept TAB name`.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 7860,
    root_path: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            envvar="GRADIO_ROOT_PATH",
            help="Path at which a server in front shows the page, such as /search.",
        ),
    ] = None,
    user: Annotated[str | None, typer.Option(help="Require this user and a password.")] = None,
    password: Annotated[
        str | None,
        typer.Option(envvar="REPLEARN_PASSWORD", help="For --user; the variable is safer."),
    ] = None,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Size limit of an uploaded file.")] = 20,
) -> None:
    """Serve a page for search by image; only this machine can reach it without --host.

    Example: replearn serve runs/index --detector runs/linear
    """
    if (user is None) != (password is None) or "" in (user, password):
        raise UsageError("--user and a password belong together; give both, not empty, or none")
    search = ImageSearch.open(
        index_folder,
        encoder=encoder,
        images=images,
        names=read_names(names) if names else {},
    )
    explorer = Explorer(
        search.with_batching(),
        load_detector(detector) if detector else None,
        Features.load(features) if features else None,
    )
    explorer.check()
    address = Address(host, port, root_path)
    address.check()
    interrupt_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="replearn-") as temporary:
        # Set before gradio is imported: it keeps uploads and images in this folder.
        os.environ["GRADIO_TEMP_DIR"] = temporary
        try:
            from replearn.retrieval.page import serve_page
        except ModuleNotFoundError as error:
            if error.name != "gradio":
                raise
            raise UsageError("serve needs gradio; pip install 'replearn[app]'") from None
        say(f"http://{host}:{port}: {len(search.index):,} images; stop with Ctrl-C")
        auth = (user, password) if user and password else None
        serve_page(explorer, address, auth, max_megabytes)
