"""No command runs code of the folders that it is given, or is started in.

Each folder holds modules and settings of many names, which leave a file when they are run: the
checkpoint's, the images', a run's, a report's, the output's, and the one a command is started in.
`MTD_ATTACK_PYTHON` names another Python, in which the project is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.commands.console import commands
from tests.helpers.networks import save_tiny
from tests.helpers.paths import ROOT
from tests.helpers.processes import fresh
from tests.helpers.training import SMALL
from tests.helpers.training_logs import own

MODULES = (
    *(
        "pandas",
        "numpy",
        "matplotlib",
        "seaborn",
        "scipy",
        "torch",
        "torchvision",
        "PIL",
        "skimage",
    ),
    *(
        "mtd",
        "analysis",
        "notebooks",
        "conftest",
        "sitecustomize",
        "usercustomize",
        "IPython",
        "ipykernel",
    ),
    *("ipykernel_launcher", "papermill", "nbconvert", "nbformat", "json", "csv", "random", "site"),
    *("tensorboard", "safetensors", "lpips", "yaml", "jsonschema", "tqdm", "requests", "evil"),
    *("jupyter_config", "ipython_config", "ipython_kernel_config", "jupyter_nbconvert_config"),
    *("profile_default/startup/00-start", "mitsuba", "pooch", "sklearn", "pywt", "spandrel"),
)
TEMPLATE = "{{ cycler.__init__.__globals__.os.system('touch %s') }}"
RUN = ("--crop", "16", "--limit", "4", "--quiet", "--noise", "gaussian:50")
PAIR = ("models/plain.pth", "models/hidden.pth")
OUT = ("--output-dir", "out")

SETTINGS = tuple(part for change in (*SMALL, "run.steps=1") for part in ("--set", change))

REFUSED = ("render",)
"""Commands that end with one line: of these a package is missing."""

FOUR = (*PAIR, "models/third.pth", "models/fourth.pth")
UNTRIED = ("cka", "degradation", "distributions", "error", "srga")

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "report": ("run", "--sections", "srga", *OUT, "--format", "html,md"),
    "generalization": (*PAIR, *RUN, "--images", "images", "--no-lpips", *OUT),
    "compare": (
        *(*FOUR, *RUN, "--noise", "isp", "--in-distribution", "gaussian:50", "--limit", "2"),
        *("--untrained", "0", "--no-references", *OUT),
        *(part for name in UNTRIED for part in ("--skip", name)),
    ),
    "card": ("benchmark", "--output-dir", "out/card"),
    "compare-cards": ("cards", "--quiet"),
    "attribution": (*PAIR, "--limit", "1", "--steps", "2", "--side", "4", "--crop", "16", *OUT),
    "linear": (*PAIR, "--crop", "8", "--limit", "1", "--levels", "15", "--quiet", *OUT),
    "causal": (*PAIR, *RUN, "--branches", "mlp", *OUT),
    "causal.faig": (*PAIR, *RUN, *OUT),
    "brightness": (*PAIR, *RUN, "--images", "images", *OUT),
    "train": ("small.toml", "--data", "images", *SETTINGS, "--quiet", "--output-dir", "out/run"),
    "pack": ("images", "out/photographs.zip"),
    "curves": ("log", *OUT),
    "denoise": ("models/plain.pth", "images", "out", "--quiet"),
    "degradation": (*PAIR, *RUN, "--noise", "isp", *OUT),
    "models": (*PAIR,),
    "zoo": ("list",),
    "testsets": (),
    "findings": ("study", "--quiet"),
}


def plant(folder: Path, marks: Path) -> None:
    """Put modules and settings into a folder."""
    for name in MODULES:
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = marks / f"{folder.name}-{name.replace('/', '-')}"
        path.write_text(f"open({str(mark)!r}, 'w').close()\n")
    (folder / "matplotlibrc").write_text("backend: module://evil\ntext.usetex: True\n")
    (folder / "a.pth").write_text("import evil\n")
    for kind in ("mtd.models", "mtd.noises", "mtd.metrics", "mtd.analyses"):
        about = folder / f"{kind}.egg-info"
        about.mkdir()
        (about / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {kind}\nVersion: 1\n")
        (about / "entry_points.txt").write_text(f"[{kind}]\nevil = evil:x\n")
    for place in ("", "markdown", "assets", "base"):
        (folder / place).mkdir(exist_ok=True)
        for name in ("index.md.j2", "index.html.j2", "null.j2"):
            mark = marks / f"{folder.name}-{place}-{name}"
            (folder / place / name).write_text(TEMPLATE % mark)


@pytest.fixture(scope="module")
def given(tiny_pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as commands get them, each with such modules."""
    import analysis

    place = tmp_path_factory.mktemp("hostile")
    (place / "marks").mkdir()
    shutil.copytree(tiny_pair, place / "models")
    (place / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    for number, image in enumerate(pixels):
        Image.fromarray(image).save(place / "images" / f"{number}.png")
    result = analysis.srga.score_models(
        str(tiny_pair / "plain.pth"), noises="isp", crop=16, limit=4, progress=False
    )
    for name in ("run", "report"):
        result.save(place / name)
    own(place / "log")
    for seed, name in enumerate(("third", "fourth"), 5):
        save_tiny(place / "models" / f"{name}.pth", seed)
    pair = [str(place / name) for name in PAIR]
    few = {"crop": 16, "limit": 4, "progress": False}
    analysis.generalization.benchmark(pair, noises="isp", lpips=False, **few).save(
        place / "benchmark"
    )
    done = fresh("-m", "analysis.card", "benchmark", "--output-dir", "cards", cwd=place)
    assert done.returncode == 0, done.stderr
    shutil.copytree(ROOT / "reports" / "findings", place / "study")
    return place


@pytest.fixture
def planted(given: Path, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "here"
    shutil.copytree(given, place)
    (place / "out").mkdir()
    folders = ("models", "images", "run", "report", "benchmark", "cards", "log", "study", "out")
    for folder in (place, *(place / name for name in folders)):
        plant(folder, place / "marks")
    (place / "images" / "a.pth").unlink()
    return place


def started(place: Path, name: str, how: str) -> subprocess.CompletedProcess[str]:
    """A command as the console script starts it, or as `python -m`."""
    given = [*ARGUMENTS.get(name, (*PAIR, *RUN, *OUT))]
    python = os.environ.get("MTD_ATTACK_PYTHON", sys.executable)
    variables = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if python == sys.executable:
        variables["PYTHONPATH"] = str(ROOT)
    if how == "console":
        script = Path(python).parent / "mtd"
        start = [str(script)] if python != sys.executable else [python, "-P", "-c", CONSOLE]
        command = [*start, name, *given]
    else:
        command = [python, "-m", commands()[name].removesuffix(".command"), *given]
    return subprocess.run(
        command, cwd=place, env=variables, capture_output=True, text=True, timeout=600, check=False
    )


CONSOLE = "from analysis.commands.console import main; main()"


@pytest.mark.attack
@pytest.mark.parametrize("how", ("console", "module"))
@pytest.mark.parametrize("name", commands())
def test_nothing_in_a_folder_is_run(planted: Path, name: str, how: str):
    if how == "module":  # `python -m` itself looks for the package in the working folder first
        for package in ("mtd", "analysis"):
            (planted / f"{package}.py").unlink()
    done = started(planted, name, how)
    expected = (2,) if name in REFUSED else (0,)
    assert "Traceback" not in done.stderr and done.returncode in expected, done.stderr
    assert sorted(path.name for path in (planted / "marks").iterdir()) == []


@pytest.mark.attack
def test_what_is_run_leaves_a_file(planted: Path):
    """Else nothing would be found."""
    fresh("-c", "import csv", cwd=planted / "run")
    assert [path.name for path in (planted / "marks").iterdir()] == ["run-csv"]
