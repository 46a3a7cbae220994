"""Intervals over trainings against hand-made numbers, and what claims are not testable."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.findings import trainings
from analysis.findings.claims import BEST_CELL, by_training, judge
from analysis.findings.comparable import Conditions
from analysis.findings.contrasts import MIXTURE, TRAINED, Contrast, Measurement, Term
from analysis.findings.study import Study
from analysis.findings.verdicts import AGREES, DISAGREES, UNDECIDED, UNTESTABLE
from analysis.text.noise_labels import NOISY
from tests.analysis.findings.conftest import NOISES, manifest, results

QUANTITY = f"PSNR under the mixture, {BEST_CELL} − attention-65"


@pytest.fixture
def seeded(study: Path) -> Path:
    """The study with two more seeds of two cells of the ablation."""
    for seed, (baseline, best) in {2: (25.1, 27.6), 3: (24.8, 26.8)}.items():
        run = study / f"ablations-seed{seed}"
        manifest(run, "generalization", noises=list(NOISES))
        frame = results({"baseline": baseline, BEST_CELL: best, NOISY: 16.0}, seed=seed)
        frame.to_csv(run / "results.csv", index=False, na_rep="nan")
    return study


def means(study: Path, run: str) -> pd.DataFrame:
    """Mean PSNR by model and noise, with the mean over levels of the mixture."""
    frame = pd.read_csv(study / run / "results.csv").query("metric == 'psnr'")
    wide = frame.groupby(["model", "noise"]).value.mean().unstack()
    return wide.assign(mixture=wide[["mixture:1", "mixture:3"]].mean(axis=1))


def four(study: Path, cell: str) -> pd.DataFrame:
    """Mean PSNR of the four trainings of a cell."""
    first = means(study, "ablations").loc[[cell, f"{cell}-seed1"]]
    return pd.concat([first, *(means(study, f"ablations-seed{i}").loc[[cell]] for i in (2, 3))])


def test_a_cell_trained_once_has_the_spread_of_one_trained_again(seeded):
    once = means(seeded, "ablations").mixture["attention-65"]
    again = four(seeded, BEST_CELL).mixture
    row = judge(Study(seeded)).set_index("quantity").loc[QUANTITY]
    assert row.value == pytest.approx(again.mean() - once, rel=1e-12)
    half = stats.t.ppf(0.975, 3) * again.std(ddof=1) * (1 / 4 + 1) ** 0.5
    assert (row.trainings_low, row.trainings_high) == pytest.approx(
        (row.value - half, row.value + half), rel=1e-9
    )
    assert row.trainings == f"{BEST_CELL} 4, attention-65 1"
    alone = Contrast("psnr", (Term(BEST_CELL, MIXTURE),), (Term("attention-65", MIXTURE),))
    first = alone(Study(seeded), "ablations")
    assert row.high - row.low == pytest.approx(first.high - first.low)  # moved, not widened


def test_each_cell_has_its_own_spread_and_terms_of_one_network_go_together(seeded):
    plus = (Term(BEST_CELL, MIXTURE), Term(BEST_CELL, TRAINED))
    minus = (Term("baseline", MIXTURE), Term("baseline", TRAINED), Term(NOISY, TRAINED, 2.0))
    quantity = Contrast("psnr", plus, minus)
    first = quantity(Study(seeded), "ablations")
    measured, over = trainings.over_cells(Study(seeded), "ablations", quantity, first)
    sums = {
        cell: (v := four(seeded, cell))[TRAINED] + v.mixture for cell in (BEST_CELL, "baseline")
    }
    noisy = means(seeded, "ablations")[TRAINED][NOISY]
    expected = sums[BEST_CELL].mean() - sums["baseline"].mean() - 2 * noisy
    assert over.value == measured.value == pytest.approx(expected, rel=1e-12)
    parts = [values.var(ddof=1) / 4 for values in sums.values()]
    freedom = sum(parts) ** 2 / sum(part**2 / 3 for part in parts)  # Welch
    welch = stats.ttest_ind(sums[BEST_CELL], sums["baseline"], equal_var=False)
    ends = welch.confidence_interval(0.95)
    half = stats.t.ppf(0.975, freedom) * sum(parts) ** 0.5
    assert (
        (over.high - over.low) / 2
        == pytest.approx(half)
        == pytest.approx((ends.high - ends.low) / 2)
    )


def test_one_training_or_two_have_no_interval(study):
    row = judge(Study(study)).set_index("quantity").loc[QUANTITY]
    assert pd.isna(row.trainings_low) and row.trainings == ""
    assert trainings.student([1.0, 3.0])[0] == 2 and math.isnan(trainings.student([1.0, 3.0])[1])


def test_students_interval():
    values = [0.3, 0.9, 0.5, 0.1]
    ends = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert trainings.student(values) == pytest.approx((np.mean(values), *ends))
    measured, over = trainings.over_seeds(
        Measurement(9.0), [Measurement(v, v - 1, v + 2, 24) for v in values]
    )
    assert measured[:4] == pytest.approx((0.45, -0.55, 2.45, 24)) and over.trainings == "4"
    assert (over.low, over.high) == pytest.approx(ends)
    first, alone = trainings.over_seeds(
        Measurement(9.0), [Measurement(1.0), Measurement(2.0), None]
    )
    assert first == Measurement(9.0) and not alone.trainings


def repeat_pair(study: Path, run: str, masked: float) -> None:
    """A run of the pair, of another seed or length, with this CKA of the masked network."""
    manifest(study / run / "cka", "cka")
    frame = pd.read_csv(study / "pair/cka/last_quarter.csv")
    row = frame.model_a == "masked"
    frame.loc[row, ["cka", "low", "high"]] = [masked, masked - 0.05, masked + 0.05]
    frame.to_csv(study / run / "cka/last_quarter.csv", index=False)


@pytest.mark.parametrize(
    ("longer", "verdict"),
    [(0.6, AGREES), (0.2, UNDECIDED)],  # the baseline has 0.4
)
def test_pairs_of_several_seeds_and_longer_ones(study, longer, verdict):
    values = (0.7, 0.75, 0.8, 0.72)
    for seed, value in zip((1, 2, 3, 10), values, strict=True):
        repeat_pair(study, f"pair-seed{seed}", value)
    repeat_pair(study, "pair_longer", longer)
    quantity = "CKA across noises in the last quarter of the blocks, masked − baseline"
    row = judge(Study(study)).set_index("quantity").loc[quantity]
    differences = np.array(values) - 0.4
    ends = stats.t.interval(0.95, 3, differences.mean(), stats.sem(differences))
    assert row.value == pytest.approx(differences.mean()) and row.trainings == "4"
    assert (row.trainings_low, row.trainings_high) == pytest.approx(ends)
    assert (row.pair, row.pair_longer) == pytest.approx((0.4, longer - 0.4))
    assert row.verdict == verdict
    table = by_training(Study(study))
    part = table[table.quantity == quantity]
    assert list(part.run) == ["pair", "pair_longer", *(f"pair-seed{i}" for i in (1, 2, 3, 10))]
    assert part.value.to_numpy() == pytest.approx([0.4, longer - 0.4, *differences])


def test_a_network_below_its_input_is_not_tested(study):
    path = study / "ablations/results.csv"
    frame = pd.read_csv(path)
    rows = (frame.model == "attention-65") & (frame.metric == "psnr") & (frame.noise == TRAINED)
    frame.loc[rows, "value"] -= 3  # 23 dB, the noisy input has 24.8
    frame.to_csv(path, index=False)
    table = judge(Study(study)).set_index("quantity")
    assert table.verdict[QUANTITY] == UNTESTABLE
    reason = "under the noise trained on, `attention-65` has 23.0 dB, no more than the noisy input"
    assert table.reason[QUANTITY].startswith(reason)
    other = table.loc["PSNR under the mixture, input-80-90 − attention-only"]
    assert other.verdict == AGREES and not other.reason


@pytest.mark.parametrize(
    ("noise", "psnr", "reason"),
    [
        ("poisson:3.5", 17.6, ""),
        ("poisson:3.5", 18.2, "Poisson α = 3.5 has 18.2 dB, in the paper 17.4 dB"),
        ("poisson:3.5", 16.2, "has 16.2 dB, in the paper 17.4 dB"),
        ("spatial", 21.0, "has 21.0 dB, in the paper 22.3 to 25.7 dB"),
        ("isp", 29.0, ""),
        ("isp", 30.7, "has 30.7 dB, more than the paper's best network (29.4 dB)"),
        ("monte_carlo:64", 28.3, "more than the paper's best network (28.2 dB)"),
        ("speckle:0.04", math.nan, "the noisy input under speckle variance 0.04 was not measured"),
    ],
)
def test_noise_of_another_strength_is_not_comparable(tmp_path, noise, psnr, reason):
    kind = noise.partition(":")[0]
    rows = [(NOISY, noise, kind, psnr), (NOISY, TRAINED, "gaussian", 24.8)]
    rows += [("masked", TRAINED, "gaussian", 28.0)]
    frame = pd.DataFrame(rows, columns=["model", "noise", "kind", "mean"])
    manifest(tmp_path / "levels", "generalization")
    frame = frame.assign(metric="psnr", level=math.nan, low=0.0, high=0.0)
    frame.to_csv(tmp_path / "levels/noises.csv", index=False, na_rep="nan")
    found = Conditions("levels", ("masked",), (noise,)).reason(Study(tmp_path))
    assert found.endswith(reason) if reason else not found


def test_renderings_need_five_scenes(tmp_path):
    frame = results({"masked": 30.0, "baseline": 29.0, NOISY: 20.0}, ("monte_carlo:16", TRAINED))
    for count in (1, 4, 5):
        folder = tmp_path / str(count)
        manifest(folder / "monte_carlo", "generalization")
        scenes = frame.image.str.removesuffix(".png").astype(int) % count
        path = folder / "monte_carlo/results.csv"
        frame.assign(scene=scenes.astype(str)).to_csv(path, index=False, na_rep="nan")
        conditions = Conditions("monte_carlo", (), ("monte_carlo:16",))
        reason = conditions.reason(Study(folder))
        assert ("at least 5 are needed" in reason) == (count < 5)


def test_a_contrast_without_scores_is_judged_as_stored(study):
    quantity = "PSNR gain over the noisy photographs, baseline trained on tissue"
    row = ("figure2", quantity, -1.0, -1.5, -0.5, 24, math.nan, math.nan)
    names = ["finding", "quantity", "value", "low", "high", "draws", "weakest", "strongest"]
    pd.DataFrame([row], columns=names).to_csv(study / "stored.csv", index=False, na_rep="nan")
    manifest(study / "tissue", "generalization")
    means = [(NOISY, 24.8), ("tissue-baseline", 25.5)]
    frame = pd.DataFrame(means, columns=["model", "mean"])
    frame = frame.assign(noise=TRAINED, kind="gaussian", level=15, metric="psnr", low=0, high=0)
    frame.to_csv(study / "tissue/noises.csv", index=False)
    found = judge(Study(study)).set_index("quantity").loc[quantity]
    assert (found.value, found.verdict, found.trainings) == (-1.0, DISAGREES, "")
