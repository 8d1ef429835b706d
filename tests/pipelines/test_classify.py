"""The stage `classify`, as a user types it: rules, neighbours, penalties, indexes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from replearn.concepts.table import read_concepts
from replearn.detection.detector import load_detector
from replearn.detection.fit_detector import fit_detector
from replearn.detection.settings import Scoring
from replearn.features import Features
from replearn.imageclef import edition

Run = Callable[..., tuple[int, str, str]]


def test_a_detector_takes_an_index_of_its_training_images_only(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    data, folder = chain / "data", tmp_path / "index"
    run("index", chain / "aae-train.h5", folder, "--factory", "HNSW8", "--metric", "l2")
    parts = [chain / "aae-train.h5", data / "train-concepts.tsv"]
    parts += [chain / "aae-valid.h5", data / "valid-concepts.tsv"]
    words = ("--method", "knn", "--index", folder)
    assert run("classify", *parts, tmp_path / "own", *words)[0] == 0
    others = [parts[2], parts[3], parts[0], parts[1]]
    status, _, err = run("classify", *others, tmp_path / "other", *words)
    assert status == 1
    assert "--index" in err
    assert "index these features" in err


def test_classify_shows_what_each_rule_reaches_and_takes_the_best_or_the_one_asked_for(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    data = chain / "data"
    command = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    command += [chain / "aae-valid.h5", data / "valid-concepts.tsv"]
    status, table, err = run(*command, tmp_path / "auto")
    assert status == 0, err
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    facts = json.loads((tmp_path / "auto/detector.json").read_text())
    assert [row[0] for row in rows] == [outcome["rule"] for outcome in facts["comparison"]]
    best = max(rows, key=lambda row: float(row[1].strip("*")))
    assert best[1].startswith("**")
    assert facts["rule"]["name"] == best[0]
    status, table, _ = run(*command, tmp_path / "top", "--rule", "top-k")
    assert status == 0
    assert [line.split()[1] for line in table.splitlines()[2:]] == ["top-k"]
    assert run(*command, tmp_path / "top", "--rule", "threshold")[0] == 1, "another detector"
    run_file = tmp_path / "top.run"
    assert run("predict", tmp_path / "top", chain / "aae-test.h5", run_file)[0] == 0
    k = json.loads((tmp_path / "top/detector.json").read_text())["rule"]["k"]
    assert {len(concepts) for concepts in read_concepts(run_file).concepts} == {k}


def test_a_single_neighbour_is_copied(chain: Path, run: Run, tmp_path: Path) -> None:
    data = chain / "data"
    command = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    command += [chain / "aae-valid.h5", data / "valid-concepts.tsv", tmp_path / "copy"]
    options = ["--method", "knn", "--vote", "union", "--neighbours", 1, "--rule", "threshold"]
    status, _, err = run(*command, *options)
    assert status == 0, err
    assert run("predict", tmp_path / "copy", chain / "aae-train.h5", tmp_path / "run")[0] == 0
    named = read_concepts(tmp_path / "run")
    truth = read_concepts(data / "train-concepts.tsv").select(named.ids)
    assert [set(c) for c in named.concepts] == [set(c) for c in truth.concepts]


def test_a_linear_detector_can_learn_from_validation_in_the_end_and_have_few_weights(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    data = chain / "data"
    command = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    command += [chain / "aae-valid.h5", data / "valid-concepts.tsv"]
    options = ["--penalty", "l1", "--refit", "--jobs", 2, "--device", "cpu"]
    status, _, err = run(*command, tmp_path / "sparse", *options)
    assert status == 0, err
    assert run("predict", tmp_path / "sparse", chain / "aae-test.h5", tmp_path / "run")[0] == 0
    status, _, err = run(*command, tmp_path / "knn", "--method", "knn", "--refit")
    assert status == 2
    assert "--refit" in err


def test_groups_of_other_images_are_refused_and_missing_ones_are_said(
    chain: Path, run: Run, tmp_path: Path
) -> None:
    data = chain / "data"
    command = ["classify", chain / "aae-train.h5", data / "train-concepts.tsv"]
    command += [chain / "aae-valid.h5", data / "valid-concepts.tsv", tmp_path / "grouped"]
    ids = read_concepts(data / "train-concepts.tsv").ids
    (tmp_path / "other.tsv").write_text("".join(f"other-{id_}\tpatient\n" for id_ in ids))
    status, _, err = run(*command, "--groups", tmp_path / "other.tsv")
    assert status == 1
    count = len(ids) + len(read_concepts(data / "valid-concepts.tsv").ids)
    assert f"other.tsv: has a group for none of the {count} images" in err
    (tmp_path / "some.tsv").write_text("".join(f"{id_}\tpatient-{id_}\n" for id_ in ids))
    status, _, err = run(*command, "--groups", tmp_path / "some.tsv", "--method", "knn")
    assert status == 0, err
    assert "images have no group and are one each" in err


def test_a_cluster_computes_on_its_processors(chain: Path, run: Run, tmp_path: Path) -> None:
    data = chain / "data"
    parts = [chain / "aae-train.h5", data / "train-concepts.tsv"]
    parts += [chain / "aae-valid.h5", data / "valid-concepts.tsv", tmp_path / "new"]
    status, _, err = run("classify", *parts, "--cluster", "ray", "--device", "cuda")
    assert status == 2
    assert err.startswith("replearn classify: --device cuda: with --cluster")
    assert not (tmp_path / "new").exists()


def test_python_fits_the_detector_that_the_command_makes(chain: Path) -> None:
    made = load_detector(chain / "linear")
    train, valid, test = (Features.load(chain / f"aae-{p}.h5") for p in ("train", "valid", "test"))
    concepts, chosen_on = (
        read_concepts(chain / f"data/{part}-concepts.tsv") for part in ("train", "valid")
    )
    rules = edition(2018)
    scoring = Scoring(rules.empty, rules.max_concepts)
    fitted = fit_detector((train, concepts), (valid, chosen_on), scoring=scoring)
    assert fitted.identity == made.identity
    assert fitted.comparison == made.comparison
    every = [detector.concepts(test.vectors) for detector in (fitted, made)]
    assert every[0] == every[1]


def labelled(folder: Path, part: str, style: str) -> tuple[Path, Path]:
    """Write features of 40 images and their concepts, high numbers, as others have them."""
    vectors = np.random.default_rng(len(part)).normal(size=(40, 3)).astype(np.float32)
    ids = [f"{part}/patient{row:02d}/view1" for row in range(40)]
    Features(ids, vectors, f"features:{part}").save(folder / f"{part}.h5")
    names = ["Edema", "Cyst", "Mass"]
    shown = [[name for name, high in zip(names, row > 0.3, strict=True) if high] for row in vectors]
    files = [f"Set-v1.0/{id_}.jpg" for id_ in ids]
    if style == "chexpert":
        lines = ["Path,Sex," + ",".join(names)]
        for file, of in zip(files, shown, strict=True):
            lines.append(f"{file},Female," + ",".join("1.0" if n in of else "" for n in names))
        lines[1] = lines[1].replace("Female,,", "Female,-1.0,")
    else:
        lines = [",ImageID,Labels"]
        lines += [
            f'{n},{file},"{of}"' for n, (file, of) in enumerate(zip(files, shown, strict=True))
        ]
    path = folder / f"{part}-{style}.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    return folder / f"{part}.h5", path


def test_the_layouts_found_are_told_with_images_concepts_and_labels_an_image(
    run: Run, tmp_path: Path
) -> None:
    train, valid = labelled(tmp_path, "train", "padchest"), labelled(tmp_path, "valid", "padchest")
    status, _, err = run("classify", *train, *valid, tmp_path / "d", "--rule", "threshold")
    assert status == 0, err
    mean = read_concepts(train[1]).counts.mean()
    assert err.splitlines()[0] == (
        f"{train[1]}: ids in `ImageID`, concepts in `Labels`, lists in text; 40 images, "
        f"3 concepts, {mean:.2f} labels an image"
    )
    assert err.splitlines()[1].startswith(f"{valid[1]}: ids in `ImageID`")
    assert sum(line.endswith("labels an image") for line in err.splitlines()) == 2
    assert load_detector(tmp_path / "d").vocabulary[0] in {"Edema", "Cyst", "Mass"}


def test_options_settle_the_layout_of_both_files(run: Run, tmp_path: Path) -> None:
    train, valid = labelled(tmp_path, "train", "chexpert"), labelled(tmp_path, "valid", "chexpert")
    command = ["classify", *train, *valid, tmp_path / "d", "--rule", "threshold"]
    status, _, err = run(*command)
    assert status == 1
    assert "give --uncertain absent or --uncertain present" in err
    status, _, err = run(*command, "--uncertain", "absent")
    assert status == 0, err
    assert "1 x -1 (uncertain) taken as absent; 40 images, 3 concepts" in err
    absent = load_detector(tmp_path / "d")
    assert run(*command[:-3], tmp_path / "e", "--uncertain", "present")[0] == 0
    assert load_detector(tmp_path / "e").identity != absent.identity
    assert run(*command[:-3], tmp_path / "f", "--layout", "rows")[0] == 1
    assert run(*command[:-3], tmp_path / "f", "--layout", "table")[0] == 2


def test_validation_concepts_unknown_in_training_are_counted(run: Run, tmp_path: Path) -> None:
    train, valid = labelled(tmp_path, "train", "padchest"), labelled(tmp_path, "valid", "padchest")
    text = valid[1].read_text()
    valid[1].write_text(text.replace("'Mass'", "'mass'"))
    status, _, err = run("classify", *train, *valid, tmp_path / "d", "--rule", "threshold")
    assert status == 0, err
    labels, unknown = text.count("'") // 2, text.count("'Mass'")
    assert (
        f"warning: {valid[1]}: 1 of 3 concepts, {unknown} of {labels} labels, are of no image of "
        f"{train[1]} ('mass')"
    ) in err.splitlines()
    valid[1].write_text(
        text.lower().replace("imageid,labels", "ImageID,Labels").replace("set", "Set")
    )
    status, _, err = run("classify", *train, *valid, tmp_path / "e")
    assert status == 1
    assert f"{valid[1]}: none of its 3 concepts" in err
    assert f"is among those of {train[1]} ('Cyst', 'Edema', 'Mass')" in err
    assert not (tmp_path / "e").exists()
