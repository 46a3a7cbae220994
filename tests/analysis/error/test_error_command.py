"""`python -m analysis.error`: the whole table again by hand, oracles, what it says and refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage, stats
from torch import nn

import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.error import command, decompose
from analysis.error.settings import ErrorSettings
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.masking import MaskedInference, MaskPolicy
from mtd.networks.base import Denoiser
from mtd.networks.config import Config
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput

FEW = ("--crop", "16", "--limit", "7", "--quiet")
SPECS = ("gaussian:15", "poisson:3.5")
TWO = ("--noise", SPECS[0], "--noise", SPECS[1])


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(command.ANALYSIS, arguments, "test")


def tables_of(path: Path) -> dict[str, pd.DataFrame]:
    return read_tables(path, command.ANALYSIS.all_table_names)


def scenes(count: int, side: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    fields = rng.normal(size=(count, side, side, 3))
    smooth = ndimage.gaussian_filter(fields, (0, 1, 1, 0), mode="wrap")
    return [np.clip(0.5 + 0.15 * field / field.std(), 0, 1) for field in smooth]


def mean_without(values: np.ndarray) -> np.ndarray:
    return np.stack([np.delete(values, i, 0).mean(0) for i in range(len(values))])


def half_width(without: np.ndarray) -> float:
    n = len(without)
    spread = (n - 1) / n * np.square(without - without.mean()).sum()
    return float(stats.t.ppf(0.975, n - 1) * math.sqrt(spread))


def test_the_table_is_that_of_outputs_taken_by_hand(folder):
    frame = read_tables(started("plain.pth", *FEW, *TWO, "--draws", "3"), ["error"])["error"]
    network = mtd.load("plain.pth")
    crops = data_crops.crops(photographs.photographs(), 16, 7)
    clean, keys = data_crops.to_tensor([c.pixels for c in crops]), [c.digest for c in crops]
    x = clean.double().numpy() * 255
    images = list(dict.fromkeys(crop.image for crop in crops))

    def photo(values: np.ndarray) -> np.ndarray:
        of = np.array([images.index(crop.image) for crop in crops])
        return np.stack([values[of == i].mean(0) for i in range(len(images))])

    for spec in SPECS:
        noisy, outputs = [], []
        for draw in (spec, f"{spec}@1", f"{spec}@2"):
            shown, _ = noise_base.pair_keyed(noise_specs.parse(draw), clean, keys)
            with torch.no_grad():
                outputs.append(network(shown, keys).double().numpy() * 255)
            noisy.append(shown.double().numpy() * 255)
        e, n = np.stack(outputs) - x, np.stack(noisy) - x
        pairs = [(i, j) for i in range(3) for j in range(i)]
        numbers = {
            "mse": (e**2).mean((0, 2, 3, 4)),
            "bias2": np.mean([(e[i] * e[j]).mean((1, 2, 3)) for i, j in pairs], 0),
            "variance": np.mean([((e[i] - e[j]) ** 2).mean((1, 2, 3)) / 2 for i, j in pairs], 0),
            "noise_mse": (n**2).mean((0, 2, 3, 4)),
            "noise_variance": np.mean(
                [((n[i] - n[j]) ** 2).mean((1, 2, 3)) / 2 for i, j in pairs], 0
            ),
        }
        row = frame.set_index("noise").loc[spec]
        means = {name: photo(values) for name, values in numbers.items()}
        for name, values in means.items():
            assert row[name] == pytest.approx(values.mean(), rel=1e-4)
        half = half_width(mean_without(means["bias2"]))
        assert row.bias2_low == pytest.approx(means["bias2"].mean() - half, rel=1e-4)
        level = 10 * np.log10(255**2 / mean_without(means["mse"]))
        assert row.psnr == pytest.approx(10 * math.log10(255**2 / means["mse"].mean()), abs=1e-4)
        assert row.psnr_high == pytest.approx(row.psnr + half_width(level), abs=1e-3)
        leak = means["variance"].mean()
        assert row.psnr_without_damage == pytest.approx(10 * math.log10(255**2 / leak), abs=1e-4)
        assert row.noise_left == pytest.approx(leak / means["noise_variance"].mean(), rel=1e-4)
        assert (row.photographs, row.noise_draws, row.mask_draws, row.mask_variance) == (4, 3, 1, 0)


def test_parts_add_up_and_the_batches_decide_nothing(folder):
    whole = tables_of(started("plain.pth", "hidden.pth", *FEW, *TWO, "--output-dir", "a"))
    small = ("--batch-size", "2", "--output-dir", "b")
    parts = tables_of(started("plain.pth", "hidden.pth", *FEW, *TWO, *small))
    frame = whole["error"]
    assert np.allclose(frame.mse, frame.bias2 + frame.variance + frame.mask_variance, rtol=1e-12)
    assert set(frame[frame.mask_variance != 0].model) == {"hidden"}
    for name, own in whole.items():
        numbers = own.select_dtypes("number")
        assert np.allclose(numbers, parts[name][numbers.columns], 1e-3, 1e-3, equal_nan=True)
    of = whole["error_difference"].pivot(index="noise", columns="measure", values="value")
    assert np.allclose(of.damage + of.leak, of.psnr, atol=1e-9) and len(of) == 3
    psnr = frame.pivot(index="noise", columns="model", values="psnr")
    assert np.allclose((psnr.hidden - psnr.plain).loc[list(SPECS)], of.psnr.loc[list(SPECS)])


class Mean(torch.nn.Module):
    """A circular 3 × 3 mean."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="circular")
        return torch.nn.functional.avg_pool2d(padded, 3, stride=1)


