"""`--verify` of reports that somebody sent: what is run, and what counts as verified."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.report import requests, verify
from analysis.report.random_rows import RandomRows
from analysis.report.settings import ReportOptions, ReportSettings
from analysis.report.table_check import Check
from analysis.report.verify_trust import reported
from mtd.loading.cli_options import ModelRequest
from mtd.loading.options import LoadOptions
from mtd.utils.errors import BadInput, Failed

OWN = ReportSettings()
SRGA = "model,noise,reference,srga\na,isp,gaussian:15,0.5\n"


def manifest(*models: ModelRequest, **changes: Any) -> dict[str, Any]:
    given = list(models) or [ModelRequest("plain.pth", LoadOptions())]
    return {
        "analysis": "report",
        "models": {},
        "versions": {},
        "settings": {},
        "requests": requests.to_json(given),
        "arguments": requests.arguments(given),
        **changes,
    }


def test_a_whole_manifest_is_taken():
    requested, settings = reported("r", manifest(), OWN, [])
    assert [request.path for request in requested] == ["plain.pth"] and settings == OWN


def test_the_device_of_a_report_gives_way_to_one_that_is_named():
    given = [ModelRequest("plain.pth", LoadOptions())]
    made = manifest(
        *given,
        settings={"device": "cuda"},
        arguments=[*requests.arguments(given), "--device", "cuda"],
    )
    assert reported("r", made, OWN, [])[1].device == "cuda"
    assert reported("r", made, ReportSettings(device="cpu"), [])[1].device == "cpu"


def test_a_report_of_a_cpu_is_the_same_whether_it_was_named():
    made = manifest(settings={"device": "cpu"})
    assert reported("r", made, OWN, [])[1].device == "cpu"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], [], None, ["plain.pth", "--output-dir", "/tmp/x"], "plain.pth", 3],
)
def test_a_command_that_is_not_that_of_the_settings_is_refused(arguments):
    with pytest.raises(BadInput, match=r"damaged \(arguments"):
        reported("r", manifest(arguments=arguments), OWN, [])


def test_more_noises_than_a_suite_may_have_are_refused():
    noises = [f"gaussian:{number}" for number in range(1, 1002)]
    with pytest.raises(BadInput, match=r"^r: its settings, 1001 noises.*MTD_MAX_NOISES"):
        reported("r", manifest(settings={"noises": noises}), OWN, [])


def test_arguments_of_own_code_have_to_be_named_too():
    own = ModelRequest("a.pth", LoadOptions(factory="m:f", arguments={"width": 3}))
    other = ModelRequest("a.pth", LoadOptions(factory="m:f", arguments={"run": "rm -r ."}))
    assert reported("r", manifest(own), OWN, [own])[0] == [own]
    with pytest.raises(BadInput, match=r"if you trust it.*--model m:f --checkpoint a.pth --arg"):
        reported("r", manifest(other), OWN, [own])


@pytest.mark.parametrize(
    "path", ["hf://me/mine/a.pth", "kair/dncnn_15", "filter:hf://me/mine/a.pth@gaussian:15"]
)
def test_nothing_is_downloaded_on_the_word_of_a_report(path, tmp_path, monkeypatch):
    monkeypatch.setenv("MTD_HOME", str(tmp_path))
    model = ModelRequest(path, LoadOptions())
    with pytest.raises(BadInput, match="would be downloaded"):
        reported("r", manifest(model), OWN, [])
    assert reported("r", manifest(model), OWN, [model])[0] == [model]


def test_metrics_of_other_packages_have_to_be_named():
    settings = ReportSettings(metrics=("pyiqa:dists",))
    about = manifest(settings={"metrics": ["pyiqa:dists"]})
    about["arguments"] += ["--metric", "pyiqa:dists"]
    with pytest.raises(BadInput, match="--metric pyiqa:dists"):
        reported("r", about, OWN, [])
    assert reported("r", about, settings, [])[1] == settings


def test_the_backbone_of_lpips_is_not_read_where_a_report_says_that_it_is():
    about = manifest(settings={"lpips_weights": "theirs.pth"})
    about["arguments"] += ["--lpips-weights", "theirs.pth"]
    assert reported("r", about, OWN, [])[1] == OWN
    own = ReportSettings(lpips_weights="mine.pth")
    assert reported("r", about, own, [])[1] == own


VALUES = (None, True, 7, 1e308, "x", [], [None], {}, {"a": {"b": [1]}}, "\0")


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_manifests_of_the_wrong_shape_end_in_one_line(tmp_path, value, monkeypatch):
    """Any JSON value in any place of a report's manifest."""
    whole = manifest(models={"a": {"sha256": "1", "trainings": {}}}, noises=["isp"])
    (tmp_path / "srga").mkdir()
    (tmp_path / "srga/manifest.json").write_text('{"analysis": "srga"}')
    (tmp_path / "srga/srga.csv").write_text(SRGA)

    def stop(*given: object) -> None:
        raise BadInput("planned")

    monkeypatch.setattr(verify.report_plan, "make", stop)
    for place in places(whole):
        (tmp_path / "manifest.json").write_text(json.dumps(replaced(whole, place, value)))
        with pytest.raises(BadInput) as error:
            verify.run(ReportOptions(verify=str(tmp_path)), OWN)
        assert "\n" not in str(error.value)


