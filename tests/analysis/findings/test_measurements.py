"""Contrasts and other quantities against hand-made numbers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.findings import contrasts, measurements, notebook
from analysis.findings import study as findings_study
from analysis.findings.claims import BEST_CELL
from analysis.findings.contrasts import MIXTURE, TRAINED, Contrast, Measurement, Term
from analysis.findings.study import Study
from analysis.text.noise_labels import NOISY
from tests.analysis.findings.conftest import IMAGES, manifest, results


def test_a_contrast_is_the_t_interval_of_paired_differences(study):
    more = (Term("input-80-90", MIXTURE), Term("baseline", TRAINED))
    less = (Term("attention-only", MIXTURE), Term(BEST_CELL, TRAINED))
    measurement = Contrast("psnr", more, less)(Study(study), "ablations")
    frame = pd.read_csv(study / "ablations/results.csv").query("metric == 'psnr'")
    wide = frame.pivot(index="image", columns=["model", "noise"], values="value")
    mixed = [(n, [f"mixture:{k}" for k in (1, 3)]) for n in ("input-80-90", "attention-only")]
    a, b = (wide[name][noises].mean(axis=1) for name, noises in mixed)
    each = (a - b + wide["baseline"][TRAINED] - wide[BEST_CELL][TRAINED]).to_numpy()
    half = stats.sem(each) * stats.t.ppf(0.975, IMAGES - 1)
    assert measurement is not None and measurement.draws == IMAGES
    expected = (each.mean(), each.mean() - half, each.mean() + half)
    assert measurement[:3] == pytest.approx(expected, rel=1e-9)


def test_the_ends_of_a_kind_are_beside_its_mean(study):
    terms = ((Term("input-80-90", MIXTURE), Term("baseline", TRAINED)), (Term(BEST_CELL, MIXTURE),))
    measurement = Contrast("psnr", *terms)(Study(study), "ablations")
    frame = pd.read_csv(study / "ablations/results.csv").query("metric == 'psnr'")
    means = frame.groupby(["model", "noise"]).value.mean().unstack()
    ends = [
        means[noise]["input-80-90"] - means[noise][BEST_CELL] + means[TRAINED]["baseline"]
        for noise in ("mixture:1", "mixture:3")
    ]
    assert measurement and (measurement.weakest, measurement.strongest) == pytest.approx(ends)
    measurement = Contrast("psnr", (Term(BEST_CELL, TRAINED),))(Study(study), "ablations")
    assert measurement and math.isnan(measurement.weakest) and math.isnan(measurement.strongest)


def test_snapshots_are_compared_with_the_first_one(study):
    models = {"masked-step-10": 24.0, "masked-step-20": 25.0, "masked-finished": 23.0, NOISY: 10.0}
    for seed, run in enumerate(findings_study.DERIVED["snapshots"]):
        manifest(study / run, "generalization")
        results(models, (TRAINED,), seed).to_csv(
            study / run / "results.csv", index=False, na_rep="nan"
        )
    table = contrasts.snapshots(Study(study)).set_index("model")
    assert list(table.index) == list(models)[:3]
    for run in findings_study.DERIVED["snapshots"]:
        name = run.removeprefix("snapshots_")
        frame = pd.read_csv(study / run / "results.csv").query("metric == 'psnr'")
        wide = frame.pivot(index="image", columns="model", values="value")
        assert table[name].to_numpy() == pytest.approx(wide[table.index].mean().to_numpy())
        each = wide["masked-finished"] - wide["masked-step-10"]
        half = stats.sem(each) * stats.t.ppf(0.975, IMAGES - 1)
        row = table.loc["masked-finished"]
        ends = [row[f"{name}_change{end}"] for end in ("", "_low", "_high")]
        assert ends == pytest.approx([each.mean(), each.mean() - half, each.mean() + half])
        assert math.isnan(table[f"{name}_change"]["masked-step-10"])
    half = table.reset_index().drop(columns=[name for name in table if name.startswith("hidden")])
    assert "masked-finished" in notebook.snapshots({"snapshots": half}).data["text/plain"]
    text = notebook.snapshots({"snapshots": table.reset_index()}).data["text/plain"]
    assert "masked-finished" in text and "[-" in text


def test_the_sign_is_reversed_where_lower_is_better(study):
    frame = pd.read_csv(study / "ablations/results.csv")
    lpips = frame[frame.metric == "psnr"].assign(metric="lpips")
    pd.concat([frame, lpips]).to_csv(study / "ablations/results.csv", index=False, na_rep="nan")
    terms = ((Term(BEST_CELL, MIXTURE),), (Term("baseline", MIXTURE),))
    psnr, reversed_ = (Contrast(m, *terms)(Study(study), "ablations") for m in ("psnr", "lpips"))
    assert psnr and reversed_ and reversed_.value == pytest.approx(-psnr.value)
    assert (reversed_.low, reversed_.high) == pytest.approx((-psnr.high, -psnr.low))


@pytest.mark.parametrize(
    ("run", "metric", "model", "noise"),
    [
        ("levels", "psnr", BEST_CELL, MIXTURE),
        ("ablations", "lpips", BEST_CELL, MIXTURE),
        ("ablations", "psnr", "absent", MIXTURE),
        ("ablations", "psnr", BEST_CELL, "speckle"),
    ],
)
def test_nothing_is_measured_of_missing_runs_models_and_noises(study, run, metric, model, noise):
    less = (Term("baseline", MIXTURE),)
    assert Contrast(metric, (Term(model, noise),), less)(Study(study), run) is None


def test_brightness_is_of_each_image_and_its_interval_over_images(study):
    frame = pd.read_csv(study / "brightness/images.csv")
    frame["shift"] *= 1 + 0.1 * np.random.default_rng(1).random(len(frame))
    frame.to_csv(study / "brightness/images.csv", index=False)
    runs = Study(study)
    sizes = frame.assign(size=frame["shift"].abs()).groupby(["model", "image"])["size"].mean()
    each = (sizes["input-only"] - sizes["input-80-90"]).to_numpy()
    half = stats.sem(each) * stats.t.ppf(0.975, IMAGES - 1)
    measurement = measurements.brightness(runs, "brightness", "shift", "input-only", "input-80-90")
    assert measurement and measurement[:3] == pytest.approx(
        (each.mean(), each.mean() - half, each.mean() + half)
    )
    signed = measurements.brightness(runs, "brightness", "shift", "input-only", signed=True)
    means = frame[frame.model == "input-only"].groupby("image")["shift"].mean()
    assert signed and signed.value == pytest.approx(means.mean()) and signed.low < signed.high
    assert (
        measurements.brightness(runs, "brightness", "shift", "input-only", "attention-only") is None
    )


def test_gain_and_drop_over_training(study):
    runs = Study(study)
    assert measurements.gain_over_training(runs, "curves", "baseline") == Measurement(
        -1.0
    )  # of 400 steps: 400 − 100
    assert measurements.drop_over_training(runs, "curves", "baseline") == Measurement(1.0)
    assert measurements.gain_over_training(runs, "curves", "masked") == Measurement(2.5)
    assert measurements.difference_of_gains(runs, "curves") == Measurement(3.5)
    assert measurements.drop_over_training(runs, "curves", "other") is None


def test_curves_are_of_what_was_logged_and_tails_are_means(study):
    path = study / "curves/curves.csv"
    steps = np.arange(1000, 40001, 1000)
    rows = [
        ("masked", "validation", "psnr", noise, step, 20 + step / 10000 + (noise == TRAINED))
        for noise in (TRAINED, "poisson:3", "speckle:0.04")
        for step in steps
    ]
    rows += [("masked", "checkpoints", "psnr", "poisson:3", 40000, 99.0)]
    columns = ["run", "source", "quantity", "noise", "step", "value"]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
    measurement = measurements.gain_over_training(Study(study), "curves", "masked")
    assert measurement and measurement.value == pytest.approx(
        (38.5 - 8.5) / 10
    )  # means of 37…40 and 7…10


def test_bounds_of_two_intervals_are_the_furthest_apart(study):
    cka, srga = (
        measurements.cka_across_noises(Study(study), "pair"),
        measurements.srga(Study(study), "pair"),
    )
    assert cka and cka[:3] == pytest.approx((0.4, 0.3, 0.5))
    assert srga and srga[:3] == pytest.approx((0.2, -0.5, 0.9))


def test_each_layer_of_the_baseline_counts_with_its_highest_cka(study):
    layers = [f"layers.0.residual_group.blocks.{i}" for i in range(8)]
    rows = [
        ("baseline", TRAINED, a, "masked", TRAINED, b, 0.9 - 0.05 * i - 0.01 * abs(i - j))
        for i, a in enumerate(layers)
        for j, b in enumerate(layers)
    ]
    names = ["model_a", "noise_a", "layer_a", "model_b", "noise_b", "layer_b", "cka"]
    pd.DataFrame(rows, columns=names).to_csv(study / "pair/cka/cka.csv", index=False)
    measurement = measurements.cka_across_models(
        Study(study), "pair"
    )  # mean over 0…3 less mean over 6 and 7
    assert (
        measurement
        and measurement.value == pytest.approx(0.05 * (6.5 - 1.5))
        and math.isnan(measurement.low)
    )


def test_distances_are_of_features_before_the_last_convolution_under_unseen_noise(study):
    rows = [
        (model, noise, TRAINED, deep, value * (1 if deep else 9), value - 0.1, value + 0.1)
        for model, value in (("baseline", 0.5), ("masked", 0.2))
        for noise in (TRAINED, "poisson:3", "speckle:0.04")
        for deep in (True, False)
    ]
    names = ["model", "noise", "reference", "last_features", "w1_relative"]
    manifest(study / "pair/distributions", "distributions")
    frame = pd.DataFrame(rows, columns=[*names, "w1_relative_low", "w1_relative_high"])
    frame["photographs"] = 24
    frame.loc[(frame.noise == "speckle:0.04"), "w1_relative_low"] = math.nan  # left out
    frame.to_csv(study / "pair/distributions/distributions.csv", index=False, na_rep="nan")
    measurement = measurements.distribution_shift(Study(study), "pair")
    assert measurement and measurement[:3] == pytest.approx((0.3, 0.1, 0.5))
