"""The search page for a browser, around an `Explorer` (gradio, the extra `app`)."""

import os
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from markupsafe import Markup

# To import a module must not set the process up for others.  This one may: only `serve` imports it,
# and that process is the page's own.
# Before gradio is imported: otherwise it asks its makers for news, keeps questions and answers in
# each user's browser, and sums up all earlier questions after every one.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_RUN_HISTORY"] = "False"
os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(10**9)
# Else the first answer waits until gradio has looked for a way to draw.
os.environ.setdefault("MPLBACKEND", "agg")
import gradio as gr
import numpy as np

from replearn.artefacts.disk_rows import evenly_spaced
from replearn.errors import DataError, UsageError, brief
from replearn.images.picture import UnreadableImage
from replearn.neighbors.engine import Metric
from replearn.retrieval.address import Address
from replearn.retrieval.cards import (
    concept_section,
    detection_table,
    image_cards,
    interpolation_strip,
    query_image,
    status,
)
from replearn.retrieval.explorer import Explorer
from replearn.retrieval.image_search import Query

FONTS = ["system-ui", "sans-serif"]
# Whatever a library may try, the browser fetches nothing from elsewhere.
HEAD = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self' 'unsafe-inline' "
    "'unsafe-eval' data: blob:; connect-src 'self' ws: wss:\">"
)
_STYLE = Path(__file__).with_name("page.css")
_EXAMPLES = 8
# So many requests are answered at the same time, for the index searches them in one batch; all
# kinds of requests wait in one queue.
_CONCURRENT = 10
_QUEUE: Any = {"concurrency_id": "answers", "concurrency_limit": _CONCURRENT}
_SESSIONS = 200  # that are remembered; ended ones count too
_CLEAN_UP = (60, 300)  # seconds: every minute, files of five minutes ago are removed

# A click on a card, by mouse, finger or key, goes to the handler with the id of the card.
_ON_CLICK = """element.addEventListener('click', event => {
  const card = event.target.closest('button[data-id]');
  if (card) trigger('click', {id: card.dataset.id});
});"""
_PROMPT = "Drop an image, or choose an example."


async def _fetch_nothing(url: str, **_: Any) -> str:
    message = "An address is not fetched; upload the image itself."
    raise gr.Error(message, print_exception=False)


# The function with which gradio would fetch the address of an image that is given as an upload.
gr.processing_utils.async_ssrf_protected_download = _fetch_nothing


class Handlers:
    """The handlers of the page's events; a user's query lies in that user's session."""

    def __init__(self, explorer: Explorer) -> None:
        """Handle events of a page around this explorer."""
        self.explorer = explorer

    def search_file(self, path: str | None, k: int, metric: Metric) -> tuple[Any, ...]:
        """Search for an uploaded file.

        It stays for some minutes: two users who upload the same bytes share one file.
        """
        if path is None:
            return self._nothing(_PROMPT)
        name = Path(path).name
        try:
            query = self.explorer.query_file(name, Path(path).read_bytes())
            return self.search(query, k, metric)
        except FileNotFoundError:
            return self._nothing(f"{name} was uploaded too long ago; upload it again.")
        except UnreadableImage as error:
            return self._nothing(f"{name} cannot be read: {error}.")
        except (DataError, UsageError) as error:
            return self._nothing(f"New images cannot be searched for: {error}.")

    def search_text(self, text: str, k: int, metric: Metric) -> tuple[Any, ...]:
        """Search for images that show what a text says."""
        if not text.strip():
            return self._nothing(_PROMPT)
        try:
            return self.search(self.explorer.query_text(text.strip()), k, metric)
        except (DataError, UsageError) as error:
            return self._nothing(f"Texts cannot be searched for: {error}.")

    def search_id(self, k: int, metric: Metric, event: gr.EventData) -> tuple[Any, ...]:
        """Search for the indexed image whose card was clicked."""
        try:
            return self.search(self.explorer.query_id(str(event.id)), k, metric)
        except DataError as error:
            return self._nothing(f"{error}.")

    def search(self, query: Query | None, k: int, metric: Metric) -> tuple[Any, ...]:
        """Return everything that the page shows about an image."""
        if query is None:
            return self._nothing(_PROMPT)
        hits = self.explorer.nearest(query, int(k), metric)
        ids = [hit.id for hit in hits]
        notes = [f"{rank}. distance {hit.distance:.4f}" for rank, hit in enumerate(hits, 1)]
        return (
            query,
            Markup(
                '<p role="status">The {} images nearest to <b>{}</b>, nearest first.</p>'
            ).format(len(hits), query.name),
            query_image(query),
            detection_table(self.explorer, query),
            image_cards(self.explorer, ids, notes),
            gr.Dropdown(choices=ids, value=ids[0] if ids else None),
        )

    def _nothing(self, message: str) -> tuple[Any, ...]:
        return None, status(message), "", "", "", gr.Dropdown(choices=[], value=None)

    def show_concept(self, concept: str | None) -> Markup:
        """Return everything that the page shows about a concept."""
        return concept_section(self.explorer, concept)

    def interpolate(self, query: Query | None, other: str | None, percent: float) -> Markup:
        """Return images decoded between the query and an indexed image."""
        return interpolation_strip(self.explorer, query, other, percent)


