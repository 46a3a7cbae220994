"""What a benchmark's tables say: order, what is undecided, missing values, many models, notes."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.generalization import notebook as generalization_notebook
from analysis.generalization import pairwise_tests, summary
from analysis.generalization import reading as generalization_reading
from analysis.generalization.pairwise_tests import OUTSIDE, over_unseen
from analysis.text.noise_labels import NOISY
from mtd.utils.errors import BadInput
from tests.helpers.benchmark_frames import NAN, PAIR, benchmark, benchmark_result, paired, said

MANIFEST: dict[str, object] = {"models": {}}


def test_who_is_ahead_does_not_depend_on_the_order_of_the_table():
    for names, sign in ((("a", "b"), -1), (("b", "a"), 1)):
        ends_ = sorted((sign * 4.0, sign * 6.0))
        frames = benchmark(PAIR, {names: {OUTSIDE: (sign * 5.0, *ends_, 0.01)}})
        text = said(generalization_reading.main(frames))
        assert "25.00 dB [24.50, 25.50] for `b`, 20.00 dB [19.50, 20.50] for `a`" in text
        assert "advantage of `b` over `a`, image by image, is +5.00 dB [+4.00, +6.00]" in text
        assert "`b` is shown to be better, the 95% interval excludes 0 and p = 0.01 after" in text


def test_an_interval_with_zero_in_it_shows_nothing():
    frames = benchmark(PAIR, {("a", "b"): {OUTSIDE: (-5.0, -11.0, 1.0, 0.2)}})
    text = said(generalization_reading.main(frames))
    assert "+5.00 dB [-1.00, +11.00]: not shown, the 95% interval includes 0 and p = 0.2" in text
    assert "is shown to be better" not in text
    frames = benchmark(PAIR, {("a", "b"): {OUTSIDE: (-5.0, NAN, NAN, NAN)}})
    assert "+5.00 dB: not shown, without an interval" in said(generalization_reading.main(frames))
    frames = benchmark(PAIR, {("a", "b"): {OUTSIDE: (0.0, -1.0, 1.0, 1.0)}})
    assert "equal on average" in said(generalization_reading.main(frames))
    assert "no paired test" in said(generalization_reading.main(benchmark(PAIR)))


@pytest.mark.parametrize(
    "numbers, said_",
    [
        ((5.0, 4.0, 6.0, 1.0), "not shown, the 95% interval excludes 0 but p = 1 after Holm's"),
        ((5.0, -1.0, 6.0, 0.01), "not shown, the 95% interval includes 0 but p = 0.01 after"),
        ((5.0, 4.0, 6.0, NAN), "not shown, the 95% interval excludes 0 but no p-value after Holm"),
        ((-5.0, -6.0, -4.0, 0.01), "-5.00 dB [-6.00, -4.00]: `a` is shown to be better"),
    ],
)
def test_interval_and_corrected_test_must_both_decide(numbers, said_):
    frames = benchmark(PAIR, {("b", "a"): {OUTSIDE: numbers}})
    text = said(generalization_reading.main(frames))
    assert said_ in text and ("is shown to be better, the" in text) != ("not shown" in text)


@pytest.mark.parametrize("count, tests, needed", [(4, 1, 10), (9, 1, 10), (9, 39, 11)])
def test_below_ten_photographs_nothing_is_decided(count, tests, needed):
    """Not even where the interval is far from 0."""
    noises = (OUTSIDE, "isp", *(f"gaussian:{level}" for level in range(1, 40)))[:tests]
    frames = benchmark(PAIR, {("b", "a"): dict.fromkeys(noises, (5.0, 4.9, 5.1, NAN))})
    frames["tests"]["photographs"] = count
    few = f"too few images to tell (at least {needed} photographs)"
    text = said(generalization_reading.main(frames))
    assert f"[+4.90, +5.10]: {few}." in text and "be better" not in text
    assert "be better" not in said(generalization_reading.sentences(frames, MANIFEST))
    grid = summary.differences(frames["tests"], frames["generalization"], "psnr")
    assert grid is not None and few in grid and "nan" not in grid
    many = benchmark(PAIR | {"c": (20.0, 10.0)}, {("b", "a"): {OUTSIDE: (5.0, 4.9, 5.1, NAN)}})
    many["tests"]["photographs"] = count
    assert "none of the 2 others" in said(generalization_reading.main(many))


def test_one_test_that_cannot_decide_among_others_is_said_to_be_so():
    of = {"poisson:3": (1.0, 0.5, 1.5, 0.4), "isp": (1.0, 0.5, 1.5, NAN)}
    frames = benchmark(PAIR, {("a", "b"): of})
    frames["tests"].loc[frames["tests"].noise == "isp", "photographs"] = 5
    text = said(generalization_reading.noise_by_noise(frames, "psnr"))
    assert text == (
        "No difference can be judged under camera pipeline: too few images to tell (at least 10 "
        "photographs). Not shown under Poisson α = 3."
    )


def holm_of_all_least(draws: int, tests: int) -> float:
    """Holm's p of one test, all of which come out as one-sided as n differences can, by SciPy."""
    return min(1.0, tests * float(stats.wilcoxon(np.arange(1.0, draws + 1)).pvalue))


