"""What an artefact is: a short string that depends on what determines its content.

No time, host, path or version is part of an identity.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from replearn.console import say, warn
from replearn.errors import DataError


def identify(kind: str, **facts: Any) -> str:
    """Return `kind:digest`, the identity of an artefact of this kind that these facts determine."""
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{kind}:{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


def digest(*chunks: str | bytes | memoryview) -> str:
    """Return the SHA-256 of the chunks as 16 hexadecimal digits; a text counts as its UTF-8."""
    state = hashlib.sha256()
    for chunk in chunks:
        data = chunk.encode() if isinstance(chunk, str) else chunk
        # The length keeps ("ab", "c") and ("a", "bc") apart.
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()[:16]


def check_same(expected: str | None, found: str | None, message: str) -> None:
    """Refuse two identities that contradict each other; warn where one of them is missing.

    Raises:
        DataError: both are known and differ; the text is `message` with both identities.
    """
    if expected is None or found is None:
        warn(f"{message} cannot be checked: one of the two carries no identity")
    elif expected != found:
        raise DataError(f"{message}: expected {expected}, found {found}")


def already_made(out: Path, existing: str | None, wanted: str, *, overwrite: bool) -> bool:
    """Tell whether `out` is finished from the same inputs, so that nothing is left to do.

    Args:
        out: where the artefact lies or will lie.
        existing: the identity of what lies there, None if nothing does.
        wanted: the identity of what is to be made.
        overwrite: whether another artefact may be replaced.

    Raises:
        DataError: something else lies there and may not be replaced.
    """
    if existing == wanted:
        say(f"{out}: already made from the same inputs, nothing to do")
        return True
    if existing is None and out.is_dir() and any(out.iterdir()):
        # Never replaced, whatever was asked: it may be the user's own folder.
        raise DataError(f"{out}: a folder that holds other files; choose another place")
    if out.exists() and not overwrite:
        raise DataError(
            f"{out}: holds {existing or 'something else'}, not {wanted}; "
            "choose another place or give --overwrite"
        )
    return False
