"""reports/full-size: the check and its race, rehearsed at toy size, and the numbers they print."""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from tests.helpers.bare_machine import on_a_bare_machine
from tests.helpers.paths import ROOT

FOLDER = ROOT / "reports" / "full-size"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """Imports a script of the folder, as it imports the others."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def imported(name: str) -> ModuleType:
        return importlib.import_module(name)

    yield imported
    for name in ("children", "rates", "waves", "tables", "race", "race_variant", "check"):
        sys.modules.pop(name, None)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    stream = np.random.default_rng(0)
    for i in range(3):
        pixels = stream.integers(0, 255, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


def test_flops_of_a_step_are_those_of_the_papers_network(script):
    """Layer by layer: 0.96 million multiply-adds per pixel, three times that in training."""
    dim, hidden, tokens, blocks = 60, 120, 64, 24
    block = 3 * dim**2 + dim**2 + 2 * dim * hidden + 2 * tokens * dim
    closing = 9 * dim * dim // 4 + (dim // 4) ** 2 + 9 * dim // 4 * dim
    macs = 3 * dim + blocks * block + 5 * closing + 9 * dim * 3
    assert macs == 959_445
    found = script("rates").step_flops(list(script("race").FULL))
    assert found == pytest.approx(2 * 3 * macs * 64 * 64**2, rel=1e-12)


def test_rates_are_counted_from_the_time_that_is_taken(script, monkeypatch):
    rates = script("rates")
    monkeypatch.setattr(rates, "seconds_of", lambda work, device, rounds: work() is None or 0.5)
    assert rates.matrix_rate("cpu") == 2 * 256**3 / 0.5
    assert rates.copy_rate("cpu") == 2 * 2**26 / 0.5


def test_kernels_of_a_trace(script):
    """As PyTorch writes it for a GPU: microseconds, with kernels beside what the host does."""
    events = [
        {"ph": "X", "cat": "kernel", "name": "gemm", "ts": 0, "dur": 3000},
        {"ph": "X", "cat": "kernel", "name": "gemm", "ts": 5000, "dur": 1000.5},
        {"ph": "X", "cat": "gpu_memcpy", "name": "Memcpy HtoD", "ts": 9000, "dur": 500},
        {"ph": "X", "cat": "cpu_op", "name": "aten::mm", "ts": 0, "dur": 90000},
        {"ph": "X", "cat": "gpu_user_annotation", "name": "step", "ts": 0, "dur": 90000},
        {"ph": "M", "name": "process_name"},
    ]
    spent = script("race_variant").of_trace({"traceEvents": events})
    assert spent == {"gemm": (2, pytest.approx(4.0005)), "Memcpy HtoD": (1, 0.5)}


def made_up(script) -> list:
    variant = script("waves").Variant
    return [
        variant("sdpa", "eager", {"ms_median": 40.0, "ms_p95": 41.0, "peak_gib": 30.0}),
        variant("matmul", "eager", {"ms_median": 50.0, "ms_p95": 51.0, "peak_gib": 40.0}),
        variant("matmul", "default", {"ms_median": 20.0, "ms_p95": 25.0, "peak_gib": 12.0}),
        variant("flex", "default", {"error": "BadInput: no"}),
    ]


def test_the_table_and_its_verdict(script):
    race, variants = script("race"), made_up(script)
    frame = race.table(variants, flops=8e12, rate=8e14)
    assert list(frame.attention) == ["matmul", "sdpa", "matmul", "flex"]
    assert frame.share_of_bf16_rate[:3].tolist() == pytest.approx([0.5, 0.25, 0.2])
    assert frame.reason.tolist() == ["", "", "", "BadInput: no"]
    said = race.verdict(variants, "cuda")
    assert "fastest: matmul, default, 20.00 ms" in said
    assert "compiled: 'matmul'" in said and "not compiled: 'sdpa'" in said
    assert race.verdict(variants[3:], "cuda") == "no variant could be measured"


def test_tables_of_text(script):
    rows = [
        {"network": "masked", "ms": 12.34567, "steps": 200, "reason": ""},
        {"network": "b", "ms": float("nan"), "other": None},
    ]
    lines = script("tables").aligned(rows).splitlines()
    assert lines == ["network  ms     steps", "masked   12.35  200", "b"]


def test_as_many_side_by_side_as_memory_holds(script, monkeypatch):
    race, variants = script("race"), made_up(script)
    assert race.side_by_side(variants) == race.AT_ONCE  # without a GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for gib, count in ((80, 3), (40, 2), (10, 1)):
        properties = type("Properties", (), {"total_memory": gib * 2**30})
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _, p=properties: p)
        assert race.side_by_side(variants) == count


FAKE = """\
import json, os, sys, time
from pathlib import Path

