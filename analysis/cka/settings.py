"""Settings of the CKA comparison."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from analysis.cka.measures import MEASURES
from analysis.commands.settings import (
    ReferenceFirst,
    controls_option,
    intervals_option,
    memory_option,
    option,
    untrained_option,
)
from mtd.utils.errors import BadInput

FULL = 256
"""Most whole images whose Gram matrices are compared at once unless a setting says so."""

STEADY = 12
"""Fewest crops of a minibatch from which one can be left out without making the interval far too
wide. In simulations it is 1.0 to 1.4 times as wide as it should be from here on, more at 4."""

Measure = Literal[
    "cka", "procrustes", "rsa", "knn", "cosine", "cca", "svcca", "pwcca", "soft_matching"
]


@dataclass(frozen=True, kw_only=True)
class CKASettings(ReferenceFirst):
    """Settings of `analysis.cka`; see `Settings` for those that every analysis shares.

    Attributes:
        layers: patterns of layers to record; none for the first, the blocks and the last two.
        compare: which pairs of views, see `analysis.cka.view_pairs.choose`.
        measure: of similarity; see `analysis.cka.measures`. `cka` compares positions or whole
            images, each other one only one of these.
        estimator: `unbiased` or `biased` over all samples, `minibatch` unbiased over the pairs
            within batches; None for the one that suits measure, kernel and number of crops.
        unit: what a sample is: the channels at one `position`, or a whole `image`; None for what
            the measure compares, positions with CKA.
        centering: what is removed from every channel: the mean over all samples (`global`; not by
            the mean cosine, which is of the features as they are), each
            image's mean, the mean of 9 × 9 positions around each (`highpass`), or the network's own
            features of the clean image (`clean`).
        given: pixels of the clean image that are regressed out; see `analysis.cka.removal`.
        remove_components: number of principal components of every layer that are removed.
        kernel: `linear`, or `rbf` with one σ for each layer and view, from the first batch.
        bandwidth: σ of the RBF kernel in median distances.
        positions: sampled in each crop.
        permutations: for p-values of whole images; None for 1000 with images, 0 with positions.
        least: smallest difference between similarities that sentences call shown.
        intervals: leave out one photograph at a time for 95% intervals.
        controls: ceiling, floor and untrained networks beside the values; see
            `analysis.cka.controls`.
        untrained: number of untrained networks of each architecture.
        memory: GiB that sums over pairs of layers may take; the number of pairs grows with the
            square of the number of models.
        over_training: folders of training runs, whose snapshots are the models; see
            `analysis.cka.over_training`.
    """

    layers: tuple[str, ...] = option(
        (),
        "layers: glob, re:REGEX or type:CLASS (repeatable)",
        metavar="PATTERN",
        shown="first, blocks, last two",
    )
    compare: Literal["reference", "cross-model", "cross-noise", "self", "all"] = option(
        "reference",
        "pairs of views: models under the reference, and each model between the reference and "
        "every other noise; every two models; every two noises; each view with itself; or all of "
        "these",
        aliases=("--pairs",),
    )
    measure: Measure = option(
        "cka",
        "measure of similarity; for whole images also orthogonal Procrustes, RSA (Spearman) and "
        "mutual nearest neighbors, for positions also mean cosine, mean squared CCA, SVCCA, "
        "projection-weighted CCA and soft matching of channels",
    )
    estimator: Literal["unbiased", "minibatch", "biased"] | None = option(
        None,
        "over all samples, unbiased or biased; or unbiased over the pairs within batches",
        shown="unbiased; minibatch for more than 256 whole images",
    )
    unit: Literal["position", "image"] | None = option(
        None,
        "what a sample is: a layer's channels at one position, or a whole crop, flattened, which "
        "saturates near 1 for denoisers because the content dominates",
        shown="position",
    )
    centering: Literal["global", "image", "highpass", "clean"] = option(
        "global",
        "what is removed from every channel first: only the mean over all samples, each image's "
        "mean, the mean of 9 x 9 positions around each, or what the network itself gives for the "
        "clean image, so that its response to the noise is left",
        aliases=("--centring",),
    )
    given: Literal["clean", "clean-3x3"] | None = option(
        None,
        "partial CKA: regress the clean image's pixel at each position, or the 3 x 3 pixels around "
        "it, out of all features",
        shown="nothing is regressed out",
    )
    remove_components: int = option(
        0, "remove the first principal components of every layer", metavar="K", minimum=0
    )
    kernel: Literal["linear", "rbf"] = option(
        "linear", "kernel; rbf takes one sigma per layer and view, from the first batch"
    )
    bandwidth: float = option(
        1.0, "sigma of the RBF kernel, in median distances", above=0, below=1e9
    )
    positions: int = option(64, "positions sampled in each crop", minimum=1)
    permutations: int | None = option(
        None,
        "permutations for p-values of whole images; 0 for none",
        minimum=0,
        shown="1000 for whole images",
    )
    least: float = option(
        0.05,
        "a difference between similarities is called shown only if it is larger than D: its "
        "whole 95% interval lies above D, or below -D",
        metavar="D",
        minimum=0,
        maximum=1,
    )
    intervals: bool = intervals_option("photographs")
    controls: bool = controls_option()
    untrained: int = untrained_option()
    memory: float = memory_option(
        "memory for the sums over pairs of layers, whose number grows with the square of the "
        "number of models; with less, the features are read more often",
        0.5,
    )
    over_training: tuple[str, ...] = option(
        (),
        "folder of a training run, instead of models: similarity over its snapshots, between the "
        "noises and with the end of training; NAME=PATTERN for several trainings of one model "
        "(repeatable)",
        metavar="RUN",
        group="models",
    )

    def __post_init__(self) -> None:
        """Check the settings, and that they go together.

        Raises:
            BadInput: a value that cannot be used, or values that do not go together.
        """
        super().__post_init__()
        other = self.measure != "cka"
        if self.over_training and self.compare != "reference":
            raise BadInput(f"--compare {self.compare}: has no effect with --over-training")
        if self.crop is None:
            raise BadInput("crop None: CKA compares crops of one size; give --crop")
        if other and self.kernel != "linear":
            raise BadInput(f"--kernel {self.kernel}: {self.measure} has none; leave it out")
        if other and self.unit not in (None, unit := MEASURES[self.measure].unit):
            what = "whole images" if unit == "image" else "positions"
            raise BadInput(f"--measure {self.measure} compares {what}: use --unit {unit}")
        if other and self.estimator:
            raise BadInput(f"--estimator {self.estimator}: {self.measure} has none; leave it out")
        if self.permutations and (other or self.sample_unit == "position"):
            raise BadInput("--permutations: whole crops are permuted; needs cka with --unit image")
        if (
            self.kernel == "rbf"
            and self.sample_unit == "position"
            and (self.estimator in ("unbiased", "biased"))
        ):
            raise BadInput(
                f"--estimator {self.estimator}: an RBF kernel over positions needs minibatch"
            )
        for flag, wanted in (
            ("--centering clean", self.needs_clean),
            (f"--given {self.given}", self.given),
            (f"--remove-components {self.remove_components}", self.remove_components),
        ):
            if wanted and (self.sample_unit == "image" or self.kernel == "rbf"):
                raise BadInput(f"{flag}: needs --unit position and a linear kernel")
            if wanted and self.estimator == "minibatch" and flag != "--centering clean":
                raise BadInput(f"{flag}: needs all samples together, not --estimator minibatch")
        if self.sample_unit == "position" and self.positions > self.crop**2:
            side = self.crop
            raise BadInput(f"--positions {self.positions}: a crop of {side} x {side} has {side**2}")

    @property
    def needs_clean(self) -> bool:
        """Whether every network is run on the clean images, too."""
        return self.centering == "clean"

    @property
    def sample_unit(self) -> Literal["position", "image"]:
        """What a sample is, chosen by the measure if not given."""
        return self.unit or MEASURES[self.measure].unit

    def completed(self, crops: int) -> CKASettings:
        """The same with unit, estimator and permutations chosen for a number of crops.

        Raises:
            BadInput: too few crops for the estimator.
        """
        unit, estimator = self.sample_unit, self.estimator
        if estimator is None and self.measure == "cka":
            many = crops > (self.batch_size or FULL) if unit == "image" else self.kernel == "rbf"
            estimator = "minibatch" if many else "unbiased"
        permutations = self.permutations
        if permutations is None:
            permutations = 1000 if unit == "image" and self.measure == "cka" else 0
        least = 2 if estimator == "biased" else 4
        samples = crops * (1 if unit == "image" else self.positions)
        if samples < least:
            raise BadInput(
                f"{samples} samples ({crops} crops): {estimator or 'the measure'} "
                f"{self.measure.upper()} needs {least}; raise --limit or give more images"
            )
        if unit == "image" and estimator != "minibatch" and (self.batch_size or crops) < crops:
            raise BadInput(
                f"--batch-size {self.batch_size}: {crops} whole images are compared in one batch; "
                "leave it out, or use --estimator minibatch"
            )
        return replace(
            self,
            unit=unit,
            estimator=estimator,
            permutations=permutations,
            controls=self.controls and self.compare != "self",  # of which no pair has any
        )
