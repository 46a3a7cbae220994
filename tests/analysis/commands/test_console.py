"""The console script: every command by one name, also beside somebody's own `analysis`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mtd
from analysis.commands import console
from analysis.commands.registry import BUILT_IN
from mtd.utils.errors import BadInput
from tests.helpers.paths import ROOT
from tests.helpers.processes import fresh


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["mtd", *arguments])
    console.dispatch()


def test_the_project_names_it():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"mtd": "analysis.commands.console:main"}


def test_alone_it_lists_every_command(monkeypatch, capsys):
    call(monkeypatch)
    text = capsys.readouterr().out
    for name in (*BUILT_IN, *console.OWN, "report", "compare", "curves", "findings"):
        assert f"  {name} " in text
    call(monkeypatch, "--version")
    assert capsys.readouterr().out == f"mtd {mtd.__version__}\n"


def test_help_of_a_command_is_its_options(monkeypatch, capsys):
    with pytest.raises(SystemExit) as left:
        call(monkeypatch, "help", "compare-cards")
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("usage: mtd compare-cards [options] CARD")
    call(monkeypatch, "help")
    assert "\nTrain\n" in capsys.readouterr().out
    with pytest.raises(BadInput, match="mtd ckaa: no such command"):
        call(monkeypatch, "help", "ckaa")


def test_an_unknown_command_names_the_nearest(monkeypatch):
    with pytest.raises(BadInput, match="mtd ckaa: no such command; did you mean cka"):
        call(monkeypatch, "ckaa")


def test_an_unknown_option_names_the_nearest_and_each_command_is_counted_once(monkeypatch):
    with pytest.raises(BadInput, match=r"did you mean --version\?"):
        call(monkeypatch, "--vresion")
    every = len(console.commands()) + len(console.OPTIONS)
    with pytest.raises(BadInput, match=rf"… \({every} in all\)"):
        call(monkeypatch, "qqqq")


def test_json_may_stand_before_the_command(monkeypatch):
    with pytest.raises(BadInput, match="mtd ckaa: no such command"):
        call(monkeypatch, "--json", "ckaa")


def test_the_overview_imports_no_analysis(tmp_path: Path):
    script = "from analysis.commands import console; console.overview()"
    done = fresh("-c", f"import sys; {script}; print(*sys.modules)", cwd=tmp_path)
    loaded = done.stdout.split()
    assert "analysis.commands.console" in loaded and "analysis.cka" not in loaded


def test_every_command_has_help(monkeypatch, capsys):
    for name in console.commands():
        with pytest.raises(SystemExit) as left:
            call(monkeypatch, name, "--help")
        assert left.value.code == 0 and "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("own", ["analysis.py", "analysis/__init__.py"])
def test_somebodys_own_analysis_does_not_shadow_it(tmp_path: Path, own: str):
    (tmp_path / own).parent.mkdir(exist_ok=True)
    (tmp_path / own).write_text("raise SystemExit('somebody else')")
    (tmp_path / "own.py").write_text("import torch\n\nOwn = torch.nn.Identity\n")
    # a script's own folder, not the working folder, is first on the path
    script = tmp_path.parent / "mtd_script.py"
    script.write_text(
        f"import sys; sys.path.insert(1, {str(ROOT)!r})\n"
        "from analysis.commands.console import main; main()\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), "cka", "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0 and "CKA" in done.stdout, done.stderr
