"""serve: an index -> a page in the browser to search by image."""

import os
import signal
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from replearn.concepts.table import read_names
from replearn.console import say
from replearn.detection.detector import load_detector
from replearn.errors import UsageError
from replearn.features import Features
from replearn.retrieval.explorer import Explorer
from replearn.retrieval.image_search import ImageSearch


def serve(
    index_folder: Annotated[Path, typer.Argument(metavar="INDEX", help="Folder of an index.")],
    encoder: Annotated[
        Path | None, typer.Option(help="The encoder, if it no longer lies where it did.")
    ] = None,
    detector: Annotated[Path | None, typer.Option(help="Detector of concepts.")] = None,
    images: Annotated[
        Path | None, typer.Option(help="The indexed images, if they no longer lie there.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="What the index was made of: for either metric, and errors."),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="What concepts are called: concept TAB name lines.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen at.")] = 7860,
    user: Annotated[str | None, typer.Option(help="Ask for this user and a password.")] = None,
    password: Annotated[
        str | None,
        typer.Option(envvar="REPLEARN_PASSWORD", help="With --user; better as a variable."),
    ] = None,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Largest file to upload.")] = 20,
) -> None:
    """Open a page to search by image; it listens on this machine alone unless told otherwise.

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
    # A service is stopped by SIGTERM: end as by Ctrl-C, and leave no files.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="replearn-") as temporary:
        # Before gradio is imported: uploads and pictures lie there and go with it.
        os.environ["GRADIO_TEMP_DIR"] = temporary
        try:
            from replearn.retrieval.page import serve_page
        except ImportError:
            raise UsageError("serve needs gradio; pip install 'replearn[app]'")
        say(f"http://{host}:{port}: {len(search.index):,} images; stop with Ctrl-C")
        auth = (user, password) if user and password else None
        serve_page(explorer, host, port, auth, max_megabytes)
