"""The concept detection task of ImageCLEF Caption: run files, their checks and their score.

What differs between years stands in the table `EDITIONS`, as data: the layout, the checks in the
order in which the organisers' programs make them, and what an empty truth counts.  Two programs
are followed: the evaluator, which decides what a file scores, and, where a year has one, the
stricter pre-check that decides whether it gets that far.

Sources: the script `evaluate-f1.py` of 2019, crowdAI/CLEF_evaluators_2018, copies of the servers'
programs of 2022 (icrto/ImageClefMedical) and 2023 (TiagoFilipeSousaGoncalves/
ImageCLEFmedical2023VCMI), taubsity/clef-caption-evaluation (2024, 2025) and
taubsity/clef-caption-evaluation-2026.  No code of theirs is in here.

Example:
    >>> edition = replearn.imageclef.edition(2024)
    >>> ids = chosen_on.ids
    >>> named = detector.concepts(features.select(ids))
    >>> faults = replearn.imageclef.write_submission(
    ...     "runs/run.csv", ids, named, edition, overwrite=True
    ... )
    >>> replearn.imageclef.validate_run("runs/run.csv", ids, edition).errors
    []
    >>> score = replearn.imageclef.evaluate_run(
    ...     "runs/run.csv", "mydata/valid-concepts.tsv", edition
    ... )
    >>> 0 <= score.f1 <= 1
    True
"""

from typing import TYPE_CHECKING

from replearn.lazy_names import lazy_names

if TYPE_CHECKING:
    from replearn.imageclef.editions import EDITIONS, Edition, edition
    from replearn.imageclef.evaluation import Score, evaluate_run
    from replearn.imageclef.faults import Fault
    from replearn.imageclef.merging import How, merge_runs
    from replearn.imageclef.runs import read_run, write_run
    from replearn.imageclef.submissions import write_submission
    from replearn.imageclef.validation import Report, validate_run, validate_text

__all__ = [
    "EDITIONS",
    "Edition",
    "Fault",
    "How",
    "Report",
    "Score",
    "edition",
    "evaluate_run",
    "merge_runs",
    "read_run",
    "validate_run",
    "validate_text",
    "write_run",
    "write_submission",
]

_NAMES = {
    "editions": ("EDITIONS", "Edition", "edition"),
    "evaluation": ("Score", "evaluate_run"),
    "faults": ("Fault",),
    "merging": ("How", "merge_runs"),
    "runs": ("read_run", "write_run"),
    "submissions": ("write_submission",),
    "validation": ("Report", "validate_run", "validate_text"),
}

__getattr__, __dir__ = lazy_names(__name__, _NAMES)
