"""Reports by what is on the page, and the whole stage on a comparison of 48 phantoms."""

import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from matplotlib.axes import Axes

from pipelines.__main__ import main
from replearn import metrics
from replearn.comparison.results import Protocol, Result
from replearn.concepts.table import ConceptTable
from replearn.concepts.vocabulary import multi_hot, vocabulary
from replearn.detection.decisions.scores import ScoredImages
from replearn.detection.decisions.threshold import tune_threshold
from replearn.encoders.encoder import Description
from replearn.features import Features
from replearn.report import comparison, embeddings, encoder, figures, projection, training
from replearn.report.comparison import Curve
from replearn.report.concept_scores import f1_at_thresholds, score_concepts
from replearn.report.embeddings import EmbeddedImages
from replearn.report.encoder import Sheet
from replearn.report.page import Absent, Card, Concept, Page, Panel, Strip, Table, to_html
from replearn.report.predictions import Predictions

VOID = {"meta", "link", "img", "br"}


class Tags(HTMLParser):
    """Collects the elements of a page and refuses one that is closed out of order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "title"):
            self.text += data


def check_self_contained(html: str) -> Tags:
    """Refuse a page that needs a file or the network, or whose elements have no name."""
    tags = Tags(html)
    for tag, attributes in tags.seen:
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
        if tag == "img":
            assert attributes["alt"]
        if tag == "svg":
            assert attributes["aria-label"]
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    ids = Counter(attributes["id"] for _, attributes in tags.seen if "id" in attributes)
    assert not [name for name, count in ids.items() if count > 1]
    targets = {attributes["href"] for tag, attributes in tags.seen if tag == "a"}
    assert {str(target)[1:] for target in targets} <= set(ids)
    return tags


def titles(page: Page) -> tuple[list[str], dict[str, str]]:
    """Return the titles of the panels that are shown, and why the others are not."""
    shown = [panel.title for panel in page.panels if isinstance(panel, Panel)]
    return shown, {p.title: p.reason for p in page.panels if isinstance(p, Absent)}


# Figures and pages -------------------------------------------------------------------------------


def paint(axes: Axes) -> None:
    axes.plot([1, 2, 3], [1, 4, 9], color=figures.SERIES[1], label="squares")
    axes.legend()


def test_a_figure_takes_all_its_colours_from_the_page() -> None:
    drawing = figures.draw(paint, alt="squares")
    assert "var(--series-1)" in drawing
    assert "var(--ink)" in drawing
    assert set(re.findall(r"#[0-9a-fA-F]{6}\b", drawing)) == set()


def test_the_same_figure_is_drawn_the_same_and_says_what_it_shows() -> None:
    drawing = figures.draw(paint, alt='one < "two"')
    assert drawing == figures.draw(paint, alt='one < "two"')
    assert 'aria-label="one &lt; &quot;two&quot;"' in drawing
    assert "squares" in drawing  # text stays text


def test_figures_on_one_page_share_no_names() -> None:
    first, second = (figures.draw(paint, alt=alt) for alt in ("first", "second"))
    names = [set(re.findall(r'\bid="([^"]+)"', drawing)) for drawing in (first, second)]
    assert names[0]
    assert not names[0] & names[1]
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', first))
    assert used <= names[0]


def test_dots_lie_where_the_points_are() -> None:
    places = np.random.default_rng(0).random((50, 2))
    drawing = figures.draw(
        lambda axes: figures.draw_dots(axes, places, colour=figures.INK, size=3), alt="points"
    )
    path = max(re.findall(r' d="([^"]+)"', drawing), key=len)
    assert path.count("M") == 50


def test_only_the_gaps_of_a_sheet_become_transparent() -> None:
    sheet = np.full((2 * 7 + 2, 3 * 7 + 2, 3), 255, np.uint8)  # images of 5 that are white too
    alpha = figures.make_gaps_transparent(sheet, side=5)[..., 3]
    assert alpha.sum() == 255 * 2 * 3 * 25
    assert alpha[2:7, 2:7].all()
    assert not alpha[:2].any()


def test_a_page_escapes_what_names_hold_and_lists_what_it_lacks() -> None:
    name = "<script>alert('x')</script> & more"
    card = Card(name, None, [Concept(name, "missed")], "note")
    page = Page(
        name,
        name,
        [(name, name)],
        [
            Panel(name, [name], [Strip(name, [card]), Table(name, [name], [[name]])]),
            Absent("Samples", "there are none."),
        ],
    )
    tags = check_self_contained(to_html(page))
    assert "script" not in {tag for tag, _ in tags.seen}
    assert tags.text.count(name) >= 8
    assert "there are none." in tags.text


# What is computed --------------------------------------------------------------------------------


def test_points_of_a_plane_keep_their_order_on_the_map() -> None:
    generator = np.random.default_rng(0)
    flat = generator.normal(size=(40, 2)) * [3, 1]
    basis = np.linalg.qr(generator.normal(size=(10, 2)))[0]
    plane = projection.project_by_pca((flat @ basis.T + 5).astype(np.float32))
    assert plane.points.min() >= 0
    assert plane.points.max() <= 1
    assert "100%" in plane.method
    principal = (flat - flat.mean(0)) @ np.linalg.svd(flat - flat.mean(0))[2].T
    for axis in (0, 1):
        steps = np.diff(principal[np.argsort(plane.points[:, axis]), axis])
        assert (steps >= 0).all() or (steps <= 0).all()


@pytest.mark.parametrize("vectors", [np.ones((5, 3)), np.ones((1, 4)), np.arange(3.0)[:, None]])
def test_even_a_collapsed_encoder_has_a_map(
    vectors: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> None:
    places = projection.project(vectors).points
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()


def test_each_region_is_shown_by_the_image_nearest_its_middle() -> None:
    places = np.array([[0.05, 0.05], [0.24, 0.26], [0.9, 0.9], [1.0, 1.0]])
    assert projection.find_representatives(places, 2) == {(0, 0): 1, (1, 1): 2}


TRAIN = ConceptTable(["t1", "t2", "t3"], [("a", "b"), ("a",), ("c",)])
TRUTH = ConceptTable(["1", "2", "3", "4"], [("a", "b"), ("a",), ("b", "z"), ()])
NAMED = ConceptTable(["4", "3", "2", "1"], [("a",), ("a",), ("a", "c"), ("a", "b")])


def test_concepts_are_scored_over_images_by_their_ids() -> None:
    scores = {score.concept: score for score in score_concepts(TRAIN, TRUTH, NAMED)}
    assert list(scores) == ["a", "b", "c", "z"]
    a = scores["a"]
    assert (a.trained, a.true, a.predicted, a.hits) == (2, 2, 4, 2)
    assert a.f1 == pytest.approx(2 * 2 / 6)
    assert scores["z"].f1 == 0
    assert scores["z"].trained == 0


def test_no_threshold_of_the_curve_beats_the_tuned_one() -> None:
    generator = np.random.default_rng(0)
    words = vocabulary(TRUTH)
    truth = multi_hot(TRUTH, words)
    scores = np.clip(truth.toarray() * 0.3 + generator.random(truth.shape) * 0.7, 0, 1)
    thresholds, f1 = f1_at_thresholds(scores, truth, TRUTH.counts, empty="skip")
    best = tune_threshold(ScoredImages(scores, truth, TRUTH.counts, "skip"))
    assert f1.max() <= best.f1 + 1e-12
    assert (np.diff(thresholds) > 0).all()
    named = (scores >= thresholds[20]).astype(np.float32)
    expected = metrics.mean_f1(truth, type(truth)(named), TRUTH.counts, empty="skip")
    assert f1[20] == pytest.approx(expected)


# The panels --------------------------------------------------------------------------------------

LINES = [
    {
        "step": step,
        "critic/real": 0.5,
        "critic/order": 0.8,
        "critic/gradient": 1.0,
        "autoencoder/reconstruction": 1 / step,
        "autoencoder/gradient": 2.0,
        "images_per_second": 100.0,
    }
    for step in (50, 100)
] + [{"step": 150, "codes/mean": 0.1, "codes/deviation": 1.0, "probe/linear": 0.6}]


def described(model: str = "aae") -> Description:
    return Description(model, {"prior": "sphere"}, 64, 1, "stretch", None, f"{model}:1", {})


def test_a_training_has_a_curve_for_each_term() -> None:
    curves, balance, codes, probes = training.build_panels(LINES, "aae")
    assert isinstance(curves, Panel)
    drawings = [part.drawing for part in curves.content if part.kind == "figure"]  # type: ignore[union-attr]
    found = [re.search('aria-label="([^"]*)', drawing).group(1) for drawing in drawings]  # type: ignore[union-attr]
    assert [label.split(",")[0] for label in found] == [
        "critic: real",
        "autoencoder: reconstruction",
        "Lengths of the gradients of autoencoder",
    ]
    assert isinstance(balance, Panel)
    assert isinstance(codes, Panel)
    assert isinstance(probes, Panel)


def test_a_generator_has_a_curve_of_its_conditioning() -> None:
    logged = [{"step": 50 * (1 + n), "jacobian/condition": 1.0 + n} for n in range(2)]
    *_, panel = training.build_panels(logged, "gan")
    assert isinstance(panel, Panel)
    assert panel.title == "Conditioning of the generator"
    [figure] = panel.content
    assert figure.kind == "figure"
    assert figure.caption == "At the end the largest is 100 times the smallest."  # type: ignore[union-attr]


def test_an_encoder_without_a_training_says_why_panels_are_missing() -> None:
    page = encoder.build_page(described("pca"), [], {}, None)
    shown, missing = titles(page)
    assert shown == ["Provenance"]
    assert {"Training curves", "Reconstructions", "Map of embeddings"} <= set(missing)
    tags = check_self_contained(to_html(page))
    for reason in missing.values():
        assert reason in tags.text


def shown_images(count: int = 30, width: int = 8) -> EmbeddedImages:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(count, width)).astype(np.float32)
    vectors[:, 3] = 2.5  # a dead dimension
    ids = [f"image-{number}" for number in range(count)]
    concepts = {
        id_: ("x-ray",) if number % 3 else ("ct", "chest") for number, id_ in enumerate(ids)
    }
    pixels = generator.integers(0, 255, (count, 1, 8, 8), dtype=np.uint8)
    pictures = dict(zip(ids, pixels, strict=True))
    return EmbeddedImages(
        Features(ids, vectors, "features:1"),
        "test.h5",
        concepts,
        lambda wanted: {id_: pictures[id_] for id_ in wanted},
    )


def test_dead_dimensions_are_counted() -> None:
    _, _, dimensions = embeddings.build_panels(shown_images())
    assert isinstance(dimensions, Panel)
    assert "1 of 8 dimensions are dead" in dimensions.text[0]


def test_no_image_is_its_own_neighbour_and_shared_concepts_are_marked() -> None:
    _, neighbours, _ = embeddings.build_panels(shown_images())
    assert isinstance(neighbours, Panel)
    for strip in neighbours.content:
        assert isinstance(strip, Strip)
        query, *others = strip.cards
        assert query.is_query
        assert query.title not in {card.title for card in others}
        own = {concept.name for concept in query.concepts}
        for card in others:
            for concept in card.concepts:
                assert (concept.state == "found") == (concept.name in own)


def test_a_sheet_that_only_some_models_draw_is_shown_and_not_missed_elsewhere() -> None:
    sheet = Sheet(np.full((2 + 66, 2 + 66, 3), 255, np.uint8), 100)
    shown, _ = titles(encoder.build_page(described(), LINES, {"denoised": sheet}, None))
    assert "Denoised" in shown
    shown, missing = titles(encoder.build_page(described(), LINES, {}, None))
    assert "Denoised" not in [*shown, *missing]
    assert "Samples" in missing


def test_a_full_encoder_page_needs_nothing_from_elsewhere() -> None:
    sheets = {
        kind: Sheet(np.full((2 + 66 * 2, 2 + 66 * 3, 3), 255, np.uint8), 100)
        for kind in ("reconstructions", "samples", "interpolations", "arithmetic")
    }
    page = encoder.build_page(described(), LINES, sheets, shown_images())
    assert titles(page)[1] == {}
    tags = check_self_contained(to_html(page))
    assert to_html(page) == to_html(page)
    assert "features:1" in tags.text


def results() -> list[Result]:
    per_image = {"1": 1.0, "2": 0.5, "3": 0.0, "4": float("nan")}
    return [
        Result(encoder, detector, 0.5, (0.4, 0.6), "threshold", 0.3, 0, f1, 3, 1.0, per_image)
        for encoder, detector, f1 in [
            ("none", "constant", 0.2),
            ("pca", "linear", 0.6),
            ("aae", "linear", 0.5),
        ]
    ]


def test_a_comparison_shows_the_best_and_the_worst_with_what_was_missed() -> None:
    predictions = Predictions(
        TRUTH, NAMED, score_concepts(TRAIN, TRUTH, NAMED), {"a": "Angle", "z": "Zone"}
    )
    curve = Curve(np.linspace(0.1, 1, 5), np.full(5, 0.4), 0.5)
    page = comparison.build_page(
        results(), Protocol("test"), curves={"pca": {"linear": curve}}, best_predictions=predictions
    )
    assert titles(page)[1] == {}
    check_self_contained(to_html(page))
    best, worst = page.panels[-2:]
    assert isinstance(best, Panel)
    assert isinstance(worst, Panel)
    first, last = best.content[0], worst.content[0]
    assert isinstance(first, Strip)
    assert isinstance(last, Strip)
    assert [card.title for card in first.cards] == ["1", "2", "3"]  # 4 does not count
    assert [card.title for card in last.cards] == ["3", "2", "1"]
    assert last.cards[0].concepts == [
        Concept("b", "missed"),
        Concept("Zone", "missed"),
        Concept("Angle", "wrong"),
    ]


def test_reports_of_comparisons_do_not_wait_for_torch() -> None:
    uses = "import sys, replearn.report.build; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", uses], check=True)


# The stage ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data` and a comparison `out` of two encoders."""
    folder = tmp_path_factory.mktemp("compared")
    small = {"width": 4, "latent_dim": 8, "critic_width": 16}
    settings = {
        "encoders": {
            "pca": {"model": "pca", "arguments": {"latent_dim": 8}},
            "aae": {
                "model": "aae",
                "arguments": small,
                "training": {"steps": 4, "batch_size": 8, "sheet_every": 2},
            },
        },
        "detectors": ["linear", "knn-vote"],
        "images": {"size": 32},
    }
    (folder / "all.yaml").write_text(yaml.safe_dump(settings))
    assert main(["phantoms", f"{folder}/data", "--count", "48"]) == 0
    words = ["compare", f"{folder}/all.yaml", f"{folder}/data", f"{folder}/out"]
    assert main(words) == 0
    return folder


