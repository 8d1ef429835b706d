"""Settings: what is unknown or misspelt is refused by a line that names the known."""

from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, model_validator

from replearn.encoders.training.settings import TrainingSettings
from replearn.errors import DataError, UsageError
from replearn.settings import (
    check_settings,
    find_settings,
    flatten_settings,
    merge_settings,
    read_yaml,
)


class Numbers(BaseModel):
    model_config = ConfigDict(extra="forbid")

    needed: int
    share: float = 0.5


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text("model: aae\ntraining:\n  steps: 5\n  seed: 1\narguments:\n")
    return path


def one_line(caught: pytest.ExceptionInfo[Any]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_defaults_fill_what_is_not_set() -> None:
    assert check_settings(Numbers, {"needed": 3}, "numbers") == Numbers(needed=3, share=0.5)
    assert check_settings(TrainingSettings, None, "training") == TrainingSettings()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"needed": 1, "shar": 0.1}, ["numbers.shar", "known: needed, share"]),
        ({"share": 0.1}, ["numbers.needed: missing"]),
        ({"needed": "many"}, ["numbers.needed: 'many' does not fit"]),
        ({"needed": 1.5}, ["numbers.needed: 1.5 does not fit"]),
        ({"needed": [1]}, ["numbers.needed: [1] does not fit"]),
        ({"needed": None}, ["numbers.needed: None does not fit"]),
        ([1, 2], ["numbers: [1, 2] where `key: value`"]),
        ("needed", ["numbers: 'needed' where"]),
    ],
)
def test_wrong_settings_are_refused_with_key_and_value(values: Any, said: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        check_settings(Numbers, values, "numbers")
    assert all(part in one_line(caught) for part in said)


def test_a_refusal_from_inside_a_schema_stands_alone_at_the_top() -> None:
    class Even(Numbers):
        @model_validator(mode="after")
        def _even(self) -> "Even":
            raise UsageError("needed: must be even")

    with pytest.raises(UsageError, match=r"^needed: must be even$"):
        check_settings(Even, {"needed": 1}, "")
    with pytest.raises(UsageError, match=r"^numbers: needed: must be even$"):
        check_settings(Even, {"needed": 1}, "numbers")


def test_at_the_top_a_key_is_named_without_a_place() -> None:
    with pytest.raises(UsageError, match=r"^shar: no such setting; known: needed, share$"):
        check_settings(Numbers, {"needed": 1, "shar": 0.1}, "")


@pytest.mark.parametrize(
    "values",
    [{"steps": 0}, {"batch_size": 1}, {"ema": 1.0}, {"schedule": "linear"}, {"seed": -1}],
)
def test_training_settings_that_cannot_be_are_refused(values: dict[str, Any]) -> None:
    ((key, value),) = values.items()
    with pytest.raises(UsageError) as caught:
        check_settings(TrainingSettings, values, "training")
    assert one_line(caught).startswith(f"training.{key}: {value!r} does not fit")


def test_a_file_is_read_as_it_stands(config: Path) -> None:
    assert read_yaml(config) == {
        "model": "aae",
        "training": {"steps": 5, "seed": 1},
        "arguments": None,
    }


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("model=pca", {"model": "pca"}),
        ("model=", {"model": None}),
        ("training.steps=2000", {"training": {"steps": 2000, "seed": 1}}),
        ("training={steps: 7}", {"training": {"steps": 7}}),
        ("training.epochs=null", {"training": {"steps": 5, "seed": 1, "epochs": None}}),
        ("training.betas=[0.5, 0.9]", {"training": {"steps": 5, "seed": 1, "betas": [0.5, 0.9]}}),
        ("images.size=32", {"images": {"size": 32}}),
        ("arguments.width=4", {"arguments": {"width": 4}}),
        ("new.deep.key=a=b", {"new": {"deep": {"key": "a=b"}}}),
    ],
)
def test_an_override_sets_one_yaml_value_and_nothing_else(
    override: str, changed: dict[str, Any], config: Path
) -> None:
    assert read_yaml(config, [override]) == read_yaml(config) | changed


def test_later_overrides_win(config: Path) -> None:
    found = read_yaml(config, ["training.steps=1", "training.steps=2"])
    assert found["training"] == {"steps": 2, "seed": 1}


def test_a_number_with_an_exponent_is_a_number(config: Path) -> None:
    # YAML 1.1 takes 1e-3 for a text; the schema must not.
    found = read_yaml(config, ["training.learning_rate=1e-3"])
    settings = check_settings(TrainingSettings, found["training"], "training")
    assert settings.learning_rate == 0.001


@pytest.mark.parametrize(
    "override",
    ["training.steps", "=5", "training.steps=[1", "model.name=x", "training.steps.more=1"],
)
def test_a_malformed_override_is_refused(override: str, config: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_yaml(config, [override])
    assert one_line(caught).startswith(f"--set {override}: ")


@pytest.mark.parametrize(
    "content", [b"", b"- a\n- b\n", b"aae", b"a: [1", b"\xff\xfe\x00", b"a\tb: {"]
)
def test_a_malformed_file_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_yaml(path)
    assert one_line(caught).startswith(f"{path}: not ")


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(DataError) as caught:
            read_yaml(path)
        assert one_line(caught).startswith(f"{path}: n")


def test_a_shipped_file_of_settings_is_found_by_its_name(tmp_path: Path) -> None:
    with chdir(tmp_path):
        found = find_settings(Path("seed-aae"))
        assert found.name == "seed-aae.yaml"
        assert read_yaml(found)["model"] == "aae"


def test_a_file_wins_over_a_shipped_one_of_its_name_and_a_folder_does_not(tmp_path: Path) -> None:
    (tmp_path / "aae").mkdir()  # as an encoder trained with it may be called
    (tmp_path / "pca").write_text("model: raw")
    with chdir(tmp_path):
        assert find_settings(Path("pca")) == Path("pca")
        assert find_settings(Path("aae")).name == "aae.yaml"


def test_an_unknown_name_of_settings_is_refused_with_all_that_are_known() -> None:
    with pytest.raises(DataError) as caught:
        find_settings(Path("wgan"))
    shipped = Path(__file__).parents[1].glob("configs/*.yaml")
    assert one_line(caught).endswith("known: " + ", ".join(sorted(file.stem for file in shipped)))


@pytest.mark.parametrize("place", ["configs/wgan.yaml", "wgan.yaml", "mine/aae"])
def test_a_missing_file_of_settings_is_no_name(place: str) -> None:
    assert find_settings(Path(place)) == Path(place)


def test_nested_settings_become_one_value_for_each_place_and_go_back_to_it() -> None:
    nested = {"model": "aae", "training": {"rates": {"critic": 0.1}, "betas": [0, 1]}, "none": None}
    flat = flatten_settings(nested)
    assert list(flat.items()) == [
        ("model", "aae"),
        ("training.rates.critic", 0.1),
        ("training.betas", [0, 1]),
        ("none", None),
    ]
    assert merge_settings({}, flat) == nested
    assert flatten_settings({"empty": {}}) == {}
