"""Groups of images, as the images of a patient: never independent of each other."""

from collections.abc import Iterable, Mapping

from replearn.ids import normal


def group_keys(ids: Iterable[str], groups: Mapping[str, str] | None) -> list[str]:
    """Return the group of each image; one without a group is a group of its own.

    Args:
        ids: of the images.
        groups: the group of each id, such as its patient or study.
    """
    # No group's name begins with this character: files of text don't hold it.
    return [(groups or {}).get(id_, f"\0{normal(id_)}") for id_ in ids]
