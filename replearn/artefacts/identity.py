"""Identities of artefacts: short strings that depend only on what determines the content.

No time, host, path or version is part of an identity.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from replearn.console import warn
from replearn.errors import DataError


def identify(kind: str, **facts: Any) -> str:
    """Return `kind:digest`, the identity of an artefact of this kind that these facts determine."""
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{kind}:{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


class Digest:
    """A SHA-256 of chunks that are given one after the other; as a text, 16 hexadecimal digits."""

    def __init__(self, *chunks: str | bytes | memoryview) -> None:
        """Begin with these chunks; a text counts as its UTF-8."""
        self._state = hashlib.sha256()
        for chunk in chunks:
            data = chunk.encode() if isinstance(chunk, str) else chunk
            self.add_parts(len(data), [data])

    def add_parts(self, size: int, parts: Iterable[bytes | memoryview]) -> None:
        """Add one chunk of so many bytes that comes in parts."""
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        self._state.update(size.to_bytes(8, "little"))
        for part in parts:
            self._state.update(part)

    def __str__(self) -> str:
        return self._state.hexdigest()[:16]


def digest(*chunks: str | bytes | memoryview) -> str:
    """Return the SHA-256 of the chunks as 16 hexadecimal digits; a text counts as its UTF-8."""
    return str(Digest(*chunks))


def check_same(expected: str | None, found: str | None, message: str) -> None:
    """Refuse two identities that contradict each other; warn where one of them is missing.

    Raises:
        DataError: both are known and differ; the text is `message` with both identities.
    """
    if expected is None or found is None:
        warn(f"{message} cannot be checked: one of the two carries no identity")
    elif expected != found:
        raise DataError(f"{message}: expected {expected}, found {found}")
