"""A network that others have trained, read through the `transformers` library.

Vision transformers such as DINOv2 (Oquab et al. 2023, arXiv:2304.07193) and their medical kin are
the strongest encoders to be had without labels of one's own.  Nothing is trained here.
"""

import importlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from replearn.encoders.contract import FittedEncoder
from replearn.errors import DataError, UsageError, brief

Pooling = Literal["class", "mean", "both"]

_BILINEAR = 2  # in Pillow's numbering, in which preprocessing states how it resizes


class Pretrained(FittedEncoder):
    """The class token, the mean of the patches, or both, of a pretrained network.

    Images are brought to what the network was trained on: its size, its mean and standard
    deviation, three channels.  What is saved holds the network itself, so that it is fetched once.
    """

    def __init__(
        self, *, size: int = 224, channels: int = 3, name: str = "", pooling: Pooling = "class"
    ) -> None:
        super().__init__()
        self.name, self.pooling = name, pooling
        self.backbone: nn.Module | None = None
        # The settings of network and preprocessing as JSON, to rebuild both from what is saved.
        self.register_buffer("recipe", torch.empty(0, dtype=torch.uint8))

    def fit(self, images: Tensor) -> None:
        if not self.name:
            raise UsageError(
                "arguments.name: give the folder of a pretrained model, or its name on the hub, "
                "such as facebook/dinov2-small"
            )
        transformers = _library()
        try:
            backbone = transformers.AutoModel.from_pretrained(self.name)
        except (OSError, ValueError) as error:
            raise DataError(
                f"arguments.name: {self.name!r} is neither the folder of a model nor to be "
                f"fetched from the hub ({brief(error)})"
            ) from None
        recipe = {"network": backbone.config.to_dict(), "images": self._preprocessing()}
        text = json.dumps(recipe, default=str).encode()
        self.recipe = torch.tensor(list(text), dtype=torch.uint8)
        self._take(backbone, recipe)
        self.to(images.device).eval()

    def embed(self, images: Tensor) -> Tensor:
        if self.backbone is None:
            raise DataError("model pretrained: there is no network yet; train the encoder first")
        found: Tensor = self.backbone(pixel_values=self._prepared(images)).last_hidden_state
        if found.ndim == 4:  # a convolutional network [N, D, H, W] has no class token
            self._refuse_without_token(0)
            return found.mean((2, 3))
        before = found.shape[1] - self._patches
        self._refuse_without_token(before)
        token, patches = found[:, 0], found[:, before:].mean(1)
        if self.pooling == "both":
            return torch.cat([token, patches], dim=1)
        return token if self.pooling == "class" else patches

    def _refuse_without_token(self, before: int) -> None:
        if before < 1 and self.pooling != "mean":
            raise UsageError(f"arguments.pooling: {self.name} has no class token; give mean")

    def _prepared(self, images: Tensor) -> Tensor:
        """Bring images [N, C, H, W] in [-1, 1] to what the network expects, [N, 3, h, w]."""
        pixels = (images + 1) / 2
        if pixels.shape[1] == 1:
            pixels = pixels.expand(-1, 3, -1, -1)
        if pixels.shape[-1] != self._resized:
            side = (self._resized, self._resized)
            pixels = F.interpolate(pixels, side, mode=self._mode, antialias=True).clamp(0, 1)
        margin = (self._resized - self._side) // 2
        pixels = pixels[..., margin : margin + self._side, margin : margin + self._side]
        mean, std = (pixels.new_tensor(v).view(1, 3, 1, 1) for v in self._colours)
        return (pixels - mean) / std

    def _take(self, backbone: nn.Module, recipe: Mapping[str, Any]) -> None:
        """Keep the part of the network that sees, and what its images look like."""
        self.backbone = getattr(backbone, "vision_model", backbone).requires_grad_(False)
        network, images = recipe["network"], recipe["images"]
        network = network.get("vision_config") or network
        size = images.get("size") or network.get("image_size") or 224
        self._resized = _side(size)
        cropped = images.get("do_center_crop") and images.get("crop_size")
        self._side = _side(cropped) if cropped else self._resized
        self._mode = "bilinear" if images.get("resample") == _BILINEAR else "bicubic"
        half = [0.5, 0.5, 0.5]
        self._colours = images.get("image_mean") or half, images.get("image_std") or half
        self._patches = (self._side // int(network.get("patch_size") or self._side)) ** 2

    def _preprocessing(self) -> dict[str, Any]:
        """Return the network's own settings of preprocessing, none where it has none."""
        module = importlib.import_module("transformers.image_processing_base")
        try:
            found, _ = module.ImageProcessingMixin.get_image_processor_dict(self.name)
        except OSError:
            return {}
        return dict(found)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *others: Any) -> None:
        """Build the network that was saved, before its weights are loaded."""
        recipe = state_dict.get(f"{prefix}recipe")
        if recipe is not None and len(recipe):
            self.recipe = torch.empty_like(recipe, device=self.recipe.device)
            content = json.loads(bytes(recipe.tolist()))
            library, settings = _library(), dict(content["network"])
            config = library.AutoConfig.for_model(settings.pop("model_type"), **settings)
            self._take(library.AutoModel.from_config(config), content)
            self.to(self.recipe.device).train(self.training)
        super()._load_from_state_dict(state_dict, prefix, *others)


def _side(size: Any) -> int:
    """Return the side of a square from the ways in which preprocessing states it."""
    if isinstance(size, Mapping):
        return int(size.get("shortest_edge") or size.get("height") or 224)
    return int(size[0] if isinstance(size, (list, tuple)) else size)


def _library() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError:
        raise DataError("model pretrained: it needs pip install 'replearn[pretrained]'") from None
