"""`--config`: options from a file, and earlier runs repeated."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from analysis.brightness import command as brightness
from analysis.causal.faig import command as faig
from analysis.cka import command as cka
from analysis.commands.command import parser, run_arguments
from analysis.commands.run_manifest import read_log
from analysis.compare import command as compare
from analysis.curves import command as curves
from analysis.generalization import command as generalization
from analysis.report import command as report
from mtd.utils import cli
from mtd.utils.errors import BadInput
from tests.helpers.paths import ROOT
from tests.helpers.run_folders import contents

FEW = ("--crop", "16", "--limit", "2", "--noise", "gaussian:15", "--noise", "poisson:3", "--quiet")
COMMAND = "python -m analysis.brightness "


def run_folder(folder: Path, command: str, **manifest: object) -> Path:
    """A folder that says by which command it was written."""
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"analysis": "brightness"} | manifest))
    (folder / "run.json").write_text(json.dumps({"runs": [{"command": command}]}))
    return folder


def expanded(*arguments: str) -> list[str]:
    known = parser(brightness.ANALYSIS)
    known.parse_args(arguments)
    return known.expanded


def test_a_run_is_repeated_byte_for_byte(pair, monkeypatch, in_process):
    monkeypatch.chdir(pair)
    given = ("hidden.pth", "plain.pth", *FEW, "--seed", "3", "--attention-mask", "off")
    assert in_process(brightness.main, *given, "--output-dir", "a")[0] == 0
    assert in_process(brightness.main, "--config", "a", "--output-dir", "b", "--quiet")[0] == 0
    assert contents(pair / "a") == contents(pair / "b")
    # and that one again: its command says all that the configuration said
    whole = read_log("b")[-1]["command"]
    assert "--config" not in whole and "hidden.pth plain.pth" in whole and "--seed=3" in whole
    again = ("--config=b/manifest.json", "plain.pth", "--limit", "1", "--output-dir", "c")
    assert in_process(brightness.main, *again, "--quiet")[0] == 0
    manifest = json.loads((pair / "c/manifest.json").read_text())
    assert list(manifest["models"]) == ["plain"] and len(manifest["crops"]) == 1
    assert manifest["seed"] == 3 and manifest["noises"] == ["gaussian:15", "poisson:3"]


def test_a_file_holds_what_a_command_line_holds(pair, monkeypatch):
    monkeypatch.chdir(pair)
    Path("run.toml").write_text(
        'models = ["plain.pth", "hidden.pth"]\nnoise = ["gaussian:15", "poisson:3"]\n'
        "crop = 16\nlimit = 2\nno_quantize = true\nquiet = true\nmask-draws = 'shared'\n"
    )
    line = ("plain.pth", "hidden.pth", *FEW, "--no-quantize", "--output-dir", "a")
    whole = run_arguments(brightness.ANALYSIS, line, "test")
    of_file = run_arguments(
        brightness.ANALYSIS, ["--config", "run.toml", "--output-dir", "b"], "test"
    )
    assert contents(whole) == contents(of_file)


def test_the_command_line_replaces_what_a_file_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(
        'models = "a.pth"\nnoise = ["gaussian:15", "poisson:3"]\n'
        'sigma = ["a=5", "b=7"]\nlimit = 2\n'
    )
    found = expanded("b.pth", "--noise", "gaussian:50", "--config", "run.toml", "--json")
    assert found == [
        *("b.pth", "--noise=gaussian:50", "--sigma=a=5", "--sigma=b=7", "--limit=2", "--json")
    ]
    assert expanded("--config", "run.toml")[0] == "a.pth"


def test_options_with_several_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text('paired-images = [["x=n", "c"], ["m", "d"]]\nlpips-weights = "w"\n')
    known = parser(generalization.ANALYSIS)
    parsed = known.parse_args(["a.pth", "--config", "run.toml"])
    assert parsed.paired_images == [["x=n", "c"], ["m", "d"]] and parsed.lpips_weights == "w"
    Path("run.toml").write_text('paired-images = ["n", "c"]\n')
    assert known.parse_args(["--config", "run.toml"]).paired_images == [["n", "c"]]
    Path("run.toml").write_text('runs = ["a", "b"]\ncheckpoints = ["c", "d"]\nsmooth = 0\n')
    parsed = curves.parser().parse_args(["--config", "run.toml"])
    assert (parsed.runs, parsed.checkpoints, parsed.smooth) == (["a", "b"], ["c", "d"], 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("corp = 16", "run.toml: 'corp' is no option of .*; did you mean crop"),
        ("config = 'a'", "run.toml: 'config' is no option"),
        ("json = true", "run.toml: 'json' is no option"),
        ("crop = 'x'", "run.toml: .*--crop.*'x': expected a whole number"),
        ("crop = [16, 32]", "run.toml: crop: a list; expected one value"),
        ("crop = true", "run.toml: crop: True; expected a text or a number"),
        ("quiet = 1", "run.toml: quiet = 1: expected true or false"),
        ("[data]\nnoise = 1", r"run.toml: \[data\]: expected options .* recipes are for mtd train"),
        ("crop = ", "run.toml: not TOML"),
        ('model = "os:getcwd"', "run.toml: needs --model=os:getcwd, which runs code"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(text)
    with pytest.raises(BadInput, match=f"^{message}"):
        expanded("a.pth", "--config", "run.toml")


def test_a_missing_file_is_one_line():
    with pytest.raises(BadInput, match=r"^nowhere\.toml: "):
        expanded("--config", "nowhere.toml")


def test_what_a_run_is_repeated_with(tmp_path):
    line = f"{COMMAND}'a b.pth' --crop 16 --output-dir x --resume --quiet --json"
    run = run_folder(tmp_path / "run", line, device="cuda")
    assert expanded("--config", str(run)) == ["a b.pth", "--crop=16", "--device=cuda"]
    assert expanded("--config", str(run), "--device", "cpu")[-1] == "--crop=16"


def test_a_run_is_recorded_and_repeated_as_it_was_started(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["mtd brightness", "a.pth", "--crop", "16"])
    assert cli.command("analysis.brightness") == "mtd brightness a.pth --crop 16"
    assert cli.command("analysis.cka") == "python -m analysis.cka a.pth --crop 16"
    run = run_folder(tmp_path / "run", cli.command("analysis.brightness"))
    assert expanded("--config", str(run)) == ["a.pth", "--crop=16"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("python -m analysis.cka a.pth", "made by python -m analysis.cka; give it to that command"),
        ("mtd cka a.pth", "made by mtd cka; give it to that command"),
        ("", "no command line in it, as it was written from Python"),
        (COMMAND + "'a.pth", "run.json is damaged"),
        (COMMAND + "b=hf://o/n:f.pth", "names b=hf://o/n:f.pth, which would be downloaded"),
        (COMMAND + "--model os:getcwd --checkpoint a.pth", "needs --model=os:getcwd, which runs"),
    ],
)
def test_a_run_that_cannot_be_repeated_is_one_line(tmp_path, command, message):
    run = run_folder(tmp_path / "run", command)
    with pytest.raises(BadInput, match=message):
        expanded("--config", str(run))


def test_code_that_the_command_line_names_is_run(tmp_path):
    own = ("--model", "own:net", "--checkpoint", "a.pth")
    run = run_folder(tmp_path / "run", f"{COMMAND}{' '.join(own)} --crop 16")
    found = expanded("--config", str(run), *own)
    assert found == ["--model=own:net", "--checkpoint=a.pth", "--crop=16"]


def test_a_run_that_was_gone_on_with_is_repeated_as_a_whole(tmp_path):
    run = run_folder(tmp_path / "run", "")
    commands = ["a.pth --crop 16", "a.pth --crop 16 --limit 2 --resume", f"{run} --quiet"]
    log = [{"command": COMMAND + command} for command in commands]
    (run / "run.json").write_text(json.dumps({"runs": log}))
    assert expanded("--config", str(run)) == ["a.pth", "--crop=16", "--limit=2"]


def test_a_report_is_repeated():
    known = report.parser()
    known.parse_args(["--config", str(ROOT / "reports/example")])
    expected = ["baseline.pth", "masked.pth", "--format=html", "--device=cpu"]
    assert known.expanded == expected


def test_every_command_that_analyses_models_has_it():
    parsers = [parser(one.ANALYSIS) for one in (cka, faig, generalization, compare)]
    for known in (*parsers, report.parser(), curves.parser()):
        assert "--config" in known._option_string_actions
