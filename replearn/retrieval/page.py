"""The search page: what `explorer` answers, as a page for a browser (gradio, the extra `app`)."""

import os
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from markupsafe import Markup

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
from replearn.errors import DataError, UsageError
from replearn.images.decoding import UnreadableImage
from replearn.retrieval.cards import Answers, portrait, sentence
from replearn.retrieval.explorer import Explorer, Query

FONTS = ["system-ui", "sans-serif"]
# Whatever a library may try, the browser fetches nothing from elsewhere.
HEAD = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self' 'unsafe-inline' "
    "'unsafe-eval' data: blob:; connect-src 'self' ws: wss:\">"
)
_STYLE = Path(__file__).with_name("app.css")
_EXAMPLES = 8
# So many answers are made at the same time, for they are searched for together; who asks waits in
# one line, whatever is query.
_ANSWERS = 10
_LINE: Any = {"concurrency_id": "answers", "concurrency_limit": _ANSWERS}
_SESSIONS = 200  # that are remembered; ended ones count too
_KEPT = (60, 300)  # seconds: every minute, what was uploaded five minutes ago is removed

# What was chosen goes to the handler by its id, whether by mouse, finger or key.
_CHOOSE = """element.addEventListener('click', event => {
  const card = event.target.closest('button[data-id]');
  if (card) trigger('click', {id: card.dataset.id});
});"""
_START = "Drop an image, or choose an example."


async def _fetch_nothing(url: str, **_: Any) -> str:
    message = "An address is not fetched; upload the image itself."
    raise gr.Error(message, print_exception=False)


# What takes the address of an image for an upload, and would make the machine ask for it.
gr.processing_utils.async_ssrf_protected_download = _fetch_nothing


class Page:
    """The page's handlers; what a user asked about lies in that user's session."""

    def __init__(self, explorer: Explorer) -> None:
        """Show what this explorer answers."""
        self.explorer, self.answers = explorer, Answers(explorer)

    def file(self, path: str | None, k: int, metric: str) -> tuple[Any, ...]:
        """Ask about an uploaded file.

        It stays for some minutes: two users who upload the same bytes share one file.
        """
        if path is None:
            return self._nothing(_START)
        name = Path(path).name
        try:
            query = self.explorer.about_file(name, Path(path).read_bytes())
            return self.answer(query, k, metric)
        except FileNotFoundError:
            return self._nothing(f"{name} was uploaded too long ago; upload it again.")
        except UnreadableImage as error:
            return self._nothing(f"{name} cannot be read: {error}.")
        except (DataError, UsageError) as error:
            return self._nothing(f"New images cannot be searched for: {error}.")

    def chosen(self, k: int, metric: str, event: gr.EventData) -> tuple[Any, ...]:
        """Ask about an indexed image by its id; there is no other way to name one."""
        try:
            return self.answer(self.explorer.about_id(str(event.id)), k, metric)
        except DataError as error:
            return self._nothing(f"{error}.")

    def answer(self, query: Query | None, k: int, metric: str) -> tuple[Any, ...]:
        """Return everything that the page shows about an image."""
        if query is None:
            return self._nothing(_START)
        hits = self.explorer.nearest(query, int(k), metric)
        ids = [hit["id"] for hit in hits]
        notes = [f"{rank}. distance {hit['distance']:.4f}" for rank, hit in enumerate(hits, 1)]
        return (
            query,
            Markup(
                '<p role="status">The {} images nearest to <b>{}</b>, nearest first.</p>'
            ).format(len(hits), query.said),
            portrait(query),
            self.answers.detected(query),
            self.answers.cards(ids, notes),
            gr.Dropdown(choices=ids, value=ids[0] if ids else None),
        )

    def _nothing(self, message: str) -> tuple[Any, ...]:
        return None, sentence(message), "", "", "", gr.Dropdown(choices=[], value=None)


def build(explorer: Explorer) -> gr.Blocks:
    """Return the page."""
    page = Page(explorer)
    with gr.Blocks(title="replearn search", analytics_enabled=False, delete_cache=_KEPT) as blocks:
        gr.HTML(
            Markup("<h1>Search by image</h1><p>{} images are indexed.</p>").format(
                f"{len(explorer.search.index):,}"
            )
        )
        query = gr.State(None)
        other = gr.Dropdown(label="Second image", choices=[], render=False)
        with gr.Tabs() as tabs:
            with gr.Tab("Search", id="search"):
                controls, outputs = _search_tab(page, query, other)
            with gr.Tab("Concepts"):
                shown = _concept_tab(page)
            with gr.Tab("Between images") as between:
                _way_tab(page, query, other, between)
        shown.click(page.chosen, controls, outputs, **_LINE).then(
            lambda: gr.Tabs(selected="search"), None, tabs
        )
    return blocks


