"""compare: encoders x detectors on one data folder -> one table.

It calls the other stages, so that every row of the table is made of artefacts that can be looked
at, and a second run does only what is missing.
"""

import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field

from pipelines.classify import classify
from pipelines.extract import extract
from pipelines.index import index
from pipelines.predict import predict
from pipelines.prepare import prepare
from pipelines.split import split
from pipelines.train import Configuration, ImageSettings, train
from replearn import comparison, imageclef, plots
from replearn.artefacts import say, write_json, write_text
from replearn.comparison import Result
from replearn.concepts import read_concepts, read_names
from replearn.detectors import load_detector
from replearn.errors import DataError, UsageError
from replearn.features import Features
from replearn.images import ImageSet
from replearn.index_files import load_index
from replearn.settings import check_settings, read_yaml

DETECTORS: dict[str, dict[str, Any]] = {
    "linear": {"method": "linear"},
    "knn-union": {"method": "knn", "vote": "union"},
    "knn-vote": {"method": "knn", "vote": "auto"},
    "fused": {"method": "fused"},
}


class Comparison(BaseModel):
    """What a comparison's configuration may say."""

    model_config = ConfigDict(extra="forbid")

    encoders: dict[str, Configuration] = Field(min_length=1)
    detectors: list[Literal["linear", "knn-union", "knn-vote", "fused"]] = [
        "linear",
        "knn-union",
        "knn-vote",
        "fused",
    ]
    images: ImageSettings = ImageSettings()
    concepts: int = Field(500, gt=0)
    edition: int = 2018


@dataclass(frozen=True)
class Data:
    """A data folder: images and the lists of its parts.

    Attributes:
        images: folder of the images.
        train: concept file to learn from.
        valid: concept file to choose on.
        test: concept file or id list to predict, None if there is none.
        names: names of the concepts by id.
    """

    images: Path
    train: Path
    valid: Path
    test: Path | None
    names: dict[str, str]

    @property
    def parts(self) -> dict[str, Path]:
        """The lists by part."""
        parts = {"train": self.train, "valid": self.valid}
        return parts | {"test": self.test} if self.test else parts

    @property
    def scored(self) -> str:
        """The part that the table is about: test where its truth is known, else validation."""
        known = self.test is not None and "concepts" in self.test.name
        return "test" if known else "valid"


def compare(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.yaml", help="Encoders and detectors.")],
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="Folder of images/, train-concepts.*, valid-concepts.* (else split from train) "
            "and test-concepts.* or test-images.txt.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Where everything goes.")],
    seeds: Annotated[int, typer.Option(help="Train every encoder with so many seeds.")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what was made from other inputs.")
    ] = False,
) -> None:
    """Run encoders x detectors on one data folder into one table.

    Example: replearn compare configs/demo.yaml data runs/all --seeds 3
    """
    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: at least 1")
    chosen = check_settings(Comparison, read_yaml(config), "")
    found = find_data(data, out, overwrite=overwrite)
    form = chosen.images
    image_set = out / "images.h5"
    prepare(
        found.images,
        image_set,
        size=form.size,
        channels=form.channels,
        fit=form.fit,
        overwrite=overwrite,
    )
    results = []
    for seed in range(seeds):
        for number, (name, encoder) in enumerate(chosen.encoders.items()):
            folder = out / f"seed-{seed}" / name
            _train_and_extract(encoder, found, image_set, folder, seed, overwrite=overwrite)
            for detector, options in _detectors(chosen, with_constant=number == 0):
                result = _detect(
                    chosen, found, folder, detector, options, seed, overwrite=overwrite
                )
                say(f"seed {seed}: {result.name}: F1 {result.f1:.4f} on {found.scored}")
                results.append(result)
    _write_tables(results, found, out)
    _write_sheets(results, found, image_set, out, overwrite=overwrite)


def find_data(folder: Path, out: Path, *, overwrite: bool = False) -> Data:
    """Find the parts of a data folder; without validation, train is split into `out`.

    Raises:
        DataError: images or training concepts are not there.
    """
    images = folder / "images"
    train = _only(folder, "train-concepts.*")
    if train is None or not images.exists():
        raise DataError(
            f"{folder}: not a data folder; it needs images/ and train-concepts.tsv (or .csv, .txt)"
        )
    valid = _only(folder, "valid-concepts.*")
    test = _only(folder, "test-concepts.*") or _only(folder, "test-images.*")
    if valid is None:
        groups = _only(folder, "groups.*")
        split(train, out / "split", valid=0.1, groups=groups, overwrite=overwrite)
        train, valid = (out / "split" / f"{part}-concepts.tsv" for part in ("train", "valid"))
    names = _only(folder, "concept-names.*")
    return Data(images, train, valid, test, read_names(names) if names else {})


