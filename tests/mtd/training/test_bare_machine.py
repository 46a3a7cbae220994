"""Training from the checkout, on a machine with PyTorch and little else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pandas as pd

from mtd.loading import checkpoint_file
from tests.helpers.bare_machine import hidden, modules, normalized, on_a_bare_machine, there
from tests.helpers.paths import ROOT
from tests.helpers.training import SMALL


def test_every_other_dependency_is_hidden():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {normalized(re.match(r"[\w.-]+", text)[0]) for text in project["dependencies"]}
    lacking = {module for module, packages in modules().items() if packages & (declared - there())}
    assert {"torchvision", "seaborn", "papermill", "bs4", "sklearn", "tensorboard"} <= lacking
    assert {"lpips", "spandrel", "threadpoolctl", "pyvips", "OpenEXR"} <= lacking
    assert lacking <= set(hidden())
    assert not {"torch", "numpy", "skimage", "PIL", "pandas", "matplotlib"} & set(hidden())


def test_packed_photographs_train_a_network(photos, tmp_path):
    """Photographs on the device, validation on the bundled ones, snapshots and states."""

    def bare(*arguments: str, what: str = "-m") -> str:
        folder = tmp_path / "hidden"
        folder.mkdir(exist_ok=True)
        done = on_a_bare_machine(what, *arguments, folder=folder, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr and "rror" not in done.stderr, done.stderr
        return done.stdout

    absent = ["seaborn", "sklearn", "tensorboard", "torchvision"]
    lines = [f"import mtd, importlib.util as u; print([n for n in {absent} if u.find_spec(n)])"]
    assert bare(*lines, what="-c") == "[]\n"
    archive = str(tmp_path / "photographs.zip")
    assert "5 images of 1 folder" in bare("mtd.pack", str(photos), archive)
    run = str(tmp_path / "run")
    changes = [*SMALL, "run.steps=4", "data.on_device=true", "validation.every=2"]
    changes += ["validation.crops=2", "validation.crop=16"]
    settings = [text for change in changes for text in ("--set", change)]
    command = ("mtd.train", "small.toml", "--data", archive, "--output-dir", run, *settings)
    assert bare(*command) == f"{run}/model.pth\n"
    written = {path.name for path in Path(run).iterdir()}
    assert {"log.csv", "model.pth", "recipe.json", "state.pt", "validation.csv"} < written
    assert {f"snapshot-{step:06d}.pth" for step in (1, 2, 3)} < written
    assert "events" not in written  # which need TensorBoard
    table = pd.read_csv(tmp_path / "run/validation.csv")
    assert sorted(set(table.step)) == [2, 4] and table.psnr.between(5, 60).all()
    about = checkpoint_file.read(tmp_path / "run/model.pth").metadata["training"]
    assert about["noise_stream"] == "cpu, one stream for each step" and about["images"] == 4
