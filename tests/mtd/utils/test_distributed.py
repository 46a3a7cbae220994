"""Two processes: the numbers of one, uneven shares, idle processes, errors and deaths."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.cka import command as cka_command
from analysis.commands.command import run_arguments
from mtd.utils.distributed import start
from mtd.utils.errors import BadInput
from tests.helpers.processes import forked, torchrun, two_processes, two_started

FEW = ("--crop", "16", "--positions", "8", "--layers", "conv_first", "--layers", "**.blocks.1")


def single(*arguments: str, cwd: Path) -> None:
    with contextlib.chdir(cwd):
        run_arguments(cka_command.ANALYSIS, arguments, "test")


UNEVEN = ("--limit", "10", "--batch-size", "4")
"""Three batches for two processes."""


@pytest.mark.parametrize(
    "options",
    [
        UNEVEN,
        ("--limit", "6", "--batch-size", "8"),  # one batch: the second process has none
        pytest.param(
            ("--limit", "12", "--unit", "image", "--permutations", "50", "--pairs", "all"),
            marks=pytest.mark.slow,
        ),
        ("--limit", "12", "--unit", "image", "--batch-size", "4", "--kernel", "rbf"),
        ("--limit", "10", "--kernel", "rbf", "--batch-size", "4"),
        ("--limit", "10", "--estimator", "biased", "--batch-size", "4"),
        ("--limit", "9", "--measure", "rsa"),
        ("--limit", "10", "--measure", "cosine", "--batch-size", "4", "--centering", "clean"),
    ],
    ids=["uneven", "idle", "image", "image-minibatch-rbf", "rbf", "biased", "rsa", "cosine"],
)
def test_two_processes_write_the_tables_of_one(pair, options):
    # of controls, which more processes share out too, is tests/analysis/cka/controls
    controls = () if options == UNEVEN else ("--no-controls",)
    arguments = ("plain.pth", "hidden.pth", "--quiet", *FEW, *controls, *options)
    single(*arguments, "--output-dir", "one", cwd=pair)
    launch = torchrun if options == UNEVEN else two_processes
    done = launch("-m", "analysis.cka", *arguments, "--output-dir", "two", cwd=pair)
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in (pair / "one").iterdir())
    assert names == sorted(path.name for path in (pair / "two").iterdir())
    for name in (name for name in names if name.endswith(".csv")):
        one, two = (pd.read_csv(pair / run / name) for run in ("one", "two"))
        numbers = one.select_dtypes("number").columns
        assert one.drop(columns=numbers).equals(two.drop(columns=numbers))
        if len(one):
            assert np.nanmax(np.abs(one[numbers] - two[numbers]).to_numpy(), initial=0) <= 1e-9
    assert "written to two" in done.stdout and done.stdout.count("written to") == 1
    assert (pair / "one/manifest.json").read_bytes() == (pair / "two/manifest.json").read_bytes()


def test_bad_input_is_said_once(pair):
    done = two_processes("-m", "analysis.cka", "plain.pth", "absent.pth", cwd=pair)
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if "error: " in line]
    assert [line for line in lines if "absent.pth" in line] == [
        line for line in lines if line.startswith("error: absent.pth: no such file")
    ]
    assert sum(line.startswith("error: ") for line in lines) == 1
    done = two_processes("-m", "analysis.cka", "plain.pth", "--compare", "cross-model", cwd=pair)
    assert done.returncode != 0 and done.stderr.count("error: 1 model under") == 1
    layer = ("--layers", "**.attn", "--limit", "4")  # one batch: the second process has none
    done = two_processes("-m", "analysis.cka", "plain.pth", *layer, cwd=pair)
    assert done.returncode != 0 and done.stderr.count("error: ") == 1, done.stderr
    assert "another process" not in done.stderr
    assert not (pair / "runs").exists()


DYING = """
import os, signal, sys
from analysis.cka import command
from analysis.cka.observer import Representations
from mtd.utils import cli

extract = Representations.extract

def die(self, layer, value, batch):
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    return extract(self, layer, value, batch)

Representations.extract = die
sys.argv = ["cka", *sys.argv[1:]]
cli.run(command.main)
"""


@pytest.mark.parametrize("launcher", [pytest.param("torchrun", marks=pytest.mark.slow), "none"])
def test_a_process_that_dies_ends_the_others_with_an_error(pair, launcher):
    (pair / "dying.py").write_text(DYING)
    arguments = ("dying.py", "plain.pth", "hidden.pth", *FEW, "--limit", "8", "--batch-size", "4")
    if launcher == "torchrun":
        assert torchrun(*arguments, cwd=pair).returncode != 0
    else:  # as SLURM starts them: nobody stops the others
        first, _ = (process.done() for process in two_started(*arguments, cwd=pair))
        assert first.returncode == 1, first.stderr
        assert "another process ended" in first.stderr
    (run,) = (pair / "runs").iterdir()
    assert not (run / "cka.csv").exists()


FAILING = """
import os, sys
import torch
from analysis.cka import command
from analysis.engine import run
from mtd.utils import cli
from mtd.utils.errors import BadInput

original, calls = run.run_network, []

def fail(*given):
    calls.append(1)
    if os.environ["RANK"] == "1" and len(calls) == 6:
        if reason == "memory":
            raise torch.OutOfMemoryError("1 EiB")
        raise BadInput("the disk is full")
    return original(*given)

run.run_network = fail
reason, sys.argv = sys.argv[-1], ["cka", *sys.argv[1:-1], "--quiet"]
cli.run(command.main)
"""


@pytest.mark.parametrize(
    "reason, line",
    [
        ("disk", "error: process 1: the disk is full; "),
        ("memory", "failed: process 1: out of memory: lower --batch-size, --crop or --memory; "),
    ],
)
def test_an_error_late_in_one_process_ends_all_of_them_with_one_line(pair, reason, line):
    (pair / "failing.py").write_text(FAILING)
    # far more for the first process than it can do until the second one fails
    arguments = ("failing.py", "plain.pth", *FEW, "--limit", "400", "--batch-size", "4")
    done = two_processes(*arguments, "--output-dir", "run", reason, cwd=pair)
    errors = [text for text in done.stderr.splitlines() if text.startswith(("error", "failed"))]
    assert done.returncode != 0 and len(errors) == 1, done.stderr
    assert errors[0].startswith(line) and "use --resume to continue" in errors[0]
    assert "Traceback" not in done.stderr
    assert 5 <= len(list((pair / "run/cache").glob("*.safetensors"))) < 150


def test_a_launcher_that_is_none(pair, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = forked("-m", "analysis.cka", "plain.pth", cwd=pair)
    assert done.returncode == 2 and done.stderr.startswith("error: WORLD_SIZE is 2 but RANK")


def test_folders_of_images_are_shared_out(pair):
    photos = pair / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(5):
        Image.fromarray(rng.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(photos / f"{i}.png")
    arguments = ("-m", "analysis.cka", "plain.pth", *FEW, "--images", "photos")
    done = two_processes(*arguments, "--batch-size", "2", "--output-dir", "run", cwd=pair)
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(pair / "run/cka.csv").crops) == {5}


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"WORLD_SIZE": "abc"}, "WORLD_SIZE is 'abc': expected a whole number, 1 or more"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "2", "RANK": "x"}, "RANK is 'x': expected a whole number, 0 or more"),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "-1"}, "LOCAL_RANK is '-1'"),
    ],
)
def test_what_a_launcher_set_wrongly_is_one_line(monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match=message):
        start("cpu")
