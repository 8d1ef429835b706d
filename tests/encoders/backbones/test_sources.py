"""Where a network's name leads, and what is told where it leads nowhere: one line each."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from replearn.encoders.backbones.loading import load_backbone
from replearn.encoders.backbones.sources import library, locate
from replearn.errors import DataError, UsageError

Networks = dict[str, Any]


def refused(name: object, **more: Any) -> str:
    """Return the one line in which a name is refused."""
    options: dict[str, Any] = {"library": "auto", "architecture": "", "text": True} | more
    with pytest.raises(DataError) as told:
        load_backbone(str(name), **options)
    line = str(told.value)
    assert "\n" not in line
    assert len(line) < 400
    return line


def snapshot(name: str, monkeypatch: pytest.MonkeyPatch, fails_with: Exception) -> str:
    """Return what is told where the hub answers in this way."""
    hub = importlib.import_module("huggingface_hub")

    def answer(*_: Any, local_files_only: bool, **__: Any) -> str:
        if local_files_only:
            raise hub.errors.LocalEntryNotFoundError("not there")
        raise fails_with

    monkeypatch.setattr(hub, "snapshot_download", answer)
    return refused(name)


def error_of(name: str) -> Exception:
    """Return an error of the hub, whose constructor wants an answer of a server."""
    kind = getattr(importlib.import_module("huggingface_hub").errors, name)
    made: Exception = kind.__new__(kind)
    return made


def test_no_name_and_no_such_file_are_told(networks: Networks, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"arguments\.name: give the folder or file"):
        locate("")
    for name in (tmp_path / "none", tmp_path / "none.safetensors", "./none", "convnext_base"):
        assert "neither a folder nor a file, nor a name on the hub" in refused(name)


def test_a_folder_of_no_library_is_told(networks: Networks, tmp_path: Path) -> None:
    assert "no config.json of transformers or timm" in refused(tmp_path)
    (tmp_path / "config.json").write_text('{"something": 1}')
    assert "no config.json of transformers or timm" in refused(tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert "cannot be loaded" in refused(tmp_path)
    for name in ("transformers", "timm", "open_clip"):
        assert str(tmp_path) in refused(tmp_path, library=name)


def test_without_a_network_the_remedy_is_a_folder(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = importlib.import_module("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    line = refused("nobody/none")
    assert "'nobody/none'" in line
    assert "the hub cannot be reached; fetch it once" in line


def test_what_the_hub_does_not_know_or_guards_is_told(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = snapshot("nobody/none", monkeypatch, error_of("RepositoryNotFoundError"))
    assert "no such model on the hub" in line
    line = snapshot("google/medsiglip-448", monkeypatch, error_of("GatedRepoError"))
    assert "accepted at https://huggingface.co/google/medsiglip-448" in line


def test_what_was_fetched_once_is_not_asked_for_again(
    networks: Networks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hub = importlib.import_module("huggingface_hub")
    asked: list[tuple[bool, str]] = []

    def fetch(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((local_files_only, allow_patterns[-1]))
        if local_files_only and not (tmp_path / "pytorch_model.bin").exists():
            raise hub.errors.LocalEntryNotFoundError("not there")
        if "*.bin" in allow_patterns:
            (tmp_path / "pytorch_model.bin").touch()
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", fetch)
    assert locate("owner/model") == tmp_path
    # Weights in torch's own format are fetched where there are no others.
    assert asked == [(True, "*.safetensors"), (False, "*.safetensors"), (False, "*.pth")]
    asked.clear()
    assert locate("owner/model") == tmp_path
    assert all(local for local, _ in asked)


def test_a_library_that_is_missing_or_broken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(DataError, match=r"pip install 'replearn\[pretrained\]'"):
        library("timm")

    def broken(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(DataError, match="timm is installed but cannot be imported"):
        library("timm")
