"""Classical references of the benchmark: which they are, their rows, and what models are beyond."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage, stats
from torch import nn

import analysis
import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.generalization import beyond, references
from analysis.generalization import command as generalization_command
from analysis.generalization.pairwise_tests import ALL, OUTSIDE
from analysis.generalization.result import GeneralizationResult
from analysis.text.noise_labels import NOISY
from mtd.data import crops as data_crops
from mtd.data.photographs import photographs
from mtd.metrics.psnr_ssim import psnr
from mtd.noise import parse
from mtd.noise.base import pair_keyed
from mtd.utils.errors import BadInput
from tests.helpers.benchmark_frames import NAN, said
from tests.helpers.networks import tiny_network

FEW: dict[str, Any] = {"crop": 32, "limit": 4, "lpips": False, "progress": False}
NOISES = ["gaussian:15", "poisson:3", "poisson:2", "isp"]
FOUR = ["classical:blur:0.8", "classical:median:3", "filter:plain", "filter:hidden"]


@pytest.fixture(scope="module")
def result(tiny_pair: Path) -> GeneralizationResult:
    torch.set_num_threads(2)
    models = [str(tiny_pair / "plain.pth"), str(tiny_pair / "hidden.pth")]
    return analysis.generalization.benchmark(models, noises=NOISES, **FEW)


def test_the_best_blur_against_scipy() -> None:
    """The bundled photographs under two noises, in float64 and by another formula."""
    specs = ("gaussian:25", "salt_pepper:0.02")
    cut = data_crops.crops(photographs(), references.SIDE, references.COUNT)
    means = {}
    for sigma in references.SIGMAS:
        values = []
        for spec in specs:
            for crop in cut:
                clean = data_crops.to_tensor([crop.pixels])
                noisy, _ = pair_keyed(parse(spec), clean, [crop.digest])
                blurred = ndimage.gaussian_filter(noisy[0].double().numpy(), (0, sigma, sigma))
                rounded = np.round(255 * blurred.clip(0, 1))
                error = rounded.transpose(1, 2, 0) - crop.pixels.astype(float)
                values.append(10 * np.log10(255**2 / np.square(error).mean()))
        means[float(sigma)] = np.mean(values)
    sigma, names = references.best_blur(specs, bundled=False)
    assert sigma == max(means, key=lambda key: means[key]) and 0.5 < sigma < 1.9
    assert names == ("astronaut", "chelsea", "coffee", "rocket")


def test_photographs_that_are_scored_choose_no_blur() -> None:
    others = references.other_photographs()
    assert [photo.name for photo in others] == ["china", "flower"]
    assert [photo.load().shape for photo in others] == [(427, 640, 3)] * 2
    assert references.best_blur(("gaussian:15",), bundled=True)[1] == ("china", "flower")


def test_rows_of_references(result: GeneralizationResult) -> None:
    frame = result.results
    assert list(dict.fromkeys(frame.model)) == ["plain", "hidden", NOISY, *FOUR]
    assert set(frame.model[frame.is_reference]) == set(FOUR)
    assert list(result.scores.model[:7]) == ["plain", "hidden", *FOUR, NOISY]
    crops = data_crops.crops(photographs(), 32, 4)
    for spec in ("gaussian:15", "isp"):
        for crop in crops:
            clean = data_crops.to_tensor([crop.pixels])
            noisy, target = pair_keyed(parse(spec), clean, [crop.digest])
            blurred = ndimage.gaussian_filter(noisy.double().numpy(), (0, 0, 0.8, 0.8))
            expected = float(psnr(torch.from_numpy(blurred), target.double()))
            rows = frame[(frame.noise == spec) & (frame.sha256 == crop.digest)]
            value = rows[(rows.model == FOUR[0]) & (rows.metric == "psnr")].value.item()
            assert value == pytest.approx(expected, abs=1e-4)


def test_a_filter_is_that_of_its_name(result: GeneralizationResult, tiny_pair: Path) -> None:
    loaded = mtd.load(f"filter:{tiny_pair / 'plain.pth'}")
    about = result.manifest["references"]["filter:plain"]
    assert about["filter"]["gains"] == loaded.source["filter"]["gains"]
    assert about["filter"]["noise"] == ["gaussian:15"]
    crop = data_crops.crops(photographs(), 32, 4)[1]
    clean = data_crops.to_tensor([crop.pixels])
    noisy, _ = pair_keyed(parse("poisson:2"), clean, [crop.digest])
    rows = result.results.query("model == 'filter:plain' and noise == 'poisson:2'")
    value = rows[(rows.sha256 == crop.digest) & (rows.metric == "psnr")].value.item()
    assert value == pytest.approx(float(psnr(loaded(noisy), clean)), abs=1e-4)
    assert set(rows.checkpoint) == {about["sha256"]}


def test_references_change_nothing_else(result: GeneralizationResult, tiny_pair: Path) -> None:
    models = [str(tiny_pair / "plain.pth"), str(tiny_pair / "hidden.pth")]
    alone = analysis.generalization.benchmark(models, noises=NOISES, references=False, **FEW)
    assert not {"references", "blur_tuned_on"} & alone.manifest.keys()
    assert alone.references.empty and not alone.results.is_reference.any()
    for table in ("results", "noises", "scores"):
        with_them, without = getattr(result, table), getattr(alone, table)
        own = with_them[~with_them.model.isin(FOUR)].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, without.reset_index(drop=True))
    pd.testing.assert_frame_equal(result.tests, alone.tests)
    pd.testing.assert_frame_equal(result.strips, alone.strips)


def test_references_are_not_ranked(result: GeneralizationResult) -> None:
    scores = result.scores.set_index("model")
    assert scores.mean_rank[FOUR].isna().all() and scores.mean_rank[["plain"]].notna().all()
    assert not result.tests[["model_a", "model_b"]].isin(FOUR).any(axis=None)
    assert list(result.leaderboard().model) == [
        *result.leaderboard().model[:2],
        *(f"{name} (reference)" for name in FOUR),
        NOISY,
    ]
    assert np.asarray(result.plot_ranks().images[0].get_array()).shape == (2, 4)
    curves = {str(line.get_label()): line for line in result.plot_levels().lines}
    assert {curves[name].get_color() for name in FOUR} == {"0.6"}
    assert {curves[name].get_linestyle() for name in FOUR} == {"--"}
    assert curves["plain"].get_color() not in ("0.6", curves["hidden"].get_color())


def test_beyond_a_reference_against_direct_differences(result: GeneralizationResult) -> None:
    """Every kind of noise counts the same, four photographs of one crop: a plain t interval."""
    wide = result.results.query("metric == 'psnr'").pivot(
        index="image", columns=["model", "noise"], values="value"
    )
    frame = result.references.query("metric == 'psnr'")
    assert set(frame.noise) == {OUTSIDE, "poisson:3", "poisson:2", "isp"}
    share = {"poisson:3": 0.25, "poisson:2": 0.25, "isp": 0.5}
    for row in frame.itertuples():
        weights = share if row.noise == OUTSIDE else {row.noise: 1.0}
        each = sum(
            w * (wide[row.model, noise] - wide[row.reference, noise])
            for noise, w in weights.items()
        )
        half = stats.t.ppf(0.975, 3) * each.std(ddof=1) / 2
        assert row.gain == pytest.approx(each.mean(), abs=1e-10)
        assert row.low == pytest.approx(each.mean() - half, abs=1e-10)
        assert row.high == pytest.approx(each.mean() + half, abs=1e-10)
        assert row.photographs == 4
        level = 0.975 if row.noise == OUTSIDE else 1 - 0.025 / 3
        half *= stats.t.ppf(level, 3) / stats.t.ppf(0.975, 3)
        assert row.band_low == pytest.approx(each.mean() - half, abs=1e-10)
        assert row.band_high == pytest.approx(each.mean() + half, abs=1e-10)
    means = wide.T.groupby(level="model").apply(
        lambda part: sum(w * part.xs(noise, level="noise").mean(axis=1).item() for noise, w in
                         share.items())
    )  # fmt: skip
    best = means[FOUR[:2]].idxmax()
    assert set(frame[frame.compared_with == beyond.BEST].reference) == {best}
    assert set(frame[frame.compared_with == beyond.BLUR].reference) == {FOUR[0]}
    own = frame[frame.compared_with == beyond.FIXED_FILTER]
    assert list(own.reference) == [f"filter:{model}" for model in own.model]
    filters = frame[frame.compared_with == beyond.FILTER_WITH_BLUR]
    assert set(filters.model) == {*FOUR[2:]} and set(filters.reference) == {FOUR[0]}


def test_less_is_better_for_some_metrics() -> None:
    rows = [
        {"model": model, "noise": noise, "kind": noise, "level": 1.0, "image": image,
         "scene": image, "top": 0, "left": 0, "height": 8, "width": 8, "sha256": image,
         "metric": "lpips", "value": value, "is_reference": model != "a"}
        for image in "xyz"
        for noise in ("gaussian:15", "isp")
        for model, value in (("a", 0.3), ("classical:median:3", 0.2), ("classical:blur:1", 0.4))
    ]  # fmt: skip
    from analysis.generalization.conditions import table

    found = beyond.table(table(pd.DataFrame(rows), "lpips", ["gaussian:15"]))
    by = found.set_index("compared_with")
    assert by.reference[beyond.BEST] == "classical:median:3"
    assert by.gain[beyond.BEST] == pytest.approx(-0.1) and by.gain[beyond.BLUR] == pytest.approx(
        0.1
    )
    assert set(found.noise) == {"isp"} and beyond.FIXED_FILTER not in by.index


def rows_of(**gains: tuple[float, float, float, int]) -> dict[str, pd.DataFrame]:
    """Tables with differences to a blur by model: value, bounds, photographs."""
    rows = [
        dict(zip(beyond.COLUMNS, ("psnr", model, what, "classical:blur:0.9", OUTSIDE, *numbers[:3],
                                  *numbers[1:]), strict=True))
        for what in (beyond.BLUR, beyond.BEST)
        for model, numbers in gains.items()
    ]  # fmt: skip
    return {"references": pd.DataFrame(rows)}


def test_a_model_below_a_blur_is_told_so() -> None:
    text = said(beyond.main(rows_of(a=(-1.0, -1.5, -0.5, 24), b=(2.0, 1.0, 3.0, 24))))
    assert text == (
        "On average over all unseen noises worse than a Gaussian blur (`classical:blur:0.9`): "
        "`a` by 1.00 dB [0.50, 1.50]: shown."
    )
    text = said(beyond.main(rows_of(a=(-1.0, -2.5, 0.5, 24))))
    assert text.endswith("`a` by 1.00 dB [-0.50, 2.50]: not shown.")
    text = said(beyond.main(rows_of(a=(-1.0, -1.5, -0.5, 4))))
    assert text.endswith(
        "`a` by 1.00 dB [0.50, 1.50]: too few images to tell (at least 10 photographs)."
    )
    text = said(beyond.main(rows_of(a=(-1.0, -1.5, -0.5, 24), b=(-0.1, -1.0, 0.8, 24))))
    assert text.endswith(
        "`a` by 1.00 dB [0.50, 1.50] (shown) and `b` by 0.10 dB [-0.80, 1.00] (no effect shown)."
    )
    assert said(beyond.main(rows_of(a=(1.0, 0.5, 1.5, 24)))) == ""
    assert said(beyond.main(rows_of(a=(NAN, NAN, NAN, 24)))) == said(beyond.main({})) == ""


def test_single_noises_under_which_a_model_is_below_a_blur() -> None:
    frames = rows_of(a=(1.0, 0.5, 1.5, 24), b=(1.0, 0.5, 1.5, 24))
    own = [
        dict(zip(beyond.COLUMNS, ("psnr", model, beyond.BLUR, "classical:blur:0.9", noise, -1.0,
                                  -2.0, -0.1, -2.5, high, count), strict=True))
        for model, noise, high, count in (
            ("a", "isp", -0.5, 24), ("a", "poisson:3", -0.5, 24), ("b", "isp", 0.5, 24),
            ("b", "poisson:3", -0.5, 4),
        )
    ]  # fmt: skip
    frames["references"] = pd.concat([frames["references"], pd.DataFrame(own)])
    assert beyond.sentences(frames)[-1] == (
        "Shown to be worse than the blur under single unseen noises, by intervals that hold for "
        "all of them at once: `a` under camera pipeline and Poisson α = 3."
    )
    assert beyond.main(frames) == []
    before = frames["references"].drop(
        columns=["band_low", "band_high"]
    )  # a run folder from before
    assert not any("single" in text for text in beyond.sentences({"references": before}))


def test_a_filter_that_is_itself_below_the_blur_is_told_so() -> None:
    frames = rows_of(a=(1.0, 0.5, 1.5, 24))
    own = frames["references"].iloc[[0]].assign(compared_with=beyond.FIXED_FILTER)
    weak = own.assign(model="filter:a", compared_with=beyond.FILTER_WITH_BLUR)
    for gain, low, high, word in ((-0.4, -0.6, -0.2, "shown"), (-0.4, -0.9, 0.1, "not shown")):
        weak[["gain", "low", "high"]] = (gain, low, high)
        frame = pd.concat([frames["references"], own, weak], ignore_index=True)
        first, second, *_ = beyond.sentences({"references": frame})
        assert first == (
            "Beyond its fixed filter over all unseen noises, in PSNR, +1.00 dB [+0.50, +1.50] for "
            "`a`: shown."
        )
        start = "These filters are worse than the blur (`classical:blur:0.9"
        assert second.startswith(start)
        assert second.endswith(f"`filter:a` by 0.40 dB [{-high:.2f}, {-low:.2f}]: {word}.")
        assert not any("filter:a" in text for text in beyond.main({"references": frame}))
    weak[["gain", "low", "high"]] = (0.4, 0.2, 0.6)
    frame = pd.concat([frames["references"], own, weak], ignore_index=True)
    assert "These filters are worse" not in said(beyond.sentences({"references": frame}))


def test_a_model_below_the_best_reference_that_is_no_blur() -> None:
    frames = rows_of(a=(-1.0, -1.5, -0.5, 24))
    best = frames["references"].compared_with == beyond.BEST
    frames["references"].loc[best, "reference"] = "classical:median:3"
    frames["references"].loc[~best, ["gain", "low", "high"]] = (1.0, 0.5, 1.5)
    assert said(beyond.main(frames)) == (
        "On average over all unseen noises worse than the best classical reference "
        "(`classical:median:3`): `a` by 1.00 dB [0.50, 1.50]: shown."
    )


def test_a_blur_that_calls_itself_a_network_is_not_beyond_its_filter() -> None:
    class Blur(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(ndimage.gaussian_filter(x.numpy(), (0, 0, 0.8, 0.8)))

    found = analysis.generalization.benchmark(
        {"mine": Blur()}, noises=NOISES, in_distribution=["gaussian:15"], **FEW
    )
    joint = found.references.query("metric == 'psnr'").set_index(["compared_with", "noise"])
    assert joint.gain[beyond.BLUR, OUTSIDE] == pytest.approx(0, abs=1e-4)
    assert abs(joint.gain[beyond.FIXED_FILTER, OUTSIDE]) < 0.05
    text = said(found.sentences())
    assert "Beyond its fixed filter over all unseen noises, in PSNR" in text
    assert "the best blur under Gaussian σ = 15 on other photographs (china, flower)" in text


def test_unknown_training_has_only_the_median() -> None:
    found = analysis.generalization.benchmark(
        {"tiny": tiny_network(0)}, noises=["gaussian:15", "isp"], **FEW
    )
    assert list(found.manifest["references"]) == ["classical:median:3"]
    assert set(found.references.compared_with) == {beyond.BEST}
    assert set(found.references.noise) == {"gaussian:15", "isp", ALL}
    assert "No fixed filter of `tiny`: training unknown" in said(found.sentences())
    scores = found.scores.query("metric == 'psnr'").set_index("model")
    assert scores["mean"].notna().all()


def test_a_classical_model_that_is_given_is_a_reference(tiny_pair: Path) -> None:
    plain = str(tiny_pair / "plain.pth")
    found = analysis.generalization.benchmark(
        [plain, "classical:blur:2", "classical:median:3", f"filter:{plain}"], noises=NOISES, **FEW
    )
    about = found.manifest
    assert list(about["models"]) == [
        "plain",
        "classical:blur:2",
        "classical:median:3",
        "filter:plain",
    ]
    assert set(about["references"]) == {*list(about["models"])[1:], "classical:blur:0.8"}
    frame = found.references.query("metric == 'psnr'")
    means = found.scores.query("metric == 'psnr'").set_index("model").out_of_distribution
    blurs = ["classical:blur:0.8", "classical:blur:2"]
    assert set(frame[frame.compared_with == beyond.BLUR].reference) == {means[blurs].idxmax()}
    assert found.tests.empty and about["in_distribution"] == ["gaussian:15"]
    scores = found.scores.query("metric == 'psnr'").set_index("model")
    assert scores[["in_distribution", "out_of_distribution"]].notna().all(axis=None)
    assert "unknown" not in said(found.sentences())


def test_classical_models_alone_are_models() -> None:
    found = analysis.generalization.benchmark(
        ["classical:blur:1", "classical:blur:3"], noises=["gaussian:15", "gaussian:50"], **FEW
    )
    assert not found.results.is_reference[found.results.model.str.contains("blur")].any()
    assert set(found.tests.model_a) == {"classical:blur:1"}


def test_a_range_of_levels_takes_those_of_the_run(tiny_pair: Path) -> None:
    models = {"plain": mtd.load(str(tiny_pair / "plain.pth"))}
    given = ["gaussian:0..gaussian:55"]
    found = references.noises_of(models, ["gaussian:10", "gaussian:50@2", "isp"], given, [])
    assert found == {"plain": ["gaussian:10", "gaussian:50"]}
    assert references.noises_of(models, ["gaussian:10"], [], []) == {"plain": ["gaussian:15"]}


def test_the_command(pair: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(pair)
    noises = ("--noise", "gaussian:15", "--noise", "isp", "--crop", "32", "--limit", "4")
    given = ("plain.pth", "hidden.pth", *noises, "--no-lpips", "--quiet")
    start = generalization_command.ANALYSIS
    path = run_arguments(start, (*given, "--output-dir", "run"), "test")
    out = capsys.readouterr().out
    assert "filter:plain (reference)" in out and "beyond its fixed filter (dB)" in out
    assert "worse than a Gaussian blur" in " ".join(out.split())
    frame = read_tables(path, ["references"])["references"]
    assert list(frame.columns) == list(beyond.COLUMNS)
    assert read_manifest(path)["blur_tuned_on"]["photographs"] == ["china", "flower"]
    with pytest.raises(BadInput, match="holds another run"):
        run_arguments(start, (*given, "--no-references", "--output-dir", "run"), "test")
    with pytest.raises(BadInput, match="--no-references has no effect with --noisy"):
        run_arguments(start, ("plain.pth", "--noisy", ".", "--no-references"), "test")


def test_estimated_noise_levels_are_recorded(tiny_pair: Path) -> None:
    pytest.importorskip("pywt")
    from skimage.restoration import estimate_sigma

    models = [str(tiny_pair / "plain.pth"), "classical:tv"]
    found = analysis.generalization.benchmark(models, noises=["gaussian:15", "isp"], **FEW)
    frame = found.frames["estimated_levels"].set_index(["noise", "sha256"])
    assert len(frame) == 2 * 4
    for crop in data_crops.crops(photographs(), 32, 4):
        clean = data_crops.to_tensor([crop.pixels])
        noisy, _ = pair_keyed(parse("isp"), clean, [crop.digest])
        image = noisy[0].permute(1, 2, 0).double().numpy()
        expected = 255 * estimate_sigma(image, channel_axis=-1, average_sigmas=True)
        assert frame.estimated["isp", crop.digest] == pytest.approx(expected, rel=1e-12)


def test_no_estimated_levels_without_a_denoiser_that_needs_them(
    result: GeneralizationResult,
) -> None:
    assert "estimated_levels" not in result.frames
