"""Pages and figures made in a folder that holds templates and settings of somebody else."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from analysis.pages.cells import as_html
from analysis.pages.markdown import markdown
from mtd.utils import cli, output

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


def test_a_command_takes_no_settings_of_figures_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: module://evil\n")
    with matplotlib.rc_context():
        matplotlib.rcParams["text.usetex"] = True  # as if it were imported here first
        monkeypatch.setattr(sys, "argv", ["command"])
        with pytest.raises(SystemExit):
            cli.run(lambda: output.show(str(matplotlib.rcParams["text.usetex"])))
        assert not matplotlib.rcParams["text.usetex"]
