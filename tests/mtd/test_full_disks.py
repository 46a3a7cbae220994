"""Full disks: one line, what is finished is kept, and the same command goes on later."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mtd import denoise
from mtd.training import prefetch
from mtd.training import run as training_run
from mtd.training import state as training_state
from mtd.training.logs import Log
from mtd.training.pairs import TrainingPairs
from mtd.training.reading import Reading
from mtd.utils import atomic_write
from mtd.utils.errors import BadInput, Unwritable
from tests.helpers.images import photos_in
from tests.helpers.training import make

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    photos_in(folder)
    return folder


def full_at(monkeypatch: pytest.MonkeyPatch, name: str, time: int) -> Callable[[], None]:
    """A disk that is full when a file is written for the nth time; makes room again."""
    original, seen = Path.replace, 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal seen
        if Path(target).name == name and self.name.startswith(atomic_write.TEMPORARY):
            seen += 1
            if seen >= time:
                raise FULL
        return original(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    return lambda: monkeypatch.setattr(Path, "replace", original)


@pytest.mark.parametrize(
    "name",
    [
        "state.pt",
        pytest.param("snapshot-000004.pth", marks=pytest.mark.attack),
        pytest.param("model.pth", marks=pytest.mark.attack),
        pytest.param("slices.csv", marks=pytest.mark.attack),
    ],
)
def test_training_keeps_its_states(photos, tmp_path, monkeypatch, name):
    plan = make(photos)
    training_run.train(plan, tmp_path / "whole", quiet=True)
    room = full_at(monkeypatch, name, 2 if name == "state.pt" else 1)
    with pytest.raises(Unwritable, match=rf"run/{name}: cannot be written \(No space left"):
        training_run.train(plan, tmp_path / "run", quiet=True)
    room()
    assert not list((tmp_path / "run").glob(".part-*"))
    (tmp_path / "run/.part-0123456789abcdef.pt").write_bytes(b"half a state")  # of a killed write
    training_run.train(plan, tmp_path / "run", quiet=True, resume=True)
    assert not list((tmp_path / "run").glob(".part-*"))
    whole = (tmp_path / "whole/model.pth").read_bytes()
    assert (tmp_path / "run/model.pth").read_bytes() == whole


def test_a_state_that_cannot_be_written_leaves_both_before_it(tmp_path, monkeypatch):
    for step in (1, 2):
        training_state.save(tmp_path, {"step": torch.tensor(step)})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(before) == 2
    original = Path.open

    def full(self: Path, mode: str = "r", *more: object) -> object:
        if "x" in mode:
            return original(Path("/dev/full"), "wb")
        return original(self, mode, *more)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(Unwritable, match="No space left"):
        training_state.save(tmp_path, {"step": torch.tensor(3)})
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_logs_that_cannot_be_written_are_one_line(tmp_path):
    log = Log(tmp_path)
    log.start(0)
    (tmp_path / "log.csv").unlink()
    (tmp_path / "log.csv").symlink_to("/dev/full")
    with pytest.raises(Unwritable, match=r"log\.csv: cannot be written \(No space left on device"):
        log.loss(1, 0.5, 1e-3, 10.0)
    log.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_events_that_cannot_be_written_are_one_line(tmp_path, monkeypatch):
    log = Log(tmp_path)
    log.start(0)

    def full(*_: object) -> None:
        raise FULL

    writer = log.events.file_writer.event_writer._async_writer._writer
    monkeypatch.setattr(writer, "write", full)
    monkeypatch.setattr(writer, "flush", full)
    with pytest.raises(Unwritable, match=r"events: cannot be written \(No space left on device"):
        log.loss(1, 0.5, 1e-3, 10.0)
    log.close()


def test_denoising_stops_at_the_first_image_that_cannot_be_written(
    pair, photos, monkeypatch, in_process
):
    monkeypatch.chdir(pair)
    given = ("plain.pth", "photos", "out", "--quiet")
    room = full_at(monkeypatch, "1.png", 1)
    code, _, err = in_process(denoise.main, *given)
    assert code == 2 and err.splitlines() == [
        "error: out/1.png: cannot be written (No space left on device); 1 of 3 images is written; "
        "--resume continues"
    ]
    room()
    assert in_process(denoise.main, *given, "--resume")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.png", "1.png", "2.png"]


@pytest.mark.attack  # by default test_removed_files.py removes the working folder of an analysis
def test_a_removed_output_folder_is_one_line(pair, monkeypatch, in_process):
    from analysis.brightness import command
    from analysis.engine.cache import ActivationCache

    monkeypatch.chdir(pair)
    original, calls = ActivationCache.put, 0

    def put(self: ActivationCache, *given: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            shutil.rmtree("run")
        return original(self, *given)

    monkeypatch.setattr(ActivationCache, "put", put)
    given = ("plain.pth", "--crop", "16", "--limit", "4", "--batch-size", "2", "--quiet")
    given = (*given, "--noise", "gaussian:15", "--noise", "poisson:3")
    code, _, err = in_process(command.main, *given, "--output-dir", "run")
    assert (code, err) == (2, "error: run: removed while the run went on; start it anew\n")
    assert not Path("run").exists()
    assert in_process(command.main, *given, "--output-dir", "run")[0] == 0


def test_too_little_shared_memory_for_workers_is_one_line(photos, tmp_path, monkeypatch):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15")
    monkeypatch.setattr(prefetch, "SHARED", tmp_path / "absent")
    with pytest.raises(BadInput, match=r"--workers 2: needs 32768 bytes of shared.* has 0 bytes"):
        prefetch.check(pairs, 2, 2, 2)
    plan = make(photos)
    with pytest.raises(BadInput, match=r"--workers 2: needs \S+ \w+ of shared memory, and"):
        training_run.train(plan, tmp_path / "run", quiet=True, reading=Reading(workers=2))


PART = 2 * 4 * 4096
"""Bytes of noisy and clean crops: four of 3 x 16 x 16 in float32, with their header, are 12352."""


@pytest.mark.parametrize(
    "parts, workers, processes, held",
    [(1, 2, "1", 1), (2, 2, "1", 2), (8, 2, "1", 8), (10**9, 2, "1", 9), (10**9, 3, "4", 4 * 13)],
)
def test_shared_memory_is_for_what_all_processes_of_a_machine_hold(
    photos, monkeypatch, parts, workers, processes, held
):
    """Four parts that each worker loads ahead and one that is worked on, if there are so many."""
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    free = held * PART
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    prefetch.check(pairs, parts, 4, workers)
    free -= 1
    of = f" for {processes} processes" if processes != "1" else ""
    with pytest.raises(BadInput, match=rf"needs \S+ \w+ of shared memory{of}, and /dev/shm has"):
        prefetch.check(pairs, parts, 4, workers)


def test_a_long_path_of_temporary_files_is_one_line_with_workers(photos, monkeypatch):
    """Else their sockets cannot be made, and training waits for ever."""
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15")
    monkeypatch.setattr(tempfile, "tempdir", "/" + "x" * prefetch.LONGEST)
    with pytest.raises(
        BadInput, match=r"^--workers 2: /x{75} is too long for the paths of sockets"
    ):
        prefetch.check(pairs, 2, 2, 2)


def test_a_line_for_any_reason(tmp_path):
    with pytest.raises(BadInput, match="cannot be written"):
        atomic_write.write("/dev/null/x", b"")
