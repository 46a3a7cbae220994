"""The scripts of reports/full-size, rehearsed on the CPU at toy size."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import mtd
from mtd.training import config as training_config
from mtd.training import run as training_run
from tests.helpers import step_clock
from tests.helpers.paths import ROOT
from tests.helpers.training import weights_of

SCRIPT = "reports/full-size/train.sh"
NAMES = ("masked", "baseline")
TOY = (
    *("network.embed_dim=8", "network.depths=[2]", "network.num_heads=[2]"),
    *("network.mlp_hidden=16", "data.crop=16", "run.batch_size=2", "run.compile=false"),
    *("validation.crops=2", "validation.crop=16"),
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (3, 24, 30, 3), dtype=np.uint8)
    for i, photo in enumerate(pixels):
        Image.fromarray(photo).save(folder / f"{i}.png")
    return folder


def python(folder: Path, instead: str) -> Path:
    """A folder with a `python3` that keeps the options of mtd.train and runs something instead."""
    folder.mkdir()
    path = folder / "python3"
    path.write_text(
        f'#!/bin/bash\nif [ "$1 $2" = "-m mtd.train" ]; then shift 2\n'
        f'echo "$@" >>"{folder}/calls"\n{instead}\nfi\nexec "{sys.executable}" "$@"\n'
    )
    path.chmod(0o755)
    return folder


def run(first: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    threads = str(torch.get_num_threads())
    own = {"PATH": f"{first}:{os.environ['PATH']}", "OMP_NUM_THREADS": threads, "DEVICE": "cpu"}
    return subprocess.run(
        ["bash", SCRIPT], cwd=ROOT, capture_output=True, text=True, env=os.environ | own | variables
    )


def options(folder: Path) -> list[dict[str, str]]:
    """Of each call of mtd.train: the network's name, and the seconds given to it."""
    calls = [line.split() for line in (folder / "calls").read_text().splitlines()]
    return [
        {
            "name": Path(call[call.index("--output-dir") + 1]).name,
            "seconds": call[call.index("--seconds") + 1] if "--seconds" in call else "",
            "baseline": "--baseline" in call,
        }
        for call in calls
    ]


@pytest.mark.slow
def test_two_slices_are_the_uninterrupted_training(photos, tmp_path):
    """Time goes on with steps alone, 1,000 s each; bash's own seconds hardly count beside them."""
    shim = python(tmp_path / "bin", f'exec "{sys.executable}" "{step_clock.__file__}" "$@"')
    results = tmp_path / "results"
    given = {
        "PHOTOGRAPHS": str(photos),
        "EXTRA": " ".join(f"--set {change}" for change in TOY),
        "STEPS": "8",
        "TRAIN_SECONDS": "7000",
        "STEP_SECONDS": "1000",
        "RESULTS": str(results),
    }
    first = run(shim, RUNS=str(tmp_path / "first"), **given)
    assert first.returncode == 0, first.stderr
    stopped = [line for line in first.stdout.splitlines() if line.startswith("stopped")]
    assert [line.split(" after")[0] for line in stopped] == [
        "stopped at step 3 of 8",
        "stopped at step 6 of 8",
    ]
    files = sorted(path.name for path in results.iterdir())
    assert files == sorted(
        f"{name}{end}" for name in NAMES for end in ("-state.pt", ".pth", "-logs.zip")
    )
    for name, steps in zip(NAMES, (3, 6), strict=True):
        network = mtd.load(results / f"{name}.pth")
        state = torch.load(results / f"{name}-state.pt", weights_only=True)
        assert network.source["training"]["steps"] == state["step"] == steps
    # another machine, which has nothing but the results of the first
    kept, results = results, tmp_path / "more"
    given |= {"FROM": str(kept), "RESULTS": str(results)}
    second = run(shim, RUNS=str(tmp_path / "second"), **given)
    assert second.returncode == 0, second.stderr
    assert second.stderr.count("PSNR in dB") == 3 and "Gaussian σ = 15, trained on" in second.stderr
    assert "masked: finished" in second.stdout and "baseline: finished" in second.stdout
    for name in NAMES:
        settings = [*TOY, "run.steps=8", "optimizer.warmup=0"]
        plan = training_config.load(
            "full.toml", settings, folders=[str(photos)], baseline=name == "baseline"
        )
        whole = training_run.train(plan, tmp_path / "whole" / name, quiet=True)
        expected = weights_of(whole)
        for found in (tmp_path / "second" / name / "model.pth", results / f"{name}.pth"):
            for key, value in weights_of(found).items():
                assert torch.equal(value, expected[key]), key
        with zipfile.ZipFile(results / f"{name}-logs.zip") as kept:
            kept.extractall(tmp_path / name)
        table = pd.read_csv(tmp_path / name / "slices.csv")
        assert list(table.step_to)[-1] == 8 and list(table.step_from[1:]) == list(
            table.step_to[:-1]
        )
        shown = pd.read_csv(tmp_path / name / "validation.csv")
        assert list(shown.noise) == list(plan.validation.noises)
    # a third time there is nothing to do
    before = len(options(shim))
    third = run(shim, RUNS=str(tmp_path / "second"), **given)
    assert third.returncode == 0 and len(options(shim)) == before


STUB = """
while [ $# -gt 0 ]; do [ "$1" = --output-dir ] && folder=$2; shift; done
mkdir -p "$folder"; echo state >"$folder/state.pt"; echo average >"$folder/average.pth"
case " $FINISHES " in
    *" $(basename "$folder") "*) mv "$folder/average.pth" "$folder/model.pth" ;;
esac
exit ${STATUS:-0}
"""


