"""`python -m analysis.generalization`: what it writes and says, and what it refuses."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.engine import run as engine_run
from analysis.generalization import command as generalization_command
from analysis.generalization import conditions, scoring
from analysis.text.noise_labels import NOISY
from mtd import masking
from mtd.data import crops as data_crops
from mtd.data import image_io, photographs
from mtd.loading import checkpoint_file
from mtd.metrics import lpips, lpips_backbone, psnr_ssim
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.noise.mixture import OURS
from tests.helpers.figures import leave_unrendered
from tests.helpers.lpips_backbone import admit, drawn
from tests.helpers.noises import add_keyed
from tests.helpers.paths import data_folder

QUIET = ("--no-lpips", "--no-references", "--quiet")
FEW = ("--crop", "32", "--limit", "4", *QUIET)
TWO = ("--noise", "gaussian:15", "--noise", "poisson:2", "--noise", "poisson:3")
TABLES = ("results", "generalization", "noises", "tests", "references", "strips")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tiny pair lies, with a small DnCNN beside it, and nothing to be downloaded."""
    monkeypatch.chdir(pair)
    torch.manual_seed(0)
    network = DnCNN(DnCNNConfig(features=8, depth=3))
    torch.save(checkpoint_weights(network), pair / "dncnn.pth")
    return pair


def checkpoint_weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in network.state_dict().items()}


def started(*arguments: str) -> Path:
    return run_arguments(generalization_command.ANALYSIS, arguments, "test")


def tables(path: Path) -> dict[str, pd.DataFrame]:
    return read_tables(path, TABLES)


