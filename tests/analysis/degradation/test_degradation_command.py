"""`python -m analysis.degradation`: features pooled by hand, what it writes, says and refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.degradation import command, measure_clusters, reading, separability
from analysis.degradation import observer as degradation_observer
from analysis.degradation import tables as degradation_tables
from analysis.degradation.settings import DegradationSettings
from analysis.engine import observer as engine_observer
from analysis.engine.hooks import Activations
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput

FEW = ("--crop", "16", "--limit", "8", "--quiet", "--no-controls")
THREE = ("--noise", "gaussian:15", "--noise", "poisson:3.5", "--noise", "spatial:60")
SPECS = THREE[1::2]
LAYERS = ("--layers", "conv_first", "--layers", "**.blocks.1", "--layers", "input:conv_last")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    torch.manual_seed(0)
    torch.save(DnCNN(DnCNNConfig(features=8, depth=3)).state_dict(), pair / "dncnn.pth")
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(command.ANALYSIS, arguments, "test")


def tables(path: Path):
    return read_tables(path, ["degradation", "embedding"])


def by_hand(name: str, layer: str, pool: int, count: int) -> np.ndarray:
    """Scores of a network's pooled features, from their singular value decomposition."""
    network, rows = mtd.load(f"{name}.pth"), []
    crops = data_crops.crops(photographs.photographs(), 16, 8)
    clean, keys = data_crops.to_tensor([crop.pixels for crop in crops]), [c.digest for c in crops]
    for spec in SPECS:
        noisy, _ = noise_base.pair_keyed(noise_specs.parse(spec), clean, keys)
        with torch.no_grad(), Activations(network, layer) as seen:
            network(noisy, keys)
        maps = seen[layer].double()
        if maps.ndim == 3:  # tokens, row by row
            maps = maps.mT.reshape(8, -1, 16, 16)
        if pool:
            side = 16 // pool
            maps = maps.reshape(8, -1, pool, side, pool, side).mean((3, 5))
        rows.append(maps.flatten(1).numpy())
    features = np.concatenate(rows)
    left, size, _ = np.linalg.svd(features - features.mean(0), full_matrices=False)
    return (left * size)[:, :count]


@pytest.mark.parametrize("pool", [4, 0])
@pytest.mark.parametrize(
    "name, layer",
    [
        ("plain", "input:conv_last"),
        ("plain", "layers.1.residual_group.blocks.1"),
        ("hidden", "layers.0.residual_group.blocks.1"),
        ("dncnn", "model.2"),
    ],
)
def test_numbers_are_those_of_features_pooled_by_hand(folder, name, layer, pool):
    arguments = (*FEW, *THREE, "--layers", layer, "--pool", str(pool), "--components", "10")
    found = tables(started(f"{name}.pth", *arguments, "--batch-size", "3"))
    scores = by_hand(name, layer, pool, 10)
    noises, crops = np.repeat(range(3), 8), np.tile(range(8), 3)
    row = found["degradation"].iloc[0]
    assert row.layer == layer and row.components == 10 and row.samples == 24
    for column, expected in {
        "ch_noise": separability.calinski_harabasz(scores, noises),
        "ch_content": separability.calinski_harabasz(scores, crops),
        "ch_within": separability.within_groups(scores, noises, crops),
        "silhouette": separability.silhouette(scores, noises),
    }.items():
        assert row[column] == pytest.approx(expected, rel=1e-3), column
    points = found["embedding"][found["embedding"].kind == "pca"]
    signs = np.sign((points[["x", "y"]].to_numpy() * scores[:, :2]).sum(0))
    scale = np.abs(scores[:, 0]).max()
    assert np.allclose(points[["x", "y"]] * signs, scores[:, :2], atol=1e-3 * scale)
    assert list(points.noise) == [spec for spec in SPECS for _ in range(8)]


def test_the_default_layers_end_with_the_last_features(folder):
    path = started("plain.pth", "dncnn.pth", *FEW, *THREE, "--no-intervals")
    frame, points = tables(path).values()
    plain = frame[frame.model == "plain"]
    names = list(plain.layer)
    assert names[0] == "conv_first" and names[-2:] == ["input:conv_last", "conv_last"]
    assert list(plain["index"]) == list(range(len(plain)))
    ends = frame[frame.last_features].set_index("model").layer
    assert ends["plain"] == "input:conv_last" and ends["dncnn"].startswith("input:model.")
    assert list(frame[frame.highest].model) == ["plain", "dncnn"]
    for model, part in frame.groupby("model"):
        assert part.ch_noise.max() == part[part.highest].ch_noise.item(), model
    embedded = frame[frame.last_features | frame.highest]
    assert frame.ch_tsne.notna().equals(frame.last_features | frame.highest)
    assert len(points) == len(embedded) * 2 * 24 and frame.low.isna().all()