def test_the_time_is_halved_or_given_to_the_one_that_is_not_finished(photos, tmp_path):
    shim = python(tmp_path / "bin", STUB)
    given = {"PHOTOGRAPHS": str(photos), "RUNS": str(tmp_path / "runs"), "TRAIN_SECONDS": "100000"}
    assert run(shim, **given, FINISHES="").returncode == 0
    # the stub takes no time: for the second one nearly all is left
    first, second = options(shim)
    assert (first["name"], first["baseline"]) == ("masked", False)
    assert (second["name"], second["baseline"]) == ("baseline", True)
    assert 49_000 < int(first["seconds"]) < 50_000 < 99_000 < int(second["seconds"]) < 100_000
    assert run(shim, **given, FINISHES="baseline").returncode == 0
    assert [one["name"] for one in options(shim)[2:]] == ["masked", "baseline", "masked"]
    assert 99_000 < int(options(shim)[4]["seconds"]) < 100_000
    done = run(shim, **given, FINISHES="masked")
    assert [one["name"] for one in options(shim)[5:]] == ["masked"]
    assert 99_000 < int(options(shim)[5]["seconds"]) < 100_000
    assert done.stdout.splitlines()[-2].startswith("masked: finished, ")
    del given["TRAIN_SECONDS"]
    assert run(shim, **given, FINISHES="").returncode == 0 and len(options(shim)) == 6
    given["RUNS"] = str(tmp_path / "other")
    assert run(shim, **given, FINISHES="masked baseline").returncode == 0
    assert [one["seconds"] for one in options(shim)[6:]] == ["", ""]


def test_what_is_there_is_kept_when_a_training_fails(photos, tmp_path):
    shim = python(tmp_path / "bin", STUB)
    given = {"PHOTOGRAPHS": str(photos), "RUNS": str(tmp_path / "runs"), "FINISHES": ""}
    done = run(shim, **given, RESULTS=str(tmp_path / "kept"), STATUS="2")
    assert done.returncode == 2 and len(options(shim)) == 2
    assert (tmp_path / "kept/masked-state.pt").read_text() == "state\n"
    assert (tmp_path / "kept/baseline.pth").read_text() == "average\n"
    assert run(shim, **given, STATUS="130").returncode == 130 and len(options(shim)) == 3


def test_a_network_goes_on_from_the_state_of_another_machine(photos, tmp_path):
    shim = python(tmp_path / "bin", "exit 0")
    kept, runs = tmp_path / "kept", tmp_path / "runs"
    kept.mkdir()
    (kept / "masked-state.pt").write_text("kept")
    with zipfile.ZipFile(kept / "masked-logs.zip", "w") as file:
        file.writestr("recipe.json", "{}")
    given = {"PHOTOGRAPHS": str(photos), "RUNS": str(runs)}
    done = run(shim, **given, RESULTS=str(kept))
    assert "masked: goes on from" in done.stdout and done.returncode == 0
    assert (runs / "masked/state.pt").read_text() == "kept"
    assert (runs / "masked/recipe.json").read_text() == "{}"
    assert not (runs / "baseline").exists()
    (runs / "masked/state.pt").write_text("newer")
    assert run(shim, **given, FROM=str(kept)).returncode == 0
    assert (runs / "masked/state.pt").read_text() == "newer"


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"TRAIN_SECONDS": "soon"}, "TRAIN_SECONDS=soon: expected whole seconds, 80 or more"),
        ({"TRAIN_SECONDS": "0"}, "TRAIN_SECONDS=0: expected whole seconds, 80 or more"),
        ({"TRAIN_SECONDS": "20"}, "TRAIN_SECONDS=20: expected whole seconds, 80 or more"),
        ({"TRAIN_SECONDS": "080"}, "TRAIN_SECONDS=080: expected whole seconds, 80 or more"),
        ({"RESULTS": "README.md/kept"}, "RESULTS=README.md/kept: not a folder to write to"),
        ({"FROM": "absent"}, "FROM=absent: no such folder"),
        ({"STEPS": "-2"}, "STEPS=-2: expected a whole number above 0"),
        ({"PHOTOGRAPHS": "absent.zip"}, "python3 -m mtd.pack FOLDER... absent.zip"),
    ],
)
def test_bad_input_of_the_script_is_one_line(photos, tmp_path, variables, message):
    done = run(tmp_path, **{"PHOTOGRAPHS": str(photos), **variables})
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr and len(done.stderr.splitlines()) == 1


def test_too_little_time_starts_nothing(photos, tmp_path):
    shim = python(tmp_path / "bin", STUB)
    given = {"PHOTOGRAPHS": str(photos), "RUNS": str(tmp_path / "runs")}
    done = run(shim, **given, TRAIN_SECONDS="100", SECONDS="80")  # of which 80 have passed
    assert done.returncode == 0 and not (shim / "calls").exists()
    assert [line.partition(", ")[0] for line in done.stdout.splitlines()[1:]] == [
        "masked: not started",
        "baseline: not started",
    ]


def test_options_that_cannot_be_end_the_script_at_the_first_network(photos, tmp_path):
    shim = python(tmp_path / "bin", "echo error: wrong >&2; exit 2")
    done = run(shim, PHOTOGRAPHS=str(photos), RUNS=str(tmp_path / "runs"))
    assert (done.returncode, done.stderr) == (2, "error: wrong\n") and len(options(shim)) == 1
