"""Prediction: the concepts that a detector finds in images, and the run file that lists them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from replearn.artefacts.identity import check_same
from replearn.artefacts.outputs import is_stream, refuse_inputs
from replearn.concepts.id_lists import read_id_list
from replearn.console import warn
from replearn.detection.detector import Detector, load_detector
from replearn.detection.ensembles.concept_scores import ConceptScores
from replearn.detection.ensembles.scorer import EnsembleScorer
from replearn.errors import DataError, UsageError, some_of
from replearn.features import Features
from replearn.imageclef.editions import edition as find_edition
from replearn.imageclef.submissions import write_submission
from replearn.matching import match_list, match_names

_logger = logging.getLogger(__name__)


def predict_run(
    detector_folder: Path,
    features_paths: Sequence[Path],
    run_file: Path,
    *,
    edition: int,
    ids: Path | None = None,
    scores: Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write the run file of a detector, and beside it the zip, if the edition wants one.

    Args:
        detector_folder: of a fitted detector.
        features_paths: features of the images to describe: one file, or for an ensemble the score
            files of its members.
        run_file: where the run goes.
        edition: year of ImageCLEF whose format is written.
        ids: a list whose first column has exactly the ids to write, in its order; without one,
            all images of the features, those that could not be read too.
        scores: where the calibrated probabilities of those that have features go, as a score file.
        overwrite: write them in any case, and replace another run and other scores.

    Raises:
        DataError: the detector and the features do not belong together, or another run lies there.
        UsageError: the edition is not known, or there are several files for a single detector.
    """
    rules = find_edition(edition)
    detector = load_detector(detector_folder)
    features, place = _load(detector, features_paths)
    known = features.ids + [id_ for id_, _ in features.errors]
    wanted = match_list(read_id_list(ids), known, ids)[0] if ids else known
    check_same(detector.encoder, features.encoder, f"the encoder of {place}")
    meant = match_names(wanted, features.ids, ids or place)
    without = [id_ for id_ in wanted if id_ not in meant]
    if not meant:
        raise DataError(
            f"{place}: has features of none of the {len(wanted)} images of "
            f"{ids or place}; give the features of these images"
        )
    concepts = predict_concepts(detector, features, wanted, limit=rules.max_concepts)
    if scores:
        refuse_inputs(scores, [ids, *features_paths])
    warnings = write_submission(
        run_file, wanted, concepts, rules, overwrite=overwrite, inputs=[ids, *features_paths]
    )
    for warning in warnings:
        warn(f"{run_file}: {warning}")
    if scores:
        _write_scores(scores, detector, features, meant, without, overwrite=overwrite)
    mean = sum(map(len, concepts)) / max(len(concepts), 1)
    to_send = rules.archive and not is_stream(run_file)
    _logger.info(
        f"{run_file}: {len(wanted):,} images, {mean:.2f} concepts each, valid for {edition}"
        + (f"; {run_file.with_suffix('.zip')} is what to send" if to_send else "")
    )
    if without:  # last, so that it is seen
        warn(
            f"{run_file}: {len(without):,} of {len(wanted):,} images have no features and got the "
            f"best constant prediction: {some_of(without)}"
        )


def join_scores(
    ensemble: Detector, members: Sequence[ConceptScores], names: Sequence[str] | None = None
) -> Features:
    """Return the scores of an ensemble's members, joined by name, as the features that it reads.

    Args:
        ensemble: of `fit_ensemble` or a folder of the command `ensemble`.
        members: the scores of the same detectors, in any order.
        names: of them in messages.

    Raises:
        DataError: there are more or fewer, or one is of another detector.
        UsageError: the detector is no ensemble.

    Example:
        >>> scores = [one.concept_scores(features) for one in (detector, detector)]
        >>> ensemble = replearn.fit_ensemble(scores, chosen_on).detector
        >>> joined = replearn.join_scores(ensemble, scores)
        >>> len(ensemble.concepts(joined)) == len(features)
        True
    """
    if not isinstance(ensemble.scorer, EnsembleScorer):
        raise UsageError(f"{ensemble.identity}: a single detector, which reads features")
    return ensemble.scorer.join(members, names)


def _load(detector: Detector, paths: Sequence[Path]) -> tuple[Features, str]:
    """Return the features of one file, or the joined scores of several, and their name."""
    place = ", ".join(map(str, paths))
    if isinstance(detector.scorer, EnsembleScorer):
        members = [ConceptScores.load(path) for path in paths]
        return join_scores(detector, members, [str(path) for path in paths]), place
    if len(paths) > 1:
        raise UsageError(
            f"{place}: several files are the scores for an ensemble; give one file of features"
        )
    return Features.load(paths[0]), place


def _write_scores(
    path: Path,
    detector: Detector,
    features: Features,
    meant: Mapping[str, str],
    without: Sequence[str],
    *,
    overwrite: bool,
) -> None:
    """Write the probabilities of the images, by the names that the list has for them."""
    found = detector.concept_scores(features.select([*meant.values()]))
    errors = [(id_, "no features") for id_ in without]
    replace(found, ids=[*meant], errors=errors).save(path, overwrite=overwrite)


def predict_concepts(
    detector: Detector, features: Features, ids: Sequence[str], *, limit: int | None
) -> list[list[str]]:
    """Return the concepts of each image [M], in the order of `Detector.concepts`.

    An image without features gets the best constant prediction.

    Args:
        detector: fitted on features of the same encoder.
        features: of the images; may hold more.
        ids: the images [M], matched as `match_names` does.
        limit: at most this many concepts for an image.
    """
    meant = match_names(ids, features.ids, "the ids")
    wanted = set(meant.values())
    there = [id_ for id_ in features.ids if id_ in wanted]
    predicted = detector.concepts(features.vectors_of(there), limit=limit)
    of_image = dict(zip(there, predicted, strict=True))
    return [of_image[meant[id_]] if id_ in meant else detector.constant for id_ in ids]
