"""`python -m analysis.brightness`: its tables from outputs by hand, what it says and refuses."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import mtd
from analysis.brightness import command, measure_brightness, reading
from analysis.brightness import figures as brightness_figures
from analysis.brightness.settings import BrightnessSettings
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_label, noise_words
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.metrics import psnr_ssim
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.helpers.run_folders import contents

FEW = ("--crop", "16", "--limit", "7", "--quiet")
TWO = ("--noise", "gaussian:15", "--noise", "poisson:3")
MODELS = ["plain", "hidden", NOISY]
TABLES = ("brightness", "images", "histograms")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(command.ANALYSIS, arguments, "test")


def tables(path: Path) -> dict[str, pd.DataFrame]:
    return read_tables(path, TABLES)


def lines(path: Path) -> list[str]:
    """The printed text; of sentences, each in one line."""
    return re.sub(r"\n  (?=\S)", " ", (path / "summary.txt").read_text()).splitlines()


def near(monkeypatch: pytest.MonkeyPatch, levels: dict[str, float]) -> None:
    """Checkpoints, by name, that give half the noise and add some levels."""
    from mtd.networks.swinir import SwinIR

    original = mtd.load

    def load(path, **given):
        model = original(path, **given)
        model.added = levels.get(Path(path).stem, 0.0)
        return model

    def forward(self, x, keys=None, **given):
        smooth = torch.nn.functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return (x + smooth) / 2 + self.added / 255

    monkeypatch.setattr("mtd.loading.load.load", load)
    monkeypatch.setattr(SwinIR, "forward", forward)


@pytest.mark.drawn
def test_tables_are_complete_and_agree(folder):
    path = started("plain.pth", "hidden.pth", *FEW, *TWO)
    names = ("manifest.json", "run.json", "summary.txt", "brightness.png")
    assert {file.name for file in path.iterdir()} == {*names, *(f"{n}.csv" for n in TABLES)}
    assert path.name.startswith("brightness-plain-hidden-")
    manifest = read_manifest(path)
    assert manifest["noises"] == ["gaussian:15", "poisson:3"] and NOISY not in manifest["models"]
    frames = tables(path)
    frame, each, shares = (frames[name] for name in TABLES)
    first = "model noise shift shift_low shift_high distance distance_low distance_high difference"
    rest = "psnr psnr_matched matching images photographs kind note"
    assert list(frame) == f"{first} {rest}".split()
    spot = "model noise image top left sha256 shift distance psnr psnr_matched slope offset"
    assert list(each) == spot.split() and list(shares) == ["model", "noise", "level", "share"]
    assert len(frame) == 6 and len(each) == 6 * 7 and len(shares) == (6 + 2) * 256
    assert set(map(tuple, frame[["model", "noise"]].to_numpy())) == {
        (model, spec) for model in MODELS for spec in ("gaussian:15", "poisson:3")
    }
    levels = np.arange(256)
    for _, row in frame.iterrows():
        here = (each.model == row.model) & (each.noise == row.noise)
        part = each[here]
        assert row["shift"] == pytest.approx(part["shift"].mean())  # crops are of one size
        assert row.psnr == pytest.approx(part.psnr.mean())
        assert row.psnr_matched == pytest.approx(part.psnr_matched.mean())
        assert row.matching == pytest.approx(row.psnr_matched - row.psnr) and row.matching >= 0
        under = shares[shares.noise == row.noise].set_index(["model", "level"]).share
        p, q = under[row.model].to_numpy(), under["clean"].to_numpy()
        assert p.sum() == pytest.approx(1) and q.sum() == pytest.approx(1)
        assert row["shift"] == pytest.approx((p - q) @ levels)
        assert row.distance == pytest.approx(stats.wasserstein_distance(levels, levels, p, q))
        assert row.difference == pytest.approx(abs(p - q).sum() / 2)
        assert row.shift_low < row["shift"] < row.shift_high and row.images == 7
        assert row.distance_low < row.distance < row.distance_high
        assert (part.distance >= abs(part["shift"]) - 1e-9).all()
        assert abs(row["shift"]) - 1e-9 <= row.distance <= part.distance.mean() + 1e-9


@pytest.mark.parametrize("name", MODELS)
def test_rows_are_of_outputs_taken_by_hand(folder, name):
    each = tables(started("plain.pth", "hidden.pth", *FEW, *TWO))["images"]
    crops = data_crops.crops(photographs.photographs(), 16, 7)
    clean, keys = data_crops.to_tensor([c.pixels for c in crops]), [c.digest for c in crops]
    for spec in ("gaussian:15", "poisson:3"):
        shown, _ = noise_base.pair_keyed(noise_specs.parse(spec), clean, keys)
        with torch.no_grad():
            output = shown if name == NOISY else mtd.load(f"{name}.pth")(shown, keys)
        rows = each[(each.model == name) & (each.noise == spec)]
        assert list(rows.sha256) == keys and list(rows.image) == [c.image for c in crops]
        psnr = psnr_ssim.psnr(output.clamp(0, 1), clean, quantize=False)
        assert rows.psnr.to_numpy() == pytest.approx(psnr.numpy(), abs=1e-3)
        weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
        bright = [(psnr_ssim.levels(x) * weights).sum(1).mean((1, 2)) for x in (output, clean)]
        assert rows["shift"].to_numpy() == pytest.approx((bright[0] - bright[1]).numpy(), abs=0.15)
        for row, y, x in zip(rows.itertuples(), output.clamp(0, 1), clean, strict=True):
            slope, offset = np.polyfit(y.double().ravel() * 255, x.double().ravel() * 255, 1)
            assert (row.slope, row.offset) == pytest.approx((slope, offset), rel=1e-3, abs=1e-3)


def test_a_model_that_brightens_is_found_and_said(folder, monkeypatch):
    shutil.copy("hidden.pth", "dark.pth")
    near(monkeypatch, {"hidden": 10.0, "dark": -10.0})
    path = started("plain.pth", "hidden.pth", "dark.pth", *FEW[:3], "24", "--quiet", *TWO)
    frame = tables(path)["brightness"].set_index(["model", "noise"])
    summary = "\n".join(lines(path))
    for spec in ("gaussian:15", "poisson:3"):
        bright, dark, plain = (frame.loc[(name, spec)] for name in ("hidden", "dark", "plain"))
        # what is black or white already cannot move by all ten
        assert bright["shift"] - plain["shift"] == pytest.approx(10, abs=1)
        assert dark["shift"] - plain["shift"] == pytest.approx(-10, abs=2.5)
        assert bright.shift_low > 0 > dark.shift_high
        assert bright.matching > plain.matching + 0.5 and dark.matching > plain.matching + 0.5
        assert (
            f"hidden under {noise_words(spec)}: shift in brightness of {bright['shift']:+.2f} "
            f"[{bright.shift_low:+.2f}, {bright.shift_high:+.2f}] levels: {TOO_FEW}; single crops"
        ) in summary
        assert (
            f"dark under {noise_words(spec)}: shift in brightness of {dark['shift']:+.2f} "
            f"[{dark.shift_low:+.2f}, {dark.shift_high:+.2f}] levels: {TOO_FEW}; single crops"
        ) in summary
    each = tables(path)["images"].set_index(["model", "noise"])["shift"].abs()
    for names, values in each.groupby(level=[0, 1]):
        (row,) = (
            text.split()
            for text in lines(path)
            if re.match(rf"{names[0]} +{noise_label(names[1])} ", text)
        )
        assert f"{values.mean():.2f}" in row
    for model, spec in frame.index:
        said = [
            line for line in lines(path) if line.startswith(f"{model} under {noise_words(spec)}")
        ]
        assert len(said) == (model != NOISY) and all(TOO_FEW in line for line in said)


TOO_FEW = "too few images to tell (at least 10 photographs)"

ROW = {
    "photographs": 24,
    "model": "m",
    "noise": "n",
    "shift": 0.1,
    "shift_low": -0.2,
    "shift_high": 0.4,
    "matching": 0.5,
}


@pytest.mark.parametrize(
    "change, said",
    [
        (
            {},
            "shift in brightness of +0.10 [-0.20, +0.40] levels: not shown; single crops are "
            "1.50 levels off on average",
        ),
        ({"shift_low": 0.0}, "levels: not shown;"),
        (
            {"shift_low": 0.05},
            "outputs are shown to be too bright, by 0.10 [0.05, 0.40] levels. Matching brightness "
            "and contrast of each crop, which never lowers PSNR, adds 0.50 dB (mean without an "
            "interval).",
        ),
        ({"shift_low": 0.05, "photographs": 9}, f"+0.10 [+0.05, +0.40] levels: {TOO_FEW}; single"),
        (
            {"shift": -3.2, "shift_low": -3.5, "shift_high": -2.9},
            "outputs are shown to be too dark, by 3.20 [2.90, 3.50] levels. Matching",
        ),
        (
            {"shift_low": math.nan, "shift_high": math.nan, "photographs": 2},
            f"+0.10 levels: {TOO_FEW}",
        ),
        ({"shift": math.nan, "shift_low": math.nan}, "no numbers, as outputs hold values that"),
    ],
)
def test_sentences_say_what_intervals_decide(change, said):
    assert said in reading.shift_of(ROW | change, 1.5)


def test_the_batches_decide_nothing(folder):
    whole = tables(started("hidden.pth", *FEW, *TWO, "--output-dir", "a"))["brightness"]
    parts = tables(started("hidden.pth", *FEW, *TWO, "--batch-size", "2", "--output-dir", "b"))[
        "brightness"
    ]
    for column in ("shift", "shift_low", "distance_high", "psnr_matched"):
        assert np.allclose(whole[column], parts[column], atol=5e-3)


def test_a_run_that_is_done_is_reported_again_in_the_same_bytes(folder):
    path = started("plain.pth", *FEW, *TWO, "--output-dir", "run")
    before = contents(path)
    started("plain.pth", *FEW, *TWO, "--output-dir", "run", "--resume")
    assert contents(path) == before
    started("plain.pth", *FEW, *TWO, "--output-dir", "again")
    assert contents(folder / "again") == before


def test_what_is_said_beside_the_numbers(folder, capsys):
    path = started("plain.pth", *FEW, "--noise", "gaussian:0", "--noise", "mixture:2")
    out = capsys.readouterr().out
    words = " ".join(out.split())
    assert (
        "7 crops of 4 photographs, 16 x 16" in out and "With 4 photographs they are rough" in words
    )
    assert "Mixture is this project's own preset" in words
    frame = tables(path)["brightness"].set_index(["model", "noise"])
    same = frame.loc[(NOISY, "gaussian:0")]
    assert same["shift"] == same.distance == same.difference == same.matching == 0
    assert same.psnr == same.psnr_matched == math.inf
    started("plain.pth", "--crop", "16", "--limit", "2", "--quiet", *TWO)
    out = " ".join(capsys.readouterr().out.split())
    assert "2 photographs are too few for intervals" in out
    assert TOO_FEW in out and "illustration, not inference" in out
    started("plain.pth", *FEW, *TWO, "--input-mask", "0.8")
    out = " ".join(capsys.readouterr().out.split())
    assert "80% of the pixels were hidden from the networks" in out


def test_values_that_are_not_finite_have_no_numbers(folder, monkeypatch):
    near(monkeypatch, {"hidden": math.nan})
    path = started("plain.pth", "hidden.pth", *FEW, *TWO)
    frames = tables(path)
    broken = frames["brightness"].set_index("model").loc["hidden"]
    assert broken[["shift", "distance", "difference", "psnr", "matching"]].isna().all(axis=None)
    rest = frames["brightness"][frames["brightness"].model != "hidden"]
    assert rest.drop(columns="note").notna().all(axis=None)
    shares = frames["histograms"].set_index("model").share
    assert shares["hidden"].isna().all() and shares["clean"].notna().all()
    where, why = "hidden under Poisson α = 3", "hold values that are not finite."
    assert f"{where}: no numbers, as outputs {why}" in lines(path)
    assert f"7 of 7 crops of {where} {why}" in lines(path)


def test_the_figure_has_a_panel_for_each_noise_and_the_clean_images_in_it(folder):
    frames = tables(started("plain.pth", "hidden.pth", *FEW, *TWO, "--noise", "isp"))
    drawn = brightness_figures.histograms(frames["brightness"], frames["histograms"])
    noises = ["gaussian:15", "poisson:3", "isp"]
    assert [axes.get_title() for axes in drawn.axes] == [noise_label(noise) for noise in noises]
    shares = frames["histograms"].set_index(["model", "noise"]).share
    shifts = frames["brightness"].set_index(["model", "noise"])["shift"]
    for axes, noise in zip(drawn.axes, noises, strict=True):
        curves = axes.get_lines()
        assert len(curves) == 4
        for model, curve in zip([*MODELS, "clean"], curves, strict=True):
            held = shares[(model, noise)].to_numpy()
            heights = [100 * held[i : i + 4].mean() for i in range(0, 256, 4)]
            assert np.asarray(curve.get_ydata()) == pytest.approx(np.array(heights))
            assert curve.get_xdata()[0] == 1.5 and curve.get_xdata()[-1] == 253.5
            assert axes.get_ylim()[0] == 0 and max(heights) < axes.get_ylim()[1]
        legend = axes.get_legend()
        assert legend is not None
        found = [text.get_text() for text in legend.get_texts()]
        expected = [f"{shifts[(model, noise)]:+.2f}" for model in MODELS]
        assert found == [*expected, "clean images"]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--noise", "gausian:15"], "did you mean gaussian"),
        (["--noise", "gaussian:15", "--noise", "gaussian:15"], "given twice"),
        (["--limit", "0"], "from 1 up"),
        (["clean.pth"], "a model is named 'clean'; rename the file"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    shutil.copy("plain.pth", "clean.pth")
    code, out, err = in_process(command.main, "plain.pth", *arguments, *FEW)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_the_function_takes_modules_and_arrays_and_plots():
    torch.manual_seed(0)
    images = [np.random.default_rng(i).random((24, 24, 3)) for i in range(4)]
    result = measure_brightness(
        torch.nn.Conv2d(3, 3, 3, padding=1), images=images, crop=16, limit=4, progress=False
    )
    assert list(result.brightness.model.unique()) == ["Conv2d", NOISY]
    axes = result.plot_histograms(noise="poisson:3.5")
    shares = result.histograms.set_index(["model", "noise"]).share["Conv2d", "poisson:3.5"]
    heights = np.asarray(axes.get_lines()[0].get_ydata())
    assert heights == pytest.approx(100 * shares.to_numpy().reshape(-1, 4).mean(1))
    legend = axes.get_legend()
    assert legend is not None and legend.get_texts()[0].get_text().startswith("Conv2d: ")
    assert len(result.images) == 4 * 2 * 2 and set(result.figures()) == {"brightness"}
    with pytest.raises(BadInput, match=r"did you mean poisson:3\.5"):
        result.plot_histograms(noise="poison:3.5")


@pytest.mark.parametrize(
    "settings, message",
    [({"crop": None}, "crops of one size"), ({"noise": "x"}, "did you mean noises")],
)
def test_settings_that_cannot_be_used_are_one_line(settings, message):
    with pytest.raises(BadInput, match=message) as caught:
        BrightnessSettings.of(**settings)
    assert "\n" not in str(caught.value)
