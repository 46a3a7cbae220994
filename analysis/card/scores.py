"""The scores of a card: aggregates and means by noise, each with its interval and identity."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from analysis.card.measured import Measured
from analysis.generalization.metrics import facts
from analysis.text.markdown import bounded
from analysis.text.verdicts import Verdict, verdict

IN, OUT, WORST, GAP, ALL = "in_distribution", "out_of_distribution", "worst", "ood_drop", "mean"

AGGREGATES = {
    IN: "mean over the kinds of noise trained on",
    OUT: "mean over the kinds of unseen noise",
    WORST: "the worst mean under an unseen noise",
    GAP: "how much worse unseen noise is than the noise trained on",
    ALL: "mean over all kinds of noise",
}
"""Scores over several noises: columns of the table of scores, and what they are."""

NOISE = "noise:"
"""How the identity of a mean under one noise begins, after the metric."""


@dataclass(frozen=True)
class Score:
    """One number of a card.

    Attributes:
        metric: its name.
        of: a name of `AGGREGATES`, or `noise:` and a noise.
        value: the number; NaN or infinite if there is no finite one.
        low: of its 95% interval over photographs; NaN without one.
        high: likewise.
        photographs: that it rests on.
        noise: of a single noise, or the worst one; None else.
        in_distribution: whether a single noise was trained on; None if that is unknown.
        crops: of a single noise, the number of images.
    """

    metric: str
    of: str
    value: float
    low: float
    high: float
    photographs: int
    noise: str | None = None
    in_distribution: bool | None = None
    crops: int | None = None

    @property
    def identity(self) -> str:
        """Of the score in a card, such as `psnr/worst` or `psnr/noise:isp`."""
        return f"{self.metric}/{self.of}"

    @property
    def lower_is_better(self) -> bool:
        """Of a gap in any case, else as the metric says."""
        return self.of == GAP or not facts(self.metric).higher_is_better

    @property
    def verdict(self) -> Verdict:
        """Whether it is shown to differ from 0; of a gap."""
        return verdict(self.low, self.high, self.photographs)

    def __str__(self) -> str:
        """With its interval, without a unit."""
        return bounded(self.value, self.low, self.high, facts(self.metric).digits)


def scores(measured: Measured) -> list[Score]:
    """All scores of a model that have a value, by metric, those over several noises first."""
    found = []
    for metric in measured.metrics:
        found += [*aggregates(measured, metric), *by_noise(measured, metric)]
    return [score for score in found if not math.isnan(score.value)]


def aggregates(measured: Measured, metric: str) -> Iterator[Score]:
    """The scores over several noises."""
    row = measured.scores(metric)
    for name in AGGREGATES:
        if name in row:
            value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
            noise = str(row["worst_noise"]) if name == WORST else None
            yield Score(metric, name, value, low, high, measured.photographs, noise)


def by_noise(measured: Measured, metric: str) -> Iterator[Score]:
    """The means under every noise."""
    for row in measured.by_noise(metric):
        noise = str(row["noise"])
        value, low, high = (float(row[column]) for column in ("mean", "low", "high"))
        yield Score(
            metric,
            f"{NOISE}{noise}",
            value,
            low,
            high,
            int(row["photographs"]),
            noise,
            flag(row["in_distribution"]),
            int(row["crops"]),
        )


def flag(value: Any) -> bool | None:
    """A cell that is true, false or missing.

    >>> flag(True), flag("False"), flag(math.nan)
    (True, False, None)
    """
    return {"True": True, "False": False}.get(str(value))
