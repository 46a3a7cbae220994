"""Run folders of a report: copies of one model, output inside a source, logs, many processes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from analysis.commands.parser import OutputOptions
from analysis.report import command, folders
from analysis.report.command import parse, run_arguments
from analysis.report.settings import ReportOptions
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.metrics import lpips_backbone
from mtd.utils.errors import BadInput
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.thread_ranks import in_threads

SMALL = ("--limit", "3", "--crop", "16", "--benchmark-crop", "16", "--noise", "poisson:3.5")
SMALL += ("--untrained", "1", "--no-references", "--no-lpips", "--quiet")


def copies(place: Path) -> list[str]:
    """Four checkpoints of two networks."""
    shutil.copy(place / "plain.pth", place / "plain2.pth")
    shutil.copy(place / "hidden.pth", place / "hidden2.pth")
    return ["plain.pth", "hidden.pth", "plain2.pth", "hidden2.pth"]


def test_copies_of_a_model_are_not_compared(pair, monkeypatch, capsys):
    monkeypatch.chdir(pair)
    request = parse([*copies(pair), *SMALL, "--max-crops", "attribution=1"])
    monkeypatch.setattr(folders, "computed", lambda chosen: ["generalization", "srga"])
    for place, quiet in (("told", False), ("silent", True)):
        output = OutputOptions(place, quiet=quiet)
        made = folders.compute(request.models, request.settings, request.options, output)
        assert made.sections == ["generalization", "srga"]
        told = capsys.readouterr().err
        assert bool(told) != quiet
        if told:
            assert "skipped section compare: 2 models" in told and "need 4 or more" in told


def test_models_of_unknown_training_are_not_compared(pair, monkeypatch):
    monkeypatch.chdir(pair)
    for seed, name in enumerate(("third", "fourth"), 2):
        weights = tiny_network(seed).state_dict()
        checkpoint_file.save(f"{name}.pth", weights, network=TINY, mask=MaskPolicy())
    four = ["plain.pth", "hidden.pth", "third.pth", "fourth.pth", "--sections", "compare", *SMALL]
    with pytest.raises(BadInput, match="compare: what third and fourth were trained on is unkn"):
        run_arguments(four)
    given = ("--in-distribution", "gaussian:25")
    with pytest.raises(BadInput, match="none of them is one that all models were trained on"):
        run_arguments([*four, *given])
    assert not (pair / "runs").exists()


def test_a_comparison_of_copies_is_refused_before_anything_is_computed(pair, monkeypatch):
    monkeypatch.chdir(pair)
    with pytest.raises(BadInput, match="--sections compare: 2 models"):
        run_arguments([*copies(pair), "--sections", "srga,compare", *SMALL])
    assert not (pair / "runs").exists()


def test_logs_of_one_run_are_refused_before_anything_is_computed(pair, monkeypatch):
    monkeypatch.chdir(pair)
    (pair / "logs").mkdir()
    (pair / "logs/log.csv").write_text("step,loss,learning_rate\n100,0.5,0.001\n")
    logs = ["--training", "logs", "--training", "logs/log.csv"]
    with pytest.raises(BadInput, match="are of one run"):
        run_arguments(["plain.pth", *logs, *SMALL])
    assert not (pair / "runs").exists()


def run_folder(path: Path) -> Path:
    """A finished run of SRGA."""
    path.mkdir(parents=True)
    about = {"analysis": "srga", "models": {"a": {"sha256": "1"}}}
    (path / "manifest.json").write_text(json.dumps(about))
    (path / "run.json").write_text('{"runs": [{"finished": "now"}]}')
    return path


@pytest.mark.parametrize("output", ["runs/x/page", "runs/x", "runs/x/deep/page", "runs/y/../x/p"])
def test_a_page_inside_a_run_that_it_is_made_of_is_refused(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "runs/x")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BadInput, match="inside runs/x, which is copied"):
        run_arguments(["runs/x", "--output-dir", output, "--quiet"])
    assert sorted(tmp_path.rglob("*")) == before


def test_the_default_folder_may_be_inside_a_run_too(tmp_path, monkeypatch):
    run_folder(tmp_path / "x")
    monkeypatch.chdir(tmp_path / "x")
    with pytest.raises(BadInput, match="which is copied"):
        run_arguments([".", "--quiet"])
    assert not (tmp_path / "x/runs").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["runs/x", "--noise", "nonsense:1"], "--noise: the runs of the folders have their own"),
        (["runs/x", "--crop", "64"], "--crop: the runs"),
        (["runs/x", "--seed", "3"], "--seed: the runs"),
        (["runs/x", "--sigma", "15"], "--sigma: the runs"),
        (["runs/x", "--no-intervals"], "--no-intervals: the runs"),
        (["runs/x", "--training", "logs"], "--training: the runs"),
        (["runs/x", "--share", "0.1"], "--share: for --verify REPORT"),
        (["a.pth", "--verify-seed", "1"], "--verify-seed: for --verify REPORT"),
        (["--verify", "R", "--sections", "nonsense"], "--sections: a report is verified with"),
        (["--verify", "R", "--format", "nonsense"], "--format: a report"),
        (["--verify", "R", "--noise", "nonsense"], "--noise: a report"),
        (["--verify", "R", "--limit", "3"], "--limit: a report"),
        (["--verify", "R", "--crop", "64"], "--crop: a report"),
        (["--verify", "R", "--seed", "3"], "--seed: a report keeps .* --verify-seed draws"),
        (["--verify", "R", "--output-dir", "x"], "--output-dir: a report"),
        (["--verify", "R", "--resume"], "--resume: a report"),
        (["a.pth", "--verify", "R", "--sigma", "15"], "--sigma: a report"),
        (["--verify", "R"], "R: no such report"),
        (["--verify", "R", "--share", "0.1", "--verify-seed", "1", "--quiet"], "no such report"),
        (["--verify", "R", "--device", "cpu", "--images", "photos"], "no such report"),
    ],
)
def test_options_that_would_do_nothing_are_refused(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "runs/x")
    with pytest.raises(BadInput, match=message):
        run_arguments(given)


def fails(*given: object) -> None:
    raise BadInput("cannot be published")


def test_what_fails_in_the_first_process_ends_all_of_them(pair, monkeypatch):
    monkeypatch.chdir(pair)
    made = folders.Report(folders.RunFolder("out", "report", {}), [])
    monkeypatch.setattr("analysis.report.publish.publish", fails)
    monkeypatch.setattr("mtd.utils.distributed.Ranks.leave", lambda ranks: None)

    def publish(ranks):
        report = folders.Report(made.folder, [], ranks)
        try:
            command.finish(report, ReportOptions(), quiet=True)
        except (BadInput, SystemExit) as error:
            return str(error)
        return "went on"

    assert in_threads(publish) == ["process 0: cannot be published", "2"]


def test_lpips_is_fetched_for_the_benchmark_alone(pair, monkeypatch):
    monkeypatch.chdir(pair)
    fetched = []

    def fetch():
        fetched.append(1)
        raise lpips_backbone.NoBackbone("no connection")

    monkeypatch.setattr(lpips_backbone, "fetch", fetch)
    for sections, times in (("srga", 0), ("generalization,srga", 1)):
        given = [option for option in SMALL if option != "--no-lpips"]
        request = parse(["plain.pth", *given, "--sections", sections, "--output-dir", "out"])
        made = folders.compute(request.models, request.settings, request.options, request.output)
        made.folder.finish()
        assert len(fetched) == times and made.sections == sections.split(",")
