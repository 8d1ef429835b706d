"""The search page: what `desk` answers, as a page for a browser (gradio, the extra `app`)."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

from markupsafe import Markup

# Before gradio is imported: it asks its makers for news otherwise.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr

from replearn.desk import Asked, Desk, Named, spread
from replearn.errors import DataError, UsageError
from replearn.images import UnreadableImage
from replearn.inline import image_url
from replearn.search import Pixels

FONTS = ["system-ui", "sans-serif"]
# Whatever a library may try, the browser fetches nothing from elsewhere.
HEAD = (
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'self' 'unsafe-inline' "
    "'unsafe-eval' data: blob:; connect-src 'self' ws: wss:\">"
)
_STYLE = Path(__file__).with_name("app.css")
_EXAMPLES = 8
_KEPT = (60, 300)  # seconds: every minute, what was uploaded five minutes ago is removed
STEPS = 9  # from one image to another


# What was chosen goes to the handler by its id, whether by mouse, finger or key.
_CHOOSE = """element.addEventListener('click', event => {
  const card = event.target.closest('button[data-id]');
  if (card) trigger('click', {id: card.dataset.id});
});"""
_START = "Drop an image, or choose an example."


class Page:
    """The page's handlers; what a user asked about lies in that user's session."""

    def __init__(self, desk: Desk) -> None:
        """Show what this desk answers."""
        self.desk = desk

    def file(self, path: str | None, k: int, metric: str) -> tuple[Any, ...]:
        """Ask about an uploaded file.

        It stays for some minutes: two users who upload the same bytes share one file.
        """
        if path is None:
            return self._nothing(_START)
        name = Path(path).name
        try:
            asked = self.desk.about_file(name, Path(path).read_bytes())
            return self.answer(asked, k, metric)
        except FileNotFoundError:
            return self._nothing(f"{name} was uploaded too long ago; upload it again.")
        except UnreadableImage as error:
            return self._nothing(f"{name} cannot be read: {error}.")
        except (DataError, UsageError) as error:
            return self._nothing(f"New images cannot be asked about: {error}.")

    def chosen(self, k: int, metric: str, event: gr.EventData) -> tuple[Any, ...]:
        """Ask about an indexed image by its id; there is no other way to name one."""
        try:
            return self.answer(self.desk.about_id(str(event.id)), k, metric)
        except DataError as error:
            return self._nothing(f"{error}.")

    def answer(self, asked: Asked | None, k: int, metric: str) -> tuple[Any, ...]:
        """Return everything that the page shows about an image."""
        if asked is None:
            return self._nothing(_START)
        hits = self.desk.nearest(asked, int(k), metric)
        ids = [hit["id"] for hit in hits]
        notes = [f"{rank}. distance {hit['distance']:.4f}" for rank, hit in enumerate(hits, 1)]
        return (
            asked,
            Markup(
                '<p role="status">The {} images nearest to <b>{}</b>, nearest first.</p>'
            ).format(len(hits), asked.said),
            _seen(asked),
            self._detected(asked),
            self.cards(ids, notes),
            gr.Dropdown(choices=ids, value=ids[0] if ids else None),
        )

    def _nothing(self, message: str) -> tuple[Any, ...]:
        return None, _said(message), "", "", "", gr.Dropdown(choices=[], value=None)

    def cards(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Markup:
        """Return indexed images as buttons, each with its concepts and a note."""
        try:
            found = self.desk.search.pictures(ids)
        except (DataError, UsageError):
            found = {}  # ids and concepts say enough
        filled = [*notes, *[""] * (len(ids) - len(notes))]
        made = (self._card(i, found.get(i), n) for i, n in zip(ids, filled, strict=True))
        return Markup('<ul class="cards">{}</ul>').format(Markup().join(made))

    def _card(self, id_: str, pixels: Pixels | None, note: str) -> Markup:
        search = self.desk.search
        names = search.called(search.concepts_at(search.index.rows[id_]))
        return Markup(
            '<li><button type="button" data-id="{}">{}<b>{}</b> <span>{}</span> <em>{}</em>'
            "</button></li>"
        ).format(id_, _picture(pixels, ""), id_, note, ", ".join(names))

    def _detected(self, asked: Asked) -> Markup:
        """Return the table of detected concepts, or why there is none."""
        detector = self.desk.detector
        if detector is None:
            return Markup()
        if not asked.exact:
            return Markup("<p>{}</p>").format(
                "This index keeps directions alone; start with --features to detect concepts of "
                "indexed images."
            )
        rows = Markup().join(self._bar(n, detector.threshold) for n in self.desk.detect(asked))
        caption = (
            f"Concepts, the likeliest first; the line is the threshold {detector.threshold:.2f}"
        )
        return Markup(
            '<table class="concepts"><caption>{}</caption><tbody>{}</tbody></table>'
        ).format(caption, rows)

    def _bar(self, found: Named, threshold: float) -> Markup:
        name = self.desk.search.called([found.concept])[0]
        share, mark = (100 * min(value, 1.0) for value in (found.score, threshold))
        return Markup(
            '<tr class="{0}"><th scope="row">{1}</th><td class="bar"><i style="width:{2:.1f}%"></i>'
            '<s style="left:{3:.1f}%"></s></td><td>{4:.2f}</td><td>{0}</td></tr>'
        ).format("named" if found.named else "", name, share, mark, found.score)

    def concept(self, concept: str | None) -> Markup:
        """Return images of a concept, and the detector's most confident errors about it."""
        if concept is None:
            return Markup()
        parts = [("Images that show it", self.desk.showing(concept))]
        if self.desk.detector is None or self.desk.features is None:
            said = "Start with --detector and --features to see the detector's errors."
        else:
            wrong, missed = self.desk.errors(concept)
            parts += [("Named with most confidence, but not there", wrong)]
            parts += [("There, but missed with most confidence", missed)]
            said = "" if wrong or missed else "The detector makes no error about it here."
        shown = (
            Markup("<h2>{}</h2>{}").format(title, self.cards(ids)) for title, ids in parts if ids
        )
        return Markup().join(shown) + Markup("<p>{}</p>").format(said)

    def way(self, asked: Asked | None, other: str | None, step: int) -> Markup:
        """Return two images, what they are decoded to, and a place on the way between them."""
        if asked is None or other is None:
            return _said("Search for an image first; this shows the way from it to another.")
        second = self.desk.about_id(other).pixels
        if asked.pixels is None or second is None:
            return _said("The images are not where they were; start with --images.")
        made, way = self.desk.between(asked.pixels, second)
        if not way:
            return _said("This encoder cannot decode.")
        place = int(step)
        shown = [
            (way[0], f"{asked.said}"),
            (made[0], f"{asked.said}, decoded"),
            (way[place], f"on the way, {place} of {STEPS}"),
            (made[1], f"{other}, decoded"),
            (way[-1], other),
        ]
        figures = Markup().join(
            Markup("<li>{}<span>{}</span></li>").format(_image(picture, ""), text)
            for picture, text in shown
        )
        return Markup('<ul class="cards">{}</ul>').format(figures)