SMOOTH = {"crop": 32, "limit": 12, "quantize": False, "progress": False}


@pytest.fixture(scope="module")
def linear():
    images = scenes(12, 32)
    models = {"identity": torch.nn.Identity(), "mean": Mean()}
    noises = ["gaussian:10", "gaussian:30"]
    return images, decompose(models, images=images, noises=noises, draws=6, **SMOOTH)


@pytest.mark.parametrize("sigma", [10, 30])
def test_oracles_of_linear_filters(linear, sigma):
    images, result = linear
    rows = result.error[result.error.noise == f"gaussian:{sigma}"].set_index("model")
    assert rows.variance["identity"] == pytest.approx(sigma**2, rel=0.02)
    assert abs(rows.bias2["identity"]) < 0.01 * sigma**2
    assert rows.noise_left["identity"] == pytest.approx(1, rel=1e-6)
    assert rows.variance["mean"] == pytest.approx(sigma**2 / 9, rel=0.03)
    assert rows.noise_left["mean"] == pytest.approx(1 / 9, rel=0.02)
    lost = [ndimage.uniform_filter(i, (3, 3, 1), mode="wrap") - i for i in images]
    assert rows.bias2["mean"] == pytest.approx(255**2 * np.mean(np.square(lost)), rel=0.05)
    gains = result.transfer[result.transfer.noise == f"gaussian:{sigma}"]
    identity = gains[gains.model == "identity"]
    for name in ("content_gain", "noise_gain"):
        assert np.allclose(identity[name], 1, atol=1e-6)
    checks = result.residual[result.residual.noise == f"gaussian:{sigma}"].set_index("model")
    assert checks.leak["identity"] == pytest.approx(1) and checks.reason["identity"]
    assert math.isnan(checks.detail["identity"])
    assert checks.leak["mean"] == pytest.approx(1 / 9, abs=0.02)
    assert checks.detail["mean"] > 0.1 and not checks.reason["mean"]


def test_one_fixed_filter_has_the_same_content_gain_under_every_noise(linear):
    rows = linear[1].filter.set_index("model")
    assert rows.content_change["identity"] < 1e-6
    assert rows.content_change["mean"] < 0.1 and rows.noises["mean"] == 2


class Masks(Denoiser):
    """A network whose masks add noise of variance `strength²`, and multiply the noise of the image.

    The masks are drawn from the keys, as those of attention are.
    """

    config = Config()
    takes_masks = True

    def __init__(self) -> None:
        super().__init__()
        self.inference = MaskedInference(MaskPolicy(attention_percent=50))

    def restore(self, x, keys=None, **options):
        outputs = []
        for source in self.inference.draws(keys if keys is not None else [0] * len(x)):
            if source is None:
                return x
            kept = source(0, len(x), 1, x[0, 0].numel())
            sign = (kept.double() * 2 - 1).view(len(x), 1, *x.shape[2:])
            outputs.append(x + 20 / 255 * sign)
        return torch.stack(outputs).mean(0)


def test_the_variance_of_random_masks_and_what_averaging_gains():
    given = {"noises": ["gaussian:10"], "draws": 2, **SMOOTH}
    result = decompose({"masks": Masks()}, images=scenes(12, 32), masks=3, mask_mean=8, **given)
    (row,) = result.error.to_dict("records")
    assert row["mask_variance"] == pytest.approx(400, rel=0.03)
    assert row["variance"] == pytest.approx(100, rel=0.05) and abs(row["bias2"]) < 8
    assert row["mse"] == pytest.approx(row["bias2"] + row["variance"] + row["mask_variance"])
    (mean,) = result.mask_averaging.to_dict("records")
    assert mean["mask_draws"] == 8 and mean["mse"] == pytest.approx(500, rel=0.05)
    assert mean["predicted_mse"] == pytest.approx(150, rel=0.08)
    assert mean["measured_mse"] == pytest.approx(150, rel=0.05)
    assert mean["difference_low"] < 0 < mean["difference_high"]
    off = decompose({"m": Masks()}, images=scenes(2, 32), attention_mask="off", **given).error
    assert off.mask_variance[0] == 0 and off.mask_draws[0] == 1 and off.variance[0] < 120


