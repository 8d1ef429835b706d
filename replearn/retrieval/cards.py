"""What the desk answers as HTML: cards to choose from, detected concepts, the way between images.

Pictures are inside it, so that no address exists under which one could be asked for.
"""

from collections.abc import Sequence

from markupsafe import Markup

from replearn.errors import DataError, UsageError
from replearn.images.data_url import image_url
from replearn.images.lookup import Pixels
from replearn.retrieval.explorer import Asked, Desk, Named


class Answers:
    """The answers of a desk."""

    def __init__(self, desk: Desk) -> None:
        """Show what this desk answers."""
        self.desk = desk

    def cards(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Markup:
        """Return indexed images as buttons, each with its concepts and a note."""
        try:
            found = self.desk.search.album.pictures(ids)
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

    def detected(self, asked: Asked) -> Markup:
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

    def way(self, asked: Asked | None, other: str | None, percent: float) -> Markup:
        """Return two images, what they are decoded to, and a place on the way between them."""
        if asked is None or other is None:
            return sentence("Search for an image first; this shows the way from it to another.")
        second = self.desk.about_id(other).pixels
        if asked.pixels is None or second is None:
            return sentence("The images are not where they were; start with --images.")
        way = self.desk.between(asked.pixels, second)
        if not way:
            return sentence("This encoder cannot decode.")
        decoded = way[1:-1]
        shown = [
            (way[0], asked.said),
            (decoded[0], f"{asked.said}, decoded"),
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


def portrait(asked: Asked) -> Markup:
    """Return an image that was asked about, if it is there."""
    if asked.pixels is None:
        return Markup("<p>{}</p>").format("The image is not where it was.")
    return _picture(asked.pixels, f"{asked.said} as the encoder sees it")


def _picture(pixels: Pixels | None, alt: str) -> Markup:
    return Markup() if pixels is None else _image(pixels.transpose(1, 2, 0), alt)


def _image(picture: Pixels, alt: str) -> Markup:
    """Return a picture uint8 [H, W, 1 or 3]; where its text stands beside it, `alt` is empty."""
    return Markup('<img src="{}" alt="{}">').format(image_url(picture), alt)