def _search_tab(
    page: Page, query: gr.State, other: gr.Dropdown
) -> tuple[list[gr.Component], list[gr.Component]]:
    """Fill the tab and return the controls of a search and what shows its result."""
    explorer = page.explorer
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = gr.File(label="Your image", type="filepath", elem_id="upload", height=140)
            seen = gr.HTML(elem_id="seen", apply_default_css=False)
            k = gr.Slider(1, min(60, len(explorer.search.index)), 12, step=1, label="How many")
            metric = gr.Radio(
                explorer.metrics,
                value=explorer.metrics[0],
                label="Distance",
                visible=len(explorer.metrics) > 1,
            )
            ids = explorer.search.index.ids
            examples = page.answers.cards([ids[row] for row in evenly_spaced(len(ids), _EXAMPLES)])
            gr.HTML("<h2>Examples</h2>", apply_default_css=False)
            shelf = _choice(examples, "examples")
        with gr.Column(scale=3, min_width=300):
            said = gr.HTML(sentence(_START), elem_id="said", apply_default_css=False)
            concepts = gr.HTML(elem_id="detected", apply_default_css=False)
            hits = _choice("", "hits")
    outputs = [query, said, seen, concepts, hits, other]
    upload.change(page.file, [upload, k, metric], outputs, **_LINE)
    for cards in (shelf, hits):
        cards.click(page.chosen, [k, metric], outputs, **_LINE)
    k.change(page.answer, [query, k, metric], outputs, **_LINE)
    metric.input(page.answer, [query, k, metric], outputs, **_LINE)
    return [k, metric], outputs


def _choice(value: str, name: str) -> gr.HTML:
    """Return cards to choose one of."""
    return gr.HTML(value, js_on_load=_CHOOSE, elem_id=name, apply_default_css=False)


def _concept_tab(page: Page) -> gr.HTML:
    """Fill the tab and return the cards to choose from."""
    explorer = page.explorer
    counted = [
        (f"{explorer.search.called([concept])[0]} ({count:,})", concept)
        for concept, count in explorer.counts.most_common()
    ]
    if not counted:
        return _choice(
            sentence("The index knows no concepts; build it with --concepts."), "of-concept"
        )
    chosen = gr.Dropdown(counted, value=None, label="Concept", elem_id="concept")
    shown = _choice("", "of-concept")
    chosen.input(page.answers.concept, chosen, shown, **_LINE)
    return shown


def _way_tab(page: Page, query: gr.State, other: gr.Dropdown, tab: gr.Tab) -> None:
    other.render()
    percent = gr.Slider(0, 100, 50, step=5, label="Way from the image to the second, in %")
    shown = gr.HTML(elem_id="way", apply_default_css=False)
    # Not at a change of `other`: every search is one.
    for event in (tab.select, other.input, percent.change):
        event(page.answers.way, [query, other, percent], shown, **_LINE)


def run(
    explorer: Explorer, host: str, port: int, auth: tuple[str, str] | None, max_megabytes: int
) -> None:
    """Serve the page until it is stopped.

    Raises:
        UsageError: the port is taken.
    """
    try:
        page = build(explorer)
        page.launch(
            max_threads=_ANSWERS,
            state_session_capacity=_SESSIONS,
            prevent_thread_lock=True,
            server_name=host,
            server_port=port,
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
        raise UsageError(f"--port {port}: {error}; take another") from None
    # Only now that the page is up: who asks first then waits less.
    Thread(target=_warm, args=[explorer], daemon=True).start()
    page.block_thread()


def _warm(explorer: Explorer) -> None:
    """Load the encoder and read the index once."""
    with suppress(DataError, UsageError):  # told to who asks; indexed images need no encoder
        search = explorer.search
        form = search.encoder.description
        dark = np.zeros((form.channels, form.size, form.size), np.uint8)
        search.nearest(search.embed([dark]), 1)
