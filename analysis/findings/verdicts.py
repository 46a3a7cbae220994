"""A claim of the paper as a quantity, and the verdict of a study on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analysis.findings.comparable import Conditions
from analysis.findings.contrasts import Contrast, Measurement
from analysis.findings.study import ABLATION, CURVES, HIDDEN, LONGER, PAIR, TISSUE, Study
from analysis.findings.trainings import OverTrainings, over_cells, over_seeds
from analysis.text import verdicts

AGREES, DISAGREES, UNDECIDED, UNTESTABLE = "agrees", "disagrees", "undecided", "not testable"

NOT_RUN = "not run"
"""Reason of a claim whose run is missing."""

CELLS = (ABLATION, TISSUE, HIDDEN)
"""Runs in which some networks were trained again, and others were not."""

OTHERS: Mapping[str, Sequence[str]] = {PAIR: (PAIR, LONGER), CURVES: (CURVES,)}
"""Runs of single trainings with more steps than those of the repeats of a run."""


class Result(NamedTuple):
    """What a study says of a claim.

    Attributes:
        measured: the quantity with its interval over images; None if it was not measured.
        over: the same with its interval over trainings.
        longer: the quantity in the run of each longer training, by run; empty if the quantity
            itself rests on such a run.
        verdict: one of `AGREES`, `DISAGREES`, `UNDECIDED`, `UNTESTABLE`.
        reason: why it is not testable; else empty.
    """

    measured: Measurement | None
    over: OverTrainings
    longer: Mapping[str, Measurement]
    verdict: str
    reason: str


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, as a quantity that is above a threshold if it is true.

    Attributes:
        finding: the table or figure it belongs to, as `table1`.
        text: what the paper says, in our words.
        quantity: what is measured.
        unit: of the quantity.
        run: where it is measured.
        measure: measures it in a run of a study; None if the run is missing.
        conditions: under which it can be compared with the paper.
        paper: the same quantity in the paper; NaN where the paper only shows or describes it.
        threshold: what the quantity must be above.
        margin: for a quantity that has no interval over images: how far from the threshold it must
            be.
    """

    finding: str
    text: str
    quantity: str
    unit: str
    run: str
    measure: Callable[[Study, str], Measurement | None]
    conditions: Conditions
    paper: float = math.nan
    threshold: float = 0.0
    margin: float | None = None

    def result(self, study: Study) -> Result:
        """The quantity in a study, and the verdict on the claim."""
        first = self.first(study)
        if first is None:
            return Result(None, OverTrainings(math.nan), {}, UNTESTABLE, self.missing(study))
        measured, over, longer = self.over_trainings(study, first)
        if reason := self.conditions.reason(study):
            return Result(measured, over, longer, UNTESTABLE, reason)
        return Result(measured, over, longer, self.verdict(measured, over, [*longer.values()]), "")

    def missing(self, study: Study) -> str:
        """Why the quantity was not measured."""
        if isinstance(self.measure, Contrast) and study.models(self.conditions.run, "psnr"):
            return f"{self.measure.metric.upper()} was not computed for its networks and noises"
        return f"{NOT_RUN} ({self.run})"

    def first(self, study: Study) -> Measurement | None:
        """The quantity in the claim's run; as it was stored if scores were not kept."""
        measured = self.measure(study, self.run)
        if measured is None and (row := study.stored(self.finding, self.quantity)):
            measured = Measurement(*(row[name] for name in Measurement._fields))
        return measured

    def over_trainings(
        self, study: Study, first: Measurement
    ) -> tuple[Measurement, OverTrainings, dict[str, Measurement]]:
        """The quantity over images and over trainings, and after longer trainings."""
        if isinstance(self.measure, Contrast) and self.run in CELLS:
            return *over_cells(study, self.run, self.measure, first), {}
        repeats = [self.measure(study, run) for run in study.repeats(self.run)]
        measured, over = over_seeds(first, repeats)
        single = OTHERS.get(self.run, ()) if over.trainings else ()
        others = {run: self.measure(study, run) for run in single}
        return measured, over, {run: one for run, one in others.items() if one is not None}

    def by_training(self, study: Study) -> dict[str, Measurement]:
        """The quantity in each run of the pair or of its curves, by run; else nothing."""
        if self.run not in OTHERS:
            return {}
        runs = dict.fromkeys((self.run, *OTHERS[self.run], *study.repeats(self.run)))
        measured = {run: self.measure(study, run) for run in runs}
        return {run: one for run, one in measured.items() if one is not None}

    def verdict(
        self, measured: Measurement, over: OverTrainings, longer: Sequence[Measurement] = ()
    ) -> str:
        """The verdict on a claim that can be compared with the paper.

        It agrees if the interval over images lies above the threshold by the one rule of
        `analysis.text.verdicts`, and so do the interval over trainings, if there is one, and the
        interval over images after each longer training (its value, if the quantity has no such
        interval). It disagrees if all of them lie below. A quantity
        that should have an interval and has none, or is not finite, leaves the claim undecided.
        """
        value, low, high = (number - self.threshold for number in measured[:3])
        if self.margin is not None:
            shown = abs(value) > self.margin
        else:
            shown = verdicts.verdict(low, high, measured.draws) == "shown"
        count = 3 if self.margin is None else 1  # of value and bounds
        others = [number - self.threshold for one in longer for number in one[:count]]
        if over.trainings:
            others += [over.low - self.threshold, over.high - self.threshold]
        if not shown or not all(map(math.isfinite, (value, *others))):
            return UNDECIDED
        if all(number > 0 for number in (value, *others)):
            return AGREES
        return DISAGREES if all(number < 0 for number in (value, *others)) else UNDECIDED
