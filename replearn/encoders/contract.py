"""The contract between a model and everything that uses it.

A model embeds images.  There are three kinds: a *fitted encoder* learns in one call of `fit`; an
*objective* names its players and what each minimises, and the trainer does the rest; so does a
*taught objective*, which sees beside each image what it is to learn from it.  A model never sees
an optimiser, a device or a file.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from replearn.arrays import Vectors
from replearn.errors import UsageError


@dataclass(frozen=True)
class Codes:
    """What a model knows of codes [N, Z]: how they become images, and where they come from.

    Attributes:
        decode: codes to images float [N, C, H, W] in [-1, 1].
        draw: images, of which only shape, type and device count, to as many codes of the prior,
            drawn with torch's random numbers; None if there is no prior.
        encode: images to their codes; None if the model has no way back.
        posterior: images to the means and the log variances [N, Z] of normal distributions of
            codes, where a model has them, with `encode` their means.
        variance: of the pixels around what is decoded, where a model has a `posterior`.
    """

    decode: Callable[[Tensor], Tensor]
    draw: Callable[[Tensor], Tensor] | None = None
    encode: Callable[[Tensor], Tensor] | None = None
    posterior: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    variance: float | None = None


class Model(nn.Module):
    """Anything that turns images into embeddings.

    Attributes:
        on_cpu: it works there, whatever other devices there are.
    """

    on_cpu = False

    def embed(self, images: Tensor) -> Tensor:
        """Return one embedding [N, D] for each image float [N, C, H, W] in [-1, 1].

        In evaluation mode it is deterministic and independent of the other images.
        """
        raise NotImplementedError

    def embed_text(self, texts: Sequence[str]) -> Tensor:
        """Return one embedding [N, D] for each text, to be compared with those of images by angle.

        Raises:
            UsageError: the model knows no texts, as most.
        """
        raise UsageError(
            f"{type(self).__name__}: it has no text tower; use a model pretrained that has one, as "
            "configs/biomedclip.yaml"
        )

    def codes(self) -> Codes | None:
        """Return how codes become images, and images codes; None if the model makes no images."""
        return None

    def grids(self, images: Tensor) -> dict[str, Tensor]:
        """Return named grids [rows, columns, C, H, W] worth looking at, made from these images."""
        return {}

    def statistics(self, images: Tensor) -> dict[str, Tensor]:
        """Return named numbers worth watching, such as how the codes compare with their prior."""
        return {}


class FittedEncoder(Model):
    """A model that learns from a sample of images at once, without a training loop."""

    def fit(self, images: Tensor, seed: int = 0) -> None:
        """Learn from images float [N, C, H, W] in [-1, 1]; the seed decides what is drawn."""
        raise NotImplementedError


class Trained(Model):
    """A model that the trainer takes step by step: what the two kinds of objective share."""

    def players(self) -> dict[str, list[nn.Module]]:
        """Map each player's name to the networks that it may change.

        Every parameter belongs to at least one player; each player gets its own optimiser.
        """
        raise NotImplementedError

    def prepare(self, images: Tensor) -> None:
        """Learn at once what no player trains and needs no training, before the first step.

        What is learned has to be in the state: the averaged model learns it, the other gets that.

        Args:
            images: a sample of the training set, float [N, C, H, W] in [-1, 1].
        """

    def settle(self, images: Tensor) -> None:
        """Measure on images what the trained networks make of them, after the last step.

        Args:
            images: a sample of the training set, float [N, C, H, W] in [-1, 1].
        """


class Objective(Trained):
    """A model together with what it minimises."""

    def losses(self, images: Tensor, progress: float) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Yield (player, terms) in the order of the updates.

        The trainer minimises the sum of the terms for that player before it asks for the next
        pair; a term without a gradient is only watched.  Never open an autocast context in here:
        it would leak into the trainer while the generator is paused.

        Args:
            images: one batch, float [N, C, H, W] in [-1, 1].
            progress: share of the training that is done, in [0, 1].
        """
        raise NotImplementedError


class TaughtObjective(Trained):
    """A model together with what it minimises, given a target for each image."""

    def aims(self, vectors: Vectors) -> Vectors:
        """Return what is to be learned from a teacher's features float [N, T], float [N, D].

        They are of all images of the training set, and maybe on disk.
        """
        raise NotImplementedError

    def losses(
        self, images: Tensor, targets: Tensor, progress: float
    ) -> Iterator[tuple[str, dict[str, Tensor]]]:
        """Yield (player, terms) in the order of the updates, as `Objective.losses` does.

        Args:
            images: one batch, float [N, C, H, W] in [-1, 1].
            targets: the rows of `aims` that belong to them, float [N, D].
            progress: share of the training that is done, in [0, 1].
        """
        raise NotImplementedError
