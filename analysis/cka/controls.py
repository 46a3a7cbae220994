"""The controls of a similarity: ceiling, floor and untrained networks.

* *Ceiling* of layer i of view A against layer j of view B: √(s(Aᵢ, Aᵢ′) · s(Bⱼ, Bⱼ′)), A′ being A
  with another draw of its noise. No more can be expected of two views of the same content.
* *Floor*: s(Aᵢ, Bⱼ) with the photographs of one side exchanged. Position, edges of the image and
  the spread of the features alone give as much.
* *Untrained*: networks with random weights, of one model one under both noises, of two models two
  under the same noise; mean and standard deviation.
* *Normalized*: (value − floor) / (ceiling − floor), 0 at the floor and 1 at the ceiling; only where
  the 95% interval of ceiling − floor is above 0, and only between two noises: two models under one
  noise are given the same draw, so that their similarity may exceed the ceiling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.cka.control_cells import ControlCells
from analysis.cka.hsic_sums import Similarity
from analysis.stats.controls import NOTHING, Series, average, deviation, gap, over_trainings

Array = NDArray[np.float64]


@dataclass(frozen=True)
class CellControl:
    """The controls of one cell, or of the mean over several.

    Attributes:
        ceiling: see the head of this file; NaN without another draw.
        floor: NaN with crops of one photograph alone.
        untrained: of each untrained network, or pair of them; none without.
        draws: similarity of either side with itself under another draw, of which the ceiling is.
        other_noise: whether the two sides are under different noises. Under the same noise they are
            given the same draw, so that the ceiling is no bound.
    """

    ceiling: Series
    floor: Series
    untrained: Sequence[Series]
    draws: tuple[Series, Series] = (NOTHING, NOTHING)
    other_noise: bool = True

    @classmethod
    def mean(cls, controls: Sequence[CellControl]) -> CellControl:
        """The controls of the mean over cells."""
        if not controls:
            return cls(NOTHING, NOTHING, ())
        return cls(
            average([one.ceiling for one in controls]),
            average([one.floor for one in controls]),
            [average(drawn) for drawn in zip(*(one.untrained for one in controls), strict=False)],
            other_noise=all(one.other_noise for one in controls),
        )

    @classmethod
    def over_trainings(cls, controls: Sequence[CellControl]) -> CellControl:
        """The controls of the mean over the trainings of a model; see `Series.trainings`."""
        first, second = (over_trainings([one.draws[side] for one in controls]) for side in (0, 1))
        return cls(
            over_trainings([one.ceiling for one in controls]),
            over_trainings([one.floor for one in controls]),
            [average(drawn) for drawn in zip(*(one.untrained for one in controls), strict=False)],
            (first, second),
            all(one.other_noise for one in controls),
        )

    def columns(self, of: Series) -> dict[str, float]:
        """The columns of a table beside a value; NaN where there is no control."""
        mean, sd = self.untrained_mean(), self.untrained_sd()
        return {
            "ceiling": self.ceiling.value,
            "floor": self.floor.value,
            "untrained": mean.value,
            "untrained_sd": sd,
            "normalised": self.normalised(of.value),
        }

    def gaps(self, of: Series) -> dict[str, float]:
        """How far a value is below its ceiling and above untrained networks, with 95% intervals.

        Both are intervals over photographs; the second has the uncertainty of the mean over the
        untrained networks added to it, as a variance.
        """
        below = gap(self.ceiling, of) if self.other_noise else (math.nan,) * 3
        above = gap(of, self.untrained_mean(), self.untrained_sd(), len(self.untrained))
        return {
            f"{name}{end}": value
            for name, values in (("below_ceiling", below), ("above_untrained", above))
            for end, value in zip(("", "_low", "_high"), values, strict=True)
        }

    def untrained_mean(self) -> Series:
        """The mean over untrained networks."""
        return average(self.untrained)

    def untrained_sd(self) -> float:
        """The standard deviation over untrained networks; NaN for fewer than two."""
        return deviation(self.untrained)

    def normalised(self, value: float) -> float:
        """(value − floor) / (ceiling − floor); NaN where the two may be the same."""
        distance, low, _ = gap(self.ceiling, self.floor)
        return (value - self.floor.value) / distance if low > 0 and self.other_noise else math.nan


@dataclass(frozen=True)
class CellControls:
    """The controls of every cell of a comparison that has some.

    Attributes:
        plan: where the controls of each cell are.
        pairs: values of the single pairs.
        across: values of those whose second side is of other photographs.
    """

    plan: ControlCells
    pairs: Similarity
    across: Similarity

    def of(self, i: int, j: int) -> CellControl:
        """The controls of representation i against representation j."""
        first, second = (self._draw(end) for end in (i, j))
        ceiling = Series(
            float(geometric_mean(first.value, second.value)),
            geometric_mean(first.without, second.without),
        )
        drawn = [series(self.pairs, at) for at in self.plan.untrained.get((i, j), ())]
        floor = series(self.across, self.plan.floors[i, j])
        noises = [self.plan.rows[end].view.noise for end in (i, j)]
        return CellControl(ceiling, floor, drawn, (first, second), noises[0] != noises[1])

    def _draw(self, end: int) -> Series:
        at = self.plan.ceilings.get(end)
        if at is None:
            return Series(math.nan, np.full(len(self.pairs.without), np.nan))
        return series(self.pairs, at)


def series(similar: Similarity, at: int) -> Series:
    """One of several values."""
    return Series(float(similar.value[at]), similar.without[:, at].numpy())


def geometric_mean(a: float | Array, b: float | Array) -> Array:
    """√(a b) where both are above 0, else NaN: without similarity there is no ceiling."""
    first, second = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    positive = (first > 0) & (second > 0)
    return np.sqrt(np.where(positive, first * second, np.nan))
