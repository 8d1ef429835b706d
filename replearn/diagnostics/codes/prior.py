"""Whether codes follow their prior: distances with tests, holes, and dimensions that say nothing.

A decoder has seen only codes of images.  Where draws of the prior lie elsewhere, what it makes of
them is a guess.
"""

import numpy as np

from replearn.arrays import Vectors
from replearn.diagnostics.codes.two_samples import (
    classifier_accuracy,
    kernel_discrepancy,
    sliced_distance,
)
from replearn.diagnostics.diagnosis import Numbers
from replearn.diagnostics.estimates import Estimate, jackknife
from replearn.diagnostics.generators.precision_recall import precision_recall

DRAWS = "draws against draws"
_NEIGHBOURS = 5
_DEAD = 0.01  # of the prior's variance (Burda et al. 2015, arXiv:1509.00519, section 5.2)


def compare_codes(codes: Vectors, draws: Vectors, others: Vectors) -> Numbers:
    """Return how codes of images [N, D] differ from draws of their prior [N, D].

    Args:
        codes: of images; where an encoder gives a distribution, one draw of it for each image.
        draws: of the prior, as many.
        others: once more as many, for the baselines.
    """
    return {
        "kernel": kernel_discrepancy(codes, draws).against(
            kernel_discrepancy(others, draws).value, DRAWS
        ),
        "sliced": sliced_distance(codes, draws).against(
            sliced_distance(others, draws).value, DRAWS
        ),
        "classifier": classifier_accuracy(codes, draws),
        "holes": holes(codes, draws),
        "outside": outside(codes, draws),
        "dead_dimensions": dead_dimensions(codes, draws),
    }


def holes(codes: Vectors, draws: Vectors) -> Estimate:
    """Return the share of the prior where no codes are.

    That is, of draws [M, D] that have no code [N, D] as near as their fifth nearest other draw, one
    minus the coverage of Naeem et al. 2020.  The baseline is its expectation where codes follow the
    prior, whatever the dimension: the five nearest of all others then are draws by chance.
    """
    covered = precision_recall(draws, codes, _NEIGHBOURS)["coverage"]
    nth = np.arange(_NEIGHBOURS)
    by_chance = np.prod((len(draws) - 1 - nth) / (len(draws) - 1 + len(codes) - nth))
    share = Estimate(1 - covered.value, 1 - covered.high, 1 - covered.low, covered.n)
    return share.against(float(by_chance), DRAWS)


def outside(codes: Vectors, draws: Vectors) -> Estimate:
    """Return the share of codes [N, D] where the prior has no draws [M, D].

    One minus the precision of Kynkäänniemi et al. 2019.  The baseline is that of one half of the
    draws against the other.
    """

    def share(some: Vectors, of: Vectors) -> Estimate:
        inside = precision_recall(of, some, _NEIGHBOURS)["precision"]
        return Estimate(1 - inside.value, 1 - inside.high, 1 - inside.low, inside.n)

    half = len(draws) // 2
    return share(codes, draws).against(share(draws[:half], draws[half:]).value, DRAWS)


def dead_dimensions(codes: Vectors, draws: Vectors) -> Estimate:
    """Return how many dimensions of codes [N, D] have less than 1 % of the prior's variance."""
    expected = draws.astype(np.float64).var(0)
    return jackknife(
        lambda some: float((some.astype(np.float64).var(0) < _DEAD * expected).sum()), codes
    ).against(0, "none")
