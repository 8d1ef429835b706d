"""What the benchmarks of extraction work on: image files, and an encoder.

What needs torch is imported where it is used: the processes that prepare and extract import the
benchmark, and would spend most of their time on that.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
from PIL import Image

from replearn.images.image_set import ImageSet
from replearn.phantoms.rendering import render

if TYPE_CHECKING:
    from replearn.encoders.encoder import Encoder

WIDTH, HEIGHT, QUALITY = 600, 500, 90
_DRAWN = 100  # different pictures; the others are copies under another name


def draw_files(folder: Path, count: int) -> Path:
    """Write so many JPEG files."""
    folder.mkdir()
    for number in range(min(count, _DRAWN)):
        grey = cv2.resize(render(number, size=256, channels=1).pixels[0], (WIDTH, HEIGHT))
        path = folder / f"{number:06d}.jpg"
        Image.fromarray(grey).convert("RGB").save(path, quality=QUALITY)
    for number in range(_DRAWN, count):
        (folder / f"{number:06d}.jpg").write_bytes(
            (folder / f"{number % _DRAWN:06d}.jpg").read_bytes()
        )
    return folder


def make_encoder(folder: Path, images: Path, width: int, device: str) -> "Encoder":
    """Return an untrained network; what it has learned changes nothing of its speed."""
    from replearn.encoders.configuration import Configuration
    from replearn.encoders.training.run import train

    arguments = {"width": width, "latent_dim": 128}
    config = Configuration(model="random", arguments=arguments, training={"device": device})
    return train(config, ImageSet.load(images), folder)
