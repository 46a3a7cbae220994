"""Verdicts: what an interval over images, one over trainings and longer trainings decide."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from analysis.findings.claims import judge
from analysis.findings.comparable import Conditions
from analysis.findings.contrasts import Measurement
from analysis.findings.study import Study
from analysis.findings.trainings import OverTrainings
from analysis.findings.verdicts import AGREES, DISAGREES, UNDECIDED, Claim

ONE = OverTrainings(1.0)


def over(low: float, high: float) -> OverTrainings:
    return OverTrainings((low + high) / 2, low, high, "5")


def after(value: float, half: float = 0.05) -> Measurement:
    return Measurement(value, value - half, value + half, 24)


@pytest.mark.parametrize(
    ("measured", "trainings", "longer", "options", "expected"),
    [
        (Measurement(1, 0.5, 1.5, 24), ONE, (), {}, AGREES),
        (Measurement(1, 0.5, 1.5, 9), ONE, (), {}, UNDECIDED),  # too few photographs
        (Measurement(1, -0.5, 1.5, 24), ONE, (), {}, UNDECIDED),
        (Measurement(-1, -1.5, -0.5, 24), ONE, (), {}, DISAGREES),
        (Measurement(1, 0.5, 1.5, 24), over(0.2, 1.8), (), {}, AGREES),
        (Measurement(1, 0.5, 1.5, 24), over(-0.2, 2.2), (), {}, UNDECIDED),
        (Measurement(-1, -1.5, -0.5, 24), over(-1.8, -0.2), (), {}, DISAGREES),
        (Measurement(-1, -1.5, -0.5, 24), over(-2.2, 0.2), (), {}, UNDECIDED),
        (Measurement(1, 0.5, 1.5, 24), over(math.nan, math.nan), (), {}, UNDECIDED),
        (Measurement(1, 0.5, 1.5, 24), over(0.2, 1.8), (after(0.1), after(0.3)), {}, AGREES),
        (Measurement(1, 0.5, 1.5, 24), over(0.2, 1.8), (after(0.1), after(-0.3)), {}, UNDECIDED),
        (Measurement(-1, -1.5, -0.5, 24), over(-1.8, -0.2), (after(-0.1),), {}, DISAGREES),
        (Measurement(-1, -1.5, -0.5, 24), over(-1.8, -0.2), (after(0.1),), {}, UNDECIDED),
        (Measurement(1, 0.5, 1.5, 24), over(0.2, 1.8), (after(0.1, 0.2),), {}, UNDECIDED),
        (Measurement(0.2), over(0.1, 0.3), (Measurement(0.01),), {"margin": 0.1}, AGREES),
        (Measurement(0.2), over(0.1, 0.3), (Measurement(-0.01),), {"margin": 0.1}, UNDECIDED),
        (Measurement(math.nan), ONE, (), {}, UNDECIDED),
        (Measurement(math.inf, draws=24), ONE, (), {}, UNDECIDED),
        (Measurement(5.0, draws=24), ONE, (), {}, UNDECIDED),  # it should have an interval
        (Measurement(1, 0.5, 1.5, 24), ONE, (), {"threshold": 2.0}, DISAGREES),
        (Measurement(1, 0.5, 2.5, 24), ONE, (), {"threshold": 2.0}, UNDECIDED),
        (Measurement(4, 3.5, 4.5, 24), over(2.5, 5.5), (), {"threshold": 2.0}, AGREES),
        (Measurement(4, 3.5, 4.5, 24), over(1.5, 6.5), (), {"threshold": 2.0}, UNDECIDED),
        (Measurement(0.05), ONE, (), {"margin": 0.1}, UNDECIDED),
        (Measurement(0.15), ONE, (), {"margin": 0.1}, AGREES),
        (Measurement(-0.15), ONE, (), {"margin": 0.1}, DISAGREES),
        (Measurement(0.15), over(-0.1, 0.4), (), {"margin": 0.1}, UNDECIDED),
        (Measurement(math.nan), ONE, (), {"margin": 0.1}, UNDECIDED),
    ],
)
def test_verdicts(measured, trainings, longer, options, expected):
    nothing = Conditions("", (), ())
    claim = Claim("table1", "", "", "", "", lambda study, run: None, nothing, **options)
    assert claim.verdict(measured, trainings, longer) == expected


@pytest.mark.parametrize("images", [1, 2, 9])
def test_few_images_decide_nothing(study, images):
    path = study / "ablations/results.csv"
    frame = pd.read_csv(path)
    frame[frame.image.isin([f"{i}.png" for i in range(images)])].to_csv(path, index=False)
    rows = judge(Study(study))
    part = rows[rows.finding.isin(["table1", "table2", "table3a", "figure7"])]
    assert not set(part.verdict) & {AGREES, DISAGREES} and len(part) > 10


def test_infinite_scores_decide_nothing(study):
    path = study / "ablations/results.csv"
    frame = pd.read_csv(path)
    rows = (
        (frame.model == "attention-65") & (frame.image == "3.png") & (frame.noise != "gaussian:15")
    )
    frame.loc[rows, "value"] = math.inf
    frame.to_csv(path, index=False)
    rows = judge(Study(study)).set_index("quantity")
    assert rows.verdict["PSNR under the mixture, input-75-85 − attention-65"] == UNDECIDED
    assert rows.verdict["PSNR under the mixture, input-80-90 − attention-only"] == AGREES
