"""Another package's noise, metric, network and analysis are known to every command."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.helpers.paths import ROOT
from tests.helpers.processes import forked, fresh
from tests.helpers.toy_package import install

SMALL = ("--limit", "4", "--crop", "24", "--quiet")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of the toy network, the package installed in `site`."""
    folder = tmp_path_factory.mktemp("toy")
    install(folder)
    stream = torch.Generator().manual_seed(0)
    weights = {
        "toy_body.weight": 0.1 * torch.randn(3, 3, 3, 3, generator=stream),
        "toy_body.bias": torch.zeros(3),
    }
    torch.save(weights, folder / "own.pth")
    return folder


SCRIPT = "from analysis.commands.console import main; main()"
"""The console script."""


def mtd(place: Path, *arguments: str) -> str:
    """Its standard output, in a process that was forked before the package was installed."""
    (place / "script.py").write_text(SCRIPT)
    done = forked("script.py", *arguments, cwd=place, PYTHONPATH=search_path(place))
    assert done.returncode == 0, done.stderr
    return done.stdout


def search_path(place: Path) -> str:
    return os.pathsep.join([str(ROOT), str(place / "site")])


def test_the_overview_and_help_list_them(place):
    started = fresh("-c", SCRIPT, cwd=place, PYTHONPATH=search_path(place))
    overview = started.stdout
    assert started.returncode == 0 and overview == mtd(place)
    assert "  toy " in overview and "Toy means" in overview
    text = mtd(place, "toy", "--help")
    assert "Mean of the outputs." in text
    for name in ("noises: toy_shift", "metrics: toy_error", "networks: toy", "analyses: toy"):
        assert name in text
    assert "ToyNet" in mtd(place, "models")


def test_the_analysis_runs_on_the_network_under_the_noise(place):
    noises = ("--noise", "gaussian:0", "--noise", "toy_shift:10")
    text = mtd(place, "toy", "own.pth", *SMALL, *noises, "--output-dir", "run")
    assert "The mean output is" in text
    frame = pd.read_csv(place / "run/toy.csv").set_index("noise")["mean"]
    assert frame["toy_shift:10"] - frame["gaussian:0"] == pytest.approx(10 / 255, rel=0.2)
    assert (place / "run/toy.png").is_file()


def test_the_benchmark_has_the_metric(place):
    noises = ("--noise", "gaussian:15", "--noise", "toy_shift:5")
    mtd(place, "generalization", "own.pth", *SMALL, *noises, "--no-lpips", "--output-dir", "bench")
    results = pd.read_csv(place / "bench/results.csv")
    assert {"psnr", "ssim", "toy_error"} <= set(results.metric)
    errors = results[(results.metric == "toy_error") & (results.model == "noisy input")]
    shifted = errors[errors.noise == "toy_shift:5"].value
    assert shifted.max() <= 5 / 255 + 1e-6 and shifted.min() >= 0


def test_the_report_has_the_section(place):
    options = ("--sections", "generalization,toy", "--no-lpips", "--benchmark-crop", "24")
    noises = ("--noise", "toy_shift:5", "--format", "html", "--output-dir", "report")
    mtd(place, "report", "own.pth", *SMALL, *options, *noises)
    page = (place / "report/report.html").read_text()
    assert "Toy means" in page and "The mean output is" in page
    assert (place / "report/toy/toy.csv").is_file()
    assert "toy mean" in (place / "report/leaderboard.csv").read_text()
    text = mtd(place, "report", "--verify", "report", "--share", "1")
    assert "toy.csv" in text and "DO NOT AGREE" not in text


@pytest.mark.slow
def test_its_index_is_compared(place):
    weights = torch.load(place / "own.pth")
    names = [f"own{scale}.pth" for scale in range(4)]
    for scale, name in enumerate(names):
        torch.save({key: (1 + scale) * value for key, value in weights.items()}, place / name)
    built_in = ("cka", "srga", "distributions", "degradation", "sensitivity")
    skipped = [text for name in built_in for text in ("--skip", name)]
    noises = ("--noise", "toy_shift:5", "--noise", "poisson:3", "--in-distribution", "gaussian:15")
    text = mtd(place, "compare", *names, *SMALL, *skipped, *noises, "--output-dir", "compared")
    assert "mean of the output" in text
    frame = pd.read_csv(place / "compared/compare.csv")
    means = pd.read_csv(place / "compared/toy/toy.csv").query("noise != 'gaussian:15'")
    expected = means.groupby("model")["mean"].mean()
    assert frame.set_index("model").toy_mean.to_dict() == pytest.approx(expected.to_dict())
