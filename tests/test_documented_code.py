"""What the documentation shows runs: commands of the first pages, shrunk, and Python."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.commands.console import commands
from tests.helpers.networks import save_tiny
from tests.helpers.paths import ROOT
from tests.helpers.processes import forked

PAGES = ("docs/start.md", "docs/tutorial.md")
SHRUNK = ("--crop", "16", "--limit", "2")
OF_COMMAND = {
    "models": ("--size", "16"),
    "generalization": (*SHRUNK, "--no-lpips"),
    "report": (*SHRUNK, "--no-lpips"),
}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", (ROOT / page).read_text())


def lines(page: str) -> list[str]:
    return [s for b in blocks(page, "sh") for s in b.splitlines() if s.startswith("mtd ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("documented")
    for seed, name in enumerate(("mine", "theirs", "baseline", "masked")):
        save_tiny(made / f"{name}.pth", seed)
    rng = np.random.default_rng(0)
    for kind in ("photos", "noisy"):
        (made / kind).mkdir()
        for name in "ab":
            pixels = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(made / kind / f"{name}.png")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_commands_run(page: str, folder: Path):
    found = lines(page)
    assert len(found) >= 3
    for line in found:
        name, *arguments = shlex.split(line)[1:]
        verify = "--verify" in arguments
        more = () if verify else OF_COMMAND.get(name, SHRUNK)
        module = commands()[name].removesuffix(".command")
        done = forked("-m", module, *arguments, *more, cwd=folder)
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
