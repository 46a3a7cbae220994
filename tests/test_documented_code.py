"""What the documentation shows runs: commands of the first pages, shrunk, and Python."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
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


def test_entries_of_the_page_on_adding_work(monkeypatch):
    module, clean = run("docs/add.md", monkeypatch), torch.full((1, 3, 4, 4), 0.5)
    noisy = module.Stripes.from_parts("stripes:10", "10", {}).sample(clean, None)
    assert module.mean_absolute_error(noisy, clean).item() == pytest.approx(5 / 255)
    assert module.Tiny()(clean).shape == clean.shape
    assert module.ANALYSIS.name == "brightest"
