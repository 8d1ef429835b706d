"""The files in `configs/`: of known settings, and able to train."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.__main__ import main
from replearn.comparison.settings import read_comparison
from replearn.encoders.configuration import Configuration, ImageSettings
from replearn.encoders.models import MODELS, check_arguments
from replearn.encoders.training.settings import TrainingSettings
from replearn.settings import check_settings, read_yaml

ROOT = Path(__file__).parent.parent
Run = Callable[..., tuple[int, str, str]]

CONFIGURATIONS = [
    path
    for path in sorted(ROOT.glob("configs/*.yaml"))
    if "model" in yaml.safe_load(path.read_text())
]


def model_of(path: Path) -> str:
    return str(yaml.safe_load(path.read_text())["model"])


COMPARISONS = [path for path in sorted(ROOT.glob("configs/*.yaml")) if path not in CONFIGURATIONS]


def test_every_model_has_a_configuration_of_its_name() -> None:
    assert set(MODELS) <= {path.stem for path in CONFIGURATIONS}


@pytest.mark.parametrize("path", COMPARISONS, ids=lambda path: path.stem)
def test_every_comparison_is_of_known_settings(path: Path) -> None:
    chosen = read_comparison(path)
    for name, encoder in chosen.encoders.items():
        check_arguments(encoder.model, encoder.arguments or {})
        check_settings(TrainingSettings, encoder.training, "training")
        assert chosen.form_of(name).size >= 16


@pytest.mark.parametrize("config", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_configuration_is_of_known_settings_and_says_where_they_come_from(
    config: Path,
) -> None:
    settings = check_settings(Configuration, read_yaml(config), "")
    check_arguments(settings.model, settings.arguments or {})
    check_settings(TrainingSettings, settings.training, "training")
    check_settings(ImageSettings, settings.images, "images")
    assert config.read_text().startswith("# ")


@pytest.fixture(scope="module")
def two_hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As few images as the configurations are meant for."""
    folder = tmp_path_factory.mktemp("few")
    assert main(["phantoms", f"{folder}/data", "--count", "200"]) == 0
    return folder / "data/images"


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    # What others have trained would have to be fetched, and a student needs a teacher's features.
    [path for path in CONFIGURATIONS if model_of(path) not in ("pretrained", "distilled")],
    ids=lambda path: path.stem,
)
def test_every_configuration_trains_on_two_hundred_images_in_its_full_size(
    two_hundred: Path, run: Run, tmp_path: Path, config: Path
) -> None:
    short = ("--set", "training.steps=2", "--set", "training.batch_size=2")
    status, _, err = run("train", config, two_hundred, tmp_path / "encoder", *short)
    assert status == 0, err
    assert (tmp_path / "encoder/encoder.safetensors").exists()