def test_pooling_takes_what_a_map_has():
    observer = degradation_observer.PooledFeatures({"a": ["x"]}, 8)
    maps = torch.arange(2 * 3 * 4 * 16.0).reshape(2, 3, 4, 16)
    noisy = engine_observer.NoisyBatch(batch(2), noise_specs.parse("gaussian:15"), maps, maps, maps)
    pooled = observer.extract("x", maps, noisy)["x"]
    assert torch.equal(pooled, maps.reshape(2, 3, 4, 8, 2).mean(-1).flatten(1))
    whole = degradation_observer.PooledFeatures({"a": ["x"]}, 0).extract("x", maps, noisy)["x"]
    assert torch.equal(whole, maps.flatten(1)) and whole.data_ptr() != maps.data_ptr()


def batch(count: int) -> engine_observer.Batch:
    pixels = np.zeros((4, 16, 3), dtype=np.uint8)
    return engine_observer.Batch(0, [data_crops.Crop("a", i, 0, pixels) for i in range(count)])


def test_a_network_that_lets_noise_through_sorts_by_it(folder, monkeypatch):
    """Squares of fine differences tell noises' strengths apart, as their means do not."""

    class Strength(nn.Module):
        def forward(self, x):
            return (x - x.roll(1, -1)).square().mean((1, 2, 3), keepdim=True).log() * 100 + x

    network = mtd.load("plain.pth")
    last = network.get_submodule("conv_last")
    monkeypatch.setattr(last, "forward", Strength().forward)
    monkeypatch.setattr("analysis.commands.inputs.load_models", lambda *_: {"plain": network})
    monkeypatch.setattr(type(network), "forward", lambda self, x, *_, **__: last(x)[:, :3])
    noises = ("--noise", "gaussian:5", "--noise", "gaussian:100")
    path = started("plain.pth", *FEW, *noises, "--layers", "conv_last", "--components", "2")
    row = tables(path)["degradation"].iloc[0]
    assert row.ch_noise > 5 and row.probe > 0.9 and row.ch_within > 20


def test_folds_keep_photographs_together_from_five_on(folder, monkeypatch):
    held: list[list[int]] = []
    original = separability.probe

    def probe(gram, labels, groups, count):
        held.append(list(groups))
        return original(gram, labels, groups, count)

    monkeypatch.setattr(separability, "probe", probe)
    one = ("--layers", "conv_last", "--no-intervals")
    path = started("plain.pth", *FEW, *THREE, *one)
    assert read_manifest(path)["folds_by"] == "crop" and held[-1] == [*range(8)] * 3
    monkeypatch.setattr(degradation_tables, "PHOTOGRAPHS", 3)
    path = started("plain.pth", *FEW, *THREE, *one, "--output-dir", "other")
    crops = data_crops.crops(photographs.photographs(), 16, 8)
    names = sorted({crop.image for crop in crops})
    assert read_manifest(path)["folds_by"] == "photograph"
    assert held[-1] == [names.index(crop.image) for crop in crops] * 3


def test_the_memory_decides_nothing(folder):
    one = (*FEW, *THREE, "--layers", "conv_last", "--pool", "0")
    frame = tables(started("plain.pth", *one, "--output-dir", "large"))["degradation"]
    small = started("plain.pth", *one, "--output-dir", "small", "--memory", "1e-5")
    numbers = tables(small)["degradation"]
    assert numbers.ch_noise.to_numpy() == pytest.approx(frame.ch_noise.to_numpy(), rel=1e-6)


@pytest.mark.drawn
def test_what_is_written_and_said(folder, capsys):
    path = started("plain.pth", "hidden.pth", *FEW, *THREE, "--noise", "mixture:2", *LAYERS)
    assert {file.name for file in path.iterdir()} == {
        *("manifest.json", "run.json", "summary.txt", "degradation.csv", "embedding.csv"),
        *("degradation_ratio.csv", "degradation.png", "embedding.png"),
    }
    manifest = read_manifest(path)
    assert manifest["pool"] == 8 and manifest["components"] == 31
    assert manifest["perplexity"] == pytest.approx(31 / 3)
    assert "scikit-learn" in manifest["versions"]
    out = capsys.readouterr().out
    assert "8 crops of 16 x 16 under 4 noises" in out
    assert "features averaged to at most 8 x 8 positions, 31 principal components of 32" in out
    assert "last features" in out and "plain, input:conv_last" in out and "chance is 0.25" in out
    words = " ".join(out.split())
    assert "Mixture is this project's own preset; the paper's is not public." in words
    assert "t-SNE depends on its perplexity (10.3) and seed (0)" in words
    assert "The probe is tested in 5 folds, all noises of a crop in one of them" in words
    assert "With 4 photographs they are rough" in words and "not inference" in words
    frame = tables(path)["degradation"]
    assert (frame.low < frame.ch_noise).all() and (frame.ch_noise < frame.high).all()
    assert frame.variance.between(0, 1).all()


