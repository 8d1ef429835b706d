"""HTML fragments of the search page: image cards, detected concepts, interpolations.

Images are embedded in the HTML, so that none has an address that others could ask for.
"""

from collections.abc import Sequence

from markupsafe import Markup

from replearn.arrays import Pixels
from replearn.images.data_url import image_url
from replearn.retrieval.explorer import ConceptScore, Explorer
from replearn.retrieval.image_search import Query


def image_cards(explorer: Explorer, ids: Sequence[str], notes: Sequence[str] = ()) -> Markup:
    """Return indexed images as buttons, each with its concepts and a note."""
    pixels = explorer.thumbnails(ids)  # without them, ids and concepts say enough
    all_notes = [*notes, *[""] * (len(ids) - len(notes))]
    cards = [
        Markup(
            '<li><button type="button" data-id="{}">{}<b>{}</b> <span>{}</span> <em>{}</em>'
            "</button></li>"
        ).format(
            id_,
            _optional_image(pixels.get(id_), ""),
            id_,
            note,
            ", ".join(explorer.search.names_of(explorer.search.concepts_of(id_))),
        )
        for id_, note in zip(ids, all_notes, strict=True)
    ]
    return Markup('<ul class="cards">{}</ul>').format(Markup().join(cards))


def detection_table(explorer: Explorer, query: Query) -> Markup:
    """Return the table of detected concepts, or the reason why there is none."""
    detector = explorer.detector
    if detector is None:
        return Markup()
    if query.is_text:
        return Markup()
    if not query.exact:
        return Markup("<p>{}</p>").format(
            "This index keeps directions alone; start with --features to detect concepts of "
            "indexed images."
        )
    rows = (_bar(explorer, score, detector.threshold) for score in explorer.detect(query))
    caption = f"Concepts, the likeliest first; the line is the threshold {detector.threshold:.2f}"
    return Markup('<table class="concepts"><caption>{}</caption><tbody>{}</tbody></table>').format(
        caption, Markup().join(rows)
    )


def _bar(explorer: Explorer, score: ConceptScore, threshold: float) -> Markup:
    (name,) = explorer.search.names_of([score.concept])
    width, mark = (100 * min(value, 1.0) for value in (score.score, threshold))
    return Markup(
        '<tr class="{0}"><th scope="row">{1}</th><td class="bar"><i style="width:{2:.1f}%"></i>'
        '<s style="left:{3:.1f}%"></s></td><td>{4:.2f}</td><td>{0}</td></tr>'
    ).format("named" if score.named else "", name, width, mark, score.score)


def concept_section(explorer: Explorer, concept: str | None) -> Markup:
    """Return images of a concept, and the detector's most confident errors about it."""
    if concept is None:
        return Markup()
    parts = [("Images that show it", explorer.images_with(concept))]
    if explorer.detector is None or explorer.features is None:
        remark = "Start with --detector and --features to see the detector's errors."
    else:
        false_positives, false_negatives = explorer.errors(concept)
        parts += [("Named with most confidence, but not there", false_positives)]
        parts += [("There, but missed with most confidence", false_negatives)]
        any_errors = false_positives or false_negatives
        remark = "" if any_errors else "The detector makes no error about it here."
    sections = (
        Markup("<h2>{}</h2>{}").format(title, image_cards(explorer, ids))
        for title, ids in parts
        if ids
    )
    return Markup().join(sections) + Markup("<p>{}</p>").format(remark)


def interpolation_strip(
    explorer: Explorer, query: Query | None, other: str | None, percent: float
) -> Markup:
    """Return two images, what each is decoded to, and one image decoded between them."""
    if query is None or query.is_text or other is None:
        return status("Search for an image first; this shows the way from it to another.")
    second = explorer.query_id(other).pixels
    if query.pixels is None or second is None:
        return status("The images are not where they were; start with --images.")
    images = explorer.interpolate(query.pixels, second)
    if not images:
        return status("This encoder cannot decode.")
    decoded = images[1:-1]
    captioned = [
        (images[0], query.name),
        (decoded[0], f"{query.name}, decoded"),
        (decoded[round(percent / 100 * (len(decoded) - 1))], f"{percent:.0f} % of the way"),
        (decoded[-1], f"{other}, decoded"),
        (images[-1], other),
    ]
    figures = (
        Markup("<li>{}<span>{}</span></li>").format(_image(image, ""), caption)
        for image, caption in captioned
    )
    return Markup('<ul class="cards">{}</ul>').format(Markup().join(figures))


def status(text: str) -> Markup:
    """Return a sentence that screen readers read out when it appears."""
    return Markup('<p role="status">{}</p>').format(text)


def query_image(query: Query) -> Markup:
    """Return the query image, if it is there, or the text."""
    if query.is_text:
        return Markup("<p>{}</p>").format(query.name)
    if query.pixels is None:
        return Markup("<p>{}</p>").format("The image is not where it was.")
    return _optional_image(query.pixels, f"{query.name} as the encoder sees it")


def _optional_image(pixels: Pixels | None, alt: str) -> Markup:
    return Markup() if pixels is None else _image(pixels.transpose(1, 2, 0), alt)


def _image(image: Pixels, alt: str) -> Markup:
    """Return an image uint8 [H, W, 1 or 3]; where its text stands beside it, `alt` is empty."""
    return Markup('<img src="{}" alt="{}">').format(image_url(image), alt)
