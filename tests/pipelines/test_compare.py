"""The stage `compare`, as a user types it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from joblib.externals.loky import get_reusable_executor

from replearn.concepts.table import read_concepts, read_ids
from replearn.features import Features

PARTS = ("train", "valid")  # of a split
DETECTORS = ("linear", "knn-union", "knn-vote", "fused")
ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]


def test_the_chain_runs_in_colour_on_train_concepts_only(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert run("phantoms", data, "--count", 24, "--channels", 3)[0] == 0
    pixels = cv2.imread(str(data / "images/phantom_000001.png"), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape == (64, 64, 3)
    (data / "valid-concepts.tsv").unlink()
    (tmp_path / "compare.yaml").write_text(
        "encoders:\n"
        "  raw: {model: raw}\n"
        "  aae:\n"
        "    model: aae\n"
        "    arguments: {width: 4, latent_dim: 8}\n"
        "    training: {steps: 2, batch_size: 4}\n"
        "images: {channels: 3}\n"
    )
    out = tmp_path / "out"
    status, table, err = run("compare", tmp_path / "compare.yaml", data, out)
    assert status == 0, err
    assert "| aae | linear |" in table
    detectors = 1 + 2 * len(DETECTORS)
    assert err.count("concepts, decided by") == detectors  # each is told where progress goes
    assert table.count("| raw |") + table.count("| aae |") + table.count("| none |") == detectors
    assert f"{out / 'seed-0/aae/index'}:" in err or f"{out / 'seed-0/raw/index'}:" in err
    rows = json.loads((out / "table.json").read_text())
    assert {(row["encoder"], row["detector"]) for row in rows} == {
        ("none", "constant"),
        *((name, kind) for name in ("raw", "aae") for kind in DETECTORS),
    }
    assert {"encoder", "detector", "f1", "interval", "rule", "threshold", "seed"} <= set(rows[0])
    assert (out / "queries.png").exists()
    assert (out / "aae-reconstructions.png").exists()
    status, _, err = run("compare", tmp_path / "compare.yaml", data, out)
    assert status == 0
    assert "already trained" in err
    draw_models = ["-m", "benchmarks.model_sheets", out, data / "test-concepts.tsv", out]
    done = subprocess.run(
        [sys.executable, *map(str, draw_models)], cwd=ROOT, capture_output=True, text=True
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last == {"benchmark": "model_sheets", "written": ["aae.png"]}
    together = cv2.imread(str(out / "aae.png"))
    assert together is not None
    assert together.shape[1] == 10 * 66 + 2


def test_encoders_of_a_comparison_have_images_and_detectors_of_their_own(
    run: Run, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    assert run("phantoms", data, "--count", 40)[0] == 0
    (tmp_path / "words.yaml").write_text(
        "{model: bovw, arguments: {words: 4}, images: {size: 32, channels: 3}}"
    )
    (tmp_path / "compare.yaml").write_text(
        "encoders: {raw: {model: raw}, words: words.yaml}\n"
        "detectors:\n"
        "  few: {method: linear, concepts: 5, rule: threshold}\n"
        "  near: {method: knn, vote: union, metric: l2}\n"
        "rows: {words: [near]}\n"
        "images: {size: 16}\n"
        "published: {images: 6, f1: {words: {near: 0.25}}}\n"
    )
    command = ["compare", tmp_path / "compare.yaml", data, out, "--jobs", 2]
    command += ["--set", "encoders.words.arguments.words=8"]
    # Processes that an earlier test has left write to where that test looked.
    get_reusable_executor().shutdown(wait=True)
    status, table, err = run(*command)
    assert status == 0, err
    for name in ("raw + near", "words + near"):  # said by processes of their own
        assert err.count(f"seed 0: {name}: F1 ") == 1
    rows = json.loads((out / "table.json").read_text())
    names = [(row["encoder"], row["detector"]) for row in rows]
    assert names == [("none", "constant"), ("raw", "few"), ("raw", "near"), ("words", "near")]
    assert [row["concepts"] for row in rows][1] == 5
    assert Features.load(out / "seed-0/raw/test.h5").vectors.shape == (6, 256)
    assert Features.load(out / "seed-0/words/test.h5").vectors.shape == (6, 9)  # and one of none
    assert table.splitlines()[0].endswith("| published F1 on test |")
    assert table.splitlines()[5].endswith("| 0.2500 |")
    assert (out / "table.tex").exists()
    assert (out / "table.csv").exists()
    before = [row["seconds"] for row in rows]
    assert run(*command)[0] == 0
    again = [row["seconds"] for row in json.loads((out / "table.json").read_text())]
    assert again == before, "what was not done again keeps its time"


def test_scored_validation_images_take_no_part_in_any_choice(run: Run, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    assert run("phantoms", data, "--count", 60)[0] == 0
    listed = read_concepts(data / "test-concepts.tsv").ids
    (data / "test-concepts.tsv").unlink()  # as in a running benchmark
    (data / "test-images.txt").write_text("".join(f"{id_}\n" for id_ in listed))
    given = read_concepts(data / "train-concepts.tsv").ids
    pairs = [f"{id_}\tpatient {number // 2}\n" for number, id_ in enumerate(given)]
    (data / "groups.tsv").write_text("".join(pairs))
    settings = tmp_path / "raw.yaml"
    settings.write_text("{encoders: {raw: {model: raw}}, detectors: [linear], images: {size: 16}}")
    status, table, err = run("compare", settings, data, out)
    assert status == 0, err
    assert "| mean F1 on valid |" in table
    assert "| F1 on tuning |" in table
    parts = {part: read_concepts(out / f"tuning/{part}-concepts.tsv") for part in PARTS}
    learned, chosen = (set(parts[part].ids) for part in PARTS)
    assert learned | chosen == set(given)
    assert not learned & chosen
    group = dict(line.strip().split("\t") for line in pairs)
    assert not {group[id_] for id_ in learned} & {group[id_] for id_ in chosen}
    assert len(chosen) == pytest.approx(len(given) / 4, abs=2)
    folder = out / "seed-0/raw"
    assert read_ids(folder / "linear-test.run") == listed
    # What lies there is what `classify` makes of the two parts alone.
    features = [folder / "train.h5", folder / "tuning.h5"]
    lists = [out / f"tuning/{part}-concepts.tsv" for part in PARTS]
    pair = [path for both in zip(features, lists, strict=True) for path in both]
    asked = ("--concepts", 500, "--groups", data / "groups.tsv")
    assert run("classify", *pair, tmp_path / "again", *asked)[0] == 0
    made, again = (
        (place / "detector.json").read_bytes() for place in (folder / "linear", tmp_path / "again")
    )
    assert made == again
    assert run("report", out, out / "report.html")[0] == 0
    assert "did best on the tuning images" in (out / "report.html").read_text()


def test_images_of_one_name_in_two_folders_are_compared_on_by_their_paths(
    run: Run, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    assert run("phantoms", data, "--count", 24)[0] == 0
    paths: dict[str, str] = {}
    for number, path in enumerate(sorted((data / "images").iterdir())):
        place = data / f"images/patient_{number}/view1_frontal.png"
        place.parent.mkdir()
        path.rename(place)
        paths[path.stem] = f"CheXpert/patient_{number}/view1_frontal.png"
    for part in ("train", "valid", "test"):
        path = data / f"{part}-concepts.tsv"
        table = read_concepts(path)
        rows = zip(table.ids, table.concepts, strict=True)
        path.write_text("".join(f"{paths[id_]}\t{';'.join(of)}\n" for id_, of in rows))
    (tmp_path / "c.yaml").write_text("{encoders: {raw: {model: raw}}, images: {size: 16}}")
    status, _, err = run("compare", tmp_path / "c.yaml", data, out)
    assert status == 1
    assert "give --ids-from path" in err
    status, shown, err = run("compare", tmp_path / "c.yaml", data, out, "--ids-from", "path")
    assert status == 0, err
    assert "| raw | linear |" in shown
    ids = Features.load(out / "seed-0/raw/test.h5").ids
    assert ids == [id_.partition("/")[2][:-4] for id_ in read_ids(data / "test-concepts.tsv")]


def test_lists_of_any_layout_are_compared_on_and_written_plainly(run: Run, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    assert run("phantoms", data, "--count", 24)[0] == 0
    for part in ("train", "valid", "test"):
        path = data / f"{part}-concepts.tsv"
        table = read_concepts(path)
        path.unlink()
        rows = zip(table.ids, table.concepts, strict=True)
        named = sorted({concept for concepts in table.concepts for concept in concepts})
        cells = (
            [f"{id_}.png", "-1", *("1" if name in of else "" for name in named)] for id_, of in rows
        )
        lines = [["Image Index", "Odd finding", *named], *cells]
        text = "".join(",".join(line) + "\n" for line in lines)
        path.with_suffix(".csv").write_text(text)
    (tmp_path / "c.yaml").write_text("{encoders: {raw: {model: raw}}, images: {size: 16}}")
    status, _, err = run("compare", tmp_path / "c.yaml", data, out)
    assert status == 1
    assert "-1 (uncertain) in `Odd finding`: give --uncertain absent" in err
    status, _, err = run("compare", tmp_path / "c.yaml", data, out, "--uncertain", "absent")
    assert status == 0, err
    told = [line for line in err.splitlines() if " labels an image" in line]
    assert [line.split(": ")[0] for line in told] == [
        f"{data / f'{part}-concepts.csv'}" for part in ("train", "valid", "test")
    ]
    assert all("a column for each concept: `Odd finding`" in line for line in told)
    lists = out / "lists/test-concepts.tsv"
    assert read_concepts(lists) == read_concepts(
        data / "test-concepts.csv", layout="columns", uncertain="absent"
    )
    by_id = read_concepts(out / "by-id/test-concepts.tsv")
    assert by_id.concepts == read_concepts(lists).concepts
    assert [f"{id_}.png" for id_ in by_id.ids] == read_concepts(lists).ids
    status, _, err = run("compare", tmp_path / "c.yaml", data, out, "--uncertain", "absent")
    assert status == 0, err
    assert run("report", out, tmp_path / "report.html")[0] == 0


def test_an_ensemble_is_a_row_of_the_table(run: Run, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    assert run("phantoms", data, "--count", 48)[0] == 0
    (data / "test-concepts.tsv").rename(data / "test-images.txt")
    (tmp_path / "compare.yaml").write_text(
        "encoders: {raw: {model: raw}, pca: {model: pca, arguments: {latent_dim: 8}}}\n"
        "detectors: [linear, knn-vote]\n"
        "ensembles: {three: [raw + linear, raw + knn-vote, pca + linear]}\n"
        "images: {size: 32}\n"
    )
    status, table, err = run("compare", tmp_path / "compare.yaml", data, out)
    assert status == 0, err
    assert "| ensemble | three |" in table
    assert "ensemble + three: the ensemble" in err  # whether it helps
    asked = read_ids(data / "test-images.txt")
    assert read_ids(out / "seed-0/ensemble/three-test.run") == asked
    rows = {row["detector"]: row for row in json.loads((out / "table.json").read_text())}
    assert rows["three"]["seconds"] > 0
    status, again, err = run("compare", tmp_path / "compare.yaml", data, out)
    assert (status, again) == (0, table)
    assert "seed-0/ensemble/three: already made from the same inputs" in err
    status, _, err = run("report", out, tmp_path / "report.html")
    assert status == 0, err
    assert "ensemble + three" in (tmp_path / "report.html").read_text()
