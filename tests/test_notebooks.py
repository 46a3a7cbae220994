"""Notebooks: stored clean, and executed by papermill on a real run folder."""

from __future__ import annotations

from pathlib import Path

import nbformat
import papermill
import pytest

from analysis import cka
from analysis.runs import newest
from mtd.errors import BadInput

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_stored_without_outputs_and_parameterised(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in code) == 1


def run(*arguments: str) -> Path:
    return cka.run(cka.parser().parse_args([*arguments, "--limit", "8", "--crop", "24", "--quiet"]))


@pytest.mark.parametrize("models", [("plain.pth", "hidden.pth"), ("hidden.pth",)])
def test_cka_notebook_shows_its_run(pair, monkeypatch, models):
    monkeypatch.chdir(pair)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = run(*models)
    papermill.execute_notebook(
        ROOT / "notebooks/cka.ipynb",
        "out.ipynb",
        parameters={"run_dir": str(folder)},
        progress_bar=False,
    )
    outputs = {
        cell.id: cell.outputs
        for cell in nbformat.read("out.ipynb", as_version=4).cells
        if cell.cell_type == "code"
    }
    pictures = {
        name: sum("image/png" in o.get("data", {}) for o in outs) for name, outs in outputs.items()
    }
    assert pictures["noise"] == 1  # embedded once
    assert pictures["model"] == len(models) - 1
    assert "block 1.1" in outputs["diagonal"][0].data["text/html"]
    assert "against poisson:3" in outputs["summary"][0].text
    assert str(folder) in outputs["read"][0].data["text/markdown"]


def test_newest_run_is_taken_where_none_is_named(pair, monkeypatch):
    monkeypatch.chdir(pair)
    with pytest.raises(BadInput, match=r"no run of analysis\.cka"):
        newest("cka")
    run("plain.pth")
    last = run("hidden.pth")
    assert newest("cka") == last
