"""How fast the trainer trains, beside baselines that train the same networks at the same time.

    python -m benchmarks.training                        about 8 minutes on 2 cores
    python -m benchmarks.training --quick                about 3
    python -m benchmarks.training --models aae,vae --device cuda --precision bfloat16

There are three baselines; each trains on the same images, in batches of the same size:

bare    A loop of plain PyTorch around the objective's own losses, for each objective: the images
        float on the device, drawn by a permutation, and Adam as it comes.  No averaged weights, no
        schedule, no seeds, no metrics.  Precision and memory format are those that the trainer is
        seen to use.  It says what the trainer costs beyond the networks.
pythae  The AdversarialTrainer of pythae 0.1.2 (Chadebec et al. 2022, arXiv:2206.08309) with its
        Adversarial_AE around our encoder, decoder and critic, in float32: its `amp` does nothing
        in this trainer.  In a process of its own: our trainer sets up its process, as the C
        library's memory, which is then the bare loop's and that of the files as well.
files   The bare loop of the AAE behind a DataLoader, one worker for each core, that opens and
        decodes image files and shrinks them at every step.  The system has the files in memory
        from the second pass on, so no disk is waited for.

The trainer is as its settings come, but for `--precision`.  The two of a pair take turns, round by
round, after a warm-up; a ratio is that of one round (trainer / baseline, above 1: the trainer is
faster), and what is reported is the median of the rounds and the range of their middle half.  On a
processor that others use too, leave them cores with `--threads`: threads that wait for each other
make the spread so wide that the ratios say nothing.

pythae is no dependency.  `pip install --no-deps pythae==0.1.2` is enough: what it imports beyond
torch and numpy (cloudpickle, pydantic, scikit-learn, scipy, tqdm, typing_extensions) comes with
replearn.  Of what it lists besides, imageio is not needed for a training.
"""

import importlib.util
import json
import os
import platform
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from torch import Tensor

import replearn
from benchmarks.command import run_benchmark
from benchmarks.training_baselines import (
    EPOCH,
    Bare,
    Style,
    new_trainer,
    style_of,
    trained_bare,
    trained_by_pythae,
    trained_by_replearn,
    trained_from_files,
    write_files,
)
from benchmarks.turns import Options, Result, elsewhere, take_turns
from replearn.arrays import Pixels
from replearn.artefacts.workers import cores
from replearn.encoders.contract import Objective
from replearn.encoders.embedding import find_device
from replearn.encoders.models import MODELS
from replearn.errors import UsageError
from replearn.phantoms.rendering import render

OBJECTIVES = [name for name, model in MODELS.items() if issubclass(model, Objective)]
FILES = 4  # batches in the folder of files
NOT_INSTALLED = "not installed: pip install --no-deps pythae==0.1.2"

# Report ------------------------------------------------------------------------------------------


def processor() -> str:
    """Return the name of the processor."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8").splitlines() if known.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def hardware(options: Options) -> dict[str, Any]:
    """Return what ran: processor, threads, GPU, versions."""
    cuda = options.device.type == "cuda"
    return {
        "processor": processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "device": options.device.type,
        "gpu": torch.cuda.get_device_name(options.device) if cuda else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "replearn": replearn.__version__,
        # Before the start; where others work, the spread is theirs.
        "load": round(os.getloadavg()[0], 2),
    }


def aim(baseline: str, style: Style, device: torch.device) -> float | None:
    """Return the ratio that is to be reached, if one is."""
    if baseline == "bare":
        return 0.95
    if device.type == "cuda":
        return 3.0
    # Without units for bfloat16 a processor has nothing to be faster with.
    return 1.5 if baseline == "pythae" and style.dtype is torch.bfloat16 else None


def print_header(facts: dict[str, Any], style: Style, options: Options) -> None:
    """Print what runs and the header of the table."""
    for key, value in facts.items():
        if value is not None:
            print(f"{key:<12}{value}")
    print(f"{'precision':<12}{style} ({options.precision} was asked for)")
    print(
        f"{'setting':<12}{options.size} px, grey, batch {options.batch}, width {options.width}; "
        f"median of {options.rounds} rounds\n"
    )
    print(
        f"{'baseline':<10}{'objective':<14}{'replearn':>10}{'baseline':>10}{'ratio':>9}"
        f"   middle half\n"
        f"{'':<24}{'images/s':>10}{'images/s':>10}",
        flush=True,
    )


def print_row(
    baseline: str, name: str, facts: dict[str, float] | None, least: float | None
) -> None:
    """Print one row of the table."""
    row = f"{baseline:<10}{name:<14}"
    if facts is None:
        row += NOT_INSTALLED
    else:
        row += f"{facts['replearn']:>10.0f}{facts['baseline']:>10.0f}{facts['ratio']:>9.3f}"
        row += f"   {facts['low']:.3f} to {facts['high']:.3f}"
        row += f"   (aim: {least})" if least else ""
    print(row, flush=True)


# The runs ----------------------------------------------------------------------------------------


def against_bare(name: str, pixels: Pixels, images: Tensor, options: Options) -> Result:
    """Compare one objective's trainer with the bare loop."""
    trainer = new_trainer(name, pixels, options)
    bare = Bare(name, style_of(trainer), options)
    baseline = trained_bare(bare, images, trainer.batch_size)
    return take_turns(trained_by_replearn(trainer), baseline, options)


