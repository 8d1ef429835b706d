"""Settings of a training: its length, and the learning rate over time."""

import math
from typing import Any

import pytest

from replearn.encoders.training.settings import TrainingSettings
from replearn.errors import UsageError
from replearn.settings import check_settings
from tests.encoders.training.small import STEPS, new_trainer, rates, settings_of


@pytest.mark.parametrize(
    ("changes", "count", "steps"),
    [
        ({"steps": 7}, 24, 7),
        ({"epochs": 1}, 24, 3),
        ({"epochs": 2, "batch_size": 10}, 24, 5),
        ({"epochs": 3, "batch_size": 64}, 24, 3),
    ],
)
def test_steps_or_epochs_say_how_long_a_training_is(
    changes: dict[str, Any], count: int, steps: int
) -> None:
    assert settings_of(**changes).length(count) == steps
    assert new_trainer(count=count, **changes).steps == steps


def test_a_training_has_one_length() -> None:
    with pytest.raises(UsageError, match=r"^training: .*, and null for the other$"):
        check_settings(TrainingSettings, {"steps": 7, "epochs": 1}, "training")
    with pytest.raises(UsageError, match=r"^training: steps and epochs: give one of them$"):
        check_settings(TrainingSettings, {"steps": None}, "training")
    for steps, epochs, length in ((7, None, 7), (None, 2, 6)):
        settings = {"steps": steps, "epochs": epochs, "batch_size": 8}
        assert check_settings(TrainingSettings, settings, "training").length(24) == length


@pytest.mark.parametrize("rate", [math.inf, math.nan, -1, {"critic": -1}, {"critic": math.inf}])
def test_a_learning_rate_that_is_none_is_refused_by_its_place(rate: Any) -> None:
    place = "training.learning_rate" + ".critic" * isinstance(rate, dict)
    with pytest.raises(UsageError, match=f"^{place}: (inf|nan|-1) does not fit"):
        check_settings(TrainingSettings, {"learning_rate": rate}, "training")


def rates_over_time(**changes: Any) -> list[float]:
    trainer = new_trainer(learning_rate=0.5, **changes)
    found = []
    while trainer.step < trainer.steps:
        trainer.train_step()
        found.append(rates(trainer)["autoencoder"])
    return found


@pytest.mark.parametrize("warmup", [0, 3, 100])
def test_the_learning_rate_rises_in_equal_steps_and_stays(warmup: int) -> None:
    expected = [0.5 * min(1, (step + 1) / (warmup + 1)) for step in range(STEPS)]
    assert rates_over_time(schedule="constant", warmup=warmup) == pytest.approx(expected)


def test_the_cosine_schedule_falls_from_the_whole_to_almost_nothing() -> None:
    found = rates_over_time(schedule="cosine", warmup=0)
    expected = [0.25 * (1 + math.cos(math.pi * step / STEPS)) for step in range(STEPS)]
    assert found == pytest.approx(expected)
    assert found[0] == 0.5
    assert found[STEPS // 2] == pytest.approx(0.25)
    assert 0 < found[-1] < 0.02


def test_warm_up_and_cosine_are_multiplied() -> None:
    rising, falling, both = (
        rates_over_time(schedule=schedule, warmup=warmup)
        for schedule, warmup in (("constant", 3), ("cosine", 0), ("cosine", 3))
    )
    expected = [a * b / 0.5 for a, b in zip(rising, falling, strict=True)]
    assert both == pytest.approx(expected)