def _said(text: str) -> Markup:
    return Markup('<p role="status">{}</p>').format(text)


def _seen(asked: Asked) -> Markup:
    if asked.pixels is None:
        return Markup("<p>{}</p>").format("The image is not where it was.")
    return _picture(asked.pixels, f"{asked.said} as the encoder sees it")


def _picture(pixels: Pixels | None, alt: str) -> Markup:
    return Markup() if pixels is None else _image(pixels.transpose(1, 2, 0), alt)


def _image(picture: Pixels, alt: str) -> Markup:
    """Return a picture uint8 [H, W, 1 or 3]; where its text stands beside it, `alt` is empty."""
    return Markup('<img src="{}" alt="{}">').format(image_url(picture), alt)


def build(desk: Desk) -> gr.Blocks:
    """Return the page."""
    page = Page(desk)
    with gr.Blocks(title="replearn search", analytics_enabled=False, delete_cache=_KEPT) as blocks:
        gr.HTML(
            Markup("<h1>Search by image</h1><p>{} images are indexed.</p>").format(
                f"{len(desk.search.index):,}"
            )
        )
        asked = gr.State(None)
        other = gr.Dropdown(label="Second image", choices=[], render=False)
        with gr.Tabs() as tabs:
            with gr.Tab("Search", id="search"):
                controls, outputs = _search_tab(page, asked, other)
            with gr.Tab("Concepts"):
                shown = _concept_tab(page)
            with gr.Tab("Between images"):
                _way_tab(page, asked, other)
        shown.click(page.chosen, controls, outputs).then(
            lambda: gr.Tabs(selected="search"), None, tabs
        )
    return blocks