def against_pythae(pixels: Pixels, images: Tensor, options: Options) -> Result | None:
    """Compare the AAE's trainer with pythae's, if that is installed."""
    if importlib.util.find_spec("pythae") is None:
        return None
    trainer = new_trainer("aae", pixels, options)
    with elsewhere(trained_by_pythae, images.cpu().numpy(), options) as baseline:
        return take_turns(trained_by_replearn(trainer), baseline, options)


def against_files(pixels: Pixels, options: Options) -> Result:
    """Compare the AAE's trainer with the bare loop behind a DataLoader."""
    trainer = new_trainer("aae", pixels, options)
    bare = Bare("aae", style_of(trainer), options)
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), FILES * options.batch)
        baseline = trained_from_files(bare, Path(folder), options)
        return take_turns(trained_by_replearn(trainer), baseline, options)


def measure(options: Options) -> dict[str, Any]:
    """Print each row of the table when it is known; return the ratios and what determined them."""
    count = EPOCH * options.batch
    pixels = np.stack([render(i, size=options.size).pixels for i in range(count)])
    images = torch.from_numpy(pixels).to(options.device).float().div_(127.5).sub_(1.0)
    style = style_of(new_trainer("aae", pixels, options))
    facts = hardware(options)
    print_header(facts, style, options)

    def row(baseline: str, name: str, result: Result | None) -> dict[str, float] | None:
        found = result.facts() if result else None
        print_row(baseline, name, found, aim(baseline, style, options.device))
        return found

    ratios: dict[str, Any] = {
        "bare": {
            name: row("bare", name, against_bare(name, pixels, images, options))
            for name in options.models
        }
    }
    ratios["pythae"] = row("pythae", "aae", against_pythae(pixels, images, options))
    ratios["files"] = row("files", "aae", against_files(pixels, options))
    setting = {key: getattr(options, key) for key in ("size", "batch", "width", "rounds")}
    return {**facts, "style": str(style), **setting, **ratios}


def main(
    models: Annotated[
        str,
        typer.Option(help=f"Some of {', '.join(OBJECTIVES)}.", show_default="all; quick: aae,vae"),
    ] = "",
    size: Annotated[int, typer.Option(help="Side of the images.")] = 64,
    batch: Annotated[int, typer.Option(help="Images in a batch.")] = 64,
    width: Annotated[int, typer.Option(help="Of the networks.")] = 32,
    rounds: Annotated[
        int | None, typer.Option(help="How often each is timed.", show_default="15; quick: 9")
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long each is to take in a round.")] = 0.5,
    threads: Annotated[
        int | None, typer.Option(help="Of torch.", show_default="as torch chooses")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Of the DataLoader.", show_default="as many as cores")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="Of the trainer.")
    ] = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="Two models and fewer rounds.")] = False,
) -> None:
    """Compare the trainer's speed with others; print a table and, in the last line, JSON."""
    if threads:
        torch.set_num_threads(threads)
    names = (models or ("aae,vae" if quick else ",".join(OBJECTIVES))).split(",")
    if unknown := [name for name in names if name not in OBJECTIVES]:
        raise UsageError(f"--models {unknown[0]}: unknown; known: {', '.join(OBJECTIVES)}")
    options = Options(
        models=names,
        size=size,
        batch=batch,
        width=width,
        rounds=rounds or (9 if quick else 15),
        seconds=seconds,
        workers=cores() if workers is None else workers,
        device=find_device(device),
        precision=precision,
    )
    print(json.dumps({"benchmark": "training", **measure(options)}))


if __name__ == "__main__":
    run_benchmark(main)
