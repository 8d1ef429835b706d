"""WebP files -> pictures: OpenCV decodes a still image and the first frame, Pillow other frames."""

import cv2

from replearn.images.opencv import decode_with_opencv
from replearn.images.orientation import orientation_of
from replearn.images.picture import Picture, straight_alpha
from replearn.images.pillow_files import (
    count_frames,
    open_with_pillow,
    picture_of,
    seek,
)


def read_webp(data: bytes, frame: int | None = None) -> Picture:
    """Return the picture; of an animation this frame, counted from 0, or the first.

    Raises:
        UnreadableImage: it is truncated or damaged, or has no such frame.
    """
    header = open_with_pillow(data, ("WEBP",), "WebP image")
    orientation, frames = orientation_of(header.info.get("exif", b"")), count_frames(header)
    if frame:
        seek(header, frame, "WebP image")
        return picture_of(header, "WebP image", orientation, frames)
    pixels = decode_with_opencv(data, cv2.IMREAD_UNCHANGED, "WebP image")
    return Picture(
        pixels,
        alpha=straight_alpha(pixels),
        blue_first=True,
        orientation=orientation,
        frames=frames,
    )
