"""Two processes are one: the same weights as from one process with the joint batch.

The children are started as `torchrun` starts them.  Everything is in double precision, and what
is drawn at random for a share of the batch is that share of what is drawn for the whole batch.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from replearn.encoders.configuration import Configuration
from replearn.encoders.contract import Objective
from replearn.encoders.models import build
from replearn.encoders.networks.collective import gather, mean_over_processes, rank, world_size
from replearn.encoders.training import run
from replearn.encoders.training.distributed import any_process, broadcast, process_group
from replearn.encoders.training.folder import TrainingFolder
from replearn.encoders.training.loop import fit
from replearn.encoders.training.run import train
from replearn.encoders.training.trainer import Trainer, seed_all
from replearn.errors import DataError, UsageError
from replearn.images.image_set import ImageSet
from tests.encoders.training.small import OBJECTIVES, SIZE, SMALL, pictures, settings_of

STEPS = 3
# Each of these looks at the whole batch, or differentiates twice, or both.
SETTINGS: dict[str, dict[str, Any]] = {
    "relativistic": {"loss": "relativistic", "r1": 1.0},
    "feature matching": {"feature_matching": 1.0, "minibatch_stddev": True},
    "gradient penalty": {"gradient_penalty": 10.0, "minibatch_stddev": True, "critic_steps": 2},
    "doubts": {"label_flipping": 0.2, "instance_noise": 0.1, "spectral_norm": True},
}
CASES: dict[str, tuple[str, dict[str, Any]]] = {name: (name, SMALL[name]) for name in OBJECTIVES}
CASES |= {
    f"bigan, {name}": ("bigan", SMALL["bigan"] | {"adversary": adversary})
    for name, adversary in SETTINGS.items()
}
CASES["vae, free bits"] = ("vae", SMALL["vae"] | {"free_bits": 0.05})
CASES["a part that is not trained"] = (
    "combined",
    {"parts": {name: {"model": name, "arguments": SMALL["sdae"]} for name in ("sdae", "random")}},
)
CASES["aae, resnet"] = ("aae", SMALL["aae"] | {"architecture": "resnet", "moves": "three"})


class JointNoise(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Draws for the joint batch and hands out one share of it."""

    def __init__(self, part: int, parts: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.part, self.parts = part, parts
        self.random = torch.Generator().manual_seed(5)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if name in ("randn_like", "rand_like", "randint_like"):
            return self._share(name, args[0].shape, args[1:]).to(args[0].dtype)
        if name == "randint":
            return self._share("randint_like", args[1], args[:1])
        assert not name.startswith(("rand", "normal", "uniform", "bernoulli")), name
        return func(*args, **(kwargs or {}))

    def _share(self, name: str, shape: Any, arguments: tuple[Any, ...]) -> Tensor:
        size = shape[0]
        joint = (size * self.parts, *shape[1:])
        draw: dict[str, Callable[[], Tensor]] = {
            "randint_like": lambda: torch.randint(arguments[0], joint, generator=self.random),
            "randn_like": lambda: torch.randn(joint, generator=self.random, dtype=torch.float64),
            "rand_like": lambda: torch.rand(joint, generator=self.random, dtype=torch.float64),
        }
        drawn = draw[name]()
        return drawn[self.part * size : (self.part + 1) * size]


def new_trainer(case: str) -> Trainer:
    model, arguments = CASES[case]
    seed_all(0)
    objective = build(model, size=SIZE, channels=1, arguments=arguments).double()
    assert isinstance(objective, Objective)
    settings = settings_of(precision="float32", gradient_clip=1.0, crop=SIZE, flip=True)
    return Trainer(objective, pictures(), settings)


def trained(case: str) -> dict[str, Any]:
    """Return the weights and the averaged ones after some steps of this process and the others.

    And the terms of the last step.
    """
    trainer = new_trainer(case)
    trainer.prepare()
    with JointNoise(rank(), world_size()):
        for _ in range(STEPS):
            terms = trainer.train_step()
    return state_of(trainer) | {"terms": terms}


def state_of(trainer: Trainer) -> dict[str, Any]:
    return {"objective": trainer.objective.state_dict(), "average": trainer.average.state_dict()}


def whole_and_resumed(case: str, folder: Path) -> list[dict[str, Any]]:
    """Return the weights of a training, and of one that went on from a checkpoint of its own."""
    whole, first, second = (new_trainer(case) for _ in range(3))
    for _ in range(STEPS):
        whole.train_step()
    first.train_step()
    if rank() == 0:
        first.save(folder / f"{case}-checkpoint.pt", "x:1", {})
    broadcast("written")
    second.resume(folder / f"{case}-checkpoint.pt", "x:1", {})
    while second.step < STEPS:
        second.train_step()
    return [state_of(whole), state_of(second)]


def child(folder: str, fast: bool) -> None:
    """Train each model with the other processes and write what came of it."""
    with process_group("cpu"):
        for case in CASES:
            if not fast or case in FAST:
                place = f"{folder}/{case}"
                torch.save(trained(case), f"{place}-{rank()}.pt")
                torch.save(whole_and_resumed(case, Path(folder)), f"{place}-twice-{rank()}.pt")


FAST = ("sdae", "bigan, relativistic", "a part that is not trained")


def resumed_apart(folder: str) -> None:
    """Go on from a folder of which the second process sees another, empty one."""
    with process_group("cpu"):
        own = Path(folder) / str(rank())
        with pytest.raises(DataError, match=r"not there for every process; share the folder"):
            fit(new_trainer("sdae"), own, "x:1", {}, resume=True)


def failing(folder: str) -> None:
    """Train again and again while one of the two processes fails; write what each is told."""
    torch.set_num_threads(1)
    told: dict[str, str] = {}
    for case, (who, owner, name) in FAILURES.items():
        with pytest.MonkeyPatch.context() as patch:
            if os.environ["RANK"] == str(who):
                patch.setattr(owner, name, breaks)
            with pytest.raises((DataError, RuntimeError)) as caught:
                train_small(Path(folder) / case)
        told[case] = str(caught.value)
        if case == "after the last step":
            train_small(Path(folder) / "whole")
    (Path(folder) / f"told-{os.environ['RANK']}.json").write_text(json.dumps(told))


def breaks(*_: Any, **__: Any) -> None:
    raise RuntimeError("switched off")


def train_small(folder: Path) -> None:
    images = ImageSet([f"i{row}" for row in range(24)], pictures(), "stretch", [], "images:1")
    training = {"steps": 3, "batch_size": 8, "checkpoint_every": 2, "device": "cpu"}
    train(Configuration(model="sdae", arguments=SMALL["sdae"], training=training), images, folder)


# Which process fails, and where.  Only where it was to answer do the others know before it ends.
FAILURES: dict[str, tuple[int, Any, str]] = {
    "before the training": (0, TrainingFolder, "is_finished"),
    "before the first step": (0, TrainingFolder, "make_room"),
    "between two steps": (0, Trainer, "save"),
    "after the last step": (0, run, "save_encoder"),
    "in a step": (1, Trainer, "train_step"),
}


def test_where_one_process_fails_the_other_stops_with_the_reason(tmp_path: Path) -> None:
    run_two(tmp_path, f"failing({str(tmp_path)!r})")
    told = [json.loads((tmp_path / f"told-{number}.json").read_text()) for number in (0, 1)]
    for case, (who, *_) in FAILURES.items():
        assert told[who][case] == "switched off"
        assert told[1 - who][case] == f"process {who} failed: RuntimeError: switched off", case
    # A training that follows is not taken for one that failed.
    assert (tmp_path / "whole/encoder.json").exists()


def run_two(folder: Path, call: str) -> Path:
    """Let two processes call a function of this file."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"from tests.encoders.training import test_distributed as tests; tests.{call}"
    world = {
        "WORLD_SIZE": "2",
        "PYTHONPATH": ".",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=Path(__file__).parents[3],
            env=os.environ | world | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in (0, 1)
    ]
    assert [process.wait(timeout=600) for process in children] == [0, 0]
    return folder


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    return run_two(folder, f"child({str(folder)!r}, False)")


@pytest.fixture(scope="module")
def some_by_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("some")
    return run_two(folder, f"child({str(folder)!r}, True)")


def assert_equal_to_one(folder: Path, case: str) -> None:
    first, second = (torch.load(folder / f"{case}-{rank}.pt") for rank in (0, 1))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    torch.testing.assert_close(first, trained(case), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("case", FAST)
def test_two_processes_make_the_weights_that_one_makes(case: str, some_by_two: Path) -> None:
    assert_equal_to_one(some_by_two, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_two_processes_make_the_weights_that_one_makes_of_every_model(
    case: str, by_two: Path
) -> None:
    assert_equal_to_one(by_two, case)


@pytest.mark.parametrize("case", FAST)
def test_two_processes_go_on_from_a_checkpoint_to_the_same_weights(
    case: str, some_by_two: Path
) -> None:
    for number in (0, 1):
        whole, resumed = torch.load(some_by_two / f"{case}-twice-{number}.pt")
        torch.testing.assert_close(resumed, whole, rtol=0, atol=0)


def test_a_checkpoint_that_only_one_process_sees_is_not_gone_on_from(tmp_path: Path) -> None:
    for number in ("0", "1"):
        (tmp_path / number).mkdir()
    trainer = new_trainer("sdae")
    trainer.train_step()
    trainer.save(tmp_path / "0" / "checkpoint.pt", "x:1", {})
    run_two(tmp_path, f"resumed_apart({str(tmp_path)!r})")


@pytest.mark.parametrize(
    ("device", "said"), [("cuda", "1 GPU for 2 processes"), ("cuda:0", "cuda:0 for several")]
)
def test_each_process_needs_a_gpu_of_its_own(
    device: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with (
        pytest.raises(UsageError, match=said),
        process_group(device),
    ):
        pytest.fail("they joined")


def test_alone_nothing_is_shared() -> None:
    values = torch.arange(6.0).reshape(3, 2)
    assert world_size() == 1
    assert rank() == 0
    assert gather(values) is values
    assert torch.equal(mean_over_processes(values), values.mean(0))
    assert broadcast("x") == "x"
    assert any_process(True)
    assert not any_process(False)