def test_a_comparison_is_reported_and_again_the_same(
    compared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = compared / "report.html"
    assert main(["report", f"{compared}/out", f"{out}"]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    html = out.read_text(encoding="utf-8")
    tags = check_self_contained(html)
    assert "Not shown" not in tags.text
    assert "Plain x-ray" in tags.text  # names, not only ids
    assert sum(tag == "img" for tag, _ in tags.seen) >= 8
    assert main(["report", f"{compared}/out", f"{out}"]) == 0
    assert "already made" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == html


def test_an_encoder_is_reported_with_the_images_of_its_comparison(compared: Path) -> None:
    out = compared / "aae.html"
    assert main(["report", f"{compared}/out/seed-0/aae/encoder", f"{out}"]) == 0
    tags = check_self_contained(out.read_text(encoding="utf-8"))
    for title in ("Reconstructions", "Critic balance", "Map of embeddings", "Nearest neighbours"):
        assert title in tags.text
    assert "Plain x-ray" in tags.text


@pytest.mark.parametrize("gone", ["aae/valid.h5", "pca/knn-vote"])
def test_a_comparison_whose_features_or_detectors_are_gone_lacks_only_the_thresholds(
    gone: str, compared: Path, tmp_path: Path
) -> None:
    kept = compared / "out/seed-0" / gone
    kept.rename(tmp_path / "away")
    try:
        assert main(["report", f"{compared}/out", f"{tmp_path}/report.html"]) == 0
    finally:
        (tmp_path / "away").rename(kept)
    tags = check_self_contained((tmp_path / "report.html").read_text(encoding="utf-8"))
    missing = tags.text.split("Not shown")[-1]
    assert "Thresholds: some features of validation images" in " ".join(missing.split())
    assert missing.count(": ") == 1  # one panel


def test_a_concept_file_of_its_own_keeps_the_names_of_the_comparison(compared: Path) -> None:
    out = compared / "own.html"
    words = ["report", f"{compared}/out/seed-0/pca/encoder", f"{out}", "--concepts"]
    assert main([*words, f"{compared}/data/train-concepts.tsv"]) == 0
    assert "Plain x-ray" in out.read_text(encoding="utf-8")


def test_another_report_is_not_replaced_unasked(
    compared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = compared / "other.html"
    out.write_text("mine")
    words = ["report", f"{compared}/out/seed-0/pca/encoder", f"{out}"]
    for asked in (words, [*words, "--overwrite"]):  # what is no report is never replaced
        assert main(asked) == 1
        assert "not a report" in capsys.readouterr().err
        assert out.read_text() == "mine"
    out.unlink()
    assert main(words) == 0
    other = out.read_text(encoding="utf-8").replace("Provenance", "Elsewhere")
    out.write_text(other, encoding="utf-8")
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert "Provenance" in out.read_text(encoding="utf-8")


def test_a_comparison_with_moved_data_is_found_where_it_is_said_to_be(
    compared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = compared / "elsewhere"
    (compared / "data").rename(moved)
    try:
        words = ["report", f"{compared}/out", f"{compared}/moved.html"]
        assert main(words) == 1
        assert "--data" in capsys.readouterr().err
        assert main([*words, "--data", f"{moved}"]) == 0
    finally:
        moved.rename(compared / "data")


def test_a_folder_of_neither_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", f"{tmp_path}", f"{tmp_path}/report.html"]) == 1
    error = capsys.readouterr().err
    assert str(tmp_path) in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()
