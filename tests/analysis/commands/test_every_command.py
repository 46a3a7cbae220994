"""What all analyses have in common: help at once, resuming, several processes, a full disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from analysis.attribution import integrated_gradients
from analysis.commands import printed
from analysis.commands.command import run_arguments
from analysis.engine import run as engine_run
from analysis.engine.cache import ActivationCache
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from tests.helpers.json_output import strict
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.processes import fresh, two_processes
from tests.helpers.run_folders import contents

ANALYSES = (
    *("cka", "generalization", "srga", "distributions", "degradation", "sensitivity"),
    *("attribution", "brightness", "error", "linear", "causal", "stitch", "compare"),
)
COMMANDS = (*(f"analysis.{name}" for name in ANALYSES), "mtd.denoise", "mtd.train", "mtd.testsets")
COMMANDS = (
    *COMMANDS,
    "mtd.models",
    "mtd.pack",
    "analysis.curves",
    "analysis.report",
    "analysis.findings",
    "analysis.card",
    "analysis.compare_cards",
)

FEW = ("--crop", "16", "--limit", "6", "--quiet", "--noise", "gaussian:15")
FEW = (*FEW, "--noise", "gaussian:=poisson:3")
LAYERS = ("--layers", "conv_*")
MORE = {
    "cka": (*FEW, *LAYERS),
    "degradation": (*FEW, *LAYERS),
    "srga": FEW[:5] + FEW[7:],
    "distributions": (*FEW[:5], *FEW[7:], *LAYERS),
    # CKA's sums are rounded otherwise by two processes (tests/mtd/utils/test_distributed.py)
    "compare": (
        *(*FEW[:5], *FEW[7:], "--skip", "cka", "--skip", "degradation"),
        *("--in-distribution", "gaussian:15"),
    ),
    "attribution": ("--limit", "3", "--steps", "4", "--side", "4", *FEW[4:7], "--crop", "16"),
    "linear": ("--crop", "8", "--limit", "1", "--levels", "15", *FEW[4:]),
    "causal": ("--crop", "16", "--limit", "4", "--branches", "mlp", *FEW[4:5], *FEW[7:]),
    "stitch": ("--crop", "16", "--limit", "4", *FEW[4:], *LAYERS),
}
BATCHES = {
    "generalization": ("--batch-size", "2", "--tile", "off"),
    **dict.fromkeys(("attribution", "linear", "stitch"), ()),
}
OWN_PASS = ("linear", "causal", "stitch")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    for seed, name in enumerate(("third", "fourth"), 5):
        weights = tiny_network(seed).state_dict()
        checkpoint_file.save(f"{name}.pth", weights, network=TINY, mask=MaskPolicy())
    return pair


def arguments(name: str) -> list[str]:
    """A small run of a command, in three batches."""
    models = ["plain.pth", "hidden.pth"]
    if name == "compare":
        models += ["third.pth", "fourth.pth"]
    return [*models, *MORE.get(name, FEW), *BATCHES.get(name, ("--batch-size", "2"))]


def start(module: ModuleType, *given: str) -> Path:
    return run_arguments(module.ANALYSIS, given, "test")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_instant_and_has_examples(command, tmp_path):
    code = (
        f"import sys, runpy\nsys.argv = ['x', '--help']\n"
        f"try:\n    runpy.run_module('{command}', run_name='__main__')\n"
        "except SystemExit as e:\n    assert e.code == 0\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'sklearn'}\n"
        "later = {'mtd.noise.synthetic', 'logging', 'difflib', 'ctypes'}  # for what is named\n"
        "assert not (heavy | later) & set(sys.modules)\n"
    )
    done = fresh("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "examples:" in done.stdout and f"python -m {command}" in done.stdout


@pytest.mark.parametrize(
    "name",  # tests/analysis/compare/test_compare_command.py interrupts a smaller comparison
    [pytest.param(n, marks=pytest.mark.slow) if n == "compare" else n for n in ANALYSES],
)
def test_an_interrupted_run_ends_with_the_same_files(folder, monkeypatch, in_process, name):
    module, given = import_module(f"analysis.{name}.command"), arguments(name)
    where, what = (engine_run, "run_network")
    if name == "attribution":
        where, what = (integrated_gradients, "attribute")
    elif name in OWN_PASS:
        where, what = (ActivationCache, "put")
    calls = 0
    stop_at = 0
    original: Callable = getattr(where, what)

    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == stop_at:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(where, what, counted)
    reference = contents(start(module, *given, "--output-dir", "whole"))
    whole, calls, stop_at = calls, 0, calls // 2
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        start(module, *given, "--output-dir", "cut")
    start(module, *given, "--output-dir", "cut", "--resume")
    # the view beside the interrupted one, and of a batch that was cut in two the clean views, may
    # have to be shown again
    again = 1 + (4 if name in ("sensitivity", "compare") else 0)
    assert whole + 1 <= calls <= whole + 1 + again
    assert contents(folder / "cut") == reference
    before = calls
    again = (*given, "--output-dir", "cut", "--resume", "--json")
    code, out, err = in_process(module.main, *again)  # of a finished run: printed again
    assert calls == before and contents(folder / "cut") == reference
    check_object(out, folder / "cut", f"analysis.{name}", list(again))
    assert code == 0, err


def check_object(out: str, run: Path, command: str, arguments: list[str]) -> None:
    """Check the object that `--json` prints of a finished run."""
    found = strict(out)
    assert found["command"] == command and found["arguments"] == arguments
    assert (found["status"], found["exit_code"], found["error"]) == ("done", 0, None)
    assert found["run"] == "cut" and found["sentences"]
    there = {path for path in run.rglob("*") if path.is_file()}
    assert {run.parent / name for name in found["files"]} == there
    for name, table in found["results"].items():
        frame = pd.read_csv(run.parent / table["file"])
        assert len(frame) == table["rows"] > 0 and Path(table["file"]).name.startswith(name)
        few = table["rows"] <= printed.MOST_ROWS
        assert (table["records"] is not None) == few
        if few:
            assert [list(row) for row in table["records"]] == [list(frame)] * len(frame)
    assert any(table["records"] for table in found["results"].values())


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name == "compare" else ())
        for name in ANALYSES
        if name != "cka"
    ],
)
def test_two_processes_write_what_one_does(folder, name):
    given = arguments(name)
    start(import_module(f"analysis.{name}.command"), *given, "--output-dir", "one")
    done = two_processes("-m", f"analysis.{name}", *given, "--output-dir", "two", cwd=folder)
    assert done.returncode == 0, done.stderr
    one, two = contents(folder / "one"), contents(folder / "two")
    assert one.keys() == two.keys()
    for file in one:
        assert file.endswith(".png") or one[file] == two[file], file  # two processes draw theirs


@pytest.mark.parametrize("name", ["srga", "degradation", "cka", "distributions", "brightness"])
def test_a_disk_without_room_is_refused_early(folder, in_process, monkeypatch, name):
    usage = shutil.disk_usage(".")._replace(free=10**4)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    module = import_module(f"analysis.{name}.command")
    code, _, err = in_process(module.main, *arguments(name), "--output-dir", "run")
    assert code == 2 and "GiB while the run goes on" in err and len(err.splitlines()) == 1
    # what is cached is kept for --resume, when there is room again
    assert "use --resume to continue" in err and list(Path("run/cache").glob("*.safetensors"))
