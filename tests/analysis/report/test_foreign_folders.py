"""A page of a folder that somebody sent runs none of the code in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.pages import notebooks
from analysis.report.command import run_arguments
from analysis.srga import score_models
from tests.helpers.figures import leave_unrendered
from tests.helpers.networks import save_tiny
from tests.helpers.paths import ROOT

NAMES = (
    *("pandas", "numpy", "matplotlib", "seaborn", "json", "IPython", "ipykernel_launcher"),
    *(
        "analysis",
        "mtd",
        "sitecustomize",
        "tensorboard",
        "site",
        "usercustomize",
        "torch",
        "conftest",
    ),
    *("papermill", "nbconvert", "nbformat", "jupyter_config", "ipython_config", "scipy", "evil"),
    *("ipython_kernel_config", "jupyter_nbconvert_config", "profile_default/startup/00-start"),
)
TEMPLATES = ("markdown", "assets", "base", "")
TEMPLATE = "{{ cycler.__init__.__globals__.os.system('touch %s') }}"
CONSOLE = "from analysis.commands.console import main; main()"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder."""
    place = tmp_path_factory.mktemp("run")
    model = save_tiny(place / "model.pth")
    few = {"crop": 16, "limit": 3, "controls": False, "progress": False}
    with pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        return score_models(model, noises="isp", **few).save(place / "run")


@pytest.fixture
def sent(run_folder, tmp_path) -> Path:
    """Its copy with a module of each name, which leaves a file when it is imported."""
    folder = Path(shutil.copytree(run_folder, tmp_path / "sent"))
    (tmp_path / "imported").mkdir()
    for name in NAMES:
        mark = tmp_path / "imported" / Path(name).name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    for place in TEMPLATES:
        (folder / place).mkdir(exist_ok=True)
        for name in ("index.md.j2", "index.html.j2", "null.j2"):
            mark = tmp_path / "imported" / f"{place}-{name}"
            (folder / place / name).write_text(TEMPLATE % mark)
    (folder / "matplotlibrc").write_text("figure.facecolor: red\nbackend: module://evil\n")
    (folder / "evil.egg-info").mkdir()
    (folder / "evil.egg-info" / "PKG-INFO").write_text("Name: evil\nVersion: 1\n")
    (folder / "evil.egg-info" / "entry_points.txt").write_text("[mtd.analyses]\nevil = evil:x\n")
    return folder


def python(*arguments: str, cwd: Path, path: str) -> subprocess.CompletedProcess[str]:
    """Python in a folder, with a search path of its own."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


HERE = pytest.param("here", marks=pytest.mark.slow)
"""In this process; by default the same page is made as a console script makes it, and the search
path of a kernel without `PYTHONPATH` is looked at alone, below and in `pages/test_notebooks.py`."""


@pytest.mark.parametrize("how", [HERE, "installed"])
def test_no_module_of_a_folder_is_imported(sent, tmp_path, how, monkeypatch):
    arguments = ["report", str(sent), "--output-dir", str(tmp_path / "page"), "--format", "html,md"]
    if how == "here":  # with a kernel that has no search path but what it is given
        monkeypatch.delenv("PYTHONPATH", raising=False)
        run_arguments([*arguments[1:], "--quiet"])
    else:  # as a console script, whose own folder is first on the path; started in the folder
        done = python("-P", "-c", CONSOLE, *arguments, cwd=sent, path=str(ROOT))
        assert done.returncode == 0, done.stderr
    assert "SRGA" in (tmp_path / "page" / "report.html").read_text(encoding="utf-8")
    assert list((tmp_path / "imported").iterdir()) == []


def test_a_command_that_is_started_in_the_folder_imports_nothing_of_it(sent, tmp_path):
    (sent / "analysis.py").unlink()  # which python -m itself prefers
    command = ("-m", "analysis.report", ".", "--sections", "cka", "--output-dir", "../page")
    done = python(*command, cwd=sent, path=str(ROOT))
    assert done.returncode == 2 and "no section among" in done.stderr, done.stderr
    assert list((tmp_path / "imported").iterdir()) == []
    python("-c", "import json", cwd=sent, path=str(ROOT))
    assert (tmp_path / "imported" / "json").exists(), "a module that is imported leaves a file"


def test_search_path_of_the_kernel_is_absolute_and_outside_the_folder(tmp_path, monkeypatch):
    sent, own = tmp_path / "sent", tmp_path / "own"
    monkeypatch.chdir(tmp_path)
    given = ["own", "", "sent", str(sent / "inside")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(given))
    assert notebooks.search_path(sent) == [str(ROOT), str(own)]
