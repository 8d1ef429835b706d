"""HTML fragments of the search page: image cards, detected concepts, interpolations.

Pictures are inside it, so that no address exists under which one could be asked for.
"""

from collections.abc import Sequence

from markupsafe import Markup

from replearn.arrays import Pixels
from replearn.errors import DataError, UsageError
from replearn.images.data_url import image_url
from replearn.retrieval.explorer import ConceptScore, Explorer, Query


class Answers:
    """The answers of a explorer."""

    def __init__(self, explorer: Explorer) -> None:
        """Show what this explorer answers."""
        self.explorer = explorer

    def cards(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Markup:
        """Return indexed images as buttons, each with its concepts and a note."""
        try:
            found = self.explorer.search.lookup.pixels_of(ids)
        except (DataError, UsageError):
            found = {}  # ids and concepts say enough
        filled = [*notes, *[""] * (len(ids) - len(notes))]
        made = (self._card(i, found.get(i), n) for i, n in zip(ids, filled, strict=True))
        return Markup('<ul class="cards">{}</ul>').format(Markup().join(made))

    def _card(self, id_: str, pixels: Pixels | None, note: str) -> Markup:
        search = self.explorer.search
        names = search.called(search.concepts_at(search.index.rows[id_]))
        return Markup(
            '<li><button type="button" data-id="{}">{}<b>{}</b> <span>{}</span> <em>{}</em>'
            "</button></li>"
        ).format(id_, _picture(pixels, ""), id_, note, ", ".join(names))

    def detected(self, query: Query) -> Markup:
        """Return the table of detected concepts, or why there is none."""
        detector = self.explorer.detector
        if detector is None:
            return Markup()
        if not query.exact:
            return Markup("<p>{}</p>").format(
                "This index keeps directions alone; start with --features to detect concepts of "
                "indexed images."
            )
        rows = Markup().join(self._bar(n, detector.threshold) for n in self.explorer.detect(query))
        caption = (
            f"Concepts, the likeliest first; the line is the threshold {detector.threshold:.2f}"
        )
        return Markup(
            '<table class="concepts"><caption>{}</caption><tbody>{}</tbody></table>'
        ).format(caption, rows)

    def _bar(self, found: ConceptScore, threshold: float) -> Markup:
        name = self.explorer.search.called([found.concept])[0]
        share, mark = (100 * min(value, 1.0) for value in (found.score, threshold))
        return Markup(
            '<tr class="{0}"><th scope="row">{1}</th><td class="bar"><i style="width:{2:.1f}%"></i>'
            '<s style="left:{3:.1f}%"></s></td><td>{4:.2f}</td><td>{0}</td></tr>'
        ).format("named" if found.named else "", name, share, mark, found.score)

    def concept(self, concept: str | None) -> Markup:
        """Return images of a concept, and the detector's most confident errors about it."""
        if concept is None:
            return Markup()
        parts = [("Images that show it", self.explorer.showing(concept))]
        if self.explorer.detector is None or self.explorer.features is None:
            said = "Start with --detector and --features to see the detector's errors."
        else:
            wrong, missed = self.explorer.errors(concept)
            parts += [("Named with most confidence, but not there", wrong)]
            parts += [("There, but missed with most confidence", missed)]
            said = "" if wrong or missed else "The detector makes no error about it here."
        shown = (
            Markup("<h2>{}</h2>{}").format(title, self.cards(ids)) for title, ids in parts if ids
        )
        return Markup().join(shown) + Markup("<p>{}</p>").format(said)

    def way(self, query: Query | None, other: str | None, percent: float) -> Markup:
        """Return two images, what they are decoded to, and a place on the way between them."""
        if query is None or other is None:
            return sentence("Search for an image first; this shows the way from it to another.")
        second = self.explorer.about_id(other).pixels
        if query.pixels is None or second is None:
            return sentence("The images are not where they were; start with --images.")
        way = self.explorer.between(query.pixels, second)
        if not way:
            return sentence("This encoder cannot decode.")
        decoded = way[1:-1]
        shown = [
            (way[0], query.said),
            (decoded[0], f"{query.said}, decoded"),
            (decoded[round(percent / 100 * (len(decoded) - 1))], f"{percent:.0f} % of the way"),
            (decoded[-1], f"{other}, decoded"),
            (way[-1], other),
        ]
        figures = Markup().join(
            Markup("<li>{}<span>{}</span></li>").format(_image(picture, ""), text)
            for picture, text in shown
        )
        return Markup('<ul class="cards">{}</ul>').format(figures)


def sentence(text: str) -> Markup:
    """Return a sentence that is read out when it appears."""
    return Markup('<p role="status">{}</p>').format(text)


def portrait(query: Query) -> Markup:
    """Return the query image, if it is there."""
    if query.pixels is None:
        return Markup("<p>{}</p>").format("The image is not where it was.")
    return _picture(query.pixels, f"{query.said} as the encoder sees it")


def _picture(pixels: Pixels | None, alt: str) -> Markup:
    return Markup() if pixels is None else _image(pixels.transpose(1, 2, 0), alt)


def _image(picture: Pixels, alt: str) -> Markup:
    """Return a picture uint8 [H, W, 1 or 3]; where its text stands beside it, `alt` is empty."""
    return Markup('<img src="{}" alt="{}">').format(image_url(picture), alt)