@pytest.mark.parametrize(
    "draws, tests, cannot, needed",
    [(10, 1, False, 10), (10, 30, True, 11), (10, 39, True, 11), (11, 39, False, 11)],
)
@pytest.mark.parametrize("low", [4.0, -1.0])
def test_a_test_of_too_few_photographs_can_never_decide(draws, tests, cannot, needed, low):
    noises = (OUTSIDE, "isp", *(f"gaussian:{level}" for level in range(1, 40)))[:tests]
    frames = benchmark(PAIR, {("b", "a"): dict.fromkeys(noises, (5.0, low, 6.0, 0.7))})
    frames["tests"]["photographs"] = draws
    least = holm_of_all_least(draws, tests)
    assert (least >= 0.05) == cannot and holm_of_all_least(needed, tests) < 0.05
    assert needed == 10 or holm_of_all_least(needed - 1, tests) >= 0.05
    text = said(generalization_reading.main(frames))
    corrected = f", corrected for {tests} tests," if tests > 1 else ""
    few = f"too few images to tell (at least {needed} photographs), as p{corrected} is "
    few += f"{least:.2g} or more"
    assert (f": {few}." in text) == cannot
    assert ("p = 0.7 after Holm" in text) != cannot
    grids = summary.differences(frames["tests"], frames["generalization"], "psnr")
    assert grids is not None and (few in grids) == cannot
    if tests > 1:
        text = said(generalization_reading.noise_by_noise(frames, "psnr"))
        assert (few in text) == cannot == ("Not shown under camera pipeline" not in text)


def test_the_only_unseen_noise_stands_for_all_of_them():
    frames = benchmark(PAIR, {("a", "b"): {"poisson:3": (-5.0, -6.0, -4.0, 0.01)}})
    assert over_unseen(frames, "psnr", "b", "a") is None
    frames["noises"] = frames["noises"][frames["noises"].noise != "isp"]
    test = over_unseen(frames, "psnr", "b", "a")
    assert test is not None and test.value == 5 and test.side == 1


def test_noise_by_noise_needs_the_interval_and_the_corrected_test():
    of = {
        "gaussian:15": (2.0, 1.0, 3.0, 0.01),
        "poisson:3": (-1.0, -2.0, -0.5, 0.01),
        "isp": (1.0, 0.5, 1.5, 0.3),
    }
    text = said(generalization_reading.noise_by_noise(benchmark(PAIR, {("a", "b"): of}), "psnr"))
    assert "`a` under Gaussian σ = 15 (by 2.00 dB)" in text
    assert "`b` under Poisson α = 3 (by 1.00 dB)" in text
    assert "Not shown under camera pipeline." in text


def test_less_is_better_where_the_metric_says_so():
    frame = paired({("a", "b"): {OUTSIDE: (0.1, 0.05, 0.2, 0.01)}}).assign(metric="lpips")
    test = pairwise_tests.paired_differences(frame, "lpips", "a", "b")[OUTSIDE]
    assert test.side == -1 and (test.value, test.low, test.high) == (-0.1, -0.2, -0.05)