def test_masks_drawn_anew_under_every_noise_are_not_taken_for_damage(folder):
    more = ("--noise", "gaussian:15", "--mask-draws", "independent", "--mask-mean", "1")
    frame = read_tables(started("hidden.pth", *FEW, *more), ["error"])["error"]
    assert frame.mask_variance[0] > 0 and frame.mask_draws[0] == 2
    assert not (Path.cwd() / "mask_averaging.csv").exists()


def test_noise_without_other_draws_has_an_error_and_no_parts(folder, tmp_path):
    from PIL import Image

    clean, noisy = tmp_path / "clean", tmp_path / "noisy"
    rng = np.random.default_rng(0)
    for place in (clean, noisy):
        place.mkdir()
    for i, image in enumerate(scenes(3, 32)):
        for place, sigma in ((clean, 0), (noisy, 15)):
            pixels = np.clip(255 * image + sigma * rng.normal(size=image.shape), 0, 255)
            Image.fromarray(pixels.round().astype(np.uint8)).save(place / f"{i}.png")
    more = ("--images", str(clean), "--noise", f"folder:{noisy}", "--noise", "gaussian:15")
    tables = tables_of(started("plain.pth", "hidden.pth", "--crop", "16", "--quiet", *more))
    row = tables["error"].iloc[0]
    assert row.mse > 0 and math.isnan(row.bias2) and math.isnan(row.mask_variance)
    assert "no other draw" in row.reason and row.noise_draws == 1
    assert np.isfinite(tables["transfer"].content_gain).any()


def test_a_noise_that_changes_the_clean_image_has_no_parts():
    given = {"noises": ["isp", "gaussian:15"], "crop": 32, "progress": False}
    frame = decompose(torch.nn.Identity(), images=scenes(3, 32), **given).error
    same = frame.reason == ""
    assert np.isfinite(frame.mse).all()
    assert (np.isnan(frame.bias2) == ~same).all()


def test_an_output_that_is_not_finite_is_blank():
    class Broken(torch.nn.Module):
        def forward(self, x):
            return x / 0

    given = {"noises": ["gaussian:15"], "crop": 16, "progress": False}
    result = decompose({"b": Broken(), "i": torch.nn.Identity()}, images=scenes(3, 16), **given)
    row = result.error.set_index("model").loc["b"]
    assert math.isnan(row.psnr) and "not finite" in row.reason
    assert any("not finite" in text for text in result.sentences())


@pytest.mark.drawn
def test_what_is_written_and_said(folder, capsys):
    path = started("plain.pth", "hidden.pth", "classical:blur:0.9", *FEW, *TWO)
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "error.csv", "error.png", "transfer.csv"),
        *("transfer.png", "error_difference.csv", "filter.csv", "residual.csv"),
        "mask_averaging.csv",
    }
    manifest = read_manifest(path)
    assert manifest["draws"] == 4 and manifest["noises"] == list(SPECS)
    assert list(manifest["models"]) == ["plain", "hidden", "classical:blur:0.9"]
    words = " ".join(capsys.readouterr().out.split())
    assert "too few images" in words and "not inference" in words
    assert "7 crops of 16 x 16" in words


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--noise", "gausian:15"], "did you mean gaussian"),
        (["--draws", "1"], "expected a whole number"),
        (["--masks", "1"], "expected a whole number"),
        (["--mask-mean", "0"], "expected a whole number"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


@pytest.mark.parametrize(
    "settings, message",
    [({"crop": None}, "crops of one size"), ({"draws": 1}, "2"), ({"draw": 3}, "no setting")],
)
def test_settings_that_cannot_be_used_are_one_line(settings, message):
    with pytest.raises(BadInput, match=message) as caught:
        ErrorSettings.of(**settings)
    assert "\n" not in str(caught.value)


def test_plots_take_and_return_axes(linear):
    result = linear[1]
    axes = result.plot_parts(noise="gaussian:30")
    assert result.plot_parts(axes) is axes
    gains = result.plot_transfer()
    part = result.transfer[result.transfer.noise == "gaussian:10"]
    first = np.asarray(gains.get_lines()[0].get_ydata())
    assert first == pytest.approx(part[part.model == "identity"].content_gain.to_numpy())
    with pytest.raises(BadInput, match="'gaussian:3'"):
        result.plot_parts(noise="gaussian:3")
    assert isinstance(result.difference, pd.DataFrame)


class Random(nn.Module):
    """Its output is another one each time."""

    def forward(self, x):
        return x * (torch.rand_like(x) > 0.3)


def test_a_network_with_random_outputs_is_refused() -> None:
    with pytest.raises(BadInput, match="differs from call to call"):
        decompose(
            {"random": Random()},
            images=[np.full((16, 16, 3), 99, np.uint8)],
            crop=16,
            progress=False,
        )
