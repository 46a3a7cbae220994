"""Numbers of the documentation are those of the stored tables that they were taken from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd
import pytest

from analysis.cka import cka
from analysis.text.noise_labels import NOISY
from tests.helpers.paths import ROOT

BLOCK = "layers.{}.residual_group.blocks.{}"
PAIR = ("baseline", "masked")
BLUR = "classical:blur:0.7"
UNSEEN = "out of distribution"

NUMBERS = ROOT / "docs" / "numbers"
"""Tables of runs on photographs that are not part of the project."""


def table(name: str, by: str | list[str] = "model", of: str = "example") -> pd.DataFrame:
    """A stored table by some of its columns."""
    return pd.read_csv(ROOT / "reports" / of / name).set_index(by).sort_index()


def generalization() -> Iterator[str]:
    frame = table("generalization/noises.csv", ["metric", "noise", "model"]).loc["psnr"]["mean"]
    known, strong = ([frame[noise, m] for m in PAIR] for noise in ("gaussian:15", "gaussian:50"))
    yield f"the baseline has {known[0]:.1f} dB and the masked network {known[1]:.1f} dB"
    yield f"σ = 50 they have {strong[0]:.1f} and {strong[1]:.1f} dB"


def error() -> Iterator[str]:
    share = table("error/error.csv", ["noise", "model"]).leak_share["poisson:3.5"]
    yield f"{share.baseline:.0%} of the baseline's error is leak, and {share.masked:.0%} of the"


def srga() -> Iterator[str]:
    frame = table("srga/srga.csv").query("noise != reference")
    assert set(frame.reference) == {"gaussian:15"} and set(frame.photographs) == {4}
    distance = (frame.srga - frame.untrained).abs()
    assert (distance <= 2 * frame.untrained_sd).sum() > len(frame) / 2
    yield f"{frame.patches.iloc[0]} patches of four photographs"
    yield "Most scores lie within two standard deviations of untrained networks"


def distributions() -> Iterator[str]:
    frame = table("distributions/distributions.csv", ["noise", "model"]).loc["poisson:3.5"]
    w1, floor = frame.w1_relative, frame.w1_relative_floor
    assert (w1 < floor).all()
    yield f"W₁ is {w1.baseline:.2f} σ in the baseline and {w1.masked:.2f} σ in the masked network"
    yield f"the floor {floor.baseline:.2f} σ and {floor.masked:.2f} σ"


def degradation() -> Iterator[str]:
    frame = table("degradation/degradation.csv", ["model", "layer"])
    high = frame.ch_noise["baseline"]
    assert high.idxmax() == BLOCK.format(1, 3) and set(frame.noises) == {6}
    yield f"block 1.3 (CH {high.max():.1f})"
    yield f"masked network nowhere (at most {frame.ch_noise['masked'].max():.1f})"
    blocks = frame[frame.index.get_level_values("layer").str.contains("blocks")]
    assert blocks.untrained.max() < 0.04
    yield "in the blocks of untrained networks it is below 0.04"


def sensitivity() -> Iterator[str]:
    gain = table("sensitivity/sensitivity.csv", ["noise", "model", "layer"]).gain["gaussian:15"]
    assert gain["baseline"].idxmax() == BLOCK.format(0, 3)
    assert gain["masked"].idxmax() == BLOCK.format(1, 3)
    yield f"the baseline up to {gain['baseline'].max():.1f} times (block 0.3)"
    yield f"the masked network up to {gain['masked'].max():.1f} times (block 1.3)"


def causal() -> Iterator[str]:
    found = table("causal/causal.csv", ["noise", "model", "branch"]).recovery["poisson:3.5"]
    best = BLOCK.format(1, 2) + ".attn"
    assert found["baseline"].idxmax() == best
    yield f"attention update of block 1.2 alone recovers {found['baseline', best]:.0%}"
    yield f"no branch recovers more than {found['masked'].max():.0%}"


def linear() -> Iterator[str]:
    psnr = table("linear/levels.csv", ["sigma", "model"]).psnr
    assert psnr[15, "baseline"] > psnr[15, "masked"]
    ahead = psnr[25]
    yield f"the masked network is already ahead, {ahead.masked:.1f} dB to {ahead.baseline:.1f} dB"


def curves() -> Iterator[str]:
    frame = table("curves/curves.csv", ["noise", "run", "step"]).value["gaussian:50"]
    plain, masked = (frame[name].dropna() for name in PAIR)
    assert plain.idxmax() == plain.index[0]
    yield f"loses {plain.iloc[0] - plain.iloc[-1]:.1f} dB from its first test to its last"
    yield f"{masked.max() - masked.iloc[-1]:.1f} dB from its best step, {masked.idxmax():,}, to its"
    summary = table("curves/summary.csv", "run")
    gap = summary.overfitting_gap
    assert set(summary.unseen) == {5} and gap.masked == 0
    yield f"it is {gap.baseline:.1f} dB over five unseen noises, for the masked network 0"


def layers_by_cka() -> Iterator[str]:
    frame = table("depth.csv", ["model", "layer"], "bundled-pair")
    assert set(frame.noise_a) == {"gaussian:15"} and set(frame.noise_b) == {"poisson:3.5"}
    values = [[f"{frame.cka[m, BLOCK.format(0, i)]:.2f}" for i in (2, 3)] for m in PAIR]
    plain, masked = (" and ".join(pair) for pair in values)
    yield f"the baseline has {plain}, the masked network {masked}"
    blocks = frame[frame.index.get_level_values("layer").str.contains("blocks")]
    (untrained,) = {f"{value:.2f}" for value in blocks.untrained}
    yield f"They have a CKA of {untrained} in every block"
    assert ((frame.ceiling - frame.cka).abs() < 0.02).all()  # it lies on the curve
    cells = pd.read_csv(ROOT / "reports" / "bundled-pair" / "cka.csv")
    cells = cells[(cells.model_a == "baseline") & (cells.model_b == "baseline")]
    dark = cells[cells.layer_b.isin([BLOCK.format(0, 2), BLOCK.format(0, 3)])]
    dark = dark[(dark.noise_a == "gaussian:15") & (dark.noise_b == "poisson:3.5")]
    yield f"of at most {dark.cka.max():.2f}"


def unrelated_data() -> Iterator[str]:
    rng = np.random.default_rng(0)
    for features in (4, 16, 64, 256, 1024):  # as docs/figures/make.py draws them
        pair = rng.normal(size=(64, features)), rng.normal(size=(64, features))
    yield f"rises to {cka(*pair, estimator='biased'):.2f} at 1,024 features"


def interval(row: pd.Series, names: str = "value low high", unit: str = "") -> str:
    """A value and its interval as the pages write them."""
    value, low, high = (f"{row[name]:.2f}".replace("-", "−") for name in names.split())
    return f"{value}{unit} [{low}, {high}]"


def decibel(row: pd.Series) -> str:
    return interval(row, unit=" dB")


def kodak24_error() -> Iterator[str]:
    name = {"baseline": "baseline", "masked": "masked", "dncnn_color_blind": "DnCNN"}
    frame = pd.read_csv(NUMBERS / "error.csv")
    assert set(frame.photographs) == {12}
    cells = {}
    for row in frame.itertuples():
        parts = (f"{row.mse:.1f}", f"{row.bias2:.1f}", f"{row.variance:.1f}")
        mask = f"{row.mask_variance:.1f}" if row.mask_variance else "0"
        cells[row.noise, row.model] = *parts, mask, f"{row.psnr:.1f}", f"{row.noise_left:.1%}"
    for noise in ("gaussian:15", "gaussian:50"):
        for model, title in name.items():
            yield f"| {title} | {' | '.join(cells[noise, model])} |"
    for noise in ("poisson:3.5", "spatial:60", "salt_pepper:0.05"):
        both = zip(*(cells[noise, model] for model in PAIR), strict=True)
        yield f"| {noise} | baseline / masked | {' | '.join(map(' / '.join, both))} |"
    share = frame[(frame.model == "baseline") & (frame.noise != "gaussian:15")].leak_share
    yield f"{share.min():.0%}"[:-1] + f" to {share.max():.0%} of the baseline's MSE is noise"
    cutoff = frame[frame.noise == "gaussian:15"].set_index("model").cutoff
    yield f"{cutoff.masked:.2f} cycles per pixel, that of the baseline at {cutoff.baseline:.2f}"
    yield f"most {(frame.mask_variance / frame.mse).max():.1%} of the masked network's MSE"

    frame = pd.read_csv(NUMBERS / "error_difference.csv").set_index(["noise", "measure"])
    trained, mean = frame.loc["gaussian:15"], frame.loc["mean over noises"]
    worse = -trained[["value", "high", "low"]].set_axis(["value", "low", "high"], axis=1)
    damage = decibel(worse.loc["damage"])
    yield f"{decibel(worse.loc['psnr'])} worse, {damage} of it due to lost detail"
    yield f"masked network is {decibel(mean.loc['psnr'])} better: {mean.value.leak:.2f} dB"
    yield f"minus {-mean.value.damage:.2f} dB by more damage"

    frame = pd.read_csv(NUMBERS / "filter.csv").set_index("model")
    change = {
        m: interval(r, "content_change content_change_low content_change_high")
        for m, r in frame.iterrows()
    }
    yield f"by at most {change['masked']}; baseline {change['baseline']}"
    yield f"DnCNN {change['dncnn_color_blind']}"
    noise = interval(frame.loc["masked"], "noise_change noise_change_low noise_change_high")
    yield f"its gain of noise changes by up to {noise}"


def bundled_linear() -> Iterator[str]:
    frame = pd.read_csv(NUMBERS / "linear.csv").set_index(["model", "noise"])
    assert set(frame.photographs) == {4} and set(frame.dimensions) == {768}
    size = {
        place: f"{row.effective_dimension:.0f} [{row.effective_dimension_low:.0f}, "
        f"{row.effective_dimension_high:.0f}]"
        for place, row in frame.iterrows()
    }
    known, strong = ([size[model, f"gaussian:{level}"] for model in PAIR] for level in (15, 50))
    yield f"is {known[0]} in the baseline under `gaussian:15` and {strong[0]} under"
    yield f"in the masked network {known[1]} and {strong[1]}"
    row = frame.loc[("baseline", "poisson:3.5")]
    below = f"{-row.sure_error:.0f} [{-row.sure_error_high:.0f}, {-row.sure_error_low:.0f}]"
    yield f"SURE is {below} squared levels below the baseline's error of {row.mse:.0f}"


def kodak24_measures() -> Iterator[str]:
    def with_interval(row: pd.Series) -> str:
        return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"

    frame = pd.read_csv(NUMBERS / "measures.csv")
    assert set(frame.photographs) == {12}
    for measure, part in frame.groupby("measure"):
        rows = part.set_index("compared")
        own = rows.loc[[*PAIR]]
        controls = [
            ", ".join(f"{value:.3f}" for value in own[name]) for name in ("floor", "untrained")
        ]
        cells = [with_interval(rows.loc[model]) for model in PAIR]
        yield f"| `{measure}` | {' | '.join(cells)} |"
        yield f"| {' | '.join(controls)} | {with_interval(rows.loc['models'])} |"


def kodak24_causal() -> Iterator[str]:
    def share(*values: float) -> list[str]:
        return [f"{value:.2f}".replace("0.", ".").replace("-", "−") for value in values]

    def with_interval(value: float, low: float, high: float) -> str:
        return "{} [{}, {}]".format(*share(value, low, high))

    frame = pd.read_csv(NUMBERS / "causal.csv")
    assert set(frame.photographs) == {24} and set(frame.branches) == {16}
    assert (frame.held_out == frame.recovery).all()  # both halves choose the same branch
    for row in frame.itertuples():
        kind = "attention" if row.branch.endswith(".attn") else "MLP"
        _, group, _, _, block, _ = row.branch.split(".")
        every = with_interval(row.all_recovery, row.all_low, row.all_high)
        total = f"{row.sum:.2f}" if row.sum >= 1 else share(row.sum)[0]
        yield (
            f"| {row.model} | {row.mse_reference:.1f}, {row.mse:.1f} | {kind} of block {group}."
            f"{block}: {with_interval(row.recovery, row.low, row.high)} | {every} | {total} |"
        )


METRICS = {"psnr": 2, "ssim": 3, "lpips": 3}
"""Digits after the point in the tables of quality."""


def bounded(values: Iterable[float], places: int, sign: str = "") -> str:
    """A value and its interval; of a negated one the ends are exchanged."""
    value, *ends = values
    low, high = (f"{end:.{places}f}" for end in sorted(ends))
    return f"{value:{sign}.{places}f} [{low}, {high}]"


def bundled_pair_quality() -> Iterator[str]:
    run = ROOT / "reports" / "bundled-pair" / "benchmark"
    tests = pd.read_csv(run / "tests.csv").set_index(["noise", "metric"])
    assert set(tests.model_a) == {"baseline"} and set(tests.photographs) == {24}
    means = pd.read_csv(run / "noises.csv").query("metric == 'lpips'")
    means = means.pivot(index="noise", columns="model", values="mean")
    every = pd.read_csv(run / "generalization.csv").query("metric == 'lpips'").set_index("model")
    names = {"gaussian:15": "`gaussian:15` (trained on)", UNSEEN: "mean over unseen kinds"}
    for noise in dict.fromkeys(tests.index.get_level_values("noise")):
        rows = tests.loc[noise, ["difference", "low", "high"]]
        gains = {m: rows.loc[m] if m == "lpips" else -rows.loc[m] for m in METRICS}
        cells = [bounded(gains[m], places, "+") for m, places in METRICS.items()]
        lpips = every.out_of_distribution if noise == UNSEEN else means.loc[noise]
        cells += [f"{lpips[model]:.3f}" for model in (NOISY, BLUR, *PAIR)]
        yield f"| {names.get(noise, f'`{noise}`')} | {' | '.join(cells)} |"
    psnr, lpips = (tests.loc["isp", metric] for metric in ("psnr", "lpips"))
    assert psnr.low > 0 and lpips.low > 0 and max(psnr.p_holm, lpips.p_holm) < 0.05
    yield "Under `isp` PSNR and LPIPS disagree"
    beyond = pd.read_csv(run / "references.csv").query("metric == 'lpips'")
    beyond = beyond[(beyond.compared_with == "blur") & (beyond.noise != UNSEEN)]
    beyond = beyond.set_index(["model", "noise"])
    below = beyond.band_high["baseline"] < 0
    assert list(below.index[below]) == ["gaussian:50"]
    above = beyond.band_low["masked"] > 0
    assert set(above.index[~above]) == {"gaussian:50", "isp"} and above.sum() == 9
    yield "under nine of eleven, all but `gaussian:50` and `isp`"


def classical_denoisers() -> Iterator[str]:
    frame = pd.read_csv(NUMBERS / "classical.csv").set_index(["metric", "model"])
    assert set(frame.photographs) == {24}
    for model in dict.fromkeys(frame.index.get_level_values("model")):
        name = f"`{model}`" if ":" in model else model
        cells = [
            bounded(frame.loc[(metric, model), ["mean", "low", "high"]], places)
            for metric, places in METRICS.items()
        ]
        yield f"| {name} | {' | '.join(cells)} |"
    run = table("benchmark/generalization.csv", ["metric", "model"], "bundled-pair")
    shared = run.out_of_distribution.index
    assert frame["mean"][shared].to_numpy() == pytest.approx(
        run.out_of_distribution.to_numpy(), abs=1e-5
    )

    def minus(model: str, metric: str, other: str) -> pd.Series:
        name = f"minus_{other}"
        return frame.loc[(metric, model), [name, f"{name}_low", f"{name}_high"]]

    wavelet, means = "classical:wavelet", "classical:nlm"
    others = [name for name in frame.loc["psnr"].index if name != "masked"]
    for metric in ("psnr", "ssim"):
        assert (frame.loc[metric].minus_masked_high[others] < 0).all()
    psnr, ssim = (-minus(wavelet, metric, "masked") for metric in ("psnr", "ssim"))
    yield f"than wavelets by {bounded(psnr, 2).replace(' [', ' dB [')} and {bounded(ssim, 3)}"
    near = [minus(model, "lpips", "masked") for model in (wavelet, means)]
    assert all(row.iloc[1] < 0 < row.iloc[2] for row in near)
    yield f"wavelets ({bounded(near[0], 3)} above it) and non-local means ({bounded(near[1], 3)})"
    better = [-minus(model, "lpips", "baseline") for model in (wavelet, means)]
    assert all(row.iloc[2] > 0 for row in better)
    yield f"better than the baseline, by {bounded(better[0], 3)} and {bounded(better[1], 3)}"


def decibels() -> Iterator[str]:
    yield f"one dB more | {1 - 10**-0.1:.0%} less squared error"


SOURCES: list[tuple[str, Callable[[], Iterator[str]]]] = [
    *(("cka", source) for source in (layers_by_cka, unrelated_data)),
    *(
        ("why-it-fails", source)
        for source in (kodak24_error, kodak24_causal, kodak24_measures, bundled_linear)
    ),
    ("networks", classical_denoisers),
    ("bundled-pair", bundled_pair_quality),
    *(("windows/generalization", source) for source in (generalization, decibels)),
    *(
        (f"windows/{source.__name__}", source)
        for source in (error, srga, distributions, degradation, sensitivity, causal, linear, curves)
    ),
]


@pytest.mark.parametrize(("page", "source"), SOURCES, ids=lambda x: getattr(x, "__name__", x))
def test_numbers_are_those_of_stored_tables(page, source):
    text = " ".join((ROOT / "docs" / f"{page}.md").read_text().split())
    for phrase in source():
        assert phrase in text, f"docs/{page}.md: expected {phrase!r}"
