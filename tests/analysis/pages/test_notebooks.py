"""Notebooks are composed, given parameters, and executed; failures are kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from nbformat import v4

from analysis.pages import notebooks
from mtd.utils.errors import BadInput, Failed


def small(source: str, name: str = "a") -> nbformat.NotebookNode:
    cells = [
        v4.new_code_cell('run_dir = ""  # where\ncount = 3', metadata={"tags": ["parameters"]}),
        v4.new_code_cell(source),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"{name}-{number}"
    return v4.new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        },
    )


def test_stored_notebooks_are_found_by_name():
    assert notebooks.known_parameters(notebooks.stored("cka"))["run_dir"] == ""
    with pytest.raises(BadInput, match="did you mean cka"):
        notebooks.stored("ckaa")


def test_unknown_parameters_and_other_types_are_refused():
    made = notebooks.with_parameters(small("run_dir"), {"run_dir": "x"}, "small")
    assert 'run_dir = "x"' in made.cells[1].source and made.cells[1].id == "small-given"
    assert not any(cell.metadata.get("tags") for cell in made.cells)
    with pytest.raises(BadInput, match="no parameter 'run_dirr'; did you mean run_dir"):
        notebooks.with_parameters(small(""), {"run_dirr": "x"}, "small")
    with pytest.raises(BadInput, match="expected int"):
        notebooks.with_parameters(small(""), {"count": "x"}, "small")


def test_sections_take_the_place_of_their_cell():
    report = small("1", "report")
    mark = v4.new_markdown_cell("here", metadata={"tags": ["sections"]}, id="mark")
    report.cells.insert(1, mark)
    made = notebooks.compose(report, {"x": small("2", "x"), "y": small("3", "y")})
    assert [c.id for c in made.cells] == ["report-0", "x-0", "x-1", "y-0", "y-1", "report-1"]


def test_cells_that_stand_alone_are_left_out_of_a_report():
    section = small("2", "x")
    section.cells.append(v4.new_code_cell("3", metadata={"tags": ["standalone"]}, id="x-own"))
    report = small("1", "report")
    report.cells.append(v4.new_markdown_cell("", metadata={"tags": ["sections"]}, id="mark"))
    made = notebooks.compose(report, {"x": notebooks.with_parameters(section, {"count": 4}, "x")})
    assert [c.id for c in made.cells] == ["report-0", "report-1", "x-0", "x-given", "x-1"]


def test_executed_in_an_empty_folder_twice_the_same(tmp_path):
    (tmp_path / "held.txt").write_text("seven")
    lines = (
        "import analysis, os, sys",
        "from pathlib import Path",
        "from analysis.pages.run_base import located",
        "outside = not {'', str(Path.cwd()), str(located('.'))} & set(sys.path)",
        "os.listdir(), outside, located('held.txt').read_text()",
    )
    asked = small("\n".join(lines))
    first, second = (notebooks.execute(asked, tmp_path, "page") for _ in range(2))
    assert first.cells[1].outputs[0].data["text/plain"] == "([], True, 'seven')"
    assert nbformat.writes(first) == nbformat.writes(second)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["held.txt"]


def test_a_cell_that_fails_leaves_what_was_done(tmp_path):
    asked = small("print('so far')\nraise KeyError('gone')")
    with pytest.raises(Failed, match=r"KeyError: 'gone'.*page\.failed\.ipynb"):
        notebooks.execute(asked, tmp_path, "page")
    kept = nbformat.read(tmp_path / "page.failed.ipynb", as_version=4)
    assert any("so far" in str(cell.get("outputs")) for cell in kept.cells)
    notebooks.execute(small("1"), tmp_path, "page")
    assert not (tmp_path / "page.failed.ipynb").exists()


@pytest.mark.usefixtures("forked_kernels")
def test_an_interrupt_while_a_kernel_starts_leaves_no_process_and_no_file(tmp_path, monkeypatch):
    managers: list[AsyncKernelManager] = []
    processes = []
    started = AsyncKernelManager.start_kernel

    async def interrupted(self: AsyncKernelManager, **given: object) -> None:
        await started(self, **given)
        managers.append(self)
        processes.append(self.provisioner.process)
        raise KeyboardInterrupt

    monkeypatch.setattr(AsyncKernelManager, "start_kernel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        notebooks.execute(small("1"), tmp_path, "page")
    assert not processes[0].running()
    assert not Path(managers[0].connection_file).exists()
    assert list(tmp_path.iterdir()) == []


def test_another_pythons_kernel_is_refused(tmp_path, monkeypatch):
    place = tmp_path / "kernels/python3"
    place.mkdir(parents=True)
    spec = {
        "argv": ["/elsewhere/bin/python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    }
    spec |= {"display_name": "x", "language": "python"}
    (place / "kernel.json").write_text(json.dumps(spec))
    notebooks.check_kernel()
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    with pytest.raises(BadInput, match="not this Python: python -m ipykernel install"):
        notebooks.check_kernel()
    monkeypatch.setattr(sys, "executable", "/elsewhere/bin/python3")
    notebooks.check_kernel()
