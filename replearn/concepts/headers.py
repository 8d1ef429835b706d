"""Headers of tables: telling one from an image, and what the names of columns mean.

The names are those of public data sets, whatever their case and punctuation: `Image Index`,
`ImageID`, `Path` and `dicom_id` name images, `Finding Labels`, `class_name` and `dx` concepts.
"""

import re
from collections.abc import Callable, Sequence

from replearn.concepts.delimited import Line

# Of names as `plain` leaves them: of an image, of anything, of what has several images.
FILES = re.compile(
    r"(image|img)(s|u?ids?|index|names?|(file)?(s|names?|paths?)?)|file(s|names?|paths?)?|paths?"
    r"|(dicom|dcm|png|jpe?g)(id|file|name|path)?|pathto(image|file|dicom|dcm|png|jpe?g)"
    r"|sopinstanceuid"
)
NAMES = re.compile(r"ids?|names?|key|u?uid")
OWNERS = re.compile(
    r"(patient|pt|subject|subj|study|series|case|lesion|exam)(id|instanceuid)?|accession.*"
)
# All concepts of an image, one concept, numbers that may be classes, text that is no concept.
LISTS = re.compile(
    r"cuis|concepts|tags|labels|findings?labels|findings|findingcategories|class(es|names)"
    r"|categories|diagnoses|diseases|pathologies|problems|keywords"
)
SINGLES = re.compile(
    r"cui|concept|tag|label(name)?|finding(label)?|class(name)?|category|diagnosis|disease"
    r"|pathology|dx|diagnostic"
)
NUMBERS = re.compile(r"y|targets?|grade|level|stage|outcome|result|severity|score|(class|label)id")
TEXTS = re.compile(r"(caption|report|text|description)s?")
_INDEX = re.compile(r"|unnamed0|index")

_EXTENSIONS = r"\.(png|jpe?g|jfif|tiff?|bmp|webp|gif|jp2|dcm|dicom|nii|nii\.gz|npy)"
_IMAGE_FILE = re.compile(rf".*{_EXTENSIONS}", re.I | re.S)
_FILE_AND_MORE = re.compile(rf".*\S{_EXTENSIONS}\s+\S", re.I | re.S)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I)
_FEWEST = 3  # rows that show what ids look like


def plain(name: str) -> str:
    """Return a name in lower case without punctuation."""
    return re.sub(r"[\W_]+", "", name.lower())


def means(name: str, *kinds: re.Pattern[str]) -> bool:
    """Tell whether a name is one of these kinds, whatever its case and punctuation."""
    return any(kind.fullmatch(plain(name)) for kind in kinds)


def counts_rows(name: str) -> bool:
    """Tell whether a column of this name may only count the rows."""
    return _INDEX.fullmatch(plain(name)) is not None


def is_image_file(name: str) -> bool:
    """Tell whether a name ends as those of image files do."""
    return _IMAGE_FILE.fullmatch(name.strip()) is not None


def has_more_than_a_file(line: str) -> bool:
    """Tell whether words follow the name of an image file after a blank, as `a.png 1`."""
    match = _FILE_AND_MORE.match(line)
    return match is not None and not is_image_file(line)


def is_number(text: str) -> bool:
    """Tell whether a text is a decimal number; `nan` is none."""
    return _NUMBER.fullmatch(text.strip()) is not None


def has_header(lines: Sequence[Line]) -> bool:
    """Tell whether the first row names the columns rather than an image.

    It does if it holds a name that is known; if it has a word above numbers alone, or above names
    of image files alone; or if its words hold no digit, all ids below do, and no word recurs.
    """
    if not lines:
        return False
    first, below = lines[0][1], [cells for _, cells in lines[1:]]
    return _is_named(first, below) or _is_word_above(first, below) or _is_unlike(first, below)


def _is_named(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    # "ImageCLEFmedical 2025 ID" is a header, "COVID_1" is an image.
    if first[0].lower().split()[-1:] == ["id"] or means(first[0], FILES, NAMES):
        return True
    if len(first) > 2 and any(means(cell, FILES) for cell in first):
        return True
    known = [n for n, cell in enumerate(first) if means(cell, LISTS, SINGLES)]
    # An image's concept would recur.
    return any(all(first[n] not in cells[n : n + 1] for cells in below) for n in known)


def _is_word_above(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    def stands_above(column: int, fits: Callable[[str], bool]) -> bool:
        cells = (row[column] for row in below if len(row) > column and row[column].strip())
        found = next(cells, "")
        return fits(found) and not fits(first[column]) and all(map(fits, cells))

    words = [n for n, cell in enumerate(first) if cell.strip() and not is_number(cell)]
    return any(
        stands_above(n, is_image_file) or (n > 0 and stands_above(n, is_number)) for n in words
    )


def _is_unlike(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    if len(first) < 2 or len(below) < _FEWEST or _has_digit("".join(first)) or not all(first):
        return False
    if not all(_has_digit(cells[0]) for cells in below):
        return False
    return not any(word in cells for word in first for cells in below)


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))
