"""Lists of ids: the first column of an id list or of a concept file of any layout."""

from pathlib import Path

from replearn.concepts.layouts import read_id_column
from replearn.ids import IdList


def read_id_list(path: Path) -> IdList:
    """Read the ids of a file, to be looked at with what they name.

    Raises:
        DataError: the file is missing, is not UTF-8 text, or lists an id twice or none at all.
    """
    return IdList(path, *read_id_column(path))
