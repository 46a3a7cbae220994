"""The scores of a card: over several noises, by noise, and by test set and noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from analysis.card.measured import Measured
from analysis.generalization.metrics import facts
from analysis.stats.jackknife import ENOUGH
from analysis.text.markdown import bounded
from analysis.text.verdicts import Verdict, verdict
from mtd.noise.training_noise import changes_nothing

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

TESTSET = "testset:"
"""How that of a mean on one test set under one noise begins."""


@dataclass(frozen=True)
class Score:
    """One number of a card.

    Attributes:
        metric: its name.
        of: a name of `AGGREGATES`, or `noise:` and a noise, or `testset:` and a test set, a slash,
            `noise:` and a noise.
        value: the number; NaN or infinite if there is no finite one.
        low: of its 95% interval over photographs; NaN without one.
        high: likewise.
        photographs: that it rests on, under all the noises that enter it.
        fewest: photographs under any one of them, which make its interval rough.
        noises: that enter it.
        noise: of a single noise, or the worst one; None else.
        in_distribution: whether a single noise was trained on; None if that is unknown.
        crops: of a single noise, the number of images.
        testset: of a single one; None else.
        whole: whether the test set has all images that the noise is drawn on.
    """

    metric: str
    of: str
    value: float
    low: float
    high: float
    photographs: int
    fewest: int
    noises: tuple[str, ...]
    noise: str | None = None
    in_distribution: bool | None = None
    crops: int | None = None
    testset: str | None = None
    whole: bool = False

    @property
    def identity(self) -> str:
        """Of the score in a card, such as `psnr/worst` or `psnr/noise:isp`."""
        return f"{self.metric}/{self.of}"

    @property
    def meaning(self) -> str:
        """What it is, in words."""
        on = f" on {self.testset}" if self.testset else ""
        return AGGREGATES.get(self.of, f"under {self.noise}{on}")

    @property
    def rough(self) -> bool:
        """Whether some noise that enters it has too few photographs for inference."""
        return self.fewest < ENOUGH

    @property
    def lower_is_better(self) -> bool:
        """Of a gap in any case, else as the metric says."""
        return self.of == GAP or not facts(self.metric).higher_is_better

    @property
    def verdict(self) -> Verdict:
        """Whether it is shown to differ from 0; of a gap."""
        return verdict(self.low, self.high, self.fewest)

    def __str__(self) -> str:
        """With its interval, without a unit."""
        return bounded(self.value, self.low, self.high, facts(self.metric).digits)


def scores(measured: Measured) -> list[Score]:
    """All scores of a model that have a value, by metric, those over several noises first.

    A mean under a noise is followed by those of its test sets.
    """
    found = []
    for metric in measured.metrics:
        found += [*aggregates(measured, metric), *by_noise(measured, metric)]
    return [score for score in found if not math.isnan(score.value)]


def aggregates(measured: Measured, metric: str) -> Iterator[Score]:
    """The scores over several noises."""
    row = measured.scores(metric)
    for name in AGGREGATES:
        if name not in row or math.isnan(float(row[name])):
            continue
        value, low, high = (float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
        worst = str(row["worst_noise"]) if name == WORST else None
        noises = (worst,) if worst else entering(measured, name)
        count, fewest = measured.photographs(noises), measured.fewest(noises)
        yield Score(metric, name, value, low, high, count, fewest, noises, worst)


def entering(measured: Measured, name: str) -> tuple[str, ...]:
    """The noises over which a score of `AGGREGATES` is a mean; see `scoring.weights`."""
    counted: dict[str, tuple[bool, ...]] = {IN: (True,), OUT: (False,), GAP: (True, False)}
    if name not in counted:
        return tuple(noise for noise in measured.noises if not changes_nothing(noise))
    return tuple(noise for noise in measured.noises if measured.split[noise] in counted[name])


def by_noise(measured: Measured, metric: str) -> Iterator[Score]:
    """The means under every noise, each followed by those on its test sets."""
    sets = measured.by_testset(metric)
    for row in measured.by_noise(metric):
        whole = mean(metric, row)
        yield whole
        for one in sets:
            if one["noise"] == row["noise"]:
                part = mean(metric, one)
                name = str(one["testset"])
                yield replace(
                    part,
                    of=f"{TESTSET}{name}/{part.of}",
                    testset=name,
                    whole=part.crops == whole.crops,
                )


def mean(metric: str, row: Mapping[str, Any]) -> Score:
    """The mean under one noise, from a row of the table of noises or of test sets."""
    noise, count = str(row["noise"]), int(row["photographs"])
    value, low, high = (float(row[column]) for column in ("mean", "low", "high"))
    return Score(
        metric,
        f"{NOISE}{noise}",
        value,
        low,
        high,
        count,
        count,
        (noise,),
        noise,
        flag(row["in_distribution"]),
        int(row["crops"]),
    )


def sets_of(found: Iterable[Score], score: Score) -> list[str]:
    """The test sets that a mean under a noise is over; none where the noise is a test set."""
    every = [one for one in found if one.testset and one.metric == score.metric]
    return [str(s.testset) for s in every if s.noise == score.noise and s.testset != s.noise]


def names(found: Iterable[Score]) -> list[str]:
    """What scores are of, as rows of a table: those over several noises, then by noise.

    Without those on a test set that has all images of a noise: these are the same numbers.
    """
    shown = list(dict.fromkeys(score.of for score in found if not score.whole))
    return sorted(shown, key=lambda of: of not in AGGREGATES)


def flag(value: Any) -> bool | None:
    """A cell that is true, false or missing.

    >>> flag(True), flag("False"), flag(math.nan)
    (True, False, None)
    """
    return {"True": True, "False": False}.get(str(value))
