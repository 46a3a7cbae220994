"""What the documentation shows runs: commands of the first pages, shrunk, and Python."""

from __future__ import annotations

import os
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from analysis.commands.console import commands
from tests.helpers.figures import leave_unrendered
from tests.helpers.kernels import fork_kernels
from tests.helpers.networks import save_tiny
from tests.helpers.paths import ROOT
from tests.helpers.processes import forked

PAGES = ("docs/start.md", "docs/tutorial.md")
CROPS = ("--crop", "16", "--limit", "2")
NOISES = ("--noise", "gaussian:15", "--noise", "poisson:3.5")
SHRUNK = {
    "models": ("--size", "16"),
    "generalization": (*CROPS, "--no-lpips"),
    "error": (*CROPS, "--draws", "2"),
    "cka": (*CROPS, "--untrained", "1"),
    "sensitivity": CROPS,
    "report": (*CROPS, "--no-lpips", "--untrained", "1", *NOISES),
    "report --verify": (),
}
"""What is added to each command of the pages; where an option is given twice, the last counts."""


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", (ROOT / page).read_text())


def lines(page: str) -> list[str]:
    """The commands of a page, in order; installing is not one of them."""
    found = [line for block in blocks(page, "sh") for line in block.splitlines()]
    assert all(line.startswith(("mtd ", "python3 -m venv")) for line in found), "a new kind of line"
    return [line for line in found if line.startswith("mtd ")]


def shrunk(line: str) -> tuple[str, list[str]]:
    """The module of a command, and its arguments with those that make it short."""
    name, *arguments = shlex.split(line)[1:]
    key = f"{name} --verify" if "--verify" in arguments else name
    assert key in SHRUNK, f"say in SHRUNK how `mtd {key}` becomes short"
    return commands()[name], [*arguments, *SHRUNK[key]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that the pages name."""
    for seed, name in enumerate(("mine", "theirs", "baseline", "masked")):
        save_tiny(tmp_path / f"{name}.pth", seed)
    rng = np.random.default_rng(0)
    for kind in ("photos", "noisy"):
        (tmp_path / kind).mkdir()
        for name in "ab":
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_commands_run_in_order(page, folder, monkeypatch, in_process):
    """In this process, without rendering figures that no page is about."""
    leave_unrendered(monkeypatch)
    fork_kernels(monkeypatch)
    monkeypatch.chdir(folder)
    found = lines(page)
    assert len(found) >= 3
    for line in found:
        module, arguments = shrunk(line)
        code, _, said = in_process(import_module(module).main, *arguments)
        assert code == 0, f"{line}: {said[-600:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_run_as_processes_with_figures(page, folder):
    for line in lines(page):
        module, arguments = shrunk(line)
        done = forked("-m", module.removesuffix(".command"), *arguments, cwd=folder)
        assert done.returncode == 0, f"{line}: {done.stderr[-600:]}"


def run(page: str, patch: pytest.MonkeyPatch) -> ModuleType:
    """A module of the Python that a page shows."""
    module = ModuleType("documented")
    patch.setitem(sys.modules, "documented", module)  # where dataclasses look names up
    found = blocks(page, "python")
    assert found
    for block in found:
        exec(compile(block, page, "exec"), vars(module))
    return module


def test_values_of_the_page_on_cka(monkeypatch):
    module = run("docs/cka.md", monkeypatch)
    same, scaled = module.cka(module.x, module.x), module.cka(module.x, 3 * module.x + 1)
    assert (same, scaled) == (pytest.approx(1), pytest.approx(1))


def test_each_part_to_add_is_short():
    """Lines beside imports and blank ones; the analysis has a record of a line for each entry."""
    written = [
        [line for line in block.splitlines() if line and "import" not in line]
        for block in blocks("docs/add.md", "python")
    ]
    network, noise, metric, analysis = map(len, written)
    assert metric <= 5 and network <= 15 and noise <= 10 and analysis <= 30


def test_what_the_page_on_adding_shows_works_once_it_is_installed(tmp_path):
    site, about = tmp_path / "site", tmp_path / "site" / "mypackage-1.0.dist-info"
    for path in (site / "mypackage", about):
        path.mkdir(parents=True)
    (site / "mypackage" / "mine.py").write_text("\n".join(blocks("docs/add.md", "python")))
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mypackage\nVersion: 1.0\n")
    (entries,) = blocks("docs/add.md", "toml")
    points = entries.replace('project.entry-points."', "").replace('"', "")
    (about / "entry_points.txt").write_text(points)
    weights = {"tiny_body.weight": torch.zeros(3, 3, 3, 3), "tiny_body.bias": torch.zeros(3)}
    torch.save(weights, tmp_path / "own.pth")

    def mtd(*arguments: str) -> str:
        (tmp_path / "script.py").write_text("from analysis.commands.console import main; main()")
        search = os.pathsep.join([str(ROOT), str(site)])
        done = forked("script.py", *arguments, *CROPS, cwd=tmp_path, PYTHONPATH=search)
        assert done.returncode == 0, done.stderr
        return done.stdout

    stripes = ("--noise", "gaussian:15", "--noise", "stripes:10", "--output-dir")
    text = mtd("brightest", "own.pth", *stripes, "brightest")
    assert "The brightest output value is" in text
    mtd("generalization", "own.pth", *stripes, "scores", "--no-lpips", "--no-references")
    scores = pd.read_csv(tmp_path / "scores" / "results.csv")
    scores = scores[(scores.metric == "mae") & (scores.noise == "stripes:10")]
    assert set(scores.model) == {"own", "noisy input"}  # a network of zeros changes nothing
    assert scores.value.tolist() == pytest.approx([5 / 255] * len(scores), rel=0.05)
