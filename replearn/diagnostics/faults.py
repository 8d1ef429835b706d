"""The faults that numbers name, with thresholds and the reasons for them.

A fault is named only where the whole interval lies beyond its threshold, never on a value alone.
"""

from collections.abc import Callable

from replearn.diagnostics.diagnosis import Fault, Numbers
from replearn.diagnostics.estimates import Estimate

# Total variance of samples over that of real images.  Blurred samples of an autoencoder keep about
# half of it and more; a decoder that ignores its code keeps nothing.
COLLAPSED = 0.1
# A decoder that knows little of its code keeps a few kinds of image: less than this variance, and
# fewer different images than one in a hundred of those that the real ones are of.
NARROW, FEW = 0.3, 0.01
# Nats that the codes of a VAE carry of an image: half of one tells two kinds apart, uncertainly.
EMPTY = 0.5
# Share of the real images in bins that are as good as never made.  A bin of 20 holds 5 % of the
# images on average, so two whole bins are gone.
DROPPED = 0.1
# Share of samples that lie at one training image and far from the others as only 5 % of the real
# images do: ten times as many.
COPIED = 0.5
# Mean error of the reconstruction of held-out images over that of learned ones.  A model that
# generalises is at 1.0 to 1.3 on the sets that were measured; at 2 most of what it knows of an
# image is of that image alone.
GAP = 2.0
# Share of the pairs that the critic puts in order at the end of a training: above it, it is as
# good as never wrong, and its gradient says little.
WON = 0.98


def name_faults(numbers: dict[str, Numbers]) -> list[Fault]:
    """Return the faults that the numbers of a diagnosis show, the gravest first."""
    every = {name: found for of_subject in numbers.values() for name, found in of_subject.items()}
    named = [judge(every) for judge in _JUDGES]
    faults = [fault for fault in named if fault]
    # One image has no modes to drop and no neighbours to tell a copy by.
    return [faults[0]] if faults and faults[0].name == "collapsed" else faults


def _collapsed(numbers: Numbers) -> Fault | None:
    spread, support = numbers.get("spread"), numbers.get("support")
    if spread is None or support is None or support.baseline is None:
        return None
    few = support.high < FEW * support.baseline
    rate = numbers.get("rate")
    empty = rate is not None and rate.high < EMPTY
    if not (spread.high < COLLAPSED or (spread.high < NARROW and few) or empty):
        return None
    return Fault(
        "collapsed",
        f"samples vary {_percent(spread.value)} as much as real images (spread {_range(spread)}), "
        f"and are as if drawn from {support.value:,.0f} different ones",
        "the code is ignored or noise maps to one image: lower beta or warm it up, give free bits, "
        "or for a GAN use r1 and a lower learning rate of the critic",
    )


def _dropped(numbers: Numbers) -> Fault | None:
    missing = numbers.get("missing_modes")
    if missing is None or missing.low <= DROPPED:
        return None
    return Fault(
        "mode-dropped",
        f"{_percent(missing.value)} of the real images are of kinds that are hardly ever made "
        f"(missing_modes {_range(missing)})",
        "see which kinds are shown as missing, whether the training images had them, and whether "
        "the codes fill the prior; for a GAN, larger batches",
    )


def _memorising(numbers: Numbers) -> Fault | None:
    copies, gap = numbers.get("copies"), numbers.get("reconstruction_gap")
    if copies and copies.low > COPIED:
        because = (
            f"{_percent(copies.value)} of the samples lie at one training image and far from the "
            f"others, as 5 % of real images do (copies {_range(copies)})"
        )
    elif gap and gap.low > GAP:
        because = (
            f"held-out images are reconstructed with {gap.value:.1f} times the error of learned "
            f"ones (reconstruction_gap {_range(gap)})"
        )
    else:
        return None
    remedy = "train on more images or for fewer steps, with a smaller network or crops"
    return Fault("memorising", because, remedy)


def _unbalanced(numbers: Numbers) -> Fault | None:
    orders = {name: found for name, found in numbers.items() if name.endswith("order")}
    won = {name: found for name, found in orders.items() if found.low > WON}
    if not won:
        return None
    name, order = next(iter(won.items()))
    return Fault(
        "unbalanced",
        f"at the end the critic tells {_percent(order.value)} of the pairs apart "
        f"({name} {_range(order)})",
        "lower the critic's learning rate or its steps, or give it r1 or spectral norm",
    )


_JUDGES: list[Callable[[Numbers], Fault | None]] = [_collapsed, _dropped, _memorising, _unbalanced]


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else f"{share:.2%}"


def _range(found: Estimate) -> str:
    return f"{found.value:.3g}, {found.low:.3g} to {found.high:.3g}"
