"""Representations of unlabelled images, and the concepts and similar images found with them.

    images = replearn.open_images("mydata/images", size=64, channels=1)
    encoder = replearn.train("aae", images, "runs/aae", training={"steps": 2000})
    features = replearn.extract(encoder, images, "runs/features.h5")

docs/python.md goes on from there.  A name is imported when it is first used: whoever scores run
files does not wait for torch.
"""

from typing import TYPE_CHECKING

from replearn.lazy_names import lazy_names

if TYPE_CHECKING:
    from replearn import imageclef, metrics
    from replearn.concepts.splitting.folds import MultiLabelStratifiedGroupKFold
    from replearn.concepts.table import ConceptTable, read_concepts
    from replearn.detection.decisions.estimators import (
        BestRule,
        ConceptThresholdsRule,
        ExpectedF1Rule,
        ThresholdRule,
        TopKRule,
    )
    from replearn.detection.detector import Detector, load_detector
    from replearn.detection.ensembles.concept_scores import ConceptScores
    from replearn.detection.ensembles.fit_ensemble import EnsembleSettings, fit_ensemble
    from replearn.detection.fit_detector import fit_detector, fit_zero_shot
    from replearn.detection.logistic.regression import MultiLabelLogisticRegression
    from replearn.detection.prediction import join_scores
    from replearn.detection.settings import DetectorSettings, Resources, Scoring
    from replearn.detection.zero_shot import prompt_vectors
    from replearn.encoders.encoder import Encoder, load_encoder
    from replearn.encoders.extraction import extract
    from replearn.encoders.models import MODELS, list_models
    from replearn.encoders.training.run import train
    from replearn.features import Features
    from replearn.images.ids import Selection
    from replearn.images.image_set import ImageSet
    from replearn.images.opening import open_images
    from replearn.images.preparation import prepare
    from replearn.neighbors.build_index import build_index
    from replearn.neighbors.index import Index
    from replearn.neighbors.storage import load_index
    from replearn.retrieval.image_search import ImageSearch

__version__ = "0.1.0"

__all__ = [
    "MODELS",
    "BestRule",
    "ConceptScores",
    "ConceptTable",
    "ConceptThresholdsRule",
    "Detector",
    "DetectorSettings",
    "Encoder",
    "EnsembleSettings",
    "ExpectedF1Rule",
    "Features",
    "ImageSearch",
    "ImageSet",
    "Index",
    "MultiLabelLogisticRegression",
    "MultiLabelStratifiedGroupKFold",
    "Resources",
    "Scoring",
    "Selection",
    "ThresholdRule",
    "TopKRule",
    "build_index",
    "extract",
    "fit_detector",
    "fit_ensemble",
    "fit_zero_shot",
    "imageclef",
    "join_scores",
    "list_models",
    "load_detector",
    "load_encoder",
    "load_index",
    "metrics",
    "open_images",
    "prepare",
    "prompt_vectors",
    "read_concepts",
    "train",
]

_NAMES = {
    "concepts.splitting.folds": ("MultiLabelStratifiedGroupKFold",),
    "concepts.table": ("ConceptTable", "read_concepts"),
    "detection.decisions.estimators": (
        "BestRule",
        "ConceptThresholdsRule",
        "ExpectedF1Rule",
        "ThresholdRule",
        "TopKRule",
    ),
    "detection.detector": ("Detector", "load_detector"),
    "detection.ensembles.concept_scores": ("ConceptScores",),
    "detection.ensembles.fit_ensemble": ("EnsembleSettings", "fit_ensemble"),
    "detection.fit_detector": ("fit_detector", "fit_zero_shot"),
    "detection.logistic.regression": ("MultiLabelLogisticRegression",),
    "detection.prediction": ("join_scores",),
    "detection.settings": ("DetectorSettings", "Resources", "Scoring"),
    "detection.zero_shot": ("prompt_vectors",),
    "encoders.encoder": ("Encoder", "load_encoder"),
    "encoders.extraction": ("extract",),
    "encoders.models": ("MODELS", "list_models"),
    "encoders.training.run": ("train",),
    "features": ("Features",),
    "imageclef": (),
    "images.ids": ("Selection",),
    "images.image_set": ("ImageSet",),
    "images.opening": ("open_images",),
    "images.preparation": ("prepare",),
    "metrics": (),
    "neighbors.build_index": ("build_index",),
    "neighbors.index": ("Index",),
    "neighbors.storage": ("load_index",),
    "retrieval.image_search": ("ImageSearch",),
}

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
