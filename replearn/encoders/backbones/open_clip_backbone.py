"""Pairs of image and text towers of open_clip (Ilharco et al. 2021), such as BiomedCLIP."""

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor

from replearn.encoders.backbones.backbone import Backbone, Tokens, contents, laid_out
from replearn.encoders.backbones.preparation import Preparation, preparation
from replearn.encoders.backbones.sources import fetched, library, quiet
from replearn.encoders.backbones.timm_backbone import tokens_of
from replearn.errors import DataError, UsageError

_CONFIG = "open_clip_config.json"
_TEXT = "text"  # folder of the configuration of a text tower of transformers
_NAMES = ("open_clip_model", "open_clip_pytorch_model", "model", "pytorch_model", "*")
_ENDINGS = (".safetensors", ".bin", ".pt", ".pth")
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "*.spm")


class OpenClipBackbone(Backbone):
    """The towers of open_clip; the vectors are those that were compared in its training."""

    library = "open_clip"

    @classmethod
    def load(cls, path: Path, architecture: str, text: bool) -> "OpenClipBackbone":
        """Load a folder that open_clip wrote, or a file of weights for one of its architectures.

        Raises:
            DataError: the folder has no weights.
            UsageError: a file is given without an architecture, or open_clip does not know it.
        """
        open_clip = library("open_clip")
        weights = _weights(path)
        files = _files(open_clip, path, architecture, text)
        network = _built(open_clip, files)
        open_clip.load_checkpoint(network, str(weights))
        settings = open_clip.transform.PreprocessCfg(**network.visual.preprocess_cfg)
        made = cls(network if text else network.visual, files, _preparation(settings), text)
        made.preparation.check(open_clip.transform.image_transform_v2(settings, is_train=False))
        return made

    @classmethod
    def build(cls, recipe: dict[str, Any], files: dict[str, bytes]) -> "OpenClipBackbone":
        """Build the network with fresh weights."""
        network, text = _built(library("open_clip"), files), recipe["has_text"]
        prepared = Preparation.from_facts(recipe["preparation"])
        return cls(network if text else network.visual, files, prepared, text)

    @property
    def _visual(self) -> Any:
        network: Any = self.network
        return network.visual if self.has_text else network

    def head(self, images: Tensor) -> Tensor:
        """Return the vector that was compared with texts [N, D]."""
        found = self._visual(images)
        vectors: Tensor = found[0] if isinstance(found, tuple) else found
        return vectors

    def tokens(self, images: Tensor) -> Tokens:
        """Return the class token, if there is one, and the patches or places of the last map."""
        visual = self._visual
        if hasattr(visual, "trunk"):  # a network of timm inside
            return tokens_of(visual.trunk, images)
        wanted = {"indices": 1, "normalize_intermediates": True, "intermediates_only": True}
        found = visual.forward_intermediates(images, **wanted, output_extra_tokens=True)
        patches = found["image_intermediates"][-1].flatten(2).transpose(1, 2)
        before = found.get("image_intermediates_prefix")
        return Tokens(None if before is None else before[-1][:, 0], patches)

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors of texts [N, D]."""
        open_clip = library("open_clip")
        with laid_out(self.files) as folder, quiet():
            tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(list(texts))
        device = next(self.network.parameters()).device
        network: Any = self.network
        vectors: Tensor = network.encode_text(tokens.to(device))
        return vectors


def _built(open_clip: Any, files: dict[str, bytes]) -> Any:
    """Return the network of a folder's files, with fresh weights."""
    with laid_out(files) as folder, quiet():
        settings = json.loads(files[_CONFIG])
        if f"{_TEXT}/config.json" in files:
            settings["model_cfg"]["text_cfg"]["hf_model_name"] = str(folder / _TEXT)
            (folder / _CONFIG).write_text(json.dumps(settings), encoding="utf-8")
        return open_clip.create_model(
            f"local-dir:{folder}", load_weights=False, pretrained_text=False
        )


def _files(open_clip: Any, path: Path, architecture: str, text: bool) -> dict[str, bytes]:
    """Return what the network and its tokenizer are built from."""
    if path.is_dir():
        settings = json.loads((path / _CONFIG).read_text(encoding="utf-8"))
    else:
        settings = {"model_cfg": open_clip.get_model_config(architecture)}
    if not settings.get("model_cfg"):
        raise UsageError(
            f"arguments.architecture: {architecture!r} is none of open_clip's; give the one that "
            f"{path.name} has the weights of, such as ViT-B-32"
        )
    tower = settings["model_cfg"]["text_cfg"]
    files = {_CONFIG: json.dumps(settings).encode()}
    if tower.get("hf_model_name"):
        place = _folder(path, tower["hf_model_name"], ["config.json"])
        files[f"{_TEXT}/config.json"] = (place / "config.json").read_bytes()
    if text and tower.get("hf_tokenizer_name"):
        files |= _tokenizer_files(path, tower["hf_tokenizer_name"])
    return files


def _tokenizer_files(path: Path, name: str) -> dict[str, bytes]:
    """Return the files of a tokenizer: those that lie with the network, or its own repository's."""
    beside = path.is_dir() and any(any(path.glob(pattern)) for pattern in _TOKENIZERS)
    place = path if beside else _folder(path, name, ["*.json", *_TOKENIZERS])
    tokenizer = library("transformers").AutoTokenizer.from_pretrained(place)
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return contents(Path(folder))


def _folder(path: Path, name: str, patterns: list[str]) -> Path:
    """Return the folder that a configuration names: beside it, here, or on the hub."""
    for place in (path / name, Path(name)):
        if place.is_dir():
            return place
    return fetched(name, patterns)


def _weights(path: Path) -> Path:
    """Return the file of weights in a folder; a file is its own.

    Raises:
        DataError: there is none.
    """
    if path.is_file():
        return path
    for name in _NAMES:
        for ending in _ENDINGS:
            found = sorted(path.glob(f"{name}{ending}"))
            if found:
                return found[0]
    raise DataError(f"{path}: has no weights ({', '.join(f'*{end}' for end in _ENDINGS)})")


def _preparation(settings: Any) -> Preparation:
    sides = settings.size if isinstance(settings.size, (tuple, list)) else [settings.size] * 2
    if len(set(sides)) > 1:
        raise DataError(f"it sees images of {sides[0]} x {sides[1]}; only squares are known")
    return preparation(
        resized=sides[0],
        side=sides[0],
        mean=settings.mean,
        std=settings.std,
        mode=settings.interpolation,
    )