def build_page(explorer: Explorer) -> gr.Blocks:
    """Return the page."""
    handlers = Handlers(explorer)
    with gr.Blocks(
        title="replearn search", analytics_enabled=False, delete_cache=_CLEAN_UP
    ) as blocks:
        gr.HTML(
            Markup("<h1>Search by image</h1><p>{} images are indexed.</p>").format(
                f"{len(explorer.ids):,}"
            )
        )
        query = gr.State(None)
        other = gr.Dropdown(label="Second image", choices=[], render=False)
        with gr.Tabs() as tabs:
            with gr.Tab("Search", id="search"):
                controls, outputs = _search_tab(handlers, query, other)
            with gr.Tab("Concepts"):
                cards = _concept_tab(handlers)
            with gr.Tab("Between images") as between:
                _interpolation_tab(handlers, query, other, between)
        cards.click(handlers.search_id, controls, outputs, **_QUEUE).then(
            lambda: gr.Tabs(selected="search"), None, tabs
        )
    return blocks


def _search_tab(
    handlers: Handlers, query: gr.State, other: gr.Dropdown
) -> tuple[list[gr.Component], list[gr.Component]]:
    """Fill the tab and return the controls of a search and the components of its result."""
    explorer = handlers.explorer
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = gr.File(label="Your image", type="filepath", elem_id="upload", height=140)
            text = gr.Textbox(
                label="Or a text",
                placeholder="pleural effusion",
                max_lines=1,
                elem_id="text",
                visible=explorer.search.may_know_texts,
            )
            seen = gr.HTML(elem_id="query-image", apply_default_css=False)
            k = gr.Slider(1, min(60, len(explorer.ids)), 12, step=1, label="How many")
            metric = gr.Radio(
                explorer.metrics,
                value=explorer.metrics[0],
                label="Distance",
                visible=len(explorer.metrics) > 1,
            )
            rows = evenly_spaced(len(explorer.ids), _EXAMPLES)
            examples = image_cards(explorer, [explorer.ids[row] for row in rows])
            gr.HTML("<h2>Examples</h2>", apply_default_css=False)
            example_cards = _clickable(examples, "examples")
        with gr.Column(scale=3, min_width=300):
            message = gr.HTML(status(_PROMPT), elem_id="message", apply_default_css=False)
            concepts = gr.HTML(elem_id="detected", apply_default_css=False)
            hit_cards = _clickable("", "hits")
    outputs = [query, message, seen, concepts, hit_cards, other]
    upload.change(handlers.search_file, [upload, k, metric], outputs, **_QUEUE)
    text.submit(handlers.search_text, [text, k, metric], outputs, **_QUEUE)
    for cards in (example_cards, hit_cards):
        cards.click(handlers.search_id, [k, metric], outputs, **_QUEUE)
    k.change(handlers.search, [query, k, metric], outputs, **_QUEUE)
    metric.input(handlers.search, [query, k, metric], outputs, **_QUEUE)
    return [k, metric], outputs


def _clickable(value: str, name: str) -> gr.HTML:
    """Return a component of cards that can be clicked."""
    return gr.HTML(value, js_on_load=_ON_CLICK, elem_id=name, apply_default_css=False)


def _concept_tab(handlers: Handlers) -> gr.HTML:
    """Fill the tab and return its cards."""
    counts = handlers.explorer.concept_counts.most_common()
    if not counts:
        return _clickable(
            status("The index knows no concepts; build it with --concepts."), "of-concept"
        )
    names = handlers.explorer.search.names_of([concept for concept, _ in counts])
    choices = [
        (f"{name} ({count:,})", concept)
        for name, (concept, count) in zip(names, counts, strict=True)
    ]
    dropdown = gr.Dropdown(choices, value=None, label="Concept", elem_id="concept")
    cards = _clickable("", "of-concept")
    dropdown.input(handlers.show_concept, dropdown, cards, **_QUEUE)
    return cards


def _interpolation_tab(
    handlers: Handlers, query: gr.State, other: gr.Dropdown, tab: gr.Tab
) -> None:
    other.render()
    percent = gr.Slider(0, 100, 50, step=5, label="Way from the image to the second, in %")
    strip = gr.HTML(elem_id="interpolation", apply_default_css=False)
    # Not at a change of `other`: every search is one.
    for event in (tab.select, other.input, percent.change):
        event(handlers.interpolate, [query, other, percent], strip, **_QUEUE)


def serve_page(
    explorer: Explorer, address: Address, auth: tuple[str, str] | None, max_megabytes: int
) -> None:
    """Serve the page until it is stopped.

    Raises:
        UsageError: it cannot listen at the address, see `Address.check`.
    """
    page = build_page(explorer)
    try:
        page.launch(
            max_threads=_CONCURRENT,
            state_session_capacity=_SESSIONS,
            prevent_thread_lock=True,
            server_name=address.host,
            server_port=address.port,
            root_path=address.root_path,
            auth=auth,
            max_file_size=max_megabytes * 2**20,
            theme=gr.themes.Base(font=FONTS, font_mono=["monospace"]),
            css_paths=[_STYLE],
            head=HEAD,
            footer_links=[],
            share=False,
            ssr_mode=False,
            enable_monitoring=False,
            quiet=True,
        )
    except OSError as error:
        raise UsageError(f"--port {address.port}: {brief(error)}; give another") from None
    # Only now that the page is up; the first search then waits less.
    Thread(target=_warm_up, args=[explorer], daemon=True).start()
    page.block_thread()


def _warm_up(explorer: Explorer) -> None:
    """Load the encoder and read the index once."""
    # An error is shown to the first user who searches; indexed images need no encoder.
    with suppress(DataError, UsageError):
        search = explorer.search
        form = search.encoder.description
        black = np.zeros((form.channels, form.size, form.size), np.uint8)
        search.nearest(search.queries_of_pixels(["black"], [black]), 1)
