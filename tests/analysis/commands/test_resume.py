"""Interrupted runs: nothing finished is repeated, and what comes out is what would have."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

import analysis
from analysis.cka import command as cka_command
from analysis.commands import network_pass
from analysis.commands.command import run_arguments
from analysis.engine import run as engine_run
from mtd.networks.swinir import SwinIR
from mtd.utils import atomic_write
from mtd.utils.errors import BadInput
from tests.helpers.interrupted import libraries_error
from tests.helpers.processes import Forked, environment
from tests.helpers.run_folders import contents

RUN = ("plain.pth", "hidden.pth", "--crop", "16", "--limit", "12", "--batch-size", "2", "--quiet")
RUN = (*RUN, "--layers", "conv_*")


def finished(folder: Path) -> set[str]:
    """The cached results of a run; none where it has not begun or has cleared them away.

    Asked of a run that is under way, so that they may go while they are listed. A result that is
    still being written has a hidden name.
    """
    try:
        names = [path.name for path in (folder / "cache").iterdir()]
        return {name for name in names if re.fullmatch(r"[^.].*\.safetensors", name)}
    except FileNotFoundError:
        return set()


LONG = ("--limit", "24")
COMMAND = ("-m", "analysis.cka", *RUN, *LONG, "--output-dir", "run")


def run(*options: str, output: str = "run") -> Path:
    arguments = [*RUN, "--output-dir", output, *options]
    return run_arguments(cka_command.ANALYSIS, arguments, "test")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks that were run, in order."""
    names: list[str] = []
    original = engine_run.run_network
    monkeypatch.setattr(
        engine_run, "run_network", lambda *a: names.append(a[1].model) or original(*a)
    )
    return names