given = Path(sys.argv[1])
settings, folder = json.loads(given.read_text()), given.parent
path = next(one for one in settings["changes"] if "attention" in one)
other = folder.parent / "pid"
if "sdpa" in path:
    other.write_text(str(os.getpid()))
    sys.exit("died of something")
if "flex" in path:
    time.sleep(600)
try:
    while True:
        time.sleep(0.01)
        if other.exists() and other.read_text():
            os.kill(int(other.read_text()), 0)
except ProcessLookupError:
    (folder / "ready").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
(folder / "result.json").write_text('{"ms_median": 5.0, "peak_gib": 1.0}')
"""


class Clock:
    """Time that flies once a variant is ready to be measured."""

    sleep, monotonic_ns = staticmethod(time.sleep), staticmethod(time.monotonic_ns)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def monotonic(self) -> float:
        ready = any(self.folder.glob("matmul-*/ready"))
        return time.monotonic() + (600 if ready else 0)


def test_variants_that_fail_or_hang_are_rows(script, tmp_path, monkeypatch):
    waves = script("waves")
    (tmp_path / "race_variant.py").write_text(FAKE)
    monkeypatch.setattr(waves, "__file__", str(tmp_path / "waves.py"))
    monkeypatch.setattr(waves, "time", Clock(tmp_path))
    variants = [waves.Variant(path, "default") for path in ("sdpa", "flex", "matmul")]
    late = waves.Variant("matmul", "max-autotune")
    settings = {"changes": []}
    waves.in_waves(variants, 3, tmp_path, settings, time.monotonic() + 600)
    waves.in_waves([late], 1, tmp_path, settings, time.monotonic() + 600)
    assert variants[0].result == {"error": "exit status 1: died of something"}
    assert "lack of time: still being prepared after" in variants[1].result["error"]
    assert variants[2].ms == 5.0
    assert late.result == {"error": "left out for lack of time: not begun"}


def test_children_end_with_whoever_started_them(script, tmp_path):
    """Also those that they started themselves, where they end them when they are told to."""
    marker = tmp_path / "pid"
    inner = f"import os, time; open({str(marker)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    outer = (
        f"import sys; sys.path.insert(0, {str(FOLDER)!r})\n"
        "from pathlib import Path; from children import Child, leave_when_told\n"
        "leave_when_told()\n"
        f"Child(['-c', {inner!r}], Path({str(tmp_path / 'inner.txt')!r})).process.wait()"
    )
    child = script("children").Child(["-c", outer], tmp_path / "outer.txt")
    while not (marker.exists() and marker.read_text()):
        assert child.running, child.said
        time.sleep(0.02)
    inner_process = int(marker.read_text())
    assert child.wait(time.monotonic()) is None and not child.running
    with pytest.raises(ProcessLookupError):
        os.kill(inner_process, 0)


def test_the_race_at_toy_size(tmp_path, photographs):
    """On a bare machine: one path, measured, with its longest operators."""
    (tmp_path / "hide").mkdir()
    arguments = ["--toy", "--data", str(photographs), "--modes", "eager"]
    arguments += ["--paths", "matmul"]
    done = on_a_bare_machine(
        *(str(FOLDER / "race.py"), *arguments, "--seconds", "300", "--device", "cpu"),
        *("--output-dir", str(tmp_path / "out")),
        folder=tmp_path / "hide",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = pd.read_csv(tmp_path / "out" / "race.csv")
    assert table.attention.tolist() == ["matmul"] and table.ms_median[0] > 0
    assert table.ms_p95[0] >= table.ms_median[0] and 0 < table.share_of_bf16_rate[0] < 1
    kernels = pd.read_csv(tmp_path / "out" / "kernels.csv")
    assert len(kernels) == 10 and kernels.ms_per_step.is_monotonic_decreasing
    assert 0 < kernels.share.sum() <= 1 and "fastest: matmul, eager" in done.stdout


@pytest.mark.slow
def test_the_whole_check_at_toy_size(tmp_path):
    """On a bare machine, from the checkout, with all tests of tests/gpu and a compiled variant."""
    (tmp_path / "hide").mkdir()
    run = (
        f"import subprocess, sys; sys.exit(subprocess.call(['bash', {str(FOLDER / 'check.sh')!r}]))"
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = on_a_bare_machine(
        *("-c", run),
        folder=tmp_path / "hide",
        cwd=tmp_path,
        PATH=path,
        TOY="1",
        CHECK_SECONDS="3000",
        RESULTS=str(tmp_path / "results"),
        RACE_MODES="eager,default",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results"
    assert (results / "summary.txt").read_text() == done.stdout
    assert ", 0 failed," in done.stdout and done.stdout.endswith("passed\n")
    training = pd.read_csv(results / "training.csv")
    assert len(training) == 4 and (training.steps == 8).all()
    assert (training.last_loss < training.first_loss).all()
    race = pd.read_csv(results / "race.csv")
    assert sorted(zip(race.attention, race["mode"], strict=True)) == sorted(
        (path, mode) for path in ("flex", "matmul", "sdpa") for mode in ("eager", "default")
    )
    flex = race.reason[race.attention == "flex"]
    assert len(flex) == 2 and all("no gradients on the CPU" in reason for reason in flex)
    assert race.ms_median.count() == 4 and flex.iloc[0] in done.stdout
    assert len(list(results.iterdir())) <= 8


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("CHECK_SECONDS", "10", "CHECK_SECONDS=10: expected whole seconds, 60 or more"),
        ("CHECK_SECONDS", "six", "CHECK_SECONDS=six: expected whole seconds, 60 or more"),
        ("PHOTOGRAPHS", "/nowhere", "PHOTOGRAPHS=/nowhere: no such folder or file"),
        (
            "RESULTS",
            "/dev/null/x",
            "RESULTS=/dev/null/x: not a folder to write to (Not a directory)",
        ),
    ],
)
def test_settings_that_cannot_be(script, tmp_path, monkeypatch, capsys, name, text, message):
    monkeypatch.setenv("RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv(name, text)
    with pytest.raises(SystemExit) as left:
        script("check").main()
    assert left.value.code == 2 and capsys.readouterr().err == f"error: {message}\n"


def test_a_check_that_fails_says_so_and_does_the_rest(script, tmp_path, monkeypatch, capsys):
    """Every part is replaced by a process that fails in its own way."""
    check = script("check")

    class Failing(check.Child):
        def __init__(self, arguments, log, **variables):
            words = {"pytest": "tests", "mtd.train": "training"}
            name = next((words[word] for word in arguments if word in words), "race")
            super().__init__(["-c", f"import sys; sys.exit('no {name} today')"], log)

    monkeypatch.setattr(check, "Child", Failing)
    monkeypatch.setenv("RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("CHECK_SECONDS", "60")
    with pytest.raises(SystemExit) as left:
        check.main()
    said, meanwhile = capsys.readouterr()
    assert [line.split(",")[0] for line in meanwhile.splitlines()] == [
        "check of this machine",
        "tests and 4 trainings",
        "race of attention paths",
    ]
    assert left.value.code == 1 and said.endswith("FAILED\n")
    assert "tests: exit status 1 after 0 passed, 0 failed; no tests today" in said
    assert said.count("exit status 1: no training today") == 4
    assert "no race today\nrace: exit status 1" in said
