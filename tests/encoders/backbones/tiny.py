"""Tiny random networks, saved as each library saves its own, and what it makes of them.

Each library does all the work on its own side: its preprocessing of a picture, its forward.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MEAN, DEVIATION = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]
LAYERS = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
WORDS = ["[PAD]", "[UNK]", "[EOS]", "pleural", "effusion", "chest", "of", "a", "photo"]

Networks = dict[str, Any]


@dataclass(frozen=True)
class Tiny:
    """A saved network, and its library's own answers.

    Attributes:
        folder: where it lies.
        side: of the images that its preprocessing makes before it crops.
        vectors: pictures and a way to pool to vectors [N, D].
        texts: texts to vectors [N, D]; None where there is no text tower.
        poolings: what it has.
    """

    folder: Path
    side: int
    vectors: Callable[[Sequence[Image.Image], str], Tensor]
    poolings: tuple[str, ...]
    texts: Callable[[list[str]], Tensor] | None = None


def pictures(side: int, count: int = 3) -> list[Image.Image]:
    """Return coloured squares of noise."""
    random = np.random.default_rng(0)
    return [
        Image.fromarray(random.integers(0, 256, (side, side, 3)).astype(np.uint8))
        for _ in range(count)
    ]


def pooled(token: Tensor | None, patches: Tensor, how: str) -> Tensor:
    """Pool tokens in the ways that the papers define."""
    if how == "mean":
        return patches.mean(1)
    if how == "gem":
        return patches.clamp(min=1e-6).pow(3).mean(1).pow(1 / 3)
    assert token is not None
    return token if how == "class" else torch.cat([token, patches.mean(1)], 1)


def preprocessing(folder: Path, kind: str, **more: Any) -> None:
    """Write the configuration of an image processor of transformers."""
    settings = {"image_processor_type": kind, "image_mean": MEAN, "image_std": DEVIATION} | more
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


CROPPED = {
    "size": {"shortest_edge": 32},
    "do_center_crop": True,
    "crop_size": {"height": 28, "width": 28},
}


def seen_by(networks: Networks, folder: Path, images: Sequence[Image.Image]) -> Tensor:
    """Return what a network of transformers sees of images."""
    processor = networks["transformers"].AutoImageProcessor.from_pretrained(folder)
    seen: Tensor = processor(images=list(images), return_tensors="pt")["pixel_values"]
    return seen


def dinov2(networks: Networks, folder: Path) -> Tiny:
    """A vision transformer with a class token."""
    library = networks["transformers"]
    config = library.Dinov2Config(image_size=28, patch_size=14, **LAYERS)
    network = library.Dinov2Model(config).eval()
    network.save_pretrained(folder)
    preprocessing(folder, "BitImageProcessor", **CROPPED)

    def vectors(images: Sequence[Image.Image], how: str) -> Tensor:
        found = network(pixel_values=seen_by(networks, folder, images))
        if how == "head":
            return Tensor(found.pooler_output)
        return pooled(found.last_hidden_state[:, 0], found.last_hidden_state[:, 1:], how)

    return Tiny(folder, 32, vectors, ("head", "class", "mean", "both", "gem"))


def convnext(networks: Networks, folder: Path) -> Tiny:
    """A convolutional network, whose processor crops by a share."""
    library = networks["transformers"]
    config = library.ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], image_size=56)
    network = library.ConvNextModel(config).eval()
    network.save_pretrained(folder)
    preprocessing(folder, "ConvNextImageProcessor", size={"shortest_edge": 56}, crop_pct=0.875)

    def vectors(images: Sequence[Image.Image], how: str) -> Tensor:
        found = network(pixel_values=seen_by(networks, folder, images))
        maps = found.last_hidden_state.flatten(2).transpose(1, 2)
        return Tensor(found.pooler_output) if how == "head" else pooled(None, maps, how)

    return Tiny(folder, 64, vectors, ("head", "mean", "gem"))


def tokenizer(networks: Networks, folder: Path) -> None:
    """Write a tokenizer of a few words."""
    tokenizers = __import__("tokenizers")
    words = tokenizers.models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]")
    made = tokenizers.Tokenizer(words)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="$A [EOS]", special_tokens=[("[EOS]", 2)]
    )
    fast = networks["transformers"].PreTrainedTokenizerFast
    fast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", eos_token="[EOS]"
    ).save_pretrained(folder)


def clip(networks: Networks, folder: Path) -> Tiny:
    """A pair of towers of transformers."""
    library = networks["transformers"]
    text = {"vocab_size": 16, "max_position_embeddings": 8, "eos_token_id": 2, "projection_dim": 12}
    vision = {"image_size": 28, "patch_size": 14, "projection_dim": 12}
    sides = {"intermediate_size": 16}
    config = library.CLIPConfig(
        text_config=text | LAYERS | sides, vision_config=vision | LAYERS | sides, projection_dim=12
    )
    network = library.CLIPModel(config).eval()
    network.save_pretrained(folder)
    preprocessing(folder, "CLIPImageProcessor", **CROPPED)
    tokenizer(networks, folder)

    def vectors(images: Sequence[Image.Image], how: str) -> Tensor:
        seen = seen_by(networks, folder, images)
        if how == "head":
            return Tensor(network.get_image_features(pixel_values=seen).pooler_output)
        tokens = network.vision_model(pixel_values=seen).last_hidden_state
        return pooled(tokens[:, 0], tokens[:, 1:], how)

    def texts(given: list[str]) -> Tensor:
        words = library.AutoTokenizer.from_pretrained(folder)
        tokens = words(given, padding=True, return_tensors="pt")
        return Tensor(network.get_text_features(**tokens).pooler_output)

    return Tiny(folder, 32, vectors, ("head", "class", "mean", "gem"), texts)


def of_timm(networks: Networks, folder: Path, name: str, poolings: tuple[str, ...]) -> Tiny:
    """A network of timm with a classifier, saved as timm saves one."""
    timm = networks["timm"]
    network = timm.create_model(name, num_classes=5).eval()
    timm.models.save_for_hf(network, folder, safe_serialization=True)
    transform = timm.data.create_transform(
        **timm.data.resolve_model_data_config(network), is_training=False
    )

    def vectors(images: Sequence[Image.Image], how: str) -> Tensor:
        found = network.forward_features(torch.stack([transform(image) for image in images]))
        if how == "head":
            return Tensor(network.forward_head(found, pre_logits=True))
        if found.ndim == 4:
            return pooled(None, found.flatten(2).transpose(1, 2), how)
        before = network.num_prefix_tokens
        return pooled(found[:, 0], found[:, before:], how)

    return Tiny(folder, int(160 / 0.95), vectors, poolings)


def timm_vit(networks: Networks, folder: Path) -> Tiny:
    """A vision transformer of timm."""
    return of_timm(networks, folder, "test_vit", ("head", "class", "mean", "both", "gem"))


def timm_cnn(networks: Networks, folder: Path) -> Tiny:
    """A convolutional network of timm."""
    return of_timm(networks, folder, "test_resnet", ("head", "mean", "gem"))


VISION = {"layers": 2, "width": 32, "head_width": 16, "patch_size": 14, "image_size": 28}
TOWERS: dict[str, Any] = {
    "embed_dim": 12,
    "vision_cfg": VISION,
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


def of_open_clip(
    networks: Networks, folder: Path, towers: dict[str, Any], side: int, poolings: tuple[str, ...]
) -> Tiny:
    """A pair of towers of open_clip, saved as open_clip saves one."""
    open_clip = networks["open_clip"]
    safetensors = __import__("safetensors.torch").torch
    folder.mkdir(exist_ok=True)
    settings = {
        "model_cfg": towers,
        "preprocess_cfg": {"mean": MEAN, "std": DEVIATION, "interpolation": "bicubic"},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(settings))
    place = f"local-dir:{folder}"
    fresh = open_clip.create_model(place, load_weights=False, pretrained_text=False)
    safetensors.save_file(fresh.state_dict(), folder / "open_clip_model.safetensors")
    network, transform = open_clip.create_model_from_pretrained(place)
    network.eval()

    def vectors(images: Sequence[Image.Image], how: str) -> Tensor:
        seen = torch.stack([transform(image) for image in images])
        if how == "head":
            return Tensor(network.encode_image(seen))
        if hasattr(network.visual, "trunk"):
            tokens = network.visual.trunk.forward_features(seen)
        else:
            kept: list[Tensor] = []
            after = network.visual.ln_post.register_forward_hook(lambda *a: kept.append(a[2]))
            network.encode_image(seen)
            after.remove()
            tokens = kept[0]
        return pooled(tokens[:, 0], tokens[:, 1:], how)

    def texts(given: list[str]) -> Tensor:
        return Tensor(network.encode_text(open_clip.get_tokenizer(place)(given)))

    return Tiny(folder, side, vectors, poolings, texts)


def open_clip_vit(networks: Networks, folder: Path) -> Tiny:
    """Both towers of open_clip's own."""
    return of_open_clip(networks, folder, TOWERS, 28, ("head", "class", "mean", "both", "gem"))


def open_clip_like_biomedclip(networks: Networks, folder: Path) -> Tiny:
    """A network of timm beside a text tower of transformers, as BiomedCLIP is put together."""
    library = networks["transformers"]
    bert = library.BertConfig(vocab_size=16, intermediate_size=16, **LAYERS)
    bert.save_pretrained(folder / "bert")
    tokenizer(networks, folder)
    vision = {"timm_model_name": "test_vit", "timm_model_pretrained": False, "image_size": 160}
    text = {
        "hf_model_name": str(folder / "bert"),
        "hf_tokenizer_name": "bert",
        "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler",
        "context_length": 16,
    }
    towers = {
        "embed_dim": 12,
        "vision_cfg": vision | {"timm_pool": "", "timm_proj": "linear"},
        "text_cfg": text,
    }
    return of_open_clip(networks, folder, towers, 160, ("head", "class", "mean"))


MAKERS: dict[str, Callable[[Networks, Path], Tiny]] = {
    "dinov2": dinov2,
    "convnext": convnext,
    "clip": clip,
    "timm_vit": timm_vit,
    "timm_cnn": timm_cnn,
    "open_clip_vit": open_clip_vit,
    "open_clip_like_biomedclip": open_clip_like_biomedclip,
}
