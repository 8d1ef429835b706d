"""Pictures inside a page: no file, no address that could be asked for."""

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def image_url(picture: NDArray[np.uint8]) -> str:
    """Return a picture uint8 [H, W, 1, 3 or 4], red first, as a `data:` address of a PNG."""
    colours = picture[..., :3]
    if (colours == colours[..., :1]).all():
        picture = np.concatenate([colours[..., :1], picture[..., 3:]], axis=2)  # half the bytes
    file = io.BytesIO()
    Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture).save(
        file, format="png", optimize=True
    )
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
