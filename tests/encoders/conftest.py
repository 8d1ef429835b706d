"""Fixtures of the tests of encoders."""

from pathlib import Path

import pytest

from replearn.encoders.encoder import (
    save_encoder,
)
from tests.encoders.test_encoder import DESCRIPTION, new_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "encoder"
    path.mkdir()
    save_encoder(path, new_encoder().model, DESCRIPTION)
    return path