def test_drops_differ_by_two_differences():
    text = said(generalization_reading.drops(benchmark(PAIR), "psnr"))
    assert "PSNR drop from the noise trained on to unseen noise: 3.00 dB [2.50, 3.50] for" in text
    assert "`b` and 10.00 dB [9.50, 10.50] for `a`" in text
    assert (
        "The drop of `a` is 7.00 dB larger than that of `b`: it is 2.00 dB better under the noise "
        "trained on, and 5.00 dB worse under unseen noise (differences of means, without" in text
    )
    assert summary.drop_label("lpips") == "LPIPS increase"
    frames = benchmark({"a": (30.0, 20.0), "b": (30.001, 25.0)})
    text = said(generalization_reading.drops(frames, "psnr"))
    assert "5.00 dB larger than that of `b`: it is as good under the noise trained on" in text
    worse_is_more = {name: frame.assign(metric="lpips") for name, frame in frames.items()}
    worse_is_more["generalization"]["ood_drop"] *= -1
    text = said(generalization_reading.drops(worse_is_more, "lpips"))
    assert "The increase of `b` is 4.9990 larger than that of `a`: it is 0.0010 worse" in text
    assert "and 5.0000 worse under unseen noise" in text


def test_a_single_model_is_not_compared():
    frames = benchmark({"a": (30.0, 20.0)})
    text = said(generalization_reading.sentences(frames, MANIFEST))
    assert "`a` has a mean PSNR of 20.00 dB [19.50, 20.50]" in text
    assert "better" not in text and "shown" not in text.lower()
    assert (
        "One model"
        in generalization_notebook.pairs(benchmark_result(frames), "psnr").data["text/plain"]
    )
    assert generalization_reading.alt_ranks(frames) == "One model: no ranks."


def test_missing_and_infinite_values_are_reported():
    frames = benchmark({"a": (30.0, 20.0), "b": (28.0, NAN)})
    assert "No mean under unseen noise for `b`" in said(generalization_reading.main(frames))
    frames = benchmark({"a": (30.0, NAN), "b": (28.0, NAN)})
    text = said(generalization_reading.main(frames))
    assert "No noise here counts as unseen" in text and "nan" not in text
    frames = benchmark({"a": (30.0, math.inf), "b": (28.0, 20.0)})
    assert "∞" in said(generalization_reading.main(frames))


def test_worse_than_the_input_only_if_decided():
    frames = benchmark({NOISY: (35.0, 30.0)} | PAIR)
    frame = frames["noises"]
    frame.loc[frame.noise == "isp", ["gain", "gain_low", "gain_high"]] = [-2.0, -3.0, -1.0]
    text = said(generalization_reading.worse(frames, "psnr"))
    assert "On average worse than the noisy input (shown): `a` under camera pipeline" in text
    assert "by 2.00 dB [1.00, 3.00]" in text
    grid = summary.by_noise(frame, frames["generalization"], "psnr")
    assert "20.00!" in grid and "! worse than the noisy input" in grid
    few = frame.assign(photographs=9)
    text = said(generalization_reading.worse(frames | {"noises": few}, "psnr"))
    few_images = "too few images to tell (at least 10 photographs)"
    assert text.startswith(f"On average worse than the noisy input ({few_images}): `a` under")
    frame.loc[frame.noise == "isp", "gain_high"] = 1.0
    assert "worse than the noisy input (not shown): `a`" in said(
        generalization_reading.worse(frames, "psnr")
    )


def test_what_printed_digits_do_not_show_is_not_worse():
    frames = benchmark({NOISY: (15.0, 14.0)} | PAIR)
    frames["noises"]["gain"] = -0.004
    assert generalization_reading.worse(frames, "psnr") == []
    assert "!" not in summary.by_noise(frames["noises"], frames["generalization"], "psnr")