def places(value: Any) -> list[tuple[Any, ...]]:
    """The places in a JSON value, the whole first."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[tuple[Any, ...]] = [()]
    if isinstance(value, dict | list):
        for key, part in inner:
            found += [(key, *rest) for rest in places(part)]
    return found


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = replaced(value[place[0]], place[1:], new)
    return copy


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report with a section."""
    (tmp_path / "srga").mkdir()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest()))
    (tmp_path / "srga/manifest.json").write_text('{"analysis": "srga"}')
    (tmp_path / "srga/run.json").write_text('{"runs": [{"finished": "now"}]}')
    (tmp_path / "srga/srga.csv").write_text(SRGA)
    return tmp_path


def sections(folder: Path) -> list[str]:
    return verify.complete_sections(folder, RandomRows(folder, random.Random(1), 1.0))


def test_whole_sections_are_verified(report):
    assert sections(report) == ["srga"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("srga/manifest.json", None, "its manifest is missing"),
        ("srga/manifest.json", '{"analysis": "cka"}', "a run of cka"),
        ("srga/manifest.json", "[]", "not a JSON object"),
        ("srga/run.json", '{"runs": [{"finished": null}]}', "not finished"),
        ("srga/srga.csv", None, r"srga/srga\.csv of the report: missing"),
    ],
)
def test_a_section_that_is_not_whole_is_not_passed_over(report, name, content, message):
    (report / name).unlink()
    if content is not None:
        (report / name).write_text(content)
    with pytest.raises(BadInput, match=message):
        sections(report)


def test_a_table_without_rows_is_not_confirmed(report, monkeypatch):
    (report / "srga/srga.csv").write_text(SRGA.split("\n")[0] + "\n")
    monkeypatch.setattr(verify, "same_inputs", lambda manifest, plan: None)
    drawn = RandomRows(report, random.Random(1), 1.0)
    with pytest.raises(BadInput, match="has no rows"):
        verify.verify(report, None, drawn)  # type: ignore[arg-type]


@pytest.mark.parametrize("checks", [[], [Check("srga.csv")], [Check("srga.csv", of=3)]])
def test_nothing_compared_is_nothing_confirmed(report, monkeypatch, checks, capsys):
    monkeypatch.setattr(verify.report_plan, "make", lambda *given: None)
    monkeypatch.setattr(verify, "same_names", lambda manifest, plan: plan)
    monkeypatch.setattr(verify, "verify", lambda *given: checks)
    with pytest.raises(Failed, match="no value was compared"):
        verify.run(ReportOptions(verify=str(report)), OWN)
    told = capsys.readouterr().out
    assert "not compared: the page's sentences and figures" in told


def test_devices_in_a_report_are_refused_at_once(report):
    (report / "srga/srga.csv").unlink()
    os.mkfifo(report / "srga/srga.csv")
    with pytest.raises(BadInput, match="is a FIFO"):
        sections(report)


@pytest.mark.parametrize("extra", [False, True])
def test_a_leaderboard_with_other_columns_is_compared_too(tmp_path, monkeypatch, extra):
    right = pd.DataFrame({"model": ["a", "b"], "psnr": [30.0, 31.0]})
    wrong = right.assign(psnr=99.0, **({"mine": 1.0} if extra else {}))
    monkeypatch.setattr(verify, "scores", lambda folder: right)
    wrong.to_csv(tmp_path / "leaderboard.csv", index=False)
    first, *others = verify.leaderboard(tmp_path)
    assert len(first.wrong) == 2 and first.checked == 2
    assert [(check.table, check.checked, check.of) for check in others] == (
        [("leaderboard.csv: mine", 0, 2)] if extra else []
    )
