"""Figures of the paper by their numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from analysis.commands import command
from analysis.commands.parser import settings_from
from analysis.commands.registry import analyses
from analysis.figure.command import main, parser
from analysis.figure.presets import LEVELS, PRESETS
from analysis.findings import published

Call = Callable[..., tuple[int, str, str]]


def test_without_a_number_they_are_listed(in_process: Call):
    code, out, _ = in_process(main)
    assert code == 0 and all(f"\n  {number}  " in out for number in (11, 12, 13, 14, 15))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["16", "a.pth"], "figure '16': expected one of 11, 12, 13, 14, 15"),
        (["12"], "figure 12: no MODEL given"),
        (["13"], "figure 13: no RUN given"),
        (["13", "runs/a", "--crop", "32"], "--crop: figure 13 reads logs"),
    ],
)
def test_what_cannot_be_drawn(in_process: Call, arguments: list[str], message: str):
    code, _, err = in_process(main, *arguments)
    assert code == 2 and message in err


@pytest.mark.parametrize("number", [11, 12, 14, 15])
def test_presets_are_options_of_their_analyses(number: int):
    preset = PRESETS[number]
    analysis = analyses()[preset.analysis]
    parsed = command.parser(analysis).parse_args(["baseline.pth", *preset.options])
    settings = settings_from(analysis.settings, parsed)
    assert set(preset.options[1::2]) >= {spec for spec in settings.noises or () if ":" in spec}


def test_options_stand_anywhere_and_take_several_values(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / name).mkdir()
    given = ["12", "--limit", "3", "plain.pth", "--images", "a", "b", "hidden.pth"]
    parsed = parser().parse_args(given)
    assert (parsed.number, parsed.models) == ("12", ["plain.pth", "hidden.pth"])
    assert (parsed.limit, parsed.images) == (3, ["a", "b"])


def test_a_figure_is_drawn_again_of_its_run_folder(tmp_path: Path):
    (tmp_path / "manifest.json").write_text(json.dumps({"analysis": "cka", "device": "cpu"}))
    line = "mtd figure 12 plain.pth hidden.pth --limit 3 --output-dir x"
    (tmp_path / "run.json").write_text(json.dumps({"runs": [{"command": line}]}))
    known = parser()
    parsed = known.parse_args(["--config", str(tmp_path), "--limit", "2"])
    assert (parsed.number, parsed.models) == ("12", ["plain.pth", "hidden.pth"])
    assert (parsed.limit, parsed.device, parsed.output_dir) == (2, "cpu", None)
    assert known.parse_args(["14", "--config", str(tmp_path)]).number == "14"


def test_levels_are_those_of_the_paper():
    paper = published.table("figure11")
    assert set(LEVELS) == {f"{row.kind}:{row.level:g}" for row in paper.itertuples()}


def test_a_figure_of_two_models(in_process: Call, tiny_pair: Path, tmp_path: Path):
    models = [str(tiny_pair / f"{own}.pth") for own in ("plain", "hidden")]
    small = ["--crop", "16", "--limit", "4", "--quiet", "--output-dir", str(tmp_path / "run")]
    code, _, err = in_process(main, "12", *models, *small)
    assert code == 0, err
    for name in PRESETS[12].figures:
        text = (tmp_path / "run" / f"{name}.txt").read_text(encoding="utf-8")
        assert "After Figure 12 of the paper" in text and "Models: plain, hidden." in text
        assert "Made by: " in text and "4 crops of" in text
        assert {f"{name}.pdf", f"{name}.png"} <= {p.name for p in (tmp_path / "run").iterdir()}
    assert (tmp_path / "run" / "cka.csv").is_file()
