"""Networks of transformers: DINOv2 and 3, RAD-DINO, SigLIP, CLIP, ConvNeXt and others."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from replearn.console import warn
from replearn.encoders.backbones.backbone import Backbone, Tokens, contents, laid_out
from replearn.encoders.backbones.preparation import Preparation, preparation
from replearn.encoders.backbones.sources import library, quiet
from replearn.errors import DataError, UsageError, brief, some_of

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # in Pillow's numbering
_CROPPED_BELOW = 384  # px: a ConvNeXt resizes larger images without a crop
_TOWER = ("text_model", "text_projection")  # parts of a pair of towers that see no image


class TransformersBackbone(Backbone):
    """A network of transformers; of a pair of towers, the vectors compared in its training."""

    library = "transformers"

    @classmethod
    def load(cls, path: Path, architecture: str, text: bool) -> "TransformersBackbone":
        """Load a folder that transformers wrote.

        Raises:
            DataError: the folder lacks weights.
            UsageError: a file is given.
        """
        if path.is_file():
            raise UsageError(
                f"arguments.name: {path} is a file; transformers loads folders with config.json"
            )
        transformers = library("transformers")
        with _unwatched(transformers):
            network, told = transformers.AutoModel.from_pretrained(
                path, dtype=torch.float32, output_loading_info=True, local_files_only=True
            )
        missing = sorted(told["missing_keys"])
        without_head = bool(missing) and all("pooler" in name for name in missing)
        if missing and not without_head:
            raise DataError(f"{path}: {len(missing)} weights are missing ({some_of(missing)})")
        processor = transformers.AutoImageProcessor.from_pretrained(path, local_files_only=True)
        files = _saved(network.config)
        tokenizer = _tokenizer(transformers, path) if text and _has_text(network) else None
        if tokenizer is not None:
            files |= {f"tokenizer/{name}": f for name, f in _saved(tokenizer).items()}
        if without_head:
            files["no-head"] = b""
        made = cls(network, files, _preparation(processor.to_dict(), network), bool(tokenizer))
        made.preparation.check(
            lambda image: processor(images=image, return_tensors="pt")["pixel_values"][0]
        )
        return made

    @classmethod
    def build(cls, recipe: dict[str, Any], files: dict[str, bytes]) -> "TransformersBackbone":
        """Build the network with fresh weights."""
        transformers = library("transformers")
        with laid_out(files) as folder:
            settings = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
        network = transformers.AutoModel.from_config(settings)
        prepared = Preparation.from_facts(recipe["preparation"])
        return cls(network, files, prepared, recipe["has_text"])

    def __init__(
        self, network: nn.Module, files: dict[str, bytes], prepared: Preparation, has_text: bool
    ) -> None:
        """Take a network; a text tower that cannot be used is dropped."""
        if not has_text:
            for name in _TOWER:
                if hasattr(network, name):
                    delattr(network, name)
        super().__init__(network, files, prepared, has_text)

    def head(self, images: Tensor) -> Tensor:
        """Return the network's pooled output [N, D]; of a pair, what was compared with texts."""
        network: Any = self.network
        if hasattr(network, "get_image_features"):
            return _pooled(network.get_image_features(pixel_values=images))
        found = network(pixel_values=images)
        vectors = getattr(found, "pooler_output", None)
        if vectors is None or "no-head" in self.files:
            raise UsageError(
                "arguments.pooling: head, but the network has none that was trained; give class, "
                "mean, both or gem"
            )
        pooled: Tensor = vectors.flatten(1)
        return pooled

    def tokens(self, images: Tensor) -> Tokens:
        """Return the class token, if there is one, and the patches or places of the last map."""
        network: Any = self.network
        seeing = getattr(network, "vision_model", network)
        found: Tensor = seeing(pixel_values=images).last_hidden_state
        if found.ndim == 4:  # maps of a convolutional network [N, D, h, w]
            return Tokens(None, found.flatten(2).transpose(1, 2))
        patch = getattr(seeing.config, "patch_size", None)
        patch = patch[0] if isinstance(patch, (list, tuple)) else patch
        places = (images.shape[-1] // patch) ** 2 if patch else found.shape[1]
        before = max(found.shape[1] - places, 0)
        return Tokens(found[:, 0] if before else None, found[:, before:])

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors of texts [N, D]."""
        network: Any = self.network
        start = "tokenizer/"
        own = {name.removeprefix(start): f for name, f in self.files.items() if start in name}
        with laid_out(own) as folder:
            tokenizer = library("transformers").AutoTokenizer.from_pretrained(folder)
        tower = network.config.text_config
        tokens = tokenizer(
            list(texts),
            padding="max_length",
            truncation=True,
            max_length=int(tower.max_position_embeddings),
            return_tensors="pt",
        )
        device = next(network.parameters()).device
        return _pooled(network.get_text_features(**{k: v.to(device) for k, v in tokens.items()}))


@contextmanager
def _unwatched(transformers: Any) -> Iterator[None]:
    """Show neither a progress bar nor a table of the weights: what is missing is looked at here."""
    told = transformers.utils.logging
    watched = told.is_progress_bar_enabled()
    told.disable_progress_bar()
    try:
        with quiet():
            yield
    finally:
        if watched:
            told.enable_progress_bar()


def _pooled(found: Any) -> Tensor:
    """Return the vectors of what `get_..._features` gives: they, or an output that holds them."""
    vectors: Tensor = found if isinstance(found, Tensor) else found.pooler_output
    return vectors


def _has_text(network: Any) -> bool:
    return hasattr(network, "get_text_features")


def _tokenizer(transformers: Any, path: Path) -> Any:
    """Return the tokenizer of a text tower, None with a warning where it cannot be loaded."""
    try:
        return transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    except Exception as error:  # a missing file, or a missing library
        warn(f"{path}: its text tower is left out, as it has no tokenizer ({brief(error)})")
        return None


def _saved(thing: Any) -> dict[str, bytes]:
    """Return the files that a configuration or a tokenizer is saved as."""
    with TemporaryDirectory() as folder:
        thing.save_pretrained(folder)
        return contents(Path(folder))


def _preparation(facts: Mapping[str, Any], network: Any) -> Preparation:
    """Return how a processor with these settings prepares square images."""
    config = getattr(network.config, "vision_config", None) or network.config
    resized = _side(facts.get("size") if facts.get("do_resize", True) else config.image_size)
    side = _side(facts["crop_size"]) if facts.get("do_center_crop") else resized
    if facts.get("crop_pct") and resized < _CROPPED_BELOW:
        resized = int(resized / facts["crop_pct"])
    mean, std = facts.get("image_mean"), facts.get("image_std")
    if not facts.get("do_normalize", True) or mean is None or std is None:
        mean, std = [0.0] * 3, [1.0] * 3
    factor = facts.get("rescale_factor", 1 / 255) if facts.get("do_rescale", True) else 1.0
    scale = 255 * factor  # of pixels in [0, 1]
    return preparation(
        resized=resized,
        side=side,
        mean=[value / scale for value in mean],
        std=[value / scale for value in std],
        mode=_RESAMPLING.get(int(facts.get("resample") or 2), "bicubic"),
    )


def _side(size: Any) -> int:
    """Return the side of a square from the ways in which preprocessing states it.

    Raises:
        DataError: it is no square.
    """
    if isinstance(size, Mapping):
        known = {key: value for key, value in size.items() if value}
        if known.get("height") != known.get("width"):
            raise DataError(f"its preprocessing makes images of {known}; only squares are known")
        size = known.get("shortest_edge") or known.get("height")
    if isinstance(size, (list, tuple)):
        size = size[0]
    if not isinstance(size, int):
        raise DataError(f"its preprocessing states no size ({size})")
    return size
