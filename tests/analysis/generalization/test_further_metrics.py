"""`--metric`: values, directions, and what is said of metrics that are not run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import analysis
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.generalization import command as generalization_command
from analysis.generalization import metrics as benchmark_metrics
from analysis.generalization.metrics import facts
from analysis.report import verify
from analysis.report.settings import ReportSettings
from mtd.metrics import pyiqa_metrics, registry
from mtd.utils.errors import BadInput
from tests.helpers import fake_pyiqa
from tests.helpers.fake_pyiqa import in_place_of_pyiqa

NOISES = ("gaussian:15", "poisson:2", "poisson:3")
SMALL = ("--crop", "16", "--limit", "4", "--no-lpips", "--quiet")
FAKE = ("mae", "likeness", "brightness", "large", "heavy")


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    with (
        pytest.MonkeyPatch.context() as patch,
        in_place_of_pyiqa(tmp_path_factory.mktemp("iqa"), patch) as module,
    ):
        yield module
    registry._described.clear()


@pytest.fixture(scope="module")
def run(fake: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of blurs with metrics of the fake package."""
    folder = tmp_path_factory.mktemp("run") / "run"
    named = [part for name in FAKE for part in ("--metric", f"pyiqa:{name}")]
    noises = [part for spec in NOISES for part in ("--noise", spec)]
    models = ("classical:blur:0.5", "classical:blur:2")
    given = (
        "--in-distribution",
        "gaussian:15",
        "--no-references",
        *SMALL,
        "--output-dir",
        str(folder),
    )
    return run_arguments(generalization_command.ANALYSIS, (*models, *noises, *named, *given), "")


def test_metrics_of_pyiqa_are_scored_like_the_others_by_their_direction(run):
    frames = read_tables(run, ["results", "generalization", "noises"])
    assert set(frames["results"].metric) == {
        "psnr",
        "ssim",
        "pyiqa:mae",
        "pyiqa:likeness",
        "pyiqa:brightness",
    }
    scores = frames["generalization"].set_index(["metric", "model"])
    weak, strong = "classical:blur:0.5", "classical:blur:2"
    # an error and its complement order the models alike, and their drops are the same
    for model in (weak, strong):
        error, likeness = (scores.loc[f"pyiqa:{name}", model] for name in ("mae", "likeness"))
        assert likeness.out_of_distribution == pytest.approx(
            100 - 100 * error.out_of_distribution, rel=1e-5
        )
        assert likeness.ood_drop == pytest.approx(100 * error.ood_drop, abs=1e-4)
        assert likeness.worst_noise == error.worst_noise
        assert likeness.mean_rank == error.mean_rank
    gain = frames["noises"].set_index(["metric", "model", "noise"]).gain
    for noise in NOISES:
        error, likeness = (gain[f"pyiqa:{name}", strong, noise] for name in ("mae", "likeness"))
        assert likeness == pytest.approx(100 * error, abs=1e-4)


def test_the_manifest_records_version_settings_and_direction(run):
    manifest = read_manifest(run)
    entry = manifest["metrics"]["pyiqa:mae"]
    assert entry["version"] == fake_pyiqa.VERSION and entry["higher_is_better"] is False
    assert entry["settings"] == {"type": "MAE", "power": 1} and entry["full_reference"] is True
    table = read_tables(run, ["metrics"])["metrics"].set_index("metric")
    assert not table.higher_is_better["pyiqa:mae"] and table.full_reference["pyiqa:mae"]
    assert not table.full_reference["pyiqa:brightness"]
    assert json.loads(table.settings["pyiqa:mae"]) == entry["settings"]
    assert table.weights["pyiqa:mae"] == entry["weights"]
    assert manifest["not_run"] == {
        "lpips": "not run: left out by --no-lpips",
        "pyiqa:heavy": f"not run: weights missing ({fake_pyiqa.ADDRESS})",
        "pyiqa:large": "not run: images of 16 x 16 are too small for it",
    }


def test_the_summary_names_directions_and_what_was_not_run(run):
    text = (run / "summary.txt").read_text()
    assert "MAE (pyiqa), lower is better" in text and "LIKENESS (pyiqa), higher is better" in text
    assert f"HEAVY (pyiqa) not run: weights missing ({fake_pyiqa.ADDRESS})" in text
    assert "LARGE (pyiqa) not run: images of 16 x 16 are too small for it" in text
    assert "LPIPS not run: left out by --no-lpips" in text
    assert "Metrics without reference (BRIGHTNESS (pyiqa)) judge" in text


def test_a_run_is_read_without_pyiqa(run, monkeypatch):
    monkeypatch.setattr(pyiqa_metrics, "find_spec", lambda name: None)
    monkeypatch.setattr(registry, "_described", {})
    with pytest.raises(BadInput, match="not installed here"):
        facts("pyiqa:mae")
    result = analysis.open_run(str(run), "generalization")
    assert not facts("pyiqa:mae").higher_is_better
    board = result.leaderboard("pyiqa:mae")
    assert "MAE (pyiqa) increase" in board and board.model[0].startswith("classical:blur")
    assert "LPIPS not run: left out" in "\n".join(result.sentences())
    with pytest.raises(BadInput, match="known from a run only"):
        facts("pyiqa:mae").function(torch.zeros(1), torch.zeros(1))


