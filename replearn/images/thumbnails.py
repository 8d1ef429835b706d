"""Images by their ids, as thumbnails or in a given form; the source is looked through once."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from threading import Lock

import numpy as np

from replearn.arrays import Pixels
from replearn.errors import DataError
from replearn.ids import IdMap, rows_of
from replearn.images.file_reader import FileReader
from replearn.images.form import Form
from replearn.images.frames import frames_named_by
from replearn.images.ids import Plan, Selection, match_ids
from replearn.images.image_set import ImageSet
from replearn.images.opening import is_prepared
from replearn.images.sources import open_source
from replearn.images.stores import ImageFile, Store

THUMBNAIL = Form(128, 3, "pad")
_THREADS = 8
_DECODING = Lock()  # that there are no more threads, however many ask


@dataclass(frozen=True)
class ImageLookup:
    """Images that are shown by their ids.

    Attributes:
        source: a prepared image set, or whatever `replearn.images.sources.open_source` opens.
        ids: all that may be asked for.
    """

    source: Path
    ids: Sequence[str]

    def pixels_of(self, ids: Sequence[str], form: Form | None = None) -> dict[str, Pixels]:
        """Return those of the images that are there and can be read, uint8 [C, H, W].

        Args:
            ids: of the images.
            form: that they are to have; without one, thumbnails, and what is prepared as it is.

        Raises:
            DataError: there is no source, or it is prepared in another form.
        """
        if self._prepared is None:
            files, store, _ = self._files
            plan: Plan = [(id_, files[id_]) for id_ in ids if id_ in files]
            with _DECODING:
                part = FileReader(self.source, store, plan, form or THUMBNAIL).read(_THREADS)
            return dict(zip(part.ids, part.pixels, strict=True))
        images, rows = self._prepared
        if form not in (None, images.form):
            raise DataError(f"{self.source}: prepared with {images.form}, where {form} is asked")
        return {id_: np.asarray(images.pixels[rows[id_]]) for id_ in ids if id_ in rows}

    @cached_property
    def _prepared(self) -> tuple[ImageSet, IdMap[int]] | None:
        if not is_prepared(self.source):
            return None
        images = ImageSet.load(self.source)
        return images, rows_of(images.ids)

    @cached_property
    def _files(self) -> tuple[IdMap[ImageFile], Store, ExitStack]:
        """The file of each id, what reads it, and what keeps that open as long as this lives."""
        kept = ExitStack()
        source = kept.enter_context(open_source(self.source))
        plan = match_ids(self.source, source, Selection(self.ids))
        found = [(id_, file) for id_, file in plan if file is not None]
        # What is no file may be a frame or page of one.
        frames = frames_named_by([id_ for id_, file in plan if file is None])
        whole = Selection(sorted({stem for stem, _ in frames.values()}))
        stems = dict(match_ids(self.source, source, whole))
        for id_, (stem, frame) in frames.items():
            file = stems[stem]
            if file is not None:
                found.append((id_, replace(file, frame=frame)))
        return IdMap(found), source.store, kept
