"""The search page without its HTML: queries, neighbours, detected concepts, errors, interpolations.

No query changes anything in it, so users do not mix; they may search at the same time.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from threading import Lock
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Pixels
from replearn.artefacts.identity import check_same
from replearn.detection.decisions.scores import Scores
from replearn.detection.detector import Detector
from replearn.errors import DataError, UsageError
from replearn.features import Features
from replearn.ids import IdMap, rows_of
from replearn.neighbors.build_index import build_index
from replearn.neighbors.engine import Metric
from replearn.retrieval.image_search import ImageSearch, Neighbour, Query

_BUILDING = Lock()  # else the first users of the other metric would each build its index
_IMAGES_SHOWN = 24  # of a concept
_ERRORS_SHOWN = 8  # of each kind
_ERROR_SAMPLE = 5000  # images among which errors are looked for


class ConceptScore(NamedTuple):
    """A concept with its score, and whether the detector's rule names it."""

    concept: str
    score: float
    named: bool


@dataclass(frozen=True)
class Explorer:
    """A search by image, with a detector and with the indexed features if they are there.

    Attributes:
        search: the index with its encoder and images.
        detector: of concepts, None without one.
        features: that the index was made of, None if they are not there; without them a cosine
            index knows directions alone.
    """

    search: ImageSearch
    detector: Detector | None = None
    features: Features | None = None

    def check(self) -> None:
        """Refuse parts that do not belong together.

        Raises:
            DataError: the detector or the features are of another encoder or other images.
        """
        index = self.search.index
        if self.detector is not None:
            check_same(index.encoder, self.detector.encoder, "the encoder of the detector")
        if self.features is not None:
            index.check_made_of(self.features.ids, self.features.identity, "--features")

    @property
    def metrics(self) -> list[Metric]:
        """The metrics to choose from, that of the index first."""
        own = self.search.index.metric
        other: Metric = "l2" if own == "cosine" else "cosine"
        return [own] if self.features is None else [own, other]

    @property
    def ids(self) -> list[str]:
        """The ids of the indexed images."""
        return self.search.index.ids

    def query_file(self, name: str, content: bytes) -> Query:
        """Return the query for an image file.

        Raises:
            UnreadableImage: the bytes are no image that can be read.
        """
        return self.search.queries_of_pixels([name], [self.search.prepare(content)])[0]

    def query_text(self, text: str) -> Query:
        """Return the query for a text.

        Raises:
            DataError: the encoder is damaged, or another one than the index was made with.
            UsageError: it has no text tower, or is not where it was.
        """
        return self.search.queries_of_texts([text])[0]

    def query_id(self, id_: str) -> Query:
        """Return the query for an indexed image, with its pixels if they are there.

        Raises:
            DataError: it is not indexed.
        """
        if self.features is not None and id_ in self._feature_rows:
            vector = np.asarray(self.features.vectors[self._feature_rows[id_]], np.float32)
            query = Query(id_, id_, vector, indexed=True)
        else:
            (query,) = self.search.queries_of_ids([id_])
        try:
            return query._replace(pixels=self.search.pixels_of(id_))
        except (DataError, UsageError):
            return query

    @cached_property
    def _feature_rows(self) -> IdMap[int]:
        """The row of each id in the features; none without them."""
        return rows_of(self.features.ids if self.features else [])

    def nearest(self, query: Query, k: int, metric: Metric) -> list[Neighbour]:
        """Return the k nearest; an indexed image does not find itself."""
        same = query.is_text or metric == self.search.index.metric  # texts have angles alone
        search = self.search if same else self._search_by_other_metric()
        return search.nearest([query], k, exclude_self=query.indexed)[0]

    def _search_by_other_metric(self) -> ImageSearch:
        with _BUILDING:
            return self._other_search

    @cached_property
    def _other_search(self) -> ImageSearch:
        """The same search by the other metric, exact."""
        assert self.features is not None
        index = self.search.index
        indexed = self.features.select(index.ids)
        other = build_index(indexed, concepts=index.concepts, metric=self.metrics[1])
        return replace(self.search, index=other).with_batching()

    def thumbnails(self, ids: Sequence[str]) -> dict[str, Pixels]:
        """Return those of the indexed images that are there, uint8 [C, H, W]."""
        try:
            return self.search.lookup.pixels_of(ids)
        except (DataError, UsageError):
            return {}

    def detect(self, query: Query, most: int = 12) -> list[ConceptScore]:
        """Return the concepts that score most, the highest first; none without a detector."""
        if self.detector is None or not query.exact:
            return []
        scores = self.detector.scorer.scores(query.vector[None])
        values = _dense(scores)[0]
        named = self.detector.rule.decide(scores, limit=None).indices
        order = np.argsort(-values, kind="stable")[:most]
        vocabulary = self.detector.vocabulary
        return [
            ConceptScore(vocabulary[column], float(values[column]), column in named)
            for column in order.tolist()
            if values[column] > 0 or column in named
        ]

    @cached_property
    def concept_counts(self) -> Counter[str]:
        """The number of indexed images that show each concept."""
        table = self.search.index.concepts
        return Counter(c for of_image in table.concepts for c in of_image) if table else Counter()

    def images_with(self, concept: str) -> list[str]:
        """Return ids of at most 24 indexed images that show a concept."""
        table = self.search.index.concepts
        if table is None:
            return []
        rows = zip(table.ids, table.concepts, strict=True)
        return list(islice((id_ for id_, concepts in rows if concept in concepts), _IMAGES_SHOWN))

    def errors(self, concept: str) -> tuple[list[str], list[str]]:
        """Return ids of at most 8 false positives of a concept and as many false negatives.

        The most confident ones, by the detector's rule, among at most 5,000 images from all over
        the index; without detector, features or concepts there are none.
        """
        table = self.search.index.concepts
        if (
            self.detector is None
            or self.features is None
            or table is None
            or concept not in self.detector.vocabulary
        ):
            return [], []
        ids = self.search.index.ids[:: -(-len(table) // _ERROR_SAMPLE)]
        column = self.detector.vocabulary.index(concept)
        of_all = self.detector.scorer.scores(self.features.vectors_of(ids))
        scores = _dense(of_all[:, [column]])[:, 0]
        true = np.array([concept in of_image for of_image in table.select(ids).concepts])
        named = self.detector.rule.decide(of_all, limit=None)[:, [column]].toarray()[:, 0] > 0
        highest_first = np.argsort(-scores, kind="stable")
        lowest_first = np.argsort(scores, kind="stable")
        false_positives = [ids[row] for row in highest_first if named[row] and not true[row]]
        false_negatives = [ids[row] for row in lowest_first if true[row] and not named[row]]
        return false_positives[:_ERRORS_SHOWN], false_negatives[:_ERRORS_SHOWN]

    def interpolate(self, first: Pixels, second: Pixels) -> list[Pixels]:
        """Return two images and what is decoded between their codes, uint8 [H, W, 3] each.

        The first image, the images decoded from one code to the other with both codes included,
        and the second image; nothing where the encoder cannot decode.
        """
        from replearn.encoders.preprocessing import centre_crop, scale_pixels
        from replearn.encoders.sheets import grids_of, to_rgb

        encoder = self.search.encoder
        images = scale_pixels(centre_crop(np.stack([first, second]), encoder.description.crop))
        grids = grids_of(encoder.model, images.to(encoder.device))
        if "reconstructions" not in grids or "interpolations" not in grids:
            return []  # a generator alone interpolates between images of its own
        return list(to_rgb(grids["interpolations"][0].cpu()))


def _dense(scores: Scores) -> NDArray[np.float64]:
    return np.asarray(scores if isinstance(scores, np.ndarray) else scores.toarray(), np.float64)