def test_a_metric_that_is_not_in_the_run_says_why(run):
    result = analysis.open_run(str(run), "generalization")
    with pytest.raises(BadInput, match="LPIPS not run: left out by --no-lpips"):
        result.leaderboard("lpips")
    with pytest.raises(BadInput, match="did you mean psnr"):
        result.leaderboard("psnrr")


def test_without_pyiqa_an_unknown_name_is_one_sentence(monkeypatch):
    monkeypatch.setattr(pyiqa_metrics, "installed", lambda: False)
    with pytest.raises(BadInput, match=r"'psnrr': no metric .*with pyiqa:\); did you mean psnr\?$"):
        benchmark_metrics.check("psnrr")


@pytest.mark.parametrize(
    "given, message",
    [
        (["pyiqa:maee"], "metric pyiqa:maee: did you mean mae?"),
        (["mae"], "metric 'mae': did you mean pyiqa:mae?"),
        (["psrn"], "metric 'psrn': did you mean psnr?"),
        (["pyiqa:fid"], "compares sets of images"),
        (["lpips"], "--metric lpips and --no-lpips: give one of them"),
    ],
)
def test_names_that_cannot_be_used_are_one_line(
    fake, pair, monkeypatch, in_process, given, message
):
    monkeypatch.chdir(pair)
    options = [part for name in given for part in ("--metric", name)]
    code, out, err = in_process(generalization_command.main, "plain.pth", *SMALL, *options)
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1 and not out


def test_without_pyiqa_the_way_to_install_it_is_one_line(pair, monkeypatch, in_process):
    monkeypatch.chdir(pair)
    monkeypatch.setattr(pyiqa_metrics, "find_spec", lambda name: None)
    for name in ("pyiqa:dists", "dists"):
        code, out, err = in_process(
            generalization_command.main, "plain.pth", *SMALL, "--metric", name
        )
        assert code == 2 and len(err.strip().splitlines()) == 1 and not out
        assert "pip install" in err or "begin with pyiqa:" in err


def test_images_of_several_sizes_are_counted():
    sizes = [(16, 16), (64, 64), (40, 20)]
    made = benchmark_metrics.entries(benchmark_metrics.Chosen(), sizes, border=1)
    assert made == {"not_run": {"lpips": "not run: left out by --no-lpips"}}
    perceptual: Any = SimpleNamespace(name="lpips")
    chosen = benchmark_metrics.Chosen(perceptual, not_run={})
    assert benchmark_metrics.entries(chosen, sizes, border=3)["not_run"] == {
        "ssim": "not run on 1 of 3 images: images under 17 x 17",
        "lpips": "not run on 2 of 3 images: images under 31 x 31",
    }
    assert benchmark_metrics.entries(chosen, [(64, 64)], border=0) == {}


def test_earlier_runs_say_the_same():
    told = benchmark_metrics.lines
    assert told({"lpips": None, "lpips_requested": True}) == [
        "LPIPS not run: backbone missing, see mtd zoo get lpips/alexnet or --lpips-weights FILE"
    ]
    assert told({"lpips": None, "lpips_requested": False}) == [
        "LPIPS not run: left out by --no-lpips"
    ]
    earlier = {"not_run": {"lpips": "not run: left out (--no-lpips)"}}
    assert told(earlier) == ["LPIPS not run: left out by --no-lpips"]
    reverse = {"lpips": None, "lpips_requested": True}
    reverse["not_run"] = {"lpips_bgr": benchmark_metrics.NO_BACKBONE}
    assert [line.partition(",")[0] for line in told(reverse)] == [
        "LPIPS (BGR) not run: backbone missing"
    ]
    assert told({"lpips": "ab", "lpips_requested": True}) == [] and told({}) == []


def test_a_report_is_verified_by_the_metrics_that_it_has(tmp_path):
    settings = ReportSettings(metrics=("pyiqa:mae", "pyiqa:heavy"), lpips_weights="a.pth")
    folder = tmp_path / "generalization"
    folder.mkdir()
    about = {"lpips": None, "metrics": {"pyiqa:mae": {}}, "not_run": {}}
    (folder / "manifest.json").write_text(json.dumps(about))
    scored = verify.scored_alike(settings, tmp_path)
    assert scored.metrics == ("pyiqa:mae",) and not scored.lpips and scored.lpips_weights is None


def test_processes_score_by_what_all_of_them_have():
    class Two:
        def gather(self, own):
            return [own, {"pyiqa:mae": "not run: weights missing (here)"}]

    metric = registry.Metric("pyiqa:mae", "MAE", "", False, 2, lambda a, b: a)
    chosen = benchmark_metrics.Chosen(None, (metric,), {}).alike(Two())  # type: ignore[arg-type]
    assert chosen.further == () and chosen.messages == [
        "MAE (pyiqa) not run: weights missing (here)"
    ]


def test_python_takes_them_too(fake):
    images = [np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)]
    result = analysis.generalization.benchmark(
        "classical:blur:1",
        images=images,
        noises=NOISES,
        crop=None,
        metrics="pyiqa:mae",
        lpips=False,
        references=False,
        progress=False,
    )
    assert set(result.scores.metric) == {"psnr", "ssim", "pyiqa:mae"}
