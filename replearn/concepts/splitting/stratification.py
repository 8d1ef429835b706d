"""Stratified parts: every concept as frequent in each part as in all, whole groups together.

Iterative stratification of multi-label data (K. Sechidis, G. Tsoumakas, I. Vlahavas, On the
stratification of multi-label data, ECML PKDD 2011, figure 1), on groups of images in place of
images: the concept with the fewest images left goes first, and its groups go one by one to the
part that lacks most images with it.  Many groups hold more images of other concepts than a part
lacks, so a local search follows: groups move to another part, or change places, as long as that
lowers the sum over parts and concepts of |images with it in the part - share of the part * images
with it|, divided by the share.  The number of images counts as one more concept there.  P.
Szymanski, T. Kajdanowicz, A network perspective on stratification of multi-label data, LIDTA 2017,
measure parts in this way.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from replearn.arrays import Float64, Integers

_ROUNDS = 5  # of the local search; more gain little
_PARTNERS = 50  # that a group may try to change places with in a round
_TRIES = 2**15  # of all groups in a round
_LEAST_GAIN = 1e-9  # images; less is rounding
_LEAST = 10  # images that a concept needs to be measured


def stratify(
    labels: sparse.csr_array, groups: NDArray[np.intp], shares: Float64, seed: int
) -> NDArray[np.intp]:
    """Return the part of each image [N], the same one for all images of a group.

    Args:
        labels: 0/1 [N, L].
        groups: number of each image's group [N], each of 0 to G - 1 at least once.
        shares: of the images that each part should have [K], together 1, each above 0.
        seed: the same seed gives the same parts.
    """
    ones = np.ones(len(groups), np.float64)
    of_group = sparse.csr_array((ones, (groups, np.arange(len(groups)))))
    # The number of images is the last column, so that parts get their sizes as they get concepts.
    size = sparse.csr_array(of_group.sum(axis=1)[:, None])
    counts = sparse.csr_array(sparse.hstack([of_group @ labels, size], format="csr"))
    generator = np.random.default_rng(seed)
    parts = _Parts.empty(counts, shares)
    _deal(parts, generator)
    _improve(parts, generator)
    return parts.part[groups]


def deviations(labels: sparse.csr_array, part: NDArray[np.intp], count: int) -> Float64:
    """Return for each part the mean |share in the part - share in all| over its concepts [K].

    Concepts with fewer than 10 images in all are left out; without any other the mean is 0.

    Args:
        labels: 0/1 [N, L].
        part: of each image [N], 0 to K - 1.
        count: number of parts K.
    """
    total = np.asarray(labels.sum(axis=0), np.float64)
    kept = total >= _LEAST
    if not kept.any():
        return np.zeros(count)
    in_all = total[kept] / labels.shape[0]
    found = np.zeros(count)
    for number in range(count):
        rows = np.flatnonzero(part == number)
        shown = np.asarray(labels[rows].sum(axis=0), np.float64)[kept]
        found[number] = np.abs(shown / max(len(rows), 1) - in_all).mean()
    return found


@dataclass(frozen=True)
class _Parts:
    """Groups with their concepts, and the part that each is in; the arrays change.

    Attributes:
        counts: images of each group with each concept, and in all [G, L + 1].
        shares: of the parts [K].
        lacks: images with each concept that a part lacks, below 0 where it has more [K, L + 1].
        part: of each group [G], -1 where it is in none.
    """

    counts: sparse.csr_array
    shares: Float64
    lacks: Float64
    part: NDArray[np.intp]

    @classmethod
    def empty(cls, counts: sparse.csr_array, shares: Float64) -> "_Parts":
        total = np.asarray(counts.sum(axis=0))
        return cls(counts, shares, np.outer(shares, total), np.full(counts.shape[0], -1, np.intp))

    def row(self, group: int) -> tuple[Integers, Float64]:
        """Return the concepts of a group, and how many of its images show each."""
        here = slice(self.counts.indptr[group], self.counts.indptr[group + 1])
        return self.counts.indices[here], self.counts.data[here]

    def put(self, group: int, part: int) -> None:
        """Move a group into a part, and out of the one that it is in."""
        columns, images = self.row(group)
        if self.part[group] >= 0:
            self.lacks[self.part[group], columns] += images
        self.lacks[part, columns] -= images
        self.part[group] = part


def _deal(parts: _Parts, generator: np.random.Generator) -> None:
    """Put each group into a part, those of the rarest concept first."""
    by_concept = sparse.csc_array(parts.counts)
    groups, width = parts.counts.shape
    last = width - 1
    drawn = generator.random(groups)
    left = np.asarray(parts.counts.sum(axis=0), np.float64)
    left[last] = 0  # the number of images is no concept
    while (left > 0).any():
        concept = int(np.where(left > 0, left, np.inf).argmin())
        here = slice(by_concept.indptr[concept], by_concept.indptr[concept + 1])
        members, images = by_concept.indices[here], by_concept.data[here]
        waiting = parts.part[members] < 0
        members, images = members[waiting], images[waiting]
        # Those with most images first: what follows can still make up for them.
        for group in members[np.lexsort((drawn[members], -images))].tolist():
            parts.put(group, _neediest(parts.lacks[:, [concept, last]], generator))
            columns, counts = parts.row(group)
            left[columns] -= counts
        left[[concept, last]] = 0
    rest = np.flatnonzero(parts.part < 0)  # without concepts
    for group in rest[np.lexsort((drawn[rest], -_sizes(parts)[rest]))].tolist():
        parts.put(group, int(parts.lacks[:, last].argmax()))


def _neediest(lacks: Float64, generator: np.random.Generator) -> int:
    """Return the part that lacks most of the first of two columns [K, 2], then of the second."""
    first = np.flatnonzero(lacks[:, 0] >= lacks[:, 0].max() - 1e-9)
    if len(first) > 1:
        of_these = lacks[first, 1]
        first = first[of_these >= of_these.max() - 1e-9]
    return int(first[0] if len(first) == 1 else generator.choice(first))


def _sizes(parts: _Parts) -> Float64:
    return parts.counts[:, [-1]].toarray().ravel()


def _improve(parts: _Parts, generator: np.random.Generator) -> None:
    """Move groups to where they do most good, and exchange pairs, until little is left to gain."""
    for _ in range(_ROUNDS):
        moves = sum(_move(parts, group) for group in _shuffled(generator, len(parts.part)))
        exchanges = _exchange(parts, generator)
        if not moves and not exchanges:
            break


def _shuffled(generator: np.random.Generator, given: int | NDArray[np.intp]) -> list[int]:
    order: list[int] = generator.permutation(given).tolist()
    return order


def _move(parts: _Parts, group: int) -> bool:
    """Move a group to the part where it costs least; tell whether that is another one."""
    columns, images = parts.row(group)
    own = parts.part[group]
    lacks = parts.lacks[:, columns]  # [K, concepts of the group]
    after = lacks - images
    after[own] = lacks[own] + images
    costs = (np.abs(after) - np.abs(lacks)).sum(axis=1) / parts.shares
    costs += costs[own]  # what it costs to take it away comes to every other part
    costs[own] = 0
    best = int(costs.argmin())
    if costs[best] >= -_LEAST_GAIN:
        return False
    parts.put(group, best)
    return True


def _exchange(parts: _Parts, generator: np.random.Generator) -> int:
    """Exchange groups with random ones of other parts where that helps; return how often it did.

    A group that fills one gap leaves another, so that pairs can gain where no single one can.
    """
    tried = np.flatnonzero(parts.part != parts.shares.argmax())  # the others' partners are there
    most = min(_PARTNERS, max(1, _TRIES // max(len(tried), 1)))
    done = 0
    for group in _shuffled(generator, tried):
        for other in generator.integers(0, len(parts.part), most).tolist():
            if _exchanging_gains(parts, group, other) > _LEAST_GAIN:
                first, second = int(parts.part[group]), int(parts.part[other])
                parts.put(group, second)
                parts.put(other, first)
                done += 1
                break
    return done


def _exchanging_gains(parts: _Parts, group: int, other: int) -> float:
    """Return by how much the costs fall if two groups change places."""
    first, second = parts.part[group], parts.part[other]
    if first == second:
        return 0.0
    (columns, images), (more, others) = parts.row(group), parts.row(other)
    both, place = np.unique(np.concatenate([columns, more]), return_inverse=True)
    change = np.bincount(place, np.concatenate([-images, others]))  # of the first part
    of_first, of_second = parts.lacks[first, both], parts.lacks[second, both]
    gains = np.abs(of_first) - np.abs(of_first - change)
    gains_of_other = np.abs(of_second) - np.abs(of_second + change)
    return float(gains.sum() / parts.shares[first] + gains_of_other.sum() / parts.shares[second])
