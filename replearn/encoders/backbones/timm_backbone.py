"""Networks of timm: convolutional networks and vision transformers (Wightman 2019)."""

import json
import math
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from replearn.encoders.backbones.backbone import Backbone, Tokens, laid_out
from replearn.encoders.backbones.preparation import Preparation, preparation
from replearn.encoders.backbones.sources import library, quiet
from replearn.errors import DataError, UsageError


class TimmBackbone(Backbone):
    """A network of timm without its classifier."""

    library = "timm"

    @classmethod
    def load(cls, path: Path, architecture: str, text: bool) -> "TimmBackbone":
        """Load a folder that timm wrote, or a file of weights for one of its architectures.

        Raises:
            UsageError: a file is given without an architecture, or timm does not know it.
        """
        timm = library("timm")
        if path.is_dir():
            files = {"config.json": (path / "config.json").read_bytes()}
            network = timm.create_model(f"local-dir:{path}", pretrained=True, num_classes=0)
        else:
            if not timm.is_model(architecture):
                raise UsageError(
                    f"arguments.architecture: {architecture!r} is none of timm's; give the one "
                    f"that {path.name} has the weights of, such as resnet50"
                )
            files = {"config.json": json.dumps({"architecture": architecture}).encode()}
            source = {"file": str(path)}
            network = timm.create_model(
                architecture, pretrained=True, pretrained_cfg_overlay=source, num_classes=0
            )
        settings = timm.data.resolve_model_data_config(network)
        made = cls(network, files, _preparation(settings), has_text=False)
        made.preparation.check(timm.data.create_transform(**settings, is_training=False))
        return made

    @classmethod
    def build(cls, recipe: dict[str, Any], files: dict[str, bytes]) -> "TimmBackbone":
        """Build the network with fresh weights."""
        timm = library("timm")
        settings = json.loads(files["config.json"])
        with quiet():
            if set(settings) == {"architecture"}:
                network = timm.create_model(settings["architecture"], num_classes=0)
            else:
                with laid_out(files) as folder:
                    network = timm.create_model(f"local-dir:{folder}", num_classes=0)
        return cls(network, files, Preparation.from_facts(recipe["preparation"]), has_text=False)

    def head(self, images: Tensor) -> Tensor:
        """Return what the classifier was trained on [N, D]."""
        vectors: Tensor = self.network(images)
        if vectors.ndim != 2:
            raise UsageError(
                "arguments.pooling: head, but the network has none; give class, mean or gem"
            )
        return vectors

    def tokens(self, images: Tensor) -> Tokens:
        """Return the class token, if there is one, and the patches or places of the last map."""
        return tokens_of(self.network, images)


def tokens_of(network: Any, images: Tensor) -> Tokens:
    """Return what a network of timm knows of places in prepared images [N, 3, h, w]."""
    found: Tensor = network.forward_features(images)
    if found.ndim == 4:
        channels_last = str(getattr(network, "output_fmt", "NCHW")).endswith("NHWC")
        places = found.flatten(1, 2) if channels_last else found.flatten(2).transpose(1, 2)
        return Tokens(None, places)
    before = int(getattr(network, "num_prefix_tokens", 0))
    has_token = isinstance(getattr(network, "cls_token", None), nn.Parameter) and before > 0
    return Tokens(found[:, 0] if has_token else None, found[:, before:])


def _preparation(settings: dict[str, Any]) -> Preparation:
    _, height, width = settings["input_size"]
    if height != width:
        raise DataError(f"it sees images of {height} x {width}; only squares are known")
    return preparation(
        resized=math.floor(height / settings["crop_pct"]),
        side=height,
        mean=settings["mean"],
        std=settings["std"],
        mode=settings["interpolation"],
    )