@pytest.fixture(scope="module")
def known(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny pair, which no test changes."""
    with contextlib.chdir(tmp_path_factory.mktemp("known")), pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        models = (str(tiny_pair / f"{name}.pth") for name in ("plain", "hidden"))
        return started(*models, *FEW, *TWO).absolute()


def test_the_table_holds_every_models_metrics_of_every_crop(folder, capsys):
    few = ("--crop", "32", "--limit", "6", "--no-lpips", "--quiet")
    path = started("plain.pth", "hidden.pth", "dncnn.pth", *few, *TWO, "--seed", "4")
    frames = tables(path)
    results = frames["results"]
    crops = data_crops.crops(photographs.photographs(), 32, 6)
    beside = ["classical:blur:0.8", "classical:median:3", "filter:plain", "filter:hidden"]
    assert len(results) == (4 + len(beside)) * 3 * 6 * 2
    assert set(results.model[results.is_reference]) == set(beside)
    for name in ("plain", "hidden", "dncnn"):
        network = mtd.load(f"{name}.pth", seed=4)
        for spec in ("poisson:2", "gaussian:15"):
            made = noise_specs.parse(spec)
            for crop in crops:
                clean = data_crops.to_tensor([crop.pixels])
                noisy = add_keyed(made, clean, [crop.digest], seed=4)
                with torch.no_grad():
                    output = network(noisy, [crop.digest])
                rows = results[(results.model == name) & (results.noise == spec)]
                rows = rows[rows.sha256 == crop.digest].set_index("metric").value
                assert rows["psnr"] == pytest.approx(float(psnr_ssim.psnr(output, clean)), abs=1e-3)
                assert rows["ssim"] == pytest.approx(float(psnr_ssim.ssim(output, clean)), abs=1e-4)
    for name, masks in (("plain", ""), ("hidden", "75% x 1, shared"), (NOISY, "")):
        rows = results[results.model == name]
        digest = (
            "" if name == NOISY else hashlib.sha256(Path(f"{name}.pth").read_bytes()).hexdigest()
        )
        assert set(rows.checkpoint) == {digest} and set(rows.masks) == {masks}
    assert set(results.seed) == {4} and results["quantize"].all()
    out = capsys.readouterr().out
    assert "6 crops of 32 x 32 from 4 images (bundled)" in out
    assert "in distribution: Gaussian σ = 15 (plain, hidden), unknown (dncnn)" in out
    assert "What dncnn was trained on is unknown" in out and "noisy input" in out
    assert "illustration, not inference" in out and "preset" not in out
    means = results[results.metric == "psnr"].groupby(["noise", "model"]).value.mean()
    noises = frames["noises"].set_index(["metric", "noise", "model"])
    for (spec, model), value in means.items():
        assert noises["mean"]["psnr", spec, model] == pytest.approx(value, abs=1e-12)
        assert f"{value:.2f}" in out
    trained = noises.in_distribution
    assert trained["psnr", "gaussian:15", "plain"] and not trained["psnr", "poisson:2", "plain"]


def test_what_is_written(folder):
    path = started("plain.pth", "hidden.pth", *FEW, *TWO, "--noise", "mixture:2", "--noise", "isp")
    names = {file.name for file in path.iterdir()}
    kinds = ("gaussian_15", "poisson_3", "mixture_2", "isp")
    assert names == {
        *("manifest.json", "run.json", "summary.txt", "strips.safetensors", "ranks.png"),
        *("levels_psnr.png", "levels_ssim.png"),
        *(f"{table}.csv" for table in TABLES),
        *(f"strip_{kind}.png" for kind in kinds),
    }
    manifest = read_manifest(path)
    assert manifest["notes"] == [OURS] and manifest["in_distribution"] == ["gaussian:15"]
    assert (manifest["protocol"], manifest["border"], manifest["lpips"]) == ("default", 0, None)
    results = tables(path)["results"]
    assert set(results[results.kind == "mixture"].note) == {OURS}
    strips = tables(path)["strips"]
    pictures = load_file(path / "strips.safetensors")
    for row in strips.itertuples():
        rows = results[(results.noise == row.noise) & (results.model == row.model)]
        value = rows[(rows.sha256 == row.sha256) & (rows.metric == "psnr")].value.item()
        assert row.psnr == value
        # crops are smaller than the square, so that the square is all of them
        assert row.psnr_square == pytest.approx(value, abs=1e-9)
        assert pictures[f"{row.strip}/{row.model}"].shape == (32, 32, 3)


def test_whole_images_of_any_size_and_their_whole_sets(folder, capsys):
    Path("photos").mkdir()
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(40, 52), (52, 40), (40, 52), (33, 47)]):
        pixels = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(f"photos/{i}.png")
    path = started(
        *("plain.pth", "--images", "photos", *QUIET, "--noise", "poisson:3", "--noise", "isp")
    )
    results = tables(path)["results"]
    assert set(zip(results.height, results.width, strict=True)) == {(40, 52), (52, 40), (33, 47)}
    assert results.image.nunique() == 4 and set(tables(path)["noises"].photographs) == {4}
    assert "4 whole images of 33 x 47, 40 x 52, 52 x 40 (photos)" in (capsys.readouterr().out)
    limited = started(
        *("plain.pth", "--images", "photos", *QUIET, "--noise", "poisson:3", "--limit", "2")
    )
    assert tables(limited)["results"].image.nunique() == 2


def test_pairs_bring_their_own_clean_images(folder, capsys):
    rng = np.random.default_rng(1)
    for place in ("noisy", "clean"):
        Path(place).mkdir()
    for i in range(3):
        clean = rng.integers(0, 256, (30, 34, 3), dtype=np.uint8)
        noisy = np.clip(clean + rng.normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
        Image.fromarray(clean).save(f"clean/{i}.png")
        Image.fromarray(noisy).save(f"noisy/{i}.png")
    both = ("--paired-images", "camera:2=noisy", "clean", *QUIET)
    alone = started("plain.pth", "hidden.pth", *both)
    results = tables(alone)["results"]
    assert set(results.noise) == {"camera:2"} and set(results.kind) == {"camera"}
    for i in range(3):
        a, b = (
            data_crops.to_tensor([image_io.read_rgb(f"{p}/{i}.png")]) for p in ("noisy", "clean")
        )
        rows = results[(results.image == f"{i}.png") & (results.model == NOISY)]
        assert rows[rows.metric == "psnr"].value.item() == float(psnr_ssim.psnr(a, b))
    assert "in distribution: none of the noises" in capsys.readouterr().out
    frame = tables(alone)["generalization"]
    assert frame.in_distribution.isna().all() and frame.ood_drop.isna().all()
    assert frame.out_of_distribution.notna().all()
    beside = started("plain.pth", *both, *TWO, "--crop", "16", "--limit", "5")
    results = tables(beside)["results"]
    order = ["gaussian:15", "poisson:2", "poisson:3", "camera:2"]
    assert list(dict.fromkeys(results.noise)) == order
    assert set(results[results.noise == "camera:2"].image) == {"0.png", "1.png", "2.png"}
    assert "0.png" not in set(results[results.noise == "poisson:2"].image)
    recorded = read_manifest(beside)["recorded"]["camera:2"]
    assert recorded["tone_map"] == "as stored" and "noisy against clean" in recorded["source"]


def test_each_network_runs_once_on_each_noisy_image(folder, monkeypatch):
    runs: list[tuple[str, str, int]] = []
    original = engine_run.run_network

    def run_network(model, noisy, *how):
        runs.append((*noisy.view, noisy.batch.index))
        return original(model, noisy, *how)

    monkeypatch.setattr(engine_run, "run_network", run_network)
    started("plain.pth", "hidden.pth", *FEW, *TWO, "--batch-size", "2")
    assert len(runs) == len(set(runs)) == 3 * 3 * 2


def test_the_protocol_and_the_channel_decide_the_values(folder):
    found = {}
    for name, options in {
        "default": (),
        "paper": ("--protocol", "paper"),
        "luma": ("--channel", "y"),
    }.items():
        path = started("plain.pth", *FEW, *TWO[:2], *options, "--output-dir", name)
        found[name] = tables(path)["results"].query("metric == 'psnr'").value.to_numpy()
    assert (found["default"] != found["paper"]).any() and (found["luma"] > found["default"]).all()
    assert read_manifest("paper")["border"] == 1 and read_manifest("luma")["channel"] == "y"


def test_noise_that_is_not_quantized_is_scored_in_8_bits(folder, capsys):
    path = started(
        "plain.pth", *FEW, "--noise", "gaussian:50", "--no-quantize", "--protocol", "paper"
    )
    results = tables(path)["results"].query("metric == 'psnr'")
    network, noise = mtd.load("plain.pth"), noise_specs.parse("gaussian:50")
    for crop in data_crops.crops(photographs.photographs(), 32, 4)[:2]:
        clean = data_crops.to_tensor([crop.pixels])
        noisy, _ = noise_base.pair_keyed(noise, clean, [crop.digest], quantize=False)
        assert noisy.min() < 0 or noisy.max() > 1
        with torch.no_grad():
            outputs = {NOISY: noisy, "plain": network(noisy, [crop.digest])}
        for name, output in outputs.items():
            stored = np.round(255 * output.clamp(0, 1).double().numpy())
            error = (stored - np.round(255 * clean.double().numpy()))[..., 1:-1, 1:-1]
            expected = 10 * math.log10(255**2 / np.mean(error**2))
            rows = results[(results.model == name) & (results.sha256 == crop.digest)]
            assert rows.value.item() == pytest.approx(expected, abs=1e-3)
    out = " ".join(capsys.readouterr().out.split())
    assert "paper: 1 pixel left out at every side, RGB, noise that networks are given" in out
    assert "neither clipped nor rounded; outputs, and the noisy input, are scored in 8 bits;" in out


def test_hidden_pixels_are_completed(folder):
    path = started("plain.pth", *FEW, "--noise", "gaussian:0", "--input-mask", "0.8")
    results = tables(path)["results"].query("metric == 'psnr'").set_index(["model", "image", "top"])
    network = mtd.load("plain.pth")
    for crop in data_crops.crops(photographs.photographs(), 32, 4)[:2]:
        clean = data_crops.to_tensor([crop.pixels])
        seen = clean * masking.keyed_input_mask(32, 32, 0.8, 0, [crop.digest])
        with torch.no_grad():
            outputs = {NOISY: seen, "plain": network(seen, [crop.digest])}
        for name, output in outputs.items():
            value = results.loc[(name, crop.image, crop.top)].value
            assert np.ravel(value)[0] == pytest.approx(
                float(psnr_ssim.psnr(output, clean)), abs=1e-4
            )
    assert set(results.masks) == {"input 0.8"} and read_manifest(path)["input_mask"] == 0.8


def test_a_suite_brings_noises_and_crops_and_options_win(folder):
    Path("mine.toml").write_text(
        'noises = ["poisson:2", "gaussian:25"]\nin_distribution = ["gaussian:25"]\n'
        "crop = 24\nlimit = 4\n"
    )
    path = started("plain.pth", "--suite", "mine.toml", *QUIET)
    manifest = read_manifest(path)
    assert (manifest["suite"], manifest["crop"], len(manifest["crops"])) == ("mine", 24, 4)
    assert manifest["in_distribution"] == []  # the checkpoint says gaussian:15
    other = started(
        *("plain.pth", "--suite", "mine.toml", *QUIET, "--noise", "speckle:0.04"),
        *("--crop", "16", "--in-distribution", "poisson:2.0"),
    )
    manifest = read_manifest(other)
    assert manifest["noises"] == ["poisson:2", "gaussian:25", "speckle:0.04"]
    assert manifest["crop"] == 16 and manifest["in_distribution"] == ["poisson:2"]


def test_without_the_backbone_it_says_so_once_and_goes_on(folder, monkeypatch, capsys):
    def nothing() -> Path:
        raise lpips_backbone.NoBackbone("no LPIPS: put it THERE, or name it by --lpips-weights")

    monkeypatch.setattr(lpips_backbone, "fetch", nothing)
    few = ("--crop", "32", "--limit", "2", "--no-references")
    path = started("plain.pth", *few, "--noise", "poisson:3")
    said = capsys.readouterr()
    assert said.err.count("put it THERE") == 1
    assert set(tables(path)["results"].metric) == {"psnr", "ssim"}
    see = "LPIPS not run: backbone missing, see mtd zoo get lpips/alexnet"
    assert said.out.count(see) == 2  # below the scores, and below
    assert read_manifest(path)["not_run"] == {"lpips": "not run: backbone missing"}


def test_metrics_that_were_not_run_are_named_with_the_reason(known):
    assert "LPIPS not run: left out by --no-lpips" in said_in(known)
    assert read_manifest(known)["not_run"] == {"lpips": "not run: left out by --no-lpips"}


def test_with_the_backbone_lpips_is_a_metric_like_the_others(folder, monkeypatch, capsys):
    tensors = drawn()
    admit(tensors, monkeypatch)
    torch.save(tensors, "backbone.pth")
    path = started(
        *("plain.pth", "hidden.pth", "--crop", "32", "--limit", "2", "--quiet", *TWO),
        *("--no-references", "--lpips-weights", "backbone.pth"),
    )
    results = tables(path)["results"]
    part = results[(results.metric == "lpips") & (results.model == NOISY)]
    crop = data_crops.crops(photographs.photographs(), 32, 2)[0]
    clean = data_crops.to_tensor([crop.pixels])
    noisy = add_keyed(noise_specs.parse("poisson:3"), clean, [crop.digest])
    expected = float(lpips.LPIPS("backbone.pth")(noisy, clean))
    found = part[(part.noise == "poisson:3") & (part.sha256 == crop.digest)].value.item()
    assert found == pytest.approx(expected, abs=1e-6) and expected > 0
    assert read_manifest(path)["lpips"] == lpips_backbone.digest_of(tensors)
    assert read_manifest(path)["lpips_channels"] == "rgb"
    assert (path / "levels_lpips.png").is_file()
    assert "LPIPS, lower is better" in capsys.readouterr().out


def test_tiles_and_batches_do_not_change_scores(folder, monkeypatch):
    tensors = drawn()
    admit(tensors, monkeypatch)
    torch.save(tensors, "backbone.pth")
    given = ("dncnn.pth", "--crop", "56", "--limit", "3", "--quiet", "--noise", "poisson:3")
    given += ("--no-references", "--lpips-weights", "backbone.pth")

    def scored(*options: str) -> pd.DataFrame:
        return tables(started(*given, *options))["results"]

    whole = scored("--tile", "off", "--batch-size", "3")
    assert set(whole.metric) == {"psnr", "ssim", "lpips"} and len(whole) == 2 * 3 * 3
    again = scored("--tile", "32", "--batch-size", "1")
    keys = ["model", "image", "top", "left", "metric"]
    both = whole.merge(again, on=keys, suffixes=("", "_again"), validate="1:1")
    assert len(both) == len(whole) and (both.value - both.value_again).abs().max() < 1e-5


def test_lpips_of_blue_first_is_a_metric_of_its_own_and_of_the_whole_image(folder, monkeypatch):
    tensors = drawn()
    admit(tensors, monkeypatch)
    Path("data/weights").mkdir(parents=True)
    torch.save(tensors, "data/weights/alexnet_features.pth")
    monkeypatch.setenv("MTD_DATA", "data")
    path = started(
        *("plain.pth", "--crop", "32", "--limit", "2", "--quiet", "--noise", "poisson:3"),
        *("--no-references", "--lpips-channels", "bgr", "--protocol", "paper"),
    )
    results = tables(path)["results"].drop_duplicates("metric").set_index("metric")
    assert list(results.index) == ["psnr", "ssim", "lpips_bgr"]
    assert list(results.border) == [1, 1, 0] and list(results.channel) == ["rgb", "rgb", "bgr"]
    manifest = read_manifest(path)
    assert manifest["lpips_channels"] == "bgr" and "not_run" not in manifest
    assert manifest["lpips"] == lpips_backbone.digest_of(tensors)
    assert "LPIPS (BGR), lower is better" in said_in(path)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--suite", "papr"], "did you mean paper"),
        (["--noise", "gausian:15"], "did you mean gaussian"),
        (["--in-distribution", "gausian:15"], "--in-distribution gausian:15: noise"),
        (["--in-distribution", "plian=isp"], "no model 'plian'; did you mean plain"),
        (["--in-distribution", "gaussian:15..poisson:3"], "expected two levels of one kind"),
        (["--in-distribution", "gaussian:55..gaussian:15"], "the lower one first"),
        (["--testset", "kodak24"], "kodak24: not downloaded; python -m mtd.testsets --download"),
        (["--testset", "cc=a", "--testset", "cc=b"], "--testset cc: given twice; leave one out"),
        (["--testset", "kodak42=x"], "did you mean kodak24"),
        (["--testset", "kodak24=absent"], "absent"),
        (["--paired-images", "absent", "clean"], "no such folder"),
        (["--tone-map", "srgb"], "no paired images in linear EXR files"),
        (["--memory", "0"], "'0': expected a number above 0"),
        (["--memory", "inf"], "'inf': expected a number above 0"),
        (["--input-mask", "80"], "'80': expected a number from 0 to below 1"),
        (["--tile", "x"], "'x': expected auto, off, or a number"),
        (["--no-lpips", "--lpips-weights", "a.pth"], "give one of them"),
        (["--no-lpips", "--lpips-channels", "bgr"], "give one of them"),
        (["--lpips-channels", "grb"], "'grb'"),
        (["--metric", "lpips_bgr"], "give --lpips-channels bgr instead"),
        (["--metric", "lpips", "--lpips-channels", "bgr"], "and --lpips-channels bgr: give one of"),
        (["--lpips-weights", "absent.pth"], "absent.pth: no such file"),
        (["--crop", "4000"], "smaller than the crop"),
        (["--output-dir", "plain.pth"], "is a file"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    base = [] if any("-lpips" in each for each in arguments) else ["--no-lpips"]
    code, out, err = in_process(generalization_command.main, "plain.pth", *base, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_a_model_named_like_the_noisy_input_is_refused(folder, in_process):
    Path("plain.pth").rename("noisy input.pth")
    code, _, err = in_process(generalization_command.main, "noisy input.pth", *FEW)
    assert code == 2 and "rename the file" in err


def test_real_camera_noise(folder):
    cc = data_folder("cc")
    path = started(
        *("plain.pth", "--paired-images", f"cc={cc}/*_real.png", f"{cc}/*_mean.png"),
        *("--crop", "64", "--crop-rule", "center", "--limit", "15", *QUIET),
    )
    frame = tables(path)["noises"].set_index(["metric", "model"])
    assert frame.crops["psnr", NOISY] == 15 and 30 < frame["mean"]["psnr", NOISY] < 37


def test_scores_in_the_table_are_those_of_the_results(known):
    frames = tables(known)
    again = scoring.generalization(conditions.table(frames["results"], "psnr", ["gaussian:15"]))
    held = frames["generalization"].query("metric == 'psnr'").reset_index(drop=True)
    for name in ("in_distribution", "out_of_distribution_low", "ood_drop_high", "mean_rank"):
        assert np.allclose(again[name], held[name], equal_nan=True, atol=1e-12)
    assert math.isnan(held.mean_rank[2]) and held.photographs[0] == 4
    assert json.loads((known / "run.json").read_text())["runs"][0]["command"] == "test"


def small_pairs(count: int = 3) -> None:
    """Folders noisy and clean of a few small images."""
    rng = np.random.default_rng(1)
    for place in ("noisy", "clean"):
        Path(place).mkdir()
    for i in range(count):
        clean = rng.integers(0, 256, (30, 34, 3), dtype=np.uint8)
        noisy = np.clip(clean + rng.normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
        Image.fromarray(clean).save(f"clean/{i}.png")
        Image.fromarray(noisy).save(f"noisy/{i}.png")


def test_clean_images_beside_paired_ones_are_used_not_dropped(folder, capsys):
    small_pairs()
    path = started(
        "plain.pth",
        "--images",
        "clean",
        "--paired-images",
        "noisy",
        "clean",
        *QUIET,
        "--crop",
        "16",
    )
    results = tables(path)["results"]
    assert {"pairs:noisy", "gaussian:15", "isp"} <= set(results.noise)
    assert set(results[results.noise == "isp"].image) == {"0.png", "1.png", "2.png"}
    assert "(clean, pairs:noisy)" in capsys.readouterr().out


def test_changed_ground_truth_is_another_run(folder, in_process):
    small_pairs()
    arguments = ("plain.pth", "--paired-images", "noisy", "clean", *QUIET, "--output-dir", "run")
    started(*arguments)
    Image.fromarray(255 - image_io.read_rgb("clean/0.png")).save("clean/0.png")
    for more in ([], ["--resume"]):
        code, _, err = in_process(generalization_command.main, *arguments, *more)
        assert code == 2 and "holds another run (it differs in recorded)" in err


def test_random_crops_of_pairs_may_fall_on_one_place(folder):
    small_pairs(1)
    path = started(
        *("plain.pth", "--paired-images", "noisy", "clean", *QUIET),
        *("--crop", "28", "--crop-rule", "random", "--limit", "60"),
    )
    results = tables(path)["results"].query("metric == 'psnr' and model == 'plain'")
    places = list(zip(results.top, results.left, strict=True))
    assert len(places) == len(set(places)) <= 21


def test_recorded_noise_that_is_named_twice_is_refused_at_once(folder, in_process):
    small_pairs()
    code, _, err = in_process(
        *(generalization_command.main, "plain.pth", *QUIET),
        *("--paired-images", "x=noisy", "clean", "--paired-images", "x=noisy", "clean"),
    )
    assert code == 2 and "each name once" in err


def test_models_named_like_the_pictures_of_strips(folder):
    for name in ("clean", "whole"):
        Path(f"{name}.pth").write_bytes(Path("plain.pth").read_bytes())
    path = started("clean.pth", "whole.pth", *FEW, "--noise", "poisson:3")
    assert set(tables(path)["strips"].model) == {"clean", "whole", NOISY}


def test_a_suite_says_what_is_trained_on_where_a_checkpoint_does_not(folder):
    Path("mine.toml").write_text(
        'noises = ["poisson:2", "gaussian:15"]\nin_distribution = ["poisson:2"]\nlimit = 2\n'
    )
    path = started("plain.pth", "dncnn.pth", "--suite", "mine.toml", "--crop", "16", *QUIET)
    assert read_manifest(path)["in_distribution"] == {
        "plain": ["gaussian:15"],
        "dncnn": ["poisson:2"],
    }
    scores = tables(path)["generalization"].query("metric == 'psnr'").set_index("model")
    assert scores.ood_drop.isna().all() and scores["mean"].notna().all()
    assert "means over noises trained on and over unseen noises leave out" in said_in(path)


def said_in(path: Path) -> str:
    return " ".join((path / "summary.txt").read_text().split())


def marks(frames: dict[str, pd.DataFrame]) -> dict[tuple[str, str], object]:
    rows = frames["noises"].query("metric == 'psnr'")
    return {(r.model, r.noise): r.in_distribution for r in rows.itertuples()}


def test_of_unknown_training_nothing_is_called_trained_on_or_unseen(folder):
    """A KAIR checkpoint says nothing of its training, and the published blind ones are such."""
    path = started("dncnn.pth", *FEW, *TWO, "--noise", "gaussian:50", "--noise", "gaussian:0")
    frames, text = tables(path), said_in(path)
    assert frames["noises"].in_distribution.isna().all()
    scores = frames["generalization"].query("metric == 'psnr'")
    for name in ("in_distribution", "out_of_distribution", "worst", "ood_drop", "mean_rank"):
        assert scores[name].isna().all()
    assert "+ in distribution" not in text and "Under the noise trained on" not in text
    assert "Mean PSNR over all noises:" in text and "counts as trained on or as unseen" in text
    psnr = frames["noises"].query("metric == 'psnr' and model == 'dncnn'").set_index("noise")
    by_kind = [psnr["mean"][["gaussian:15", "gaussian:50"]].mean()]
    by_kind += [psnr["mean"][["poisson:2", "poisson:3"]].mean()]
    held = scores.set_index("model")["mean"]["dncnn"]
    assert held == pytest.approx(np.mean(by_kind), abs=1e-12)  # the clean image is no noise


def test_mean_ranks_are_among_models_of_known_training(folder, known):
    mixed = started("dncnn.pth", "plain.pth", "hidden.pth", *FEW, *TWO, "--output-dir", "mixed")
    first, second = (
        tables(path)["generalization"].query("metric == 'psnr'").set_index("model").mean_rank
        for path in (known, mixed)
    )
    assert math.isnan(second["dncnn"])
    assert second[["plain", "hidden"]].to_dict() == first[["plain", "hidden"]].to_dict()


def test_a_blind_denoiser_was_trained_on_a_range_of_levels(folder):
    spec = "gaussian:0..gaussian:55"
    noises = (*TWO, "--noise", "gaussian:50", "--noise", "gaussian:0")
    path = started("plain.pth", "dncnn.pth", *FEW, *noises, "--in-distribution", f"dncnn={spec}")
    found = marks(tables(path))
    assert found["dncnn", "gaussian:50"] is True and found["plain", "gaussian:50"] is False
    assert found["dncnn", "gaussian:15"] is True and found["plain", "gaussian:15"] is True
    assert found["dncnn", "poisson:2"] is False
    assert all(found[name, "gaussian:0"] is not found["dncnn", "gaussian:15"] for name, _ in found)
    assert pd.isna(found["dncnn", "gaussian:0"]) and pd.isna(found["plain", "gaussian:0"])
    # indices are over the same noises: gaussian:15 in, Poisson out, gaussian:50 in neither
    scores = tables(path)["generalization"].query("metric == 'psnr'").set_index("model")
    means = tables(path)["noises"].query("metric == 'psnr'").set_index(["model", "noise"])["mean"]
    for name in ("plain", "dncnn"):
        inside = means[name, "gaussian:15"]
        outside = (means[name, "poisson:2"] + means[name, "poisson:3"]) / 2
        assert scores.ood_drop[name] == pytest.approx(inside - outside, abs=1e-12)
    text = said_in(path)
    assert "Some of the models were trained on Gaussian σ = 50, and some were not" in text
    assert "Gaussian, σ = 50: trained on by dncnn" in text


def test_an_option_without_a_model_is_for_all_and_one_with_it_goes_before(folder):
    options = ("--in-distribution", "poisson:2.0", "--in-distribution", "plain=poisson:3")
    path = started("plain.pth", "hidden.pth", *FEW, *TWO, *options)
    assert read_manifest(path)["in_distribution"] == {
        "plain": ["poisson:3"],
        "hidden": ["poisson:2"],
    }
    assert read_manifest(path)["in_distribution_given"]["plain"] == {
        "option": ["poisson:3"],
        "checkpoint": "gaussian:15",
    }
    text = said_in(path)
    assert "plain is taken to be trained on Poisson α = 3, as --in-distribution says; its" in text
    assert "its checkpoint says Gaussian σ = 15." in text


@pytest.mark.drawn
def test_outputs_that_are_no_numbers_or_equal_are_noted(folder, capsys):
    small_pairs()
    Image.fromarray(image_io.read_rgb("clean/0.png")).save("noisy/0.png")
    network = mtd.load("plain.pth")
    state = {key: value * 1e30 for key, value in network.state_dict().items()}
    checkpoint_file.save("wild.pth", state, network=network.config, mask=network.inference.policy)
    started("plain.pth", "wild.pth", "--paired-images", "noisy", "clean", *QUIET)
    out = capsys.readouterr().out
    assert "wild: no PSNR of 3 noisy images, for which its output is not finite." in out
    assert "noisy input: 1 output identical to the clean image, so the mean" in out


def test_many_models_with_long_names_stay_within_the_width(folder, capsys):
    names = [f"swinir_masked_{80 + i}_{90 + i}_seed_{i}.pth" for i in range(7)]
    for name in names:
        Path(name).write_bytes(Path("plain.pth").read_bytes())
    path = started(*names, *FEW, "--limit", "2", *TWO)  # so few that there is one strip a noise
    out = capsys.readouterr().out
    start = out.index("PSNR by noise")
    table = out[start : out.index("out of distribution", start)]
    assert max(map(len, table.splitlines())) <= 100
    assert all(table.count(Path(name).stem) == 1 for name in names)
    assert "15 more pairs of models: see tests.csv" in out
    assert set(tables(path)["strips"].model) == {*(Path(name).stem for name in names), NOISY}


def test_the_tone_map_reaches_test_sets(folder):
    exr = pytest.importorskip("mtd.data.exr_io")
    rng = np.random.default_rng(0)
    for place in ("64spp", "clean"):
        exr.write(f"mc/{place}/a.exr", rng.uniform(0, 2, (20, 24, 3)).astype(np.float32))
    base = ("plain.pth", "--testset", "monte_carlo:64=mc", *QUIET)
    plain, mapped = started(*base), started(*base, "--tone-map", "reinhard")
    maps = [read_manifest(p)["recorded"]["monte_carlo:64"]["tone_map"] for p in (plain, mapped)]
    assert maps == ["srgb", "reinhard"]
    values = [tables(path)["results"].value.to_list() for path in (plain, mapped)]
    assert values[0] != values[1]
