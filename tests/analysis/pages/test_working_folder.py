"""Pages and figures made in a folder that holds templates and settings of somebody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from analysis.pages.cells import as_html
from analysis.pages.markdown import markdown
from tests.helpers.processes import fresh

PAYLOAD = "{{ cycler.__init__.__globals__.os.system('touch ran') }}"
PLACES = ("", "markdown", "base", "assets", "lab", "classic", "nbconvert/templates/markdown")


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for place in PLACES:
        folder = tmp_path / place
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "conf.json").write_text("{}")
        for name in ("index.md.j2", "index.html.j2", "base.html.j2", "null.j2"):
            (folder / name).write_text(PAYLOAD)
    return tmp_path


def test_no_template_of_the_working_folder_is_rendered(hostile: Path):
    notebook = new_notebook(cells=[new_markdown_cell("# Title", id="a")])
    assert "Title" in as_html(notebook) and markdown(notebook, "pictures")[0] == "# Title\n"
    assert not (hostile / "ran").exists()


def a_fifo(path: Path) -> None:
    os.mkfifo(path)  # reading it would wait


def no_utf8(path: Path) -> None:
    path.write_bytes(b"a: \xff\n")


def settings(path: Path) -> None:
    path.write_text("text.usetex: True\nbackend: module://evil\n\x1b[31mEVIL: 1\n")


@pytest.mark.parametrize(
    "make",
    [
        settings,
        pytest.param(a_fifo, marks=pytest.mark.attack),
        pytest.param(no_utf8, marks=pytest.mark.attack),
    ],
)
def test_a_command_reads_no_settings_of_figures_in_the_working_folder(tmp_path: Path, make):
    make(tmp_path / "matplotlibrc")
    script = """
from mtd.utils import cli, output
def main():
    import matplotlib
    output.show(str(matplotlib.rcParams["text.usetex"]))
cli.run(main)
"""
    done = fresh("-c", script, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
