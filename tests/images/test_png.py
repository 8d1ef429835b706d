"""PNG: what makes the picture is checked, what does not is left out."""

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from replearn.images import png
from replearn.images.decoding import decode_image
from replearn.images.form import Form
from replearn.images.picture import UnreadableImage
from tests.images.helpers import colour, encoded, encoded_cv2, gradient, grey, noise

SIGNATURE = b"\x89PNG\r\n\x1a\n"
PICTURE = encoded(Image.fromarray(gradient(64, 64)), "PNG")


def chunk(name: bytes, content: bytes, fault: int = 0) -> bytes:
    checksum = zlib.crc32(name + content) ^ fault
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """Return a PNG with more chunks behind its header."""
    place = len(SIGNATURE) + 25
    return data[:place] + b"".join(chunks) + data[place:]


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iCCP", b"x\0\0nonsense"),
        chunk(b"iCCP", b"x", fault=1),
        chunk(b"cLLI", bytes(8), fault=1),
        chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(20_000_000))),
        chunk(b"gAMA", struct.pack(">I", 10_000)),
        chunk(b"hIST", bytes(3)),
    ],
)
def test_faults_beside_the_picture_do_not_matter(
    extra: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    found = decode_image(with_chunks(PICTURE, extra), Form(64, 3))
    assert np.array_equal(found.pixels.transpose(1, 2, 0), gradient(64, 64))
    assert found.remark == ""
    assert capfd.readouterr().err == ""


def test_a_wrong_checksum_in_the_picture_names_the_chunk() -> None:
    damaged = bytearray(PICTURE)
    damaged[PICTURE.index(b"IDAT") + 20] ^= 1
    with pytest.raises(UnreadableImage, match="the checksum of its IDAT is wrong"):
        grey(bytes(damaged), 64)


def animation(*frames: bytes) -> tuple[bytes, ...]:
    """Return chunks of an animation whose frames replace the picture."""
    control = chunk(b"acTL", struct.pack(">II", len(frames), 0))
    return (control, *frames)


def test_of_an_animation_the_picture_that_every_viewer_shows_is_read() -> None:
    frame = struct.pack(">IIIIIHHBB", 0, 64, 64, 0, 0, 1, 1, 0, 0)
    other = zlib.compress((b"\0" + b"\xff\0\0" * 64) * 64)  # red
    chunks = animation(
        chunk(b"fcTL", frame),
        chunk(b"fdAT", struct.pack(">I", 1) + other),
        chunk(b"fcTL", b"wrong"),
    )
    found = decode_image(with_chunks(PICTURE, *chunks), Form(64, 3))
    assert np.array_equal(found.pixels.transpose(1, 2, 0), gradient(64, 64))
    assert found.frames == 3


@pytest.mark.parametrize("bits", [8, 16])
def test_a_transparent_grey_shows_the_page_at_any_depth(bits: int) -> None:
    samples = np.full((8, 8), 50, np.uint8 if bits == 8 else ">u2")
    samples[0] = 200
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    data = (
        SIGNATURE
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, bits, 0, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(">H", 200))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    found = grey(data, 8)
    assert (found[0] == 255).all()
    assert (found[1:] == 50).all()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA"])
def test_large_pictures_go_another_way_to_the_same_pixels(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image.fromarray(noise(40, 30)).convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(noise(40, 30)[..., 1]))
    deep = np.random.default_rng(0).integers(0, 65536, (40, 30, 4)).astype(np.uint16)
    for data in (
        encoded(image, "PNG"),
        encoded_cv2(deep, ".png"),
        encoded_cv2(deep[..., 0], ".png"),
    ):
        usual = colour(data, 16)
        with monkeypatch.context() as patch:
            patch.setattr(png, "_LARGE", 1)
            assert np.array_equal(colour(data, 16), usual)


LARGE = """
import struct, sys, zlib
from replearn.images.decoding import decode
from tests.images.test_png import SIGNATURE, chunk
bits, colours, row = map(int, sys.argv[1:])
squeeze = zlib.compressobj(1)
rows = b"".join(squeeze.compress(bytes(row + 1) * 100) for _ in range(100)) + squeeze.flush()
header = struct.pack(">IIBBBBB", 10_000, 10_000, bits, colours, 0, 0, 0)
data = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
decode(data, size=64, channels=3, fit="stretch")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "colours", "row"), [(8, 6, 40_000), (16, 6, 80_000)])
def test_a_hundred_million_pixels_take_less_than_a_gigabyte(
    bits: int, colours: int, row: int
) -> None:
    command = [sys.executable, "-c", LARGE, str(bits), str(colours), str(row)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1_000_000  # KiB
