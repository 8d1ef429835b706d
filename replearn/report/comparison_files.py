"""Files of a finished comparison, loaded for its report: results, predictions and curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from replearn import imageclef
from replearn.artefacts.files import read_json
from replearn.comparison.facts import ComparisonFacts, read_facts
from replearn.comparison.results import Protocol, Result
from replearn.concepts.table import ConceptTable, read_concepts, read_names
from replearn.concepts.vocabulary import multi_hot
from replearn.detection.detector import load_detector
from replearn.errors import DataError
from replearn.features import Features
from replearn.ids import rows_of
from replearn.report.comparison import Curve
from replearn.report.concept_scores import f1_at_thresholds, score_concepts
from replearn.report.pictures import finder_in
from replearn.report.predictions import Predictions

_CURVE_IMAGES = 2000  # images that threshold curves are drawn from, at most


@dataclass(frozen=True)
class ComparisonFiles:
    """The folder of a finished comparison.

    Attributes:
        folder: where `compare` wrote it.
        data: its data folder; None if that lies where it was.
    """

    folder: Path
    data: Path | None = None

    @cached_property
    def facts(self) -> ComparisonFacts:
        """The content of `comparison.json`."""
        return read_facts(self.folder)

    @property
    def rules(self) -> imageclef.Edition:
        """The rules that the scores follow."""
        return imageclef.edition(self.facts.edition)

    @cached_property
    def lists(self) -> dict[str, Path]:
        """The list of each part of the data, in the given data folder or where it was."""
        return {part: self._find_list(path) for part, path in self.facts.parts.items()}

    @cached_property
    def protocol(self) -> Protocol:
        """What choices were made on and what is scored."""
        groups = self.facts.groups
        return Protocol(
            scored=self.facts.scored,
            chosen_on="tuning" if "tuning" in self.facts.parts else "valid",
            groups=read_names(self._find_list(groups)) if groups else {},
        )

    @cached_property
    def truth(self) -> ConceptTable:
        """The concepts of the scored images."""
        return read_concepts(self.lists[self.facts.scored])

    def load_results(self) -> list[Result]:
        """Load all results, each with the score of every image, which is computed anew.

        Raises:
            DataError: a list or a run file is not there.
        """
        rows: list[dict[str, Any]] = read_json(self.folder / "table.json")
        return [self._load_result(row) for row in rows]

    def load_predictions(
        self, result: Result, images: Path | None, names: Mapping[str, str] | None
    ) -> Predictions:
        """Load the predictions of one detector for the scored images.

        Args:
            result: of the detector.
            images: source of the images; if None, the image set of the encoder.
            names: of the concepts; if None, those of the data folder.

        Raises:
            DataError: a list or the run file is not there.
        """
        predicted = imageclef.read_run(self._run_file(result), self.rules)
        return Predictions(
            self.truth,
            predicted,
            score_concepts(read_concepts(self.lists["train"]), self.truth, predicted),
            self.facts.names if names is None else names,
            finder_in(images or self._image_set(result.encoder), self.truth.ids),
        )

    def load_curves(self, results: Sequence[Result]) -> dict[str, dict[str, Curve]]:
        """Return the threshold curves of the first seed, by encoder and detector.

        Without the features or the detector of one of them there are none.
        """
        chosen_on = read_concepts(self.lists[self.protocol.chosen_on])
        first_seed = min(result.seed for result in results)
        shown = [r for r in results if r.seed == first_seed and r.has_encoder]
        if not all(path.exists() for result in shown for path in self._curve_files(result)):
            return {}
        curves: dict[str, dict[str, Curve]] = {}
        for result in shown:
            curve = self._load_curve(result, chosen_on)
            curves.setdefault(result.encoder, {})[result.detector] = curve
        return curves

    def _find_list(self, stated: str) -> Path:
        given = self.data / Path(stated).name if self.data else None
        path = given if given and given.exists() else self.folder / stated
        if not path.exists():
            raise DataError(
                f"{path}: not there; give the data folder of the comparison with --data"
            )
        return path

    def _image_set(self, encoder: str) -> Path:
        paths = self.facts.images
        return self.folder / paths.get(encoder, next(iter(paths.values())))

    def _run_file(self, result: Result) -> Path:
        encoder = "*" if result.encoder == "none" else result.encoder
        pattern = f"seed-{result.seed}/{encoder}/{result.detector}-{self.facts.scored}.run"
        path = next(iter(sorted(self.folder.glob(pattern))), None)
        if path is None:
            raise DataError(f"{self.folder / pattern}: not found; run compare again")
        return path

    def _load_result(self, row: dict[str, Any]) -> Result:
        result = Result(**row | {"interval": tuple(row["interval"])})
        score = imageclef.evaluate_run(self._run_file(result), self.truth, self.rules)
        return replace(result, per_image=score.per_image)

    def _curve_files(self, result: Result) -> tuple[Path, Path]:
        """Return the features of the images that choices are made on, and a detector."""
        folder = self.folder / f"seed-{result.seed}" / result.encoder
        return folder / f"{self.protocol.chosen_on}.h5", folder / result.detector

    def _load_curve(self, result: Result, chosen_on: ConceptTable) -> Curve:
        features_path, detector_folder = self._curve_files(result)
        features, detector = Features.load(features_path), load_detector(detector_folder)
        labelled = rows_of(chosen_on.ids)
        ids = [id_ for id_ in features.ids if id_ in labelled]
        ids = ids[:: -(-len(ids) // _CURVE_IMAGES)]
        table = chosen_on.select(ids)
        thresholds, f1 = f1_at_thresholds(
            detector.scorer.scores(features.vectors_of(ids)),
            multi_hot(table, detector.vocabulary),
            table.counts,
            empty=self.rules.empty,
            limit=self.rules.max_concepts,
        )
        return Curve(thresholds, f1, detector.threshold)
