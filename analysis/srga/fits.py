"""Fitted densities of every view, whole and without photographs, and scores between two of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.engine.observer import View
from analysis.srga.observer import Deep
from analysis.srga.score import Fit, compare, fit
from analysis.srga.settings import SRGASettings
from analysis.stats import gram_pca, jackknife
from analysis.stats.controls import NOTHING, Series
from analysis.stats.generalized_gaussian import Method
from analysis.stats.jackknife import LEVEL
from analysis.stats.undefined import Undefined
from mtd.utils import seeds

SUBSETS = 60
"""At most how many times photographs are left out for an interval."""

SHARE = 5
"""One photograph in so many is left out at a time; of fewer than twice as many, one."""

Array = NDArray[np.float64]


def subsets(photographs: int, seed: int) -> list[tuple[int, ...]]:
    """Which photographs are left out each time: all choices of a fifth of them, or 60 at random.

    Of fewer than ten photographs each one by itself. Of more a fifth, since leaving out one patch
    takes a whole principal component away: in a simulation of 97 photographs with a patch each the
    standard error was then 3.6 times too large, with a fifth 1.5 times.

    Args:
        photographs: number of them.
        seed: of the choices.
    """
    count = left_out(photographs)
    if math.comb(photographs, count) <= SUBSETS:
        return list(combinations(range(photographs), count))
    chosen = []
    for index in range(SUBSETS):
        stream = seeds.generator("left out", seed, index)
        order = torch.randperm(photographs, generator=stream)
        chosen.append(tuple(order[:count].sort().values.tolist()))
    return chosen


def left_out(photographs: int) -> int:
    """How many photographs are left out at a time."""
    return max(1, photographs // SHARE)


def interval(
    value: float, without: Array, photographs: int, level: float = LEVEL
) -> tuple[float, float]:
    """value ± t₍ₙ₋₁₎ √((n − d)/d · mean (θ₍ₛ₎ − θ̄)²), θ₍ₛ₎ being the value without subset s.

    The delete-d jackknife of n photographs; with d = 1 that of `analysis.stats.jackknife`.

    Args:
        value: of all photographs.
        without: (subsets,).
        photographs: n.
        level: of confidence.

    Reference: Shao and Wu 1989, Annals of Statistics 17.
    """
    from scipy.stats import t

    count = left_out(photographs)
    spread = float(np.square(without - without.mean()).mean())
    error = math.sqrt((photographs - count) / count * spread)
    half = float(t.ppf((1 + level) / 2, photographs - 1)) * error
    return value - half, value + half


How = tuple[int, Method, int]
"""Components, method and number of features; see `analysis.srga.score.fit`."""


@dataclass(frozen=True)
class Fits:
    """The fits of a network's features under one noise.

    Attributes:
        whole: of all patches; None where there is none.
        parts: without every subset of photographs; none where one of them has no fit.
        reason: why there is none of all patches, else "".
    """

    whole: Fit | None
    parts: list[Fit]
    reason: str = ""

    @classmethod
    def of(cls, gram: Tensor, remaining: Sequence[Tensor], how: How) -> Fits:
        """Fits to all patches, and to those that remain without each subset of photographs.

        Args:
            gram: (patches, patches), of centered features.
            remaining: indices of the patches that remain each time.
            how: components, method and number of features.
        """
        try:
            whole = fit(gram, *how)
        except Undefined as error:
            return cls(None, [], str(error))
        try:
            return cls(whole, [fit(gram_pca.recentered(gram, part), *how) for part in remaining])
        except Undefined:
            return cls(whole, [])

    def to(self, test: Fits) -> Series:
        """The score of a test against these as reference, and without each subset."""
        if self.whole is None or test.whole is None:
            return NOTHING
        value = compare(self.whole, test.whole).srga
        if not self.parts or not test.parts:
            return Series(value, np.zeros(0))
        pairs = zip(self.parts, test.parts, strict=True)
        return Series(value, np.array([compare(*pair).srga for pair in pairs]))


@dataclass(frozen=True)
class AllFits:
    """The fits of every view, each computed when it is first needed.

    Attributes:
        features: of every view.
        settings: components, fit, intervals and seed.
        draws: (patches,), index of each patch's photograph.
        remaining: indices of the patches that remain without each subset of photographs; none
            without intervals.
    """

    features: Mapping[View, Deep]
    settings: SRGASettings
    draws: NDArray[np.int64]
    remaining: list[Tensor]
    _known: dict[View, Fits] = field(default_factory=dict)

    @classmethod
    def of(
        cls, features: Mapping[View, Deep], settings: SRGASettings, draws: NDArray[np.int64]
    ) -> AllFits:
        """The fits, and the subsets of photographs that are left out of all of them alike."""
        remaining, photographs = [], int(draws.max()) + 1
        if settings.intervals and photographs >= jackknife.LEAST:
            chosen = subsets(photographs, settings.seed)
            remaining = [torch.from_numpy(np.flatnonzero(~np.isin(draws, out))) for out in chosen]
        return cls(features, settings, draws, remaining)

    @property
    def photographs(self) -> int:
        """Their number."""
        return int(self.draws.max()) + 1

    def __getitem__(self, view: View) -> Fits:
        if view not in self._known:
            gram = self.features[view].gram
            self._known[view] = Fits.of(gram, self.remaining, self.how(view))
        return self._known[view]

    def how(self, view: View) -> How:
        """How the fits of a view are computed."""
        return self.settings.components, self.settings.fit, self.features[view].features

    def some(self, view: View, patches: NDArray[np.int64]) -> Fits:
        """The fit of a view to some of its patches alone."""
        part = gram_pca.recentered(self.features[view].gram, torch.from_numpy(patches))
        return Fits.of(part, [], self.how(view))

    def bounds(self, value: float, without: Array, level: float = LEVEL) -> tuple[float, float]:
        """The interval of a value over photographs; NaN where there is none or one not finite."""
        if not len(without) or not np.isfinite(without).all():
            return math.nan, math.nan
        return interval(value, without, self.photographs, level)
