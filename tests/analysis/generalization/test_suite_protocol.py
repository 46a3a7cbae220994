"""A suite's small print takes effect in the pass, is recorded, and is deviated from aloud."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.engine.protocol import DEFAULT
from analysis.generalization import command as generalization_command
from analysis.generalization import noise_suite, suite_protocol
from analysis.generalization.settings import GeneralizationSettings
from analysis.text.noise_labels import NOISY
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.dncnn import DnCNN, DnCNNConfig

OWN = """\
version = 2
noises = ["gaussian:25", "poisson:3"]
in_distribution = ["gaussian:25"]
crop = 32
limit = 3
seed_policy = "legacy_per_image"
quantize_noisy = false
clip_noisy = ["poisson"]
round_output = false
border = 2
metric_domain = "luma"
"""
LUMA = np.array([65.481, 128.553, 24.966]) / 255
QUIET = ("--no-lpips", "--no-references", "--quiet")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    Path("own.toml").write_text(OWN)
    return pair


def started(*arguments: str) -> Path:
    return run_arguments(generalization_command.ANALYSIS, arguments, "test")


def luma_psnr(clean: np.ndarray, noisy: np.ndarray, border: int) -> float:
    inside = slice(border, -border)
    a, b = (255.0 * (x.astype(np.float64) @ LUMA)[inside, inside] for x in (clean, noisy))
    return float(10 * np.log10(255**2 / np.mean((a - b) ** 2)))


def test_noise_clipping_rounding_border_and_luma_are_those_of_the_suite(folder, capsys):
    path = started("plain.pth", "--suite", "own.toml", *QUIET)
    results = read_tables(path, ["results"])["results"]
    rows = results[(results.model == NOISY) & (results.metric == "psnr")]
    crops = data_crops.crops(photographs.photographs(), 32, 3)
    assert len(rows) == 6
    for crop in crops:
        clean = crop.pixels.astype(np.float32) / np.float32(255)
        drawn = {
            "gaussian:25": clean + np.random.RandomState(0).randn(32, 32, 3) * 25 / 255,
            "poisson:3": clean
            + 3 * (np.random.RandomState(0).poisson(clean.astype(float) * 256) / 256 - clean),
        }
        for noise, noisy in drawn.items():
            found = rows[(rows.noise == noise) & (rows.sha256 == crop.digest)].value.item()
            expected = luma_psnr(clean, np.clip(noisy, 0, 1), 2)
            assert found == pytest.approx(expected, abs=1e-5)
    manifest = read_manifest(path)
    assert (manifest["suite"], manifest["suite_version"]) == ("own", 2)
    assert manifest["deviations"] == [] and manifest["quantize"] is False
    assert manifest["evaluation"] == {
        "seed_policy": "legacy_per_image",
        "clip_noisy": ["poisson"],
        "quantize_noisy": False,
        "round_output": False,
        "border": 2,
        "metric_domain": "luma",
    }
    said = " ".join(capsys.readouterr().out.split())
    assert "suite own, version 2; 3 crops of 32 x 32" in said
    assert (
        "protocol own: 2 pixels left out at every side, luma, noisy images clipped under poisson "
        "alone, not rounded, drawn from NumPy's legacy stream anew for each image; outputs "
        "clipped, not rounded; in distribution: none of the noises" in said
    )
    assert "deviates" not in said


def test_options_that_contradict_the_suite_are_said_and_recorded(folder, capsys):
    path = started(
        *("plain.pth", "--suite", "own.toml", *QUIET, "--channel", "rgb", "--protocol", "paper"),
        *("--no-quantize", "--seed", "3", "--limit", "2", "--noise", "speckle:0.04"),
    )
    manifest = read_manifest(path)
    assert manifest["deviations"] == [
        'clip_noisy = false instead of ["poisson"]',
        "border = 1 instead of 2",
        'metric_domain = "rgb" instead of "luma"',
        "with noise speckle:0.04",
        "2 crops of 32 x 32 instead of 3 crops of 32 x 32",
        "seed 3 instead of 0",
    ]
    assert manifest["evaluation"]["border"] == manifest["border"] == 1
    assert manifest["channel"] == "rgb" and manifest["protocol"] == "paper"
    said = " ".join(capsys.readouterr().out.split())
    assert "this run deviates from its suite: clip_noisy = false" in said


def test_what_does_not_contradict_the_suite_is_no_deviation():
    masked = noise_suite.load("masked")
    settings = GeneralizationSettings(channel="rgb", protocol="default", noises=("poisson:2.0",))
    protocol = suite_protocol.protocol_of(masked, settings)
    assert protocol == DEFAULT
    assert suite_protocol.deviations(masked, settings, protocol) == []


def test_a_protocol_keeps_its_name_unless_the_option_changes_it():
    suite = noise_suite.load("clipdenoising")
    settings = GeneralizationSettings(protocol="default")
    assert suite_protocol.protocol_of(suite, settings) == suite.protocol
    paper = suite_protocol.protocol_of(suite, GeneralizationSettings(protocol="paper"))
    assert (paper.name, paper.border, paper.round_output) == ("paper", 1, False)


def test_runs_of_other_protocols_share_nothing(folder):
    first = started("plain.pth", "--suite", "own.toml", *QUIET)
    Path("own.toml").write_text(OWN.replace("legacy_per_image", "per_cell"))
    second = started("plain.pth", "--suite", "own.toml", *QUIET)
    assert first != second
    values = [read_tables(path, ["results"])["results"].value for path in (first, second)]
    assert not np.allclose(*values)


def test_noise_that_the_suite_cannot_draw_is_one_line(folder, in_process):
    code, _, err = in_process(
        *(generalization_command.main, "plain.pth", "--suite", "own.toml", "--noise", "isp"), *QUIET
    )
    assert code == 2 and len(err.strip().splitlines()) == 1
    assert "isp cannot be drawn from NumPy's legacy stream" in err


def test_what_a_suite_assumes_of_training_is_said(folder, capsys):
    network = DnCNN(DnCNNConfig(features=8, depth=3))
    torch.save(dict(network.state_dict()), "bare.pth")
    path = started("plain.pth", "bare.pth", "--suite", "own.toml", *QUIET)
    assumed = read_manifest(path)["in_distribution_assumed"]
    assert assumed == {"models": ["bare"], "noises": ["gaussian:25"]}
    said = " ".join(capsys.readouterr().out.split())
    assert "bare: taken to be trained on Gaussian σ = 25, as the suite prescribes" in said


@pytest.mark.parametrize(
    "given, expected",
    [
        ({"crop": 32}, "crops of 32 x 32 instead of all whole images"),
        ({"limit": 3}, "3 whole images instead of all whole images"),
        ({"crop": 32, "limit": 1}, "1 crop of 32 x 32 instead of all whole images"),
        ({"input_mask": 0.5}, "50% of the input masked instead of nothing"),
    ],
)
def test_other_images_are_a_deviation_in_words(given, expected):
    masked, settings = noise_suite.load("masked"), GeneralizationSettings(**given)
    assert suite_protocol.deviations(masked, settings, DEFAULT) == [expected]


@pytest.mark.parametrize("more", [(), ("--suite", "dn50")])
def test_a_border_that_leaves_nothing_is_one_line(folder, in_process, more):
    Path("wide.toml").write_text('noises = ["gaussian:25"]\nborder = 16')
    suite = more or ("--suite", "wide.toml", "--crop", "32")
    crop = ("--crop", "8") if more else ()
    code, _, err = in_process(
        generalization_command.main, "plain.pth", *suite, *crop, "--limit", "3", *QUIET
    )
    assert code == 2 and len(err.strip().splitlines()) == 1
    assert "pixels at every side nothing is left of" in err
