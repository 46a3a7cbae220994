"""A report of models with several trainings: requests, tables of files, verification."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.commands.inputs import load_inputs
from analysis.commands.parser import OutputOptions
from analysis.commands.run_manifest import read_manifest
from analysis.curves.run_sources import RunSources
from analysis.report import command, folders, leaderboard, provenance, reading, requests, verify
from analysis.report.settings import ReportOptions, ReportSettings
from mtd.loading.cli_options import ModelRequest
from mtd.loading.options import LoadOptions
from mtd.utils.errors import BadInput, Failed
from tests.helpers.networks import save_tiny, save_trainings

SETTINGS = ReportSettings(
    noises=("gaussian:15", "poisson:3.5"),
    in_distribution=("base=gaussian:15", "other=gaussian:15"),
    crop=16,
    benchmark_crop=16,
    limit=3,
    lpips=False,
    references=False,
    controls=False,
)


def test_names_are_kept_in_manifests_and_on_command_lines(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("other.pth", "c.pth"):
        (tmp_path / name).touch()
    pattern = save_trainings(tmp_path, 2)
    files = [str(tmp_path / f"b{k}" / "model.pth") for k in (1, 2)]
    given = requests.of([f"base={pattern}", "other.pth"], SETTINGS)
    assert [(one.name, one.path) for one in given] == [
        *(("base", file) for file in files),
        ("", "other.pth"),
    ]
    custom = ModelRequest("c.pth", LoadOptions(factory="m:f", bgr=True), name="mine")
    plain = [*(ModelRequest(one.path, LoadOptions(), name=one.name) for one in given), custom]
    assert requests.from_json(requests.to_json(plain), "report") == plain
    assert "name" not in requests.to_json(plain)[2]
    parsed = command.parse(requests.arguments(plain)).models
    assert [(one.name, one.path) for one in parsed] == [(one.name, one.path) for one in plain]
    assert parsed[-1].options.bgr is True and parsed[-1].options.factory == "m:f"


def test_logs_of_trainings_are_of_one_run(tmp_path):
    pattern = save_trainings(tmp_path, 2)
    save_tiny(tmp_path / "c" / "other.pth", seed=7)
    for name in ("b1", "b2", "c"):
        for file in ("log.csv", "recipe.json"):
            (tmp_path / name / file).touch()
    models = {"base": pattern, "other": tmp_path / "c" / "other.pth"}
    inputs = load_inputs(models, ReportSettings(crop=16, limit=1, noises=()))
    found = folders.training_logs(ReportOptions(), inputs)
    assert found == [f"base={tmp_path / 'b1'}", f"base={tmp_path / 'b2'}", str(tmp_path / "c")]
    runs = RunSources.of(found).trainings
    assert runs == {"base": ("base (b1)", "base (b2)"), "c": ("c",)}


def test_a_damaged_name_is_refused():
    with pytest.raises(BadInput, match="damaged"):
        requests.from_json([{"path": "a.pth", "name": 3}], "report")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two trainings of a model around another one, without its page."""
    folder = tmp_path_factory.mktemp("report")
    save_trainings(folder, 2)
    other = save_tiny(folder / "other.pth", seed=7)
    first, second = (f"base={folder / f'b{k}' / 'model.pth'}" for k in (1, 2))
    models = requests.of([first, str(other), second], SETTINGS)
    options = ReportOptions(sections="generalization,cka")
    output = OutputOptions(folder / "report", False, True, "", printed=False)
    folders.compute(models, SETTINGS, options, output)
    return folder / "report"


def verified(report: Path, *models: Any) -> None:
    options = ReportOptions(verify=str(report), share=0.2, verify_seed=1)
    verify.run(options, ReportSettings(), requests.of(models, SETTINGS) if models else ())


def test_its_tables_of_models_have_every_file(report):
    about = read_manifest(report)["models"]
    assert list(about) == ["base", "other"]
    trainings = about["base"]["trainings"]
    for table in (reading.table_of_models(report), provenance.checkpoints(report)):
        assert list(table.model) == ["base", "base", "other"]
        assert list(table.training) == ["base (b1)", "base (b2)", "–"]
        digests = [*(own["sha256"] for own in trainings.values()), about["other"]["sha256"]]
        found = list(table["SHA-256"])
        assert found == [digest[: len(text)] for digest, text in zip(digests, found, strict=True)]


def test_its_leaderboard_is_of_models(report):
    scores = leaderboard.scores(report)
    assert set(scores.model) == {"base", "other"}
    psnr = pd.read_csv(report / "generalization" / "generalization.csv").query("metric == 'psnr'")
    expected = psnr.set_index("model").out_of_distribution
    found = scores.set_index("model")[leaderboard.UNSEEN]
    for name in found.index:
        assert found[name] == pytest.approx(expected[name])
    assert scores["CKA, last quarter"].notna().all()


def test_it_is_verified_from_its_own_files_and_from_copies(report, tmp_path, capsys):
    verified(report)
    assert "generalization_by_training.csv" in capsys.readouterr().out
    for name in ("b1/model.pth", "other.pth", "b2/model.pth"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((report.parent / name).read_bytes())
    names = [tmp_path / "b1" / "model.pth", tmp_path / "other.pth", tmp_path / "b2" / "model.pth"]
    verified(report, *names)


def test_each_training_must_be_the_reports(report):
    first, other, second = (
        report.parent / n for n in ("b1/model.pth", "other.pth", "b2/model.pth")
    )
    with pytest.raises(BadInput, match=r"not the report's base \(b1\)"):
        verified(report, second, other, first)


@pytest.mark.parametrize(
    "table, column, value",
    [
        ("generalization/results", "training", "other"),
        ("generalization/results", "model", "x"),
        ("cka/depth_by_training", "cka", 9.0),
    ],
)
def test_a_changed_training_does_not_agree(report, table, column, value):
    file = report / f"{table}.csv"
    before = file.read_bytes()
    frame = pd.read_csv(file)
    frame.loc[0, column] = value
    frame.to_csv(file, index=False)
    options = ReportOptions(verify=str(report), share=1.0, verify_seed=1)
    try:
        with pytest.raises(Failed, match="not confirmed"):
            verify.run(options, ReportSettings())
    finally:
        file.write_bytes(before)
