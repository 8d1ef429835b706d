"""Settings: typed, with defaults, and refused where unknown by a line that names the known."""

import copy
import re
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from replearn.errors import DataError, UsageError

# Inside the library where it is installed, beside it in a checkout.
_INSIDE = Path(__file__).with_name("configs")
_SHIPPED = _INSIDE if _INSIDE.is_dir() else Path(__file__).parents[1] / "configs"
_BRANCH = re.compile(r"\[|constrained-|^(float|int|str|bool|dict|list)$")

Schema = TypeVar("Schema", bound=BaseModel)


def check_settings(schema: type[Schema], values: Any, where: str) -> Schema:
    """Return the values as the schema has them, defaults filled in.

    Args:
        schema: the known settings; it forbids others.
        values: a mapping, or None for no setting at all.
        where: what a message calls the place of the values, as `training`.

    Raises:
        UsageError: a key is unknown or a value does not fit.
    """
    if not isinstance(values, Mapping | None):
        raise UsageError(f"{where}: {values!r} where `key: value` lines are expected")
    try:
        return schema.model_validate(dict(values or {}))
    except ValidationError as error:
        first, *others = error.errors()
        # Of the branches of a union, the one that the value got farthest into.
        same = [other for other in others if other["loc"][:1] == first["loc"][:1]]
        first = max((first, *same), key=lambda fault: len(fault["loc"]))
        # pydantic also names the branch of a union, as `dict[str,float]`: no key of the user's.
        parts = (where, *(part for part in first["loc"] if not _BRANCH.search(str(part))))
        key = ".".join(str(part) for part in parts if part)
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, UsageError):  # of a check inside the schema
            raise UsageError(f"{key}: {cause}" if key else str(cause)) from None
        if first["type"] == "extra_forbidden":
            known = ", ".join(_fields(schema, parts[1:-1])) or "none"
            raise UsageError(f"{key}: no such setting; known: {known}") from None
        if first["type"] == "missing":
            raise UsageError(f"{key}: missing; it has no default") from None
        raise UsageError(f"{key}: {first['input']!r} does not fit ({first['msg']})") from None


def _fields(schema: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """Return the settings known at a place inside a schema."""
    for key in path:
        field = schema.model_fields.get(key)
        inner = field.annotation if field else None
        for candidate in (inner, *typing.get_args(inner)):  # as the value in dict[str, Part]
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                schema = candidate
    return list(schema.model_fields)


def find_settings(path: Path) -> Path:
    """Return a file of settings: the path itself, or the shipped file of this name, as `aae`.

    A file that exists wins over a shipped one; a folder, as an encoder called `aae`, does not.

    Raises:
        DataError: a name that is neither; the line lists those that are shipped.
    """
    if path.exists() and not path.is_dir():
        return path
    shipped = {file.stem: file for file in _SHIPPED.glob("*.yaml")}
    known = ", ".join(sorted(shipped))
    if str(path) in shipped:
        return shipped[str(path)]
    if path.suffix or len(path.parts) > 1:
        return path  # of a file, which `read_yaml` will miss
    raise DataError(f"{path}: no such file, and no settings of this name; known: {known}")


def read_yaml(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read a YAML file of settings and put `key.key=value` overrides on top.

    Raises:
        DataError: the file is missing or is not YAML of `key: value` lines.
        UsageError: an override is not of that form.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: not readable as YAML ({' '.join(str(error).split())})") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: not a configuration; it needs `key: value` lines")
    put_on(content, overrides)
    return content


def put_on(content: dict[str, Any], overrides: Sequence[str]) -> None:
    """Put `key.key=value` overrides on settings, in place.

    Raises:
        UsageError: an override is not of that form.
    """
    for override in overrides:
        _set(content, override)


def _set(content: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {override}: give key=value, as training.steps=2000")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"--set {override}: {text!r} is not a YAML value") from None
    _put(content, path, value, f"--set {override}")


def merge_settings(content: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with others on top: a section setting by setting, all else as a whole.

    Args:
        content: as read from a file.
        settings: values by `key` or by `key.key`.

    Raises:
        UsageError: a key leads into a value.
    """
    merged = copy.deepcopy(dict(content))
    for path, value in settings.items():
        if isinstance(value, Mapping):
            for key, inner in value.items():
                _put(merged, f"{path}.{key}", inner, path)
        else:
            _put(merged, path, value, path)
    return merged


def flatten_settings(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings by `key.key`, in their order; a section without any has no place."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": v for inner, v in flatten_settings(value).items()}
        else:
            flat[key] = value
    return flat


def _put(content: dict[str, Any], path: str, value: Any, name: str) -> None:
    """Put a value at the place `key.key` of settings; a message calls it by the name."""
    *outer, last = path.split(".")
    place: Any = content
    for key in outer:
        if place.get(key) is None:  # absent, or a key with nothing under it
            place[key] = {}
        place = place[key]
        if not isinstance(place, dict):
            raise UsageError(f"{name}: {key} holds a value, not settings")
    place[last] = value