def test_of_many_models_the_ends_are_named_and_not_every_pair():
    values = {f"m{i:02}": (30.0, 20.0 + i / 2) for i in range(20)}
    best = "m19"
    of = {
        (name, best): {OUTSIDE: (-1.0, -2.0, 1.0 if name == "m18" else -0.5, 0.01)}
        for name in values
        if name != best
    }
    lines = generalization_reading.sentences(benchmark(values, of), MANIFEST)
    text = said(lines)
    assert "Of 20 models, `m19` has the best mean PSNR" in text and "`m00` the worst" in text
    assert "a spread of 9.50 dB" in text
    assert "shown to be better than 18 of the 19 others" in text and "not against `m18`" in text
    assert len(lines) < 12 and max(map(len, lines)) < 600
    panels = generalization_notebook.pairs(benchmark_result(benchmark(values, of)), "psnr").data[
        "text/html"
    ]
    assert panels.count("<section") == 19


def test_ties_are_counted_for_both():
    frames = benchmark({"a": (30.0, 20.0), "b": (30.0, 20.0), "c": (10.0, 10.0)})
    assert "`a` (3) and `b` (3); ties count" in said(
        generalization_reading.noise_by_noise(frames, "psnr")
    )


def test_the_leaderboard_has_the_noisy_input_last():
    result = benchmark_result(benchmark({NOISY: (15.0, 14.0)} | PAIR))
    frame = result.leaderboard()
    assert list(frame.model) == list(result.means().model) == ["b", "a", NOISY]
    assert frame["95% interval"][0] == "[24.50, 25.50]"
    assert list(frame["PSNR drop"]) == [3.0, 10.0, 1.0]
    means = ["model", "gaussian:15 (trained on)", "poisson:3", "isp"]
    assert list(result.means()) == means and list(result.means().loc[1])[1:] == [30.0, 20.0, 20.0]
    with pytest.raises(BadInput, match="did you mean psnr"):
        result.leaderboard("psnrr")


@pytest.mark.parametrize("metric", ["psnr", "ssim", "lpips"])
def test_units_are_those_of_the_metric(metric):
    assert ("dB" in summary.with_unit(metric)) == (metric == "psnr")


def test_a_metric_that_is_not_installed_is_one_line():
    with pytest.raises(BadInput, match="metric 'psnrr': not installed here; did you mean psnr"):
        summary.label("psnrr")


def results(values: dict[str, list[float]]) -> pd.DataFrame:
    rows = [(m, "psnr", v, str(i)) for m, of in values.items() for i, v in enumerate(of)]
    return pd.DataFrame(rows, columns=["model", "metric", "value", "scene"])


def test_what_is_infinitely_worse_than_the_clean_image_is_not_said():
    frames = benchmark({"a": (30.0, 20.0)})
    noises = frames["noises"]
    noises["gain"] = np.where(noises.model == "a", -np.inf, noises.gain)
    noises["mean"] = np.where(noises.model == "a", noises["mean"], np.inf)
    assert generalization_reading.worse(frames, "psnr") == []


def test_what_must_be_known_of_the_numbers_is_a_sentence_each():
    frames = benchmark(PAIR) | {"results": results({"a": [NAN, NAN, 20], "b": [math.inf, 1, 2]})}
    manifest = {
        "notes": ["mixture is a_preset"],
        "tiled": ["a"],
        "lpips_requested": True,
        "lpips": None,
        "models": {"a": {"usage": {"sigma": "oracle"}}, "b": {"usage": {"sigma": 25.0}}, "c": {}},
    }
    notes = generalization_reading.notes(frames, manifest)
    assert notes[0] == r"Mixture is a\_preset."
    assert notes[1] == (
        "Noise-conditional models were given the noise level: `a` (that of each noise) and `b` "
        "(always 25); the other models are blind."
    )
    assert notes[2].startswith("`a`: large images were denoised in tiles to save memory")
    assert notes[3] == "`a`: no PSNR of 2 noisy images, for which its output is not finite."
    assert notes[4] == ("`b`: 1 output identical to the clean image, so the mean PSNR is infinite.")
    assert notes[5] == (
        "LPIPS not run: backbone missing, see `mtd zoo get lpips/alexnet` or "
        "`--lpips-weights FILE`."
    )
    assert generalization_reading.notes(benchmark(PAIR) | {"results": results({})}, MANIFEST) == []
