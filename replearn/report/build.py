"""Building of reports: the folder of an encoder or of a comparison becomes one HTML text."""

import re
from pathlib import Path

from replearn.artefacts.outputs import FileKind
from replearn.comparison.results import find_best, group_by_name
from replearn.concepts.reading import AS_FOUND, Reading
from replearn.concepts.table import read_names
from replearn.report import comparison
from replearn.report.comparison_files import ComparisonFiles
from replearn.report.page import Page, to_html

_START = re.compile(
    "<!doctype html>\n<html[^<]*<head>.*?<title>[^<]* · replearn</title>", re.DOTALL
)
REPORT = FileKind(
    "a report", lambda data: bool(_START.match(data[:4096].decode("utf-8", "replace")))
)


def build_report(
    run: Path,
    *,
    features: Path | None = None,
    images: Path | None = None,
    concepts: Path | None = None,
    names: Path | None = None,
    data: Path | None = None,
    reading: Reading = AS_FOUND,
) -> str:
    """Return the report of an encoder or of a comparison as one HTML document.

    The same files give the same document, byte for byte.

    Args:
        run: folder of an encoder, or of a comparison.
        features: of the encoder; if None, those of most images beside its folder.
        images: source of the images; if None, where the features or the comparison state it.
        concepts: concept file of an encoder's images; if None, as its comparison knows them.
        names: file of the names of concepts; if None, as the comparison knows them.
        data: data folder of a comparison; if None, where the comparison states it.
        reading: what is said of the layout of the concept file.

    Raises:
        DataError: the folder is neither, or a file is missing or not readable.
    """
    if (run / "table.json").exists():
        return to_html(_comparison_page(run, data, images, names))
    labels = (concepts, reading) if concepts else None
    return to_html(_encoder_page(run, features, images, labels, names))


def _comparison_page(run: Path, data: Path | None, images: Path | None, names: Path | None) -> Page:
    name_of = read_names(names) if names else None
    files = ComparisonFiles(run, data)
    results = files.load_results()
    best = group_by_name(results)[find_best(results)][0]
    return comparison.build_page(
        results,
        files.protocol,
        best_predictions=files.load_predictions(best, images, name_of),
        curves=files.load_curves(results),
    )


def _encoder_page(
    run: Path,
    features: Path | None,
    images: Path | None,
    labels: tuple[Path, Reading] | None,
    names: Path | None,
) -> Page:
    # torch takes a second or two to import, and comparisons need none.
    from replearn.encoders.encoder import read_description
    from replearn.report import encoder, encoder_files

    description = read_description(run)
    embedded = encoder_files.load_images(
        run,
        description.identity,
        features=features,
        images=images,
        labels=labels,
        names=names,
    )
    metrics, sheets = encoder_files.read_metrics(run), encoder_files.read_sheets(run)
    return encoder.build_page(description, metrics, sheets, embedded)
