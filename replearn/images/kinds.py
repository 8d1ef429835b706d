"""Kinds of image files: told by their first bytes, whatever their names are."""

from pathlib import PurePosixPath
from typing import Literal

Kind = Literal[
    "JPEG", "PNG", "TIFF", "BMP", "WebP", "GIF", "JPEG 2000", "DICOM", "PGM or PPM", "NumPy array"
]

# Names that are taken for images without a look into them.
SUFFIXES = frozenset(
    {
        *(".bmp", ".dib"),
        *(".dcm", ".dic", ".dicom", ".ima"),
        *(".gif", ".png", ".webp"),
        *(".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"),
        *(".jfif", ".jls", ".jpe", ".jpeg", ".jpg", ".mpo"),
        *(".pbm", ".pgm", ".pnm", ".ppm"),
        *(".tif", ".tiff"),
    }
)
# Names that say that it is something else, so that nobody has to look.
_OTHERS = frozenset(
    {
        *(".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip"),
        *(".avi", ".mkv", ".mov", ".mp4"),
        *(
            ".cls",
            ".csv",
            ".html",
            ".json",
            ".jsonl",
            ".md",
            ".tsv",
            ".txt",
            ".xml",
            ".yaml",
            ".yml",
        ),
        *(".doc", ".docx", ".pdf", ".pptx", ".xls", ".xlsx"),
        *(".h5", ".hdf5", ".mat", ".npy", ".npz", ".parquet", ".pkl", ".pt", ".pth"),
        *(".ini", ".ipynb", ".log", ".m", ".md5", ".py", ".sh", ".toml"),
        *(".mha", ".mhd", ".nii", ".nrrd", ".raw", ".svg"),
    }
)
ROW = ".row"  # of an image in a table or an array, behind its id
ARRAY = ".npy"  # an image, or many, or numbers of any other kind

HEAD = 256  # bytes of a file that tell its kind
_PREAMBLE = 128  # bytes before the magic of DICOM
_FIRST_TYPES = (b"UL", b"OB", b"UI", b"CS", b"DA", b"SH", b"LO")  # of elements that may come first

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8", "JPEG"),  # JPEG-LS too
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"BM", "BMP"),
    (b"GIF8", "GIF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x93NUMPY", "NumPy array"),
)
_NOT_READ: tuple[tuple[int, bytes, str], ...] = (
    (1, b"PNG", "a PNG that was damaged when it was copied as text; copy it as binary"),
    (0, b"\xff\x0a", "a JPEG XL image"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftypheic", "a HEIC image"),
    (4, b"ftypmif1", "a HEIF image"),
    (4, b"ftyp", "a video (MP4)"),
    (0, b"8BPS", "a Photoshop file (PSD)"),
    (0, b"DDS ", "a DDS texture"),
    (0, b"II\xbc", "a JPEG XR image"),
    (0, b"\0\0\1\0", "an icon (ICO)"),
    (0, b"\x01\xda", "an SGI image"),
    (0, b"v/1\1", "an OpenEXR image"),
    (0, b"gimp xcf", "a GIMP file (XCF)"),
    (0, b"PF\n", "a floating-point PFM image"),
    (0, b"Pf\n", "a floating-point PFM image"),
    (0, b"%PDF", "a PDF"),
    (0, b"%!PS", "PostScript"),
    (344, b"n+1\0", "a NIfTI volume"),
    (344, b"ni1\0", "a NIfTI volume"),
    (0, b"NRRD", "an NRRD volume"),
    (0, b"ObjectType", "a MetaImage volume (MHA)"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"SIMPLE  =", "a FITS image"),
    (0, b"PK\3\4", "a zip archive"),
    (0, b"\x1f\x8b", "packed with gzip; unpack it"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the image; run git lfs pull"),
    (0, b"<", "a page of HTML, XML or SVG"),
)


def kind_of(data: bytes) -> Kind | None:
    """Return what kind of image begins with these bytes; None for all that is not read."""
    if data[_PREAMBLE : _PREAMBLE + 4] == b"DICM":  # the preamble may be the head of a TIFF
        return "DICOM"
    for magic, kind in _MAGIC:
        if data.startswith(magic):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return "PGM or PPM"
    return "DICOM" if _is_without_preamble(data) else None


def _is_without_preamble(data: bytes) -> bool:
    """Tell whether bytes begin with an element of group 2 or 8, with a type or with a length."""
    if data[:2] not in (b"\2\0", b"\x08\0") or data[3:4] != b"\0":
        return False
    return data[4:6] in _FIRST_TYPES or (data[4:5] > b"\0" and data[5:8] == bytes(3))


def describe(data: bytes) -> str:
    """Say what bytes are that are no image that is read, and what to do."""
    if not data:
        return "empty file"
    for place, magic, what in _NOT_READ:
        if data[place:].startswith(magic):
            return what if ";" in what else f"{what}, which is not read; convert it to PNG"
    return f"no image of a known kind (it begins with {data[:4].hex(' ')})"


def image_suffix(path: str) -> str:
    """Return the suffix of a path if it is one of an image, else nothing.

    What follows the last dot of a UID or of any other name belongs to the name.
    """
    suffix = PurePosixPath(path).suffix
    return suffix if suffix.lower() in SUFFIXES or suffix in (ROW, ARRAY) else ""


def tells_by_name(path: str) -> bool | None:
    """Tell by its name whether a file is an image; None if one has to look into it."""
    name = PurePosixPath(path).name
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in SUFFIXES:
        return True
    return False if suffix in _OTHERS or name.upper() == "DICOMDIR" else None


def looks_like_image(head: bytes) -> bool:
    """Tell by its first bytes, at least HEAD of them, whether a file of any name is an image.

    Two bytes alone, as of BMP and PGM, are in too many other files.
    """
    return kind_of(head) not in (None, "BMP", "PGM or PPM", "NumPy array")