def _search_tab(
    page: Page, asked: gr.State, other: gr.Dropdown
) -> tuple[list[gr.Component], list[gr.Component]]:
    """Fill the tab and return the controls of a search and what shows its result."""
    desk = page.desk
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = gr.File(label="Your image", type="filepath", elem_id="upload", height=140)
            seen = gr.HTML(elem_id="seen", apply_default_css=False)
            k = gr.Slider(1, min(60, len(desk.search.index)), 12, step=1, label="How many")
            metric = gr.Radio(
                desk.metrics, value=desk.metrics[0], label="Distance", visible=len(desk.metrics) > 1
            )
            examples = page.cards(spread(desk.search.index.ids, _EXAMPLES))
            gr.HTML("<h2>Examples</h2>", apply_default_css=False)
            shelf = _choice(examples, "examples")
        with gr.Column(scale=3, min_width=300):
            said = gr.HTML(_said(_START), elem_id="said", apply_default_css=False)
            concepts = gr.HTML(elem_id="detected", apply_default_css=False)
            hits = _choice("", "hits")
    outputs = [asked, said, seen, concepts, hits, other]
    upload.change(page.file, [upload, k, metric], outputs)
    for cards in (shelf, hits):
        cards.click(page.chosen, [k, metric], outputs)
    k.change(page.answer, [asked, k, metric], outputs)
    metric.input(page.answer, [asked, k, metric], outputs)
    return [k, metric], outputs


def _choice(value: str, name: str) -> gr.HTML:
    """Return cards to choose one of."""
    return gr.HTML(value, js_on_load=_CHOOSE, elem_id=name, apply_default_css=False)


def _concept_tab(page: Page) -> gr.HTML:
    """Fill the tab and return the cards to choose from."""
    desk = page.desk
    counted = [
        (f"{desk.search.called([concept])[0]} ({count:,})", concept)
        for concept, count in desk.counts.most_common()
    ]
    if not counted:
        return _choice(
            _said("The index knows no concepts; build it with --concepts."), "of-concept"
        )
    chosen = gr.Dropdown(counted, value=None, label="Concept", elem_id="concept")
    shown = _choice("", "of-concept")
    chosen.input(page.concept, chosen, shown)
    return shown


def _way_tab(page: Page, asked: gr.State, other: gr.Dropdown) -> None:
    other.render()
    step = gr.Slider(0, STEPS, STEPS // 2, step=1, label="Way from the image to the second")
    start = page.way(None, None, 0)
    shown = gr.HTML(start, elem_id="way", apply_default_css=False)
    for event in (other.change, step.change):
        event(page.way, [asked, other, step], shown)


def run(desk: Desk, host: str, port: int, auth: tuple[str, str] | None, max_megabytes: int) -> None:
    """Serve the page until it is stopped.

    Raises:
        UsageError: the port is taken.
    """
    try:
        page = build(desk).queue(default_concurrency_limit=4)
        page.launch(
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
    # Only now that the page is up: who asks first then waits less for the encoder.
    Thread(target=_warm, args=[desk], daemon=True).start()
    page.block_thread()


def _warm(desk: Desk) -> None:
    with suppress(DataError, UsageError):  # told to who asks; indexed images need no encoder
        _ = desk.search.encoder
