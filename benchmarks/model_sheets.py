"""One picture for each encoder of a finished comparison: the pictures of docs/models.md.

    replearn phantoms runs/data
    replearn compare configs/encoders.yaml runs/data runs/encoders
    python -m benchmarks.model_sheets runs/encoders runs/data/valid-concepts.tsv docs/images/models

The images shown are those of the given list, which no encoder was trained on.
"""

import json
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import typer
from torch import Tensor

from benchmarks.command import run_benchmark
from replearn.arrays import Pixels
from replearn.concepts.table import read_ids
from replearn.encoders.encoder import load_encoder
from replearn.encoders.sheets import fixed_images, grids_of, sheet
from replearn.images.image_set import ImageSet

ROWS = 4  # of each sheet
CAPTION = 22  # pixels above each sheet
MOST = 800  # pixels across; a wider picture is shrunk to it


def together(grids: dict[str, Tensor]) -> Pixels:
    """Lay the first rows of each named grid below each other, with its name above it."""
    sheets = {name: sheet(grid[:ROWS]) for name, grid in grids.items()}
    width = max(sheet.shape[1] for sheet in sheets.values())
    parts = []
    for name, picture in sheets.items():
        caption = np.full((CAPTION, width, 3), 255, np.uint8)
        cv2.putText(
            caption, name, (2, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA
        )
        white = ((0, 0), (0, width - picture.shape[1]), (0, 0))
        parts += [caption, np.pad(picture, white, constant_values=255)]
    return np.concatenate(parts)


def main(
    comparison: Annotated[Path, typer.Argument(help="Output folder of `replearn compare`.")],
    ids: Annotated[Path, typer.Argument(help="File with the ids of the images to show.")],
    out: Annotated[Path, typer.Argument(help="Folder to write the pictures to.")],
) -> None:
    """Write `OUT/<encoder>.png` for each encoder of a comparison that has image grids."""
    images = ImageSet.load(comparison / "images.h5").select(read_ids(ids))
    written = []
    for folder in sorted(comparison.glob("seed-0/*/encoder")):
        encoder = load_encoder(folder, "cpu")
        shown = fixed_images(images.pixels, encoder.description.crop)
        grids = grids_of(encoder.model, shown)
        if grids:
            picture = together(grids)
            if picture.shape[1] > MOST:
                share = MOST / picture.shape[1]
                small = cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
                picture = small.astype(np.uint8)
            grey = (picture == picture[:, :, :1]).all()
            path = out / f"{folder.parent.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), picture[:, :, 0] if grey else picture[:, :, ::-1])
            written.append(path.name)
            print(f"{path}: {', '.join(grids)}")
    print(json.dumps({"benchmark": "model_sheets", "written": written}))


if __name__ == "__main__":
    run_benchmark(main)