def test_the_text_says_from_where_on_the_noise_is_identified():
    rows = {"model": "net", "layer": ["a", "b", "c"], "probe": [0.3, 0.7, 0.9], "chance": 0.2}
    part = pd.DataFrame(rows)
    assert reading.onset(part) == "b"
    (text,) = reading.probe(part)
    assert "exceeds 0.60, halfway between chance (0.20) and 1, first at b in `net`" in text
    assert "(layer 2 of 3; best 0.90 at c)" in text
    part.probe = [0.3, 0.6, 0.5]
    assert reading.onset(part) is None
    (text,) = reading.probe(part)
    assert text.startswith("In `net` (best 0.60 at b) the accuracy") and "never exceeds" in text


def test_features_that_do_not_vary_are_named(folder, in_process, monkeypatch):
    def extract(self, layer, value, noisy):
        return {layer: torch.zeros(len(value), 4)}

    monkeypatch.setattr(degradation_observer.PooledFeatures, "extract", extract)
    arguments = ("plain.pth", *FEW, *THREE, "--layers", "conv_last")
    code, out, err = in_process(command.main, *arguments)
    assert code == 0 and "No value for conv_last of plain: its features do not vary." in out, err
    monkeypatch.setattr(
        degradation_observer.PooledFeatures,
        "extract",
        lambda self, layer, value, noisy: {layer: torch.full((len(value), 4), math.nan)},
    )
    code, out, err = in_process(command.main, *arguments, "--output-dir", "other")
    assert code == 0 and "No value for conv_last of plain: its features are not finite." in out, err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--noise", "gausian:15"], "did you mean gaussian"),
        (["--noise", "gaussian:15"], "1 noise: nothing to separate"),
        (["--layers", "blocks"], "'blocks' matches no module"),
        (["--layers", "**.attn"], "choose one with features for each"),
        (["--limit", "2"], "2 crops: expected 3 or more"),
        (["--components", "1"], "from 2 up"),
        (["--pool", "-1"], "from 0 up"),
        (["--memory", "0"], "expected a number above 0"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder, in_process, arguments, message):
    code, out, err = in_process(command.main, "plain.pth", *FEW, *arguments)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"limit": 0}, "from 1 up"),
        ({"crop": None}, "crops of one size"),
        ({"pool": 1.5}, "whole number"),
        ({"component": 5}, "did you mean components"),
    ],
)
def test_settings_that_cannot_be_used_are_one_line(settings, message):
    with pytest.raises(BadInput, match=message) as caught:
        DegradationSettings.of(**settings)
    assert "\n" not in str(caught.value)


def test_settings_are_completed_and_not_changed():
    settings = DegradationSettings.of(components=50)
    assert settings.completed(4, 5).components == 19 and settings.components == 50
    assert settings.completed(48, 5) == settings
    assert settings.specs == (
        *("gaussian:15", "poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02"),
    )
    assert DegradationSettings.of(**settings.to_dict()) == settings


def test_the_function_takes_modules_and_arrays_and_plots():
    torch.manual_seed(0)
    mine = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 3, padding=1))
    images = [np.random.default_rng(i).random((24, 24, 3)) for i in range(4)]
    result = measure_clusters(
        {"mine": mine},
        images=images,
        noises=["gaussian:25", "poisson:3.5"],
        crop=16,
        limit=4,
        progress=False,
    )
    frame = result.degradation
    assert list(frame.layer) == ["0", "input:2", "2"] and list(frame.last_features).index(True) == 1
    for plot, column in (
        (result.plot_ch, "ch_noise"),
        (result.plot_ch_within, "ch_within"),
        (result.plot_probe, "probe"),
    ):
        axes = plot()
        curve = axes.get_lines()[0]
        assert np.asarray(curve.get_ydata()) == pytest.approx(frame[column].to_numpy())
        assert [text.get_text() for text in axes.get_xticklabels()] == list(frame.layer)
    axes = result.plot_plane(kind="pca")
    points = result.embedding
    points = points[(points.layer == "input:2") & (points.kind == "pca")]
    drawn = np.concatenate([np.asarray(dots.get_offsets()) for dots in axes.collections])
    assert drawn == pytest.approx(points[["x", "y"]].to_numpy()) and len(axes.collections) == 2
    with pytest.raises(BadInput, match="did you mean mine"):
        result.plot_plane(model="mini")
    assert set(result.figures()) == {"degradation", "embedding"}