@pytest.mark.drawn
@pytest.mark.parametrize("times", [3, pytest.param(8, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_with_identical_files(folder, times):
    reference = contents(run(*LONG, output="whole"))
    dice, path = random.Random(0), folder / "run"
    moments = [  # some while it computes, one while it writes tables, one while it draws
        *(partial(more_results, path, dice.randint(1, 5)) for _ in range(times)),
        *(partial(written, path / name) for name in ("cka.csv", "cross_noise.png")),
    ]
    while moments:
        before, reached = finished(path), moments[0]()
        resumed = ("--resume",) if (path / "manifest.json").exists() else ()
        process = Forked(*COMMAND, *resumed, cwd=folder, variables=environment())
        while process.running() and not reached():
            time.sleep(0.002)
        time.sleep(0.01 * dice.random())
        if process.running():
            process.kill()
            del moments[0]
            assert before <= finished(path) or not (path / "cache").exists()
        else:  # ended before it was killed: from the start again
            assert process.wait() == 0, process.done().stderr
            shutil.rmtree(path)
    assert run(*LONG, "--resume") == Path("run") and contents(path) == reference


def more_results(path: Path, count: int) -> Callable[[], bool]:
    """Whether so many more results are cached than now."""
    before = finished(path)
    return lambda: len(finished(path) - before) >= count


def written(path: Path) -> Callable[[], bool]:
    """Whether there is a file."""
    return path.exists


def test_sound_results_are_not_computed_again_and_a_finished_run_runs_nothing(folder, networks):
    original = engine_run.ActivationCache.put
    # two models under two noises; their other draws; three untrained networks for each model
    total = 12 // 2 * (4 + 4 + 3 * 4)

    def stop(self, key, tensors):
        if self.count() == 7:
            raise KeyboardInterrupt
        return original(self, key, tensors)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_run.ActivationCache, "put", stop)
        with pytest.raises(KeyboardInterrupt, match=r"7 cached results .* --resume"):
            run()
    networks.clear()
    damaged = next((folder / "run" / "cache").glob("*.safetensors"))
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 64  # one bit of an activation's exponent
    damaged.write_bytes(content)
    path = run("--resume")
    assert len(networks) == total - 7 + 1
    networks.clear()
    before = contents(path)
    (path / "cka.csv.bak").unlink(missing_ok=True)
    (path / "cross_noise.png").unlink()
    run("--resume")
    assert not networks and contents(path) == before
    assert contents(run(output="whole")) == before
    log = json.loads((path / "run.json").read_text())["runs"]
    assert len(log) == 3 and log[0]["finished"] is None and log[2]["finished"]


def test_a_finished_run_without_resume_is_done_anew(folder, networks):
    run()
    first = len(networks)
    run()
    assert len(networks) == 2 * first
    assert len(json.loads((folder / "run/run.json").read_text())["runs"]) == 1


def test_an_unfinished_run_is_not_thrown_away(folder, in_process, monkeypatch):
    original, seen = engine_run.run_network, []

    def run_network(*given):
        seen.append(given)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return original(*given)

    monkeypatch.setattr(engine_run, "run_network", run_network)
    with pytest.raises(KeyboardInterrupt):
        run()
    code, _, err = in_process(cka_command.main, *RUN, "--output-dir", "run")
    assert code == 2 and "holds 4 cached results of this very run: use --resume to continue" in err
    assert len(list((folder / "run/cache").glob("*.safetensors"))) == 4


def test_interrupt_from_the_keyboard(folder):
    long = (*COMMAND, "--limit", "200")  # so long that it does not end meanwhile
    process = Forked(*long, cwd=folder, variables=environment())
    while not finished(folder / "run") and process.running():
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGINT)
    done = process.done()
    assert done.returncode == 130
    told = r"cached results? (is|are) kept in run; use --resume to continue with them"
    assert re.search(told, done.stderr) and "Traceback" not in done.stderr


@pytest.mark.parametrize("before", [0, 1])
def test_interrupted_while_a_result_is_written(folder, in_process, monkeypatch, before):
    """It has no name of its own yet: the results before it count, and a run of none is removed."""
    original, writing = atomic_write.locks.take, []

    def take(handle):
        taken = original(handle)
        if any((folder / "run/cache").glob(f"{atomic_write.TEMPORARY}*")):
            writing.append(handle)
            if len(writing) == before + 1:
                os.kill(os.getpid(), signal.SIGINT)
        return taken

    monkeypatch.setattr(atomic_write.locks, "take", take)
    code, _, err = in_process(cka_command.main, *RUN, "--output-dir", "run")
    told = "interrupted: 1 cached result is kept in run; use --resume to continue with them"
    assert (code, err.splitlines()) == (130, [told if before else "interrupted"])
    assert len(finished(folder / "run")) == before and (folder / "run").exists() == bool(before)


@pytest.mark.parametrize("where", ["a network", "a cached result"])
def test_interrupted_in_native_code_that_makes_an_error_of_it(
    folder, in_process, monkeypatch, where
):
    """It is no failure of the network, and the results before it are kept."""
    name, place = {
        "a network": ("forward", SwinIR),
        "a cached result": ("tensors", engine_run.CachedActivations),
    }[where]
    original, calls = getattr(place, name), []

    def call(*given, **named):
        calls.append(given)
        if len(calls) == 6:
            libraries_error()
        return original(*given, **named)

    monkeypatch.setattr(engine_run.side_by_side, "own_cores", lambda: 1)
    monkeypatch.setattr(place, name, call)
    code, _, err = in_process(cka_command.main, *RUN, "--output-dir", "run")
    told = r"interrupted: \d+ cached results are kept in run; use --resume to continue with them\n"
    assert code == 130 and re.fullmatch(told, err), err


def test_full_disk_is_one_line_and_keeps_what_is_finished(folder, in_process, monkeypatch):
    reference = contents(run(output="whole"))
    original, written = atomic_write.write, []

    def write(path, content):
        written.append(path)
        if len(written) == 9:
            raise BadInput(f"{path}: cannot be written (No space left on device)")
        original(path, content)

    monkeypatch.setattr(atomic_write, "write", write)
    code, _, err = in_process(cka_command.main, *RUN, "--output-dir", "run")
    assert code == 2 and len(err.splitlines()) == 1 and "No space left" in err
    assert "6 cached results are kept in run; use --resume to continue" in err
    assert len(list((folder / "run/cache").iterdir())) == 6  # but for manifest, log and the last
    code, _, _ = in_process(cka_command.main, *RUN, "--output-dir", "run", "--resume")
    assert code == 0 and contents(folder / "run") == reference


def test_too_little_space_is_said_early_and_deletes_nothing(folder, in_process, monkeypatch):
    usage = shutil.disk_usage(folder)._replace(free=1000)
    monkeypatch.setattr(network_pass.shutil, "disk_usage", lambda path: usage)
    code, _, err = in_process(cka_command.main, *RUN, "--output-dir", "run")
    assert code == 2 and len(err.splitlines()) == 1
    assert "features take about" in err and "2 cached results are kept in run" in err
    assert len(finished(folder / "run")) == 2
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    run("--resume")
    assert contents(folder / "run") == contents(run(output="whole"))


def test_without_memory_it_ends_with_one_line(folder, in_process, monkeypatch):
    def exhausted(*_):
        raise torch.OutOfMemoryError("tried to allocate 1 EiB")

    monkeypatch.setattr(engine_run, "run_network", exhausted)
    code, _, err = in_process(cka_command.main, *RUN, "--output-dir", "run")
    assert code == 1 and err.splitlines() == [
        "failed: out of memory: lower --batch-size, --crop or --memory"
    ]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--resume"], "no run to resume in it"),
        (["--output-dir", "run", "--seed", "5"], "holds another run (it differs in seed)"),
        (
            ["--output-dir", "run", "--seed", "5", "--resume"],
            "holds another run (it differs in seed)",
        ),
    ],
)
def test_what_cannot_be_resumed(folder, in_process, arguments, message):
    run()
    before = contents(folder)
    code, _, err = in_process(cka_command.main, *RUN, *arguments)
    assert code == 2 and message in err and len(err.splitlines()) == 1
    assert contents(folder) == before


def test_a_bad_layer_leaves_no_folder_behind(folder, in_process):
    code, _, _ = in_process(
        cka_command.main, *RUN, "--layers", "**.attn", "--output-dir", "new/er/run"
    )
    assert code == 2 and not (folder / "new").exists()


def test_a_foreign_table_in_the_folder_is_no_result(folder, networks):
    """A run that stopped before its first activation, into a folder that holds a table."""
    (folder / "run").mkdir()
    (folder / "run" / "mine.csv").write_text("a,b\n1,2\n")

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_run, "run_network", stop)
        with pytest.raises(KeyboardInterrupt):
            run()
    with pytest.raises(BadInput, match="the run is not finished; continue it with --resume"):
        analysis.open_run(folder / "run")
    path = run("--resume")
    assert networks and (path / "cka.csv").exists()
    assert not analysis.open_run(path).frames["cka"].empty
    (path / "cka.csv").write_text("")
    with pytest.raises(BadInput, match=r"cka.csv: no table that can be read"):
        analysis.open_run(path)
