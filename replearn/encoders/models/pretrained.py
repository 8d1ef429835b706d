"""A network that others have trained, of `transformers`, `timm` or `open_clip`.

Vision transformers such as DINOv2 (Oquab et al. 2023, arXiv:2304.07193), pairs of an image and a
text tower such as BiomedCLIP (Zhang et al. 2023, arXiv:2303.00915) and convolutional networks of
ImageNet are strong encoders without labels of one's own.  Nothing is trained here.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from replearn.console import warn
from replearn.encoders.backbones.backbone import Backbone, Library, Pooling
from replearn.encoders.backbones.loading import build_backbone, load_backbone
from replearn.encoders.contract import FittedEncoder
from replearn.errors import DataError, UsageError


class Pretrained(FittedEncoder):
    """A pretrained network's own vector (`head`), or its tokens or feature maps, pooled.

    Images are brought to what the network was trained on: its size, its mean and standard
    deviation, three channels.  What is saved holds the network itself, so that it is fetched once.
    """

    def __init__(
        self,
        *,
        size: int = 224,
        channels: int = 3,
        name: str = "",
        library: Library | Literal["auto"] = "auto",
        architecture: str = "",
        pooling: Pooling = "head",
        crop: bool = True,
        text: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.name, self.library = size, name, library
        self.architecture, self.pooling, self.crop, self.text = architecture, pooling, crop, text
        self.backbone: Backbone | None = None
        # What the network is built from as JSON, to build it again from what is saved.
        self.register_buffer("recipe", torch.empty(0, dtype=torch.uint8))

    def fit(self, images: Tensor, seed: int = 0) -> None:
        backbone = load_backbone(
            self.name, library=self.library, architecture=self.architecture, text=self.text
        )
        wanted = backbone.preparation if self.crop else backbone.preparation.whole()
        if self.size < wanted.resized:
            warn(
                f"images.size: {self.size} px are enlarged to {wanted.resized} for {self.name}; "
                f"with images.size={wanted.resized} it sees all that the files show"
            )
        self.recipe = _bytes(json.dumps(backbone.recipe()).encode())
        self.backbone = backbone
        self.to(images.device).eval()
        self.embed(images[:1])  # a pooling that the network does not have is told now

    def embed(self, images: Tensor) -> Tensor:
        backbone = self._network()
        prepared = backbone.preparation if self.crop else backbone.preparation.whole()
        return backbone.pooled(prepared.apply(images), self.pooling)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        backbone = self._network()
        if not backbone.has_text:
            raise UsageError(
                f"{self.name}: it has no text tower, or was trained with arguments.text=false"
            )
        if self.pooling != "head":
            raise UsageError(
                f"arguments.pooling: {self.pooling} has no texts; only head gives images and texts "
                "vectors that can be compared"
            )
        return backbone.embed_text(texts)

    def _network(self) -> Backbone:
        if self.backbone is None:
            raise DataError("model pretrained: there is no network yet; train the encoder first")
        return self.backbone

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        """Build the network that was saved, before its weights are loaded."""
        recipe = state_dict.get(f"{prefix}recipe")
        if recipe is not None and len(recipe):
            self.recipe = torch.empty_like(recipe, device=self.recipe.device)
            self.backbone = build_backbone(json.loads(recipe.cpu().numpy().tobytes()))
            self.to(self.recipe.device).train(self.training)
        super()._load_from_state_dict(state_dict, prefix, *others)


def _bytes(content: bytes) -> Tensor:
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)
