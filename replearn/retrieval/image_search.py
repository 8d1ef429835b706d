"""Search by image: an index together with the encoder that its vectors come from.

The command `query` and the search page both search here, so that they find the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from replearn.arrays import Pixels, Vectors
from replearn.artefacts.files import read_json
from replearn.artefacts.identity import check_same
from replearn.errors import DataError, UsageError
from replearn.images.decoding import decode_image
from replearn.images.form import Form
from replearn.images.picture import UnreadableImage
from replearn.images.thumbnails import ImageLookup
from replearn.neighbors.batching_engine import BatchingEngine
from replearn.neighbors.index import Index
from replearn.neighbors.storage import load_index

if TYPE_CHECKING:
    from replearn.encoders.encoder import Encoder


_LOADING = Lock()  # once, for all threads
_DECODING = Lock()  # for a large file can take gigabytes


class Query(NamedTuple):
    """An image, or a text, to search for.

    Attributes:
        name: as it was given, an id, the name of a file, or the text.
        id: that the same image would have in the index.
        vector: its features [D].
        pixels: as the encoder sees it, uint8 [C, H, W]; None where they are not at hand.
        indexed: whether it is an indexed image.
        exact: whether the vector is the features themselves, not their direction alone.
        is_text: whether it is a text; then there is no image.
    """

    name: str
    id: str
    vector: Vectors
    pixels: Pixels | None = None
    indexed: bool = False
    exact: bool = True
    is_text: bool = False


class Neighbour(NamedTuple):
    """An indexed image that is near to a query.

    Attributes:
        id: of the image.
        distance: to the query, by the metric of the index.
        concepts: of the image; none where they are not known.
    """

    id: str
    distance: float
    concepts: tuple[str, ...]


@dataclass(frozen=True)
class ImageSearch:
    """An index that is searched by images.

    Attributes:
        index: of features.
        encoder_source: the encoder or its folder, by default where the index's hint says; searching
            for indexed images takes none.
        images: the indexed images, by default where the index's hint says.
        names: of concepts by id.
        folder: of the index, to which its hints are relative; None for an index in memory.

    Example:
        >>> found = replearn.ImageSearch(index, encoder).query("new.png", k=3)
        >>> found[0].distance <= found[1].distance  # nearest first; .id and .concepts of each
        True
        >>> search = replearn.ImageSearch.open("runs/index", encoder="runs/aae")
        >>> search.query(search.index.ids[0], k=1)[0].id == search.index.ids[0]
        True
    """

    index: Index
    encoder_source: "Encoder | Path | str | None" = None
    images: Path | str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None

    @classmethod
    def open(
        cls,
        folder: Path | str,
        *,
        encoder: Path | str | None = None,
        images: Path | str | None = None,
        names: Mapping[str, str] | None = None,
        device: str = "cpu",
        verify: bool = False,
    ) -> "ImageSearch":
        """Open an index folder.

        Args:
            folder: of the index.
            encoder: folder of the encoder, if it no longer lies where it did.
            images: the indexed images, if they no longer lie where they did.
            names: of concepts by id.
            device: where to search, such as `cuda`.
            verify: check first that no vector has changed on disk.

        Raises:
            DataError: the index is missing or damaged.
            UsageError: the index cannot be searched on this device.
        """
        index = load_index(folder, device=device, verify=verify)
        return cls(index, encoder, images, names or {}, Path(folder))

    def with_batching(self) -> "ImageSearch":
        """Return the same search for many threads, whose queries are searched in batches."""
        return replace(self, index=replace(self.index, engine=BatchingEngine(self.index.engine)))

    def query(self, image: str | Path, k: int = 10) -> list[Neighbour]:
        """Return the k indexed images nearest to an image file or an indexed image.

        Args:
            image: path of an image file, or the id of an indexed image.
            k: how many to find.

        Raises:
            DataError: there is neither such a file nor such an id, or it cannot be read.
            UsageError: the encoder is not where it was.
        """
        return self.nearest(self.queries([str(image)]), k)[0]

    def queries(self, images: Sequence[str]) -> list[Query]:
        """Return queries for image files and ids, in their order; a file comes before an id.

        All files are embedded together.  Ids need no encoder.

        Args:
            images: paths of image files, or ids of indexed images.

        Raises:
            DataError: one of them is neither a file nor an id, or cannot be read.
            UsageError: the encoder is not where it was.
        """
        files = [name for name in images if Path(name).is_file() or name not in self.index.rows]
        pixels = [self._read(Path(name)) for name in files]
        ids = [name for name in images if name not in files]
        made = [*self.queries_of_pixels(files, pixels), *self.queries_of_ids(ids)]
        by_name = {query.name: query for query in made}
        return [by_name[name] for name in images]

    def queries_of_pixels(self, names: Sequence[str], pixels: Sequence[Pixels]) -> list[Query]:
        """Return queries for images that `prepare` returned, under the names of their files."""
        if not names:
            return []
        vectors = np.concatenate(list(self.encoder.embed(np.stack(pixels))))
        return [
            Query(name, Path(name).stem, vector, image)
            for name, vector, image in zip(names, vectors, pixels, strict=True)
        ]

    def queries_of_ids(self, ids: Sequence[str]) -> list[Query]:
        """Return queries for indexed images, without their pixels.

        Raises:
            DataError: one of them is not indexed.
        """
        exact = self.index.metric == "l2"
        return [
            Query(id_, id_, vector, indexed=True, exact=exact)
            for id_, vector in zip(ids, self.index.vectors(ids), strict=True)
        ]

    def queries_of_texts(self, texts: Sequence[str]) -> list[Query]:
        """Return queries for texts, where the encoder has a text tower.

        Raises:
            UsageError: it has none, it is not where it was, or the index compares other than
                angles.
        """
        if not texts:
            return []
        if self.index.metric != "cosine":
            raise UsageError(
                f"{self.folder or 'the index'}: texts are compared with images by angle, and its "
                f"metric is {self.index.metric}; make an index with --metric cosine"
            )
        vectors = self.encoder.embed_text(texts)
        return [
            Query(text, text, vector, exact=False, is_text=True)
            for text, vector in zip(texts, vectors, strict=True)
        ]

    @property
    def may_know_texts(self) -> bool:
        """Whether the encoder is of the kind that may have a text tower; it is not loaded."""
        source = self.encoder_source
        try:
            source = self._hinted("encoder") if source is None else source
            if isinstance(source, Path | str):
                return bool(read_json(Path(source) / "encoder.json")["model"] == "pretrained")
        except (DataError, UsageError, KeyError, OSError):
            return False
        return source.description.model == "pretrained"

    def nearest(
        self, queries: Sequence[Query], k: int, *, exclude_self: bool = False
    ) -> list[list[Neighbour]]:
        """Return the k nearest of each query, nearest first.

        Args:
            queries: at least one.
            k: how many; an approximate index may find fewer.
            exclude_self: leave out the indexed image of the query's own id.
        """
        vectors = np.stack([query.vector for query in queries])
        hits = (
            self.index.search_others(vectors, k, [query.id for query in queries])
            if exclude_self
            else self.index.search(vectors, k)
        )
        return [
            [
                Neighbour(self.index.ids[row], distance, self._concepts_at(row))
                for row, distance in zip(rows, distances, strict=True)
                if row >= 0
            ]
            for rows, distances in zip(hits.rows.tolist(), hits.distances.tolist(), strict=True)
        ]

    def concepts_of(self, id_: str) -> tuple[str, ...]:
        """Return the concepts of an indexed image; none where they are not known."""
        return self._concepts_at(self.index.rows[id_])

    def _concepts_at(self, row: int) -> tuple[str, ...]:
        table = self.index.concepts
        return table.concepts[row] if table is not None else ()

    def names_of(self, concepts: Sequence[str]) -> list[str]:
        """Return the names of concepts; a concept without one stands for itself."""
        return [self.names.get(concept, concept) for concept in concepts]

    @property
    def encoder(self) -> "Encoder":
        """The encoder of the index, loaded when it is first needed.

        Raises:
            DataError: it is damaged, or another one than the index was made with.
            UsageError: it is not where it was.
        """
        with _LOADING:
            return self._encoder

    @cached_property
    def _encoder(self) -> "Encoder":
        source = self.encoder_source
        source = self._hinted("encoder") if source is None else source
        if isinstance(source, Path | str):
            # torch takes a second or two to import, and ids need none.
            from replearn.encoders.encoder import load_encoder

            source = load_encoder(source)
        message = f"the encoder of {self.folder or 'the index'}"
        check_same(self.index.encoder, source.description.identity, message)
        return source

    @cached_property
    def lookup(self) -> ImageLookup:
        """The indexed images.

        Raises:
            UsageError: they are not where they were.
        """
        return ImageLookup(Path(self.images or self._hinted("images")), self.index.ids)

    def _hinted(self, what: Literal["encoder", "images"]) -> Path:
        """Return where the encoder or the images lie, by the index's hint.

        Raises:
            UsageError: they are not where they were.
        """
        hint = self.index.hints.get(f"{what}_path")
        path = None if hint is None or self.folder is None else self.folder / hint
        if path is None or not path.exists():
            known = "is not known" if path is None else f"was {path}"
            raise UsageError(
                f"{self.folder or 'index'}: the place of its {what} {known}; give it with --{what}"
            )
        return path

    def prepare(self, content: bytes) -> Pixels:
        """Return an image file as the encoder sees it, uint8 [C, H, W].

        Raises:
            UnreadableImage: the bytes are no image that can be read.
        """
        form = self._form
        with _DECODING:
            return decode_image(content, form).pixels

    def _read(self, path: Path) -> Pixels:
        """Return what `prepare` returns of a file.

        Raises:
            DataError: there is no such file, or it cannot be read.
        """
        if not path.is_file():
            raise DataError(f"{path}: neither an image file nor the id of an indexed image")
        try:
            return self.prepare(path.read_bytes())
        except UnreadableImage as error:
            raise DataError(f"{path}: {error}") from None

    def pixels_of(self, id_: str) -> Pixels | None:
        """Return an indexed image as the encoder sees it; None if it is not there.

        Raises:
            DataError: it is prepared in another form.
            UsageError: the images or the encoder are not where they were.
        """
        return self.lookup.pixels_of([id_], self._form).get(id_)

    @property
    def _form(self) -> Form:
        return self.encoder.description.form
