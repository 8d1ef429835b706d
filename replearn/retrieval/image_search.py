"""Searching by image: an index together with the encoder that its vectors come from.

The command `query` and the search page ask here, so both find the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from replearn.arrays import Pixels
from replearn.artefacts.identity import check_same
from replearn.errors import UsageError
from replearn.images.decoding import decode
from replearn.images.form import Form
from replearn.images.lookup import ImageLookup
from replearn.neighbors.batching_engine import BatchingEngine
from replearn.neighbors.engine import Hits
from replearn.neighbors.index import Index
from replearn.neighbors.storage import load_index

if TYPE_CHECKING:
    from replearn.encoders.encoder import Encoder

Vectors = NDArray[np.float32]

_LOADING = Lock()  # once, for all threads


@dataclass(frozen=True)
class ImageSearch:
    """An index that images can be asked about.

    Attributes:
        index: what is searched.
        folder: where it lies, which its hints are relative to.
        encoder_folder: the encoder, if it no longer lies where it did.
        images: the indexed images, if they no longer lie where they did.
        names: of concepts by id.
    """

    index: Index
    folder: Path
    encoder_folder: Path | None = None
    images: Path | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(
        cls, folder: Path, *, device: str = "cpu", verify: bool = False, **places: Any
    ) -> "ImageSearch":
        """Open an index folder; `places` are the other attributes.

        Raises:
            DataError: the index is missing or damaged.
        """
        return cls(load_index(folder, device=device, verify=verify), folder, **places)

    def shared(self) -> "ImageSearch":
        """Return the same search for many threads at once."""
        return replace(self, index=replace(self.index, engine=BatchingEngine(self.index.engine)))

    @property
    def encoder(self) -> "Encoder":
        """The encoder of the index, loaded when it is first asked for.

        Raises:
            DataError: it is damaged, or another one than the index was made with.
            UsageError: it is not where it was.
        """
        with _LOADING:
            return self._encoder

    @cached_property
    def _encoder(self) -> "Encoder":
        # torch takes a second or two to import, and ids need none.
        from replearn.encoders.encoder import load_encoder

        encoder = load_encoder(self.encoder_folder or self.place_of("encoder"))
        check_same(
            self.index.encoder, encoder.description.identity, f"the encoder of {self.folder}"
        )
        return encoder

    def place_of(self, what: str) -> Path:
        """Return where the `encoder` or the `images` lie, by the index's hint.

        Raises:
            UsageError: they are not where they were.
        """
        hint = self.index.hints.get(f"{what}_path")
        if hint is None or not (self.folder / hint).exists():
            known = "is not known" if hint is None else f"was {self.folder / hint}"
            raise UsageError(
                f"{self.folder}: the place of its {what} {known}; give it with --{what}"
            )
        return self.folder / hint

    def prepare(self, content: bytes) -> Pixels:
        """Return an image file as the encoder sees it, uint8 [C, H, W].

        Raises:
            UnreadableImage: the bytes are no image that can be read.
        """
        form = self._form
        return decode(content, size=form.size, channels=form.channels, fit=form.fit)

    def embed(self, pixels: Sequence[Pixels]) -> Vectors:
        """Return the features [M, D] of prepared images."""
        return np.concatenate(list(self.encoder.embed(np.stack(pixels))))

    def nearest(
        self, vectors: Vectors, k: int, without: Sequence[str] | None = None
    ) -> list[list[dict[str, Any]]]:
        """Return for each vector [M, D] its k nearest, as `id`, `distance` and `concepts`.

        Args:
            vectors: features.
            k: how many.
            without: an id for each vector that is not to be found.
        """
        found = self.index
        hits = (
            found.search(vectors, k)
            if without is None
            else found.search_others(vectors, k, without)
        )
        return [self._told(hits, row) for row in range(len(vectors))]

    def _told(self, hits: Hits, row: int) -> list[dict[str, Any]]:
        found = zip(hits.rows[row].tolist(), hits.distances[row].tolist(), strict=True)
        return [
            {
                "id": self.index.ids[place],
                "distance": distance,
                "concepts": list(self.concepts_at(place)),
            }
            for place, distance in found
            if place >= 0  # an approximate index may find fewer than k
        ]

    def concepts_at(self, row: int) -> tuple[str, ...]:
        """Return the concepts of the indexed image in this row; none where they are not known."""
        table = self.index.concepts
        return table.concepts[row] if table is not None else ()

    def called(self, concepts: Sequence[str]) -> list[str]:
        """Return what concepts are called; where that is not known, themselves."""
        return [self.names.get(concept, concept) for concept in concepts]

    @cached_property
    def lookup(self) -> ImageLookup:
        """The indexed images.

        Raises:
            UsageError: they are not where they were.
        """
        return ImageLookup(self.images or self.place_of("images"), self.index.ids)

    def as_seen(self, id_: str) -> Pixels | None:
        """Return an indexed image as the encoder sees it; None if it is not there.

        Raises:
            DataError: it is prepared in another form.
            UsageError: the images are not where they were.
        """
        return self.lookup.pixels_of([id_], self._form).get(id_)

    @property
    def _form(self) -> Form:
        asked = self.encoder.description
        return Form(asked.size, asked.channels, asked.fit)
