"""Groups of images, as the images of a patient: never independent of each other."""

from collections.abc import Iterable, Mapping

from replearn.ids import normal
from replearn.matching import match_names


def match_groups(named: Mapping[str, str], ids: Iterable[str], place: object) -> dict[str, str]:
    """Return the groups by id, where a file has any names of the images, see `match_names`.

    Args:
        named: the group of each image, by any name of it.
        ids: of the images.
        place: of the names, for messages.

    Raises:
        DataError: two names mean the same image, or a name means two.
    """
    meant = match_names([*named], ids, place)
    return {meant.get(name, name): group for name, group in named.items()}


def group_keys(ids: Iterable[str], groups: Mapping[str, str] | None) -> list[str]:
    """Return the group of each image; one without a group is a group of its own.

    Args:
        ids: of the images.
        groups: the group of each id, such as its patient or study.
    """
    # No group's name begins with this character: files of text don't hold it.
    return [(groups or {}).get(id_, f"\0{normal(id_)}") for id_ in ids]