def _only(folder: Path, pattern: str) -> Path | None:
    found = sorted(folder.glob(pattern))
    if len(found) > 1:
        raise DataError(f"{folder}: both {found[0].name} and {found[1].name}; keep one of them")
    return found[0] if found else None


def _train_and_extract(
    encoder: Configuration, data: Data, image_set: Path, folder: Path, seed: int, *, overwrite: bool
) -> None:
    settings = encoder.model_dump(exclude_none=True, exclude_unset=True)
    settings["training"] = {**settings.get("training", {}), "seed": seed}
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "config.yaml", yaml.safe_dump(settings, sort_keys=False))
    train(
        folder / "config.yaml",
        image_set,
        folder / "encoder",
        ids=data.train,
        resume=True,
        overwrite=overwrite,
    )
    for part, ids in data.parts.items():
        extract(folder / "encoder", image_set, folder / f"{part}.h5", ids=ids, overwrite=overwrite)


def _detectors(chosen: Comparison, *, with_constant: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the detectors of an encoder; the constant one needs no features, so once is enough."""
    if with_constant:
        yield "constant", {"method": "constant"}
    for name in chosen.detectors:
        yield name, DETECTORS[name]


def _detect(
    chosen: Comparison,
    data: Data,
    folder: Path,
    name: str,
    options: dict[str, Any],
    seed: int,
    *,
    overwrite: bool,
) -> Result:
    """Fit one detector, write its run file and score it."""
    detector = folder / name
    # What a stage prints as its result is a step on the way here.
    with redirect_stdout(sys.stderr):
        classify(
            folder / "train.h5",
            data.train,
            folder / "valid.h5",
            data.valid,
            detector,
            concepts=chosen.concepts,
            edition=chosen.edition,
            overwrite=overwrite,
            **options,
        )
    for part in set(data.parts) - {"train"}:
        run = folder / f"{name}-{part}.run"
        predict(
            detector,
            folder / f"{part}.h5",
            run,
            edition=chosen.edition,
            ids=data.parts[part],
            overwrite=True,
        )
    rules = imageclef.edition(chosen.edition)
    truth = read_concepts(data.parts[data.scored])
    score = imageclef.evaluate_run(folder / f"{name}-{data.scored}.run", truth, rules)
    fitted = load_detector(detector)
    return Result(
        encoder="none" if name == "constant" else folder.name,
        detector=name,
        f1=score.f1,
        interval=score.interval,
        rule=fitted.rule.name,
        threshold=fitted.threshold,
        seed=seed,
        f1_valid=fitted.validation["f1"],
        concepts=len(fitted.vocabulary),
        per_image=score.per_image,
    )


def _write_tables(results: list[Result], data: Data, out: Path) -> None:
    table = comparison.to_markdown(results, part=data.scored)
    write_text(out / "table.md", table)
    write_json(out / "table.json", [result.as_row() for result in results])
    print(table, end="")
    say(f"tables, sheets and run files are in {out}")


def _write_sheets(
    results: list[Result], data: Data, image_set: Path, out: Path, *, overwrite: bool
) -> None:
    """Copy the last sheets of the training, and draw queries with what the best encoder finds."""
    for encoder in sorted(out.glob("seed-0/*/encoder")):
        for kind in ("reconstructions", "samples"):
            last = max((encoder / "sheets").glob(f"{kind}-*.png"), default=None)
            if last is not None:
                target = out / f"{encoder.parent.name}-{kind}.png"
                target.write_bytes(last.read_bytes())
    trained = [result for result in results if result.encoder != "none"]
    best = max(trained, key=lambda result: result.f1_valid).encoder
    folder = out / "seed-0" / best
    index(folder / "train.h5", folder / "index", concepts=data.train, overwrite=overwrite)
    _draw_queries(folder, data, image_set, out / "queries.png")


def _draw_queries(folder: Path, data: Data, image_set: Path, path: Path) -> None:
    part = "test" if data.test else "valid"
    queries, searched = Features.load(folder / f"{part}.h5"), load_index(folder / "index")
    ids = queries.ids[:: max(len(queries) // 6, 1)][:6]
    _, rows = searched.search(queries.select(ids), 6)
    truth = read_concepts(data.parts[part]) if data.scored == part else None
    known = dict(zip(truth.ids, truth.concepts, strict=True)) if truth else {}
    known |= dict(zip(searched.ids, searched.concepts.concepts, strict=True))  # type: ignore[union-attr]
    shown = [
        [id_, *(searched.ids[row] for row in found)] for id_, found in zip(ids, rows, strict=True)
    ]
    images = ImageSet.load(image_set)
    pixels = [list(images.select(line).pixels) for line in shown]
    titles = [
        [[data.names.get(c, c) for c in known.get(id_, ())] for id_ in line] for line in shown
    ]
    plots.write_query_sheet(path, pixels, titles)
