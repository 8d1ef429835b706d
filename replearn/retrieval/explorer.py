"""What the search page answers: a search with a detector, and with features if they are there.

It knows nothing of web pages.  Nothing in it changes by being asked, so users do not mix; they may
ask at the same time.
"""

from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Pixels
from replearn.artefacts.identity import check_same
from replearn.detection.decisions.threshold import Scores
from replearn.detection.detector import Detector
from replearn.errors import DataError, UsageError
from replearn.features import Features
from replearn.neighbors.build_index import build_index
from replearn.neighbors.engine import Metric
from replearn.retrieval.image_search import ImageSearch, Vectors

_DECODING = Lock()  # for a large file can take gigabytes
_MAKING = Lock()  # else users who ask first at the same time would each make what all share
_JUDGED = 5000  # images among which errors are looked for


class Query(NamedTuple):
    """A query image.

    Attributes:
        said: its id, or the name of the file.
        vector: its features [D].
        exact: whether they are the features themselves, not their direction alone.
        pixels: as the encoder sees it, uint8 [C, H, W]; None where it is not there.
        indexed: whether it is an indexed image.
    """

    said: str
    vector: Vectors
    exact: bool
    pixels: Pixels | None
    indexed: bool


class ConceptScore(NamedTuple):
    """A concept with its score, and whether the detector's rule names it."""

    concept: str
    score: float
    named: bool


@dataclass(frozen=True)
class Explorer:
    """Answers about indexed images and about new ones.

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

    @cached_property
    def _other(self) -> ImageSearch:
        """The same search by the other metric, exact."""
        assert self.features is not None
        index = self.search.index
        indexed = replace(self.features, ids=index.ids, vectors=self.features.select(index.ids))
        other = build_index(indexed, concepts=index.concepts, metric=self.metrics[1])
        return replace(self.search, index=other).shared()

    @cached_property
    def _rows(self) -> dict[str, int]:
        """The row of each id in the features; none without them."""
        return {id_: row for row, id_ in enumerate(self.features.ids)} if self.features else {}

    def about_file(self, name: str, content: bytes) -> Query:
        """Ask about an image file.

        Raises:
            UnreadableImage: the bytes are no image that can be read.
        """
        with _DECODING:
            pixels = self.search.prepare(content)
        return Query(name, self.search.embed([pixels])[0], True, pixels, False)

    def about_id(self, id_: str) -> Query:
        """Ask about an indexed image.

        Raises:
            DataError: it is not indexed.
        """
        if self.features is not None and id_ in self._rows:
            vector, exact = self.features.vectors[self._rows[id_]], True
        else:
            vector = self.search.index.vectors([id_])[0]
            exact = self.search.index.metric == "l2"
        try:
            pixels = self.search.as_seen(id_)
        except (DataError, UsageError):
            pixels = None  # shown without
        return Query(id_, np.asarray(vector, np.float32), exact, pixels, True)

    @property
    def _by_other_metric(self) -> ImageSearch:
        with _MAKING:
            return self._other

    def nearest(self, query: Query, k: int, metric: str) -> list[dict[str, Any]]:
        """Return the k nearest, as `Search.nearest` does; an indexed image does not find itself."""
        known = metric == self.search.index.metric
        search = self.search if known else self._by_other_metric
        without = [query.said] if query.indexed else None
        return search.nearest(query.vector[None], k, without=without)[0]

    def detect(self, query: Query, most: int = 12) -> list[ConceptScore]:
        """Return the concepts that score most, the highest first; none without a detector."""
        if self.detector is None or not query.exact:
            return []
        scores = self.detector.scorer.scores(query.vector[None])
        shown = _dense(scores)[0]
        named = self.detector.rule.decide(scores, limit=None).indices
        order = np.argsort(-shown, kind="stable")[:most]
        words = self.detector.vocabulary
        return [
            ConceptScore(words[column], float(shown[column]), column in named)
            for column in order.tolist()
            if shown[column] > 0 or column in named
        ]

    @cached_property
    def counts(self) -> Counter[str]:
        """How many indexed images show each concept."""
        table = self.search.index.concepts
        return Counter(c for of_image in table.concepts for c in of_image) if table else Counter()

    def showing(self, concept: str, most: int = 24) -> list[str]:
        """Return ids of indexed images that show a concept."""
        table = self.search.index.concepts
        if table is None:
            return []
        found = (i for i, of in zip(table.ids, table.concepts, strict=True) if concept in of)
        return [id_ for id_, _ in zip(found, range(most), strict=False)]

    def errors(self, concept: str, most: int = 8) -> tuple[list[str], list[str]]:
        """Return ids of the most confident errors about a concept: wrongly seen, and missed.

        They are looked for among at most 5,000 images from all over the index; without detector,
        features or concepts there are none.
        """
        table = self.search.index.concepts
        if (
            self.detector is None
            or self.features is None
            or table is None
            or concept not in self.detector.vocabulary
        ):
            return [], []
        ids = self.search.index.ids[:: -(-len(table) // _JUDGED)]
        column = self.detector.vocabulary.index(concept)
        scores = self.detector.scorer.scores(self.features.select(ids))
        scores = _dense(scores[:, [column]])[:, 0]
        shown = np.array([concept in of_image for of_image in table.select(ids).concepts])
        high = scores >= self.detector.threshold
        wrong = [r for r in np.argsort(-scores, kind="stable") if high[r] and not shown[r]]
        missed = [r for r in np.argsort(scores, kind="stable") if shown[r] and not high[r]]
        return [ids[r] for r in wrong[:most]], [ids[r] for r in missed[:most]]

    def between(self, first: Pixels, second: Pixels) -> list[Pixels]:
        """Return the way from one image to another, uint8 [H, W, 3].

        Between the two lies what is decoded from places on the way from code to code, both ends
        included.  There is no way where the encoder cannot decode.
        """
        from replearn.encoders.preprocessing import centre_crop, to_float
        from replearn.encoders.sheets import grids_of, to_pixels

        encoder = self.search.encoder
        images = to_float(centre_crop(np.stack([first, second]), encoder.description.crop))
        grids = grids_of(encoder.model, images.to(encoder.device))
        if "reconstructions" not in grids or "interpolations" not in grids:
            return []  # a generator's ways are between images of its own
        return list(to_pixels(grids["interpolations"][0].cpu()))


def _dense(scores: Scores) -> NDArray[np.float64]:
    return np.asarray(scores if isinstance(scores, np.ndarray) else scores.toarray(), np.float64)
