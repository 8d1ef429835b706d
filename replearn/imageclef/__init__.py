"""The concept detection task of ImageCLEF Caption: run files, their checks and their score.

What differs between years stands in the table `EDITIONS`, as data: the layout, the checks in the
order in which the organisers' programs make them, and what an empty truth counts.  Two programs
are followed: the evaluator, which decides what a file scores, and, where a year has one, the
stricter pre-check that decides whether it gets that far.

Sources: crowdAI/CLEF_evaluators_2018 (2018), taubsity/clef-caption-evaluation-2026 (2026).
"""

from replearn.imageclef.editions import EDITIONS, Edition, edition
from replearn.imageclef.evaluation import Score, evaluate_run
from replearn.imageclef.faults import Fault
from replearn.imageclef.runs import read_run, write_run
from replearn.imageclef.validation import Report, validate_run

__all__ = [
    "EDITIONS",
    "Edition",
    "Fault",
    "Report",
    "Score",
    "edition",
    "evaluate_run",
    "read_run",
    "validate_run",
    "write_run",
]
