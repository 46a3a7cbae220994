"""Whether a claim can be compared with the paper at all, and if not, why.

Two conditions. The noisy input must have a PSNR as in the paper: within `TOLERANCE` of the levels
there, or, where the paper's noise cannot be made again (mixture, renderings, camera pipeline), no
more than the best network in the paper. And each network of the claim must be better than the noisy
input under the noise that it was trained on: one that is not has not learned to denoise.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.findings import published
from analysis.findings.study import Study
from analysis.findings.trainings import trainings_of
from analysis.text.markdown import code, listed, number
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_phrase

TOLERANCE = 0.5
"""How far the PSNR of a noisy input may be from the paper's range, in dB; its crops are others."""

SCENES = 5
"""Fewest rendered scenes."""

RENDERED = "monte_carlo"
"""Kind of the noise of renderings."""


@dataclass(frozen=True)
class Conditions:
    """What a claim needs to be comparable with the paper.

    Attributes:
        run: the benchmark that has the networks and the noisy input.
        networks: of the claim; the noisy input is no network.
        noises: of the claim, or kinds of them; none where the paper has no noisy input to compare
            with, since pixels are hidden.
        trained: the noise that the networks were trained on.
    """

    run: str
    networks: tuple[str, ...]
    noises: tuple[str, ...]
    trained: str = "gaussian:15"

    def reason(self, study: Study) -> str:
        """Why the claim cannot be compared with the paper, in words; empty if it can be."""
        found = [*few_scenes(study, self.run, self.noises), *self._noisy(study)]
        return "; ".join([*found, *self._networks(study)])

    def _noisy(self, study: Study) -> Iterable[str]:
        for noise in self.noises:
            psnr = study.mean(self.run, "psnr", NOISY, noise)
            if math.isnan(psnr):
                yield f"the PSNR of the noisy input under {noise_phrase(noise)} was not measured"
                continue
            low, high = paper_range(noise)
            here = f"the noisy input under {noise_phrase(noise)} has {number(psnr, 1)} dB"
            if math.isnan(low) and psnr > high:
                yield f"{here}, more than the paper's best network ({number(high, 1)} dB)"
            elif psnr < low - TOLERANCE or psnr > high + TOLERANCE:
                ends = listed(dict.fromkeys((number(low, 1), number(high, 1))))
                yield f"{here}, in the paper {ends.replace(' and ', ' to ')} dB"

    def _networks(self, study: Study) -> Iterable[str]:
        noisy = study.mean(self.run, "psnr", NOISY, self.trained)
        below: list[str] = []
        for name in self.networks:
            places = trainings_of(study, self.run, "psnr", name)
            values = [study.mean(run, "psnr", model, self.trained) for run, model in places]
            psnr = float(np.mean(values))
            if math.isnan(psnr) or math.isnan(noisy):
                yield f"{code(name)} was not measured under the noise trained on"
            elif psnr <= noisy:
                below.append(f"{code(name)} has {number(psnr, 1)} dB")
        if below:
            end = f"no more than the noisy input ({number(noisy, 1)} dB)"
            yield f"under the noise trained on, {listed(below)}, {end}"


def paper_range(noise: str) -> tuple[float, float]:
    """The lowest and the highest PSNR of the noisy input in the paper under a noise.

    Over all levels of the kind if it has none. Where the paper's noise cannot be made again: NaN,
    and the highest PSNR of a network.

    >>> paper_range("poisson:3.5"), paper_range("poisson"), paper_range("isp")
    ((17.42, 17.42), (17.42, 22.12), (nan, 29.44))
    """
    kind, _, level = noise.partition(":")
    rows = published.table("noisy")
    rows = rows[rows.kind == kind]
    if rows.empty:
        return math.nan, published.best(noise)
    if level and (rows.level == float(level)).any():
        rows = rows[rows.level == float(level)]
    return float(rows.psnr.min()), float(rows.psnr.max())


def few_scenes(study: Study, run: str, noises: Sequence[str]) -> Iterable[str]:
    """Whether renderings are of too few scenes."""
    frame = study.table(run, "results")
    for noise in noises:
        if noise.startswith(RENDERED) and frame is not None:
            count = frame.scene[frame.noise == noise].nunique()
            if 0 < count < SCENES:
                yield f"{count} rendered scene{'s' * (count > 1)}, at least {SCENES} are needed"
