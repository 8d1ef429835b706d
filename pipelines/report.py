"""report: an encoder or a comparison -> one HTML file to look at."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import typer

from replearn import imageclef
from replearn.artefacts.files import read_json, write_result
from replearn.artefacts.identity import check_same
from replearn.comparison.results import Result, by_name, chosen
from replearn.concepts.table import ConceptTable, read_concepts, read_names
from replearn.concepts.vocabulary import multi_hot
from replearn.console import warn
from replearn.detection.detector import load_detector
from replearn.errors import DataError
from replearn.features import Features
from replearn.images.lookup import ImageLookup
from replearn.report import comparison
from replearn.report.comparison import Curve
from replearn.report.concept_scores import along_thresholds, score_concepts
from replearn.report.embeddings import EmbeddedImages, Find
from replearn.report.page import Page, to_html
from replearn.report.predictions import Predictions

_JUDGED = 2000  # validation images that threshold curves are drawn from


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of an encoder, or OUT of a comparison.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="Where the report goes.")],
    features: Annotated[
        Path | None,
        typer.Option(help="Of the encoder; without, the largest that lie beside its folder."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="The images, if they no longer lie where they did.")
    ] = None,
    concepts: Annotated[
        Path | None, typer.Option(help="Of an encoder: concepts of the images.")
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="What concepts are called: concept TAB name lines.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Of a comparison: its data folder, if it no longer lies there."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another report.")] = False,
) -> None:
    """Write one HTML file that shows what an encoder learned, or what a comparison found.

    Example: replearn report runs/demo runs/demo/report.html
    """
    if (run / "table.json").exists():
        page = _of_comparison(run, data, images, read_names(names) if names else None)
    else:
        page = _of_encoder(run, features, images, concepts, names)
    write_result(out, to_html(page), overwrite=overwrite)
    print(out)


def _finder(source: Path | None, ids: Sequence[str]) -> Find:
    """Return what finds pictures of these ids; none where there is no source."""
    return ImageLookup(source, ids).pixels_of if source and source.exists() else lambda _: {}


# An encoder ---------------------------------------------------------------------------------------


def _of_encoder(
    run: Path,
    features: Path | None,
    images: Path | None,
    concepts: Path | None,
    names: Path | None,
) -> Page:
    # torch takes a second or two to import, and comparisons need none.
    from replearn.encoders.encoder import read_description
    from replearn.report import encoder as of_encoder

    description = read_description(run)
    path = features or _largest_beside(run, description.identity)
    shown = None
    if path is not None:
        shown = _shown(path, images, _known(run, concepts, names))
        check_same(shown.features.encoder, description.identity, f"{path}: features of {run}")
    return of_encoder.page(description, _metrics(run), _sheets(run), shown)


def _largest_beside(run: Path, identity: str) -> Path | None:
    """Return the features of most images among those of this encoder beside its folder."""
    sizes = {}
    for path in sorted(run.parent.glob("*.h5")):
        try:
            found = Features.load(path)
        except DataError:
            continue  # an image set, or another thing
        if found.encoder == identity:
            sizes[path] = len(found)
    return max(sizes, key=lambda path: sizes[path], default=None)


def _shown(path: Path, images: Path | None, known: Mapping[str, tuple[str, ...]]) -> EmbeddedImages:
    found = Features.load(path)
    hint = found.hints.get("images_path")
    source = images or (path.parent / hint if hint else None)
    if source is not None and not source.exists():
        warn(f"{source}: the images are not there; give their place with --images")
    return EmbeddedImages(found, path.name, known, _finder(source, found.ids))


def _known(run: Path, concepts: Path | None, names: Path | None) -> dict[str, tuple[str, ...]]:
    """Return names of the concepts of each image, as given or as its comparison knows them."""
    called = read_names(names) if names else {}
    tables = [read_concepts(concepts)] if concepts else []
    of_all = run.resolve().parent.parent.parent
    if not tables and (of_all / "comparison.json").exists():
        facts = read_json(of_all / "comparison.json")
        called = called or facts["names"]
        places = [of_all / place for place in facts["parts"].values()]
        tables = [read_concepts(place) for place in places if place.exists()]
    return {
        id_: tuple(called.get(c, c) for c in of_image)
        for table in tables
        for id_, of_image in zip(table.ids, table.concepts, strict=True)
    }


def _metrics(run: Path) -> list[dict[str, float]]:
    path = run / "metrics.jsonl"
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise DataError(f"{path}: not readable ({error}); train again or remove it") from None


def _sheets(run: Path) -> dict[str, Any]:
    """Return the last sheet of each kind."""
    from replearn.report.encoder import Sheet

    found = {}
    for path in sorted((run / "sheets").glob("*.png")):
        kind, step = re.fullmatch(r"(.+?)(?:-(\d+))?", path.stem).groups()  # type: ignore[union-attr]
        pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR_RGB)
        if pixels is None:
            raise DataError(f"{path}: not readable as PNG; remove it")
        found[kind] = Sheet(np.asarray(pixels, np.uint8), int(step or 0))
    return found


# A comparison -------------------------------------------------------------------------------------


def _of_comparison(
    run: Path, data: Path | None, images: Path | None, names: Mapping[str, str] | None
) -> Page:
    facts = read_json(run / "comparison.json")
    lists = {part: _place(run, place, data) for part, place in facts["parts"].items()}
    part, rules = facts["scored"], imageclef.edition(facts["edition"])
    truth = read_concepts(lists[part])
    results = [_result(run, row, part, truth, rules) for row in read_json(run / "table.json")]
    best = by_name(results)[chosen(results)][0]
    named = imageclef.read_run(_run_file(run, best, part), rules)
    predicted = Predictions(
        truth,
        named,
        score_concepts(read_concepts(lists["train"]), truth, named),
        facts["names"] if names is None else names,
        _finder(images or _images_of(run, facts, best), truth.ids),
    )
    curves = _curves(run, results, read_concepts(lists["valid"]), rules)
    return comparison.page(results, part=part, curves=curves, predicted=predicted)


def _place(run: Path, place: str, data: Path | None) -> Path:
    """Return where a list lies: in the data folder that is given, or where it was."""
    given = data / Path(place).name if data else None
    found = given if given and given.exists() else run / place
    if not found.exists():
        raise DataError(f"{found}: not there; give the data folder of the comparison with --data")
    return found


def _images_of(run: Path, facts: Mapping[str, Any], best: Result) -> Path:
    places = facts["images"]
    return run / str(places.get(best.encoder, next(iter(places.values()))))


def _result(
    run: Path, row: dict[str, Any], part: str, truth: ConceptTable, rules: imageclef.Edition
) -> Result:
    result = Result(**row | {"interval": tuple(row["interval"])})
    path = _run_file(run, result, part)
    score = imageclef.evaluate_run(path, truth, rules)
    return replace(result, per_image=score.per_image)


def _run_file(run: Path, result: Result, part: str) -> Path:
    encoder = "*" if result.encoder == "none" else result.encoder
    pattern = f"seed-{result.seed}/{encoder}/{result.detector}-{part}.run"
    found = next(iter(sorted(run.glob(pattern))), None)
    if found is None:
        raise DataError(f"{run / pattern}: not found; run compare again")
    return found


def _curves(
    run: Path, results: list[Result], valid: ConceptTable, rules: imageclef.Edition
) -> dict[str, dict[str, Curve]]:
    """Return the threshold curves of the first seed."""
    curves: dict[str, dict[str, Curve]] = {}
    first = min(result.seed for result in results)
    for result in results:
        folder = run / f"seed-{first}" / result.encoder
        if result.seed != first or result.encoder == "none":
            continue
        features = Features.load(folder / "valid.h5")
        known = [id_ for id_ in features.ids if id_ in set(valid.ids)]
        ids = known[:: -(-len(known) // _JUDGED)]
        detector, table = load_detector(folder / result.detector), valid.select(ids)
        thresholds, f1 = along_thresholds(
            detector.scorer.scores(features.select(ids)),
            multi_hot(table, detector.vocabulary),
            table.counts,
            empty=rules.empty,
            limit=rules.max_concepts,
        )
        of_encoder = curves.setdefault(result.encoder, {})
        of_encoder[result.detector] = Curve(thresholds, f1, detector.threshold)
    return curves
