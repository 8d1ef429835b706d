"""Tables of a finished comparison, written to its folder, and the facts that reports need."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from replearn.artefacts.files import write_json, write_text
from replearn.artefacts.hints import hint_to
from replearn.comparison.data_folder import DataFolder
from replearn.comparison.facts import ComparisonFacts, write_facts
from replearn.comparison.results import PublishedScores, Result, to_csv, to_latex, to_markdown
from replearn.comparison.settings import Comparison
from replearn.concepts.table import read_ids

FILES = ("table.md", "table.csv", "table.tex", "table.json")


def write_tables(
    results: Sequence[Result], settings: Comparison, data: DataFolder, out: Path
) -> None:
    """Write table.md, table.csv, table.tex and table.json.

    Args:
        results: of all encoders, detectors and seeds.
        settings: of the comparison.
        data: what was compared on.
        out: folder of the comparison.
    """
    published = _published_scores(settings, data)
    markdown = to_markdown(results, data.protocol, published=published)
    latex = to_latex(results, data.protocol, published=published)
    write_text(out / "table.md", markdown)
    write_text(out / "table.csv", to_csv(results))
    write_text(out / "table.tex", latex)
    write_json(out / "table.json", [result.as_row() for result in results])


def _published_scores(settings: Comparison, data: DataFolder) -> PublishedScores | None:
    """Return the scores of a paper if the test list is the paper's, by its length."""
    published = settings.published
    if published and data.test and len(read_ids(data.test)) == published.images:
        return published.f1
    return None


def write_comparison_facts(
    settings: Comparison, data: DataFolder, images: Mapping[str, Path], out: Path
) -> None:
    """Write comparison.json.

    Args:
        settings: of the comparison.
        data: what was compared on.
        images: the image set of each encoder.
        out: folder of the comparison.
    """
    facts = ComparisonFacts(
        edition=settings.edition,
        scored=data.scored,
        names=data.names,
        parts={part: hint_to(path, out) for part, path in data.parts.items()},
        images={name: hint_to(path, out) for name, path in images.items()},
        groups=hint_to(data.groups, out) if data.groups else None,
    )
    write_facts(out, facts)
