"""Every analysis on every architecture: ours, a user's own, and one that spandrel knows."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.attribution import command as attribution_command
from analysis.causal import command as causal_command
from analysis.cka import command as cka_command
from analysis.cka.settings import CKASettings
from analysis.commands import networks
from analysis.commands.command import parser as parser_of
from analysis.commands.command import run_arguments
from analysis.degradation import command as degradation_command
from analysis.distributions import command as distributions_command
from analysis.engine import forward as engine_forward
from analysis.engine import run as engine_run
from analysis.engine.forward import ForwardSettings
from analysis.engine.observer import Batch, Watch
from analysis.engine.protocol import PROTOCOLS
from analysis.error import command as error_command
from analysis.generalization import command as generalization_command
from analysis.linear import command as linear_command
from analysis.sensitivity import command as sensitivity_command
from analysis.srga import command as srga_command
from analysis.stitch import command as stitch_command
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.loading import cli_options
from mtd.noise import specs as noise_specs
from mtd.noise.drawing import Drawing
from tests.helpers.architectures import TINY, saved, tiny
from tests.helpers.external_networks import SOURCE, nafnet

OURS = tuple(TINY)
NAMES = (*OURS, "NAFNet", "own")
OWN = ("--model", "mymod:Told", "--checkpoint", "own.pth", "--arg", "width=5")
ALL = (*(f"{name}.pth" for name in (*OURS, "NAFNet")), *OWN, "--sigma", "oracle", "--quiet")
SMALL = ("--crop", "16", "--limit", "4")


@pytest.fixture(autouse=True)
def one_thread(few_threads: None) -> None:
    """These networks are too small for more, which would wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny checkpoint of each kind."""
    folder = tmp_path_factory.mktemp("all")
    others = {
        "RNAN": replace(TINY["RNAN"], value_range=255.0),
        "IDF": replace(TINY["IDF"], iterations=3),
    }
    for seed, name in enumerate(OURS):
        saved(tiny(name, seed, others.get(name)), folder / f"{name}.pth")
    torch.manual_seed(0)
    network = nafnet()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    torch.save(network.state_dict(), folder / "NAFNet.pth")
    (folder / "mymod.py").write_text(SOURCE)
    return folder


@pytest.fixture
def folder(made: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(made)
    monkeypatch.setattr(sys, "path", [str(made), *sys.path])
    sys.modules.pop("mymod", None)
    if not (made / "own.pth").exists():
        import mymod  # type: ignore[import-not-found]

        torch.manual_seed(1)
        torch.save(mymod.Told(5).state_dict(), made / "own.pth")
    yield made
    sys.modules.pop("mymod", None)


def run(module, *arguments: str) -> Path:
    return run_arguments(module.ANALYSIS, [*ALL, *SMALL, *arguments], "test")


def test_cka_between_every_pair_of_architectures(folder):
    one = ("--noise", "gaussian:15", "--positions", "8", "--pairs", "cross-model")
    path = run(cka_command, *one)
    frame = pd.read_csv(path / "cka.csv")
    pairs = {tuple(sorted(pair)) for pair in zip(frame.model_a, frame.model_b, strict=True)}
    assert pairs == {tuple(sorted(pair)) for pair in combinations(NAMES, 2)}
    layers = json.loads((path / "manifest.json").read_text())["layers"]
    assert set(layers) == set(NAMES) and min(map(len, layers.values())) >= 2
    for (a, b), rows in frame.groupby(["model_a", "model_b"]):
        calls = [set(rows.layer_a), set(rows.layer_b)]  # of layers that are called several times
        for name, held in zip((a, b), calls, strict=True):
            assert {layer.partition("#")[0] for layer in held} == set(layers[name])
            assert len(held) == len(layers[name]) or name in ("BFRecurrentCNN", "IDF")
        assert len(rows) == len(calls[0]) * len(calls[1])
    assert np.isfinite(frame.cka).all() and (frame.cka.abs() <= 1.5).all()
    models = json.loads((path / "manifest.json").read_text())["models"]
    usage = {name: model["usage"] for name, model in models.items()}
    assert usage["FFDNet"] == usage["own"] == {"sigma": "oracle"}
    assert usage["RNAN"] == {"value_range": 255}
    assert models["own"]["factory"] == "mymod:Told" and models["own"]["arguments"] == {"width": 5}
    assert "spandrel" in models["NAFNet"]["recognised"]


@pytest.mark.slow
def test_cka_without_intervals(folder):
    path = run(cka_command, "--positions", "8", "--no-intervals", "--pairs", "cross-model")
    frame = pd.read_csv(path / "cka.csv")
    assert frame.cka.notna().any() and frame.low.isna().all()


def test_generalization(folder):
    few = ("--noise", "gaussian:15", "--noise", "poisson:3", "--no-lpips")
    path = run(generalization_command, *few)
    assert "the noise level: FFDNet (that of each noise)" in (path / "summary.txt").read_text()
    frame = pd.read_csv(path / "results.csv")
    assert {*NAMES} <= set(frame.model)
    values = frame[frame.model.isin(NAMES) & (frame.metric == "psnr")]
    assert len(values) == len(NAMES) * 2 * 4 and np.isfinite(values.value).all()


def test_srga(folder):
    frame = pd.read_csv(run(srga_command, "--no-intervals", "--noise", "poisson:3") / "srga.csv")
    assert set(frame.model) == {*NAMES}


def test_distributions(folder):
    path = run(distributions_command, "--noise", "poisson:3")
    frames = [pd.read_csv(file) for file in path.glob("*.csv")]
    assert frames and all({*NAMES} == set(f.model) for f in frames if "model" in f)


@pytest.mark.slow
def test_degradation(folder):
    frame = pd.read_csv(run(degradation_command, "--no-intervals") / "degradation.csv")
    assert set(frame.model) == {*NAMES}


def test_sensitivity(folder):
    frame = pd.read_csv(run(sensitivity_command, "--noise", "poisson:3") / "sensitivity.csv")
    assert set(frame.model) == {*NAMES}


def test_error(folder):
    few = ("--noise", "poisson:3", "--draws", "2", "--mask-mean", "1")
    frame = pd.read_csv(run(error_command, *few) / "error.csv")
    assert set(frame.model) == {*NAMES} and np.isfinite(frame.mse).all()


# 7 is less than the crop, so that derivatives are taken in both directions
@pytest.mark.parametrize("whole", ["7", pytest.param("8", marks=pytest.mark.slow)])
def test_linear(folder, whole):
    few = ("--crop", "8", "--limit", "1", "--levels", "15", "--noise", "poisson:3")
    few += ("--whole", whole)
    frame = pd.read_csv(run(linear_command, *few, "--probes", "2", "--rank", "1") / "linear.csv")
    assert set(frame.model) == {*NAMES} and frame.reason.isna().all()
    numbers = ["trace", "largest", "asymmetry", "affine_rest", "image_share", "sure"]
    assert np.isfinite(frame[numbers]).all(axis=None)


def test_causal(folder):
    few = ("--limit", "2", "--noise", "poisson:3", "--confirm", "2", "--no-ablation")
    frame = pd.read_csv(run(causal_command, *few) / "causal.csv")
    assert set(frame.model) == {*NAMES}


@pytest.mark.slow
def test_stitch(folder):
    few = ("--limit", "2", "--noise", "gaussian:15", "--noise", "poisson:3", "--no-controls")
    frame = pd.read_csv(run(stitch_command, *few) / "stitch.csv")
    assert set(frame.sender) == {*NAMES}


@pytest.mark.slow
def test_attribution(folder):
    few = ("--limit", "2", "--side", "4", "--blur", "1.5", "--steps", "3", "--noise", "poisson:3")
    frame = pd.read_csv(run(attribution_command, *few) / "attribution.csv")
    assert set(frame.model) == {*NAMES} and np.isfinite(frame.di).all()


@pytest.mark.parametrize("quantize", [True, False])
def test_the_level_that_networks_are_given_is_that_of_the_noise(folder, quantize):
    parsed = parser_of(cka_command.ANALYSIS).parse_args([*ALL, *SMALL])
    models = networks.load_models(cli_options.resolve_requests(parsed), CKASettings(), "cpu")
    batch = Batch(0, data_crops.crops(photographs.photographs(), 16, 3))
    settings = ForwardSettings(drawing=Drawing.stored(quantize))
    gaussian = engine_forward.make_noisy_batch(noise_specs.parse("gaussian:25"), batch, settings)
    assert gaussian.level.tolist() == pytest.approx([25 / 255] * 3)
    poisson = engine_forward.make_noisy_batch(noise_specs.parse("poisson:3"), batch, settings)
    rms = [float((a - b).square().mean().sqrt()) for a, b in zip(poisson.noisy, poisson.target)]  # noqa: B905
    assert poisson.level.tolist() == pytest.approx(rms, rel=1e-5) and min(rms) > 0.01
    for name, model in models.items():
        level = engine_forward.noise_level(model, poisson)
        assert (level is None) == (name not in ("FFDNet", "own"))
    heard = []
    ffdnet = models["FFDNet"]
    restore = ffdnet.restore
    ffdnet.restore = lambda x, keys=None, **given: (
        heard.append(given["sigma"]) or restore(x, keys, **given)
    )
    watches = [Watch(generalization_scores(models))]
    list(
        engine_run.run_batches(
            {"FFDNet": ffdnet}, [gaussian.noise, poisson.noise], [batch], watches, settings
        )
    )
    assert heard[0].shape == (3, 1, 1, 1)
    assert torch.equal(heard[0].flatten(), gaussian.level)
    assert torch.equal(heard[1].flatten(), poisson.level)


def generalization_scores(models):
    """An observer that asks for the output alone."""
    from analysis.engine import image_quality

    return image_quality.ImageQuality(["FFDNet"], PROTOCOLS["default"], None)
