"""Files of contact sheets: how one that was written before is known, without drawing anything."""

from replearn.artefacts.outputs import FileKind

MARK = {"Software": "replearn"}  # in a PNG file: who made it
_CHUNK = b"\0".join(text.encode() for pair in MARK.items() for text in pair)

SHEET = FileKind("a sheet of queries", lambda data: _CHUNK in data[:4096])
