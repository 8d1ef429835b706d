"""What a network of any library offers: its own vector, its tokens, and a text tower if it has one.

A backbone is kept with its recipe, the few small files that its library builds it from, so that an
encoder that was saved needs neither the network nor the folder that it came from.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from replearn.encoders.backbones.preparation import Preparation
from replearn.errors import UsageError

Pooling = Literal["head", "class", "mean", "both", "gem"]
Library = Literal["transformers", "timm", "open_clip"]

_POWER, _LEAST = 3.0, 1e-6  # of the generalised mean (Radenovic et al. 2018, arXiv:1711.02512)


class Tokens(NamedTuple):
    """What a network knows of places in an image.

    Attributes:
        token: the class token [N, D]; None where there is none.
        patches: the patches, or the places of the last feature map [N, P, D].
    """

    token: Tensor | None
    patches: Tensor


class Backbone(nn.Module):
    """A network of one library.

    Attributes:
        library: the library's name.
        files: the content of the files that it is built from, by their place in a folder.
        preparation: what an image has to look like.
        has_text: whether it has a text tower, and a tokenizer for it.
    """

    library: Library

    def __init__(
        self, network: nn.Module, files: dict[str, bytes], preparation: Preparation, has_text: bool
    ) -> None:
        """Take a network that is ready to see prepared images."""
        super().__init__()
        self.network = network.float().requires_grad_(False).eval()
        self.files, self.preparation, self.has_text = files, preparation, has_text

    def head(self, images: Tensor) -> Tensor:
        """Return the vector [N, D] that the network was trained to give of images [N, 3, h, w].

        Raises:
            UsageError: it has none.
        """
        raise NotImplementedError

    def tokens(self, images: Tensor) -> Tokens:
        """Return what the network knows of places in prepared images [N, 3, h, w]."""
        raise NotImplementedError

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors [N, D] of texts, in the space of `head`; there is a text tower."""
        raise NotImplementedError

    def pooled(self, images: Tensor, pooling: Pooling) -> Tensor:
        """Return one vector [N, D] for each prepared image [N, 3, h, w].

        Raises:
            UsageError: the network has no head, or no class token.
        """
        if pooling == "head":
            return self.head(images)
        token, patches = self.tokens(images)
        if pooling == "mean":
            return patches.mean(1)
        if pooling == "gem":
            return patches.clamp_min(_LEAST).pow(_POWER).mean(1).pow(1 / _POWER)
        if token is None:
            raise UsageError(f"arguments.pooling: {pooling}, but the network has no class token")
        return token if pooling == "class" else torch.cat([token, patches.mean(1)], dim=1)

    def recipe(self) -> dict[str, Any]:
        """Return what the backbone is built from, but for its weights, as JSON has it."""
        return {
            "library": self.library,
            "files": {name: base64.b64encode(f).decode() for name, f in self.files.items()},
            "preparation": self.preparation.facts(),
            "has_text": self.has_text,
        }


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of all files of a folder by their place in it."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@contextmanager
def laid_out(files: dict[str, bytes]) -> Iterator[Path]:
    """Lay files out in a folder for as long as a library reads them."""
    with TemporaryDirectory() as place:
        for name, content in files.items():
            path = Path(place) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        yield Path(place)
