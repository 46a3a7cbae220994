"""A finished run stays finished until a file is replaced; one write decides how it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

from analysis.commands import command
from analysis.commands.changes import Changes
from analysis.commands.recovery import as_recorded, record
from analysis.commands.run_folder import RunFolder
from analysis.commands.run_manifest import disbelieved, finished, intact, read_log, unfinished
from analysis.commands.run_tables import read_tables
from analysis.engine.cache import ActivationCache
from analysis.srga.command import ANALYSIS
from mtd.utils import atomic_write
from mtd.utils.distributed import SINGLE_PROCESS
from mtd.utils.errors import BadInput
from tests.helpers.run_folders import contents

ABOUT = {"analysis": "srga", "models": {"a": {"sha256": "1"}}, "batches": [4]}
FRAME = pd.DataFrame({"model": ["a"], "srga": [0.5]})
OTHER = FRAME.assign(srga=0.25)


def opened(path: Path, resume: bool = True, about: dict[str, Any] = ABOUT) -> RunFolder:
    held = record(Changes.recorded(path))
    return RunFolder(path, "srga", about, resume=resume, record=held)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    folder = opened(tmp_path / "run", resume=False)
    folder.table("srga.csv", FRAME)
    folder.table("more.csv", FRAME)
    folder.write("srga.png", b"picture")
    folder.finish()
    return folder.path


def without_digests(path: Path) -> None:
    (path / "run.json").write_text(json.dumps({"runs": read_log(path)}))


def killed_at(
    monkeypatch: pytest.MonkeyPatch, number: int, side: str, work: Callable[[], object]
) -> bool:
    """Do some work that ends on one side of a write; whether it came that far."""
    real, count = atomic_write.write, 0

    def write(path: Path, content: bytes | str) -> None:
        nonlocal count
        count += 1
        if (count, side) == (number, "before"):
            raise KeyboardInterrupt
        real(path, content)
        if (count, side) == (number, "after"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(atomic_write, "write", write)
        try:
            work()
        except KeyboardInterrupt:
            return True
    return False


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("change", [without_digests, lambda path: None])
def test_an_interrupted_rerun_leaves_a_finished_run_as_it_was(small, resume, change):
    change(small)
    before = (small / "run.json").read_bytes()
    folder = opened(small, resume)
    folder.cache.put({"key": 1}, {"a": torch.zeros(1)})
    folder.table("srga.csv", FRAME)  # the same bytes
    assert (small / "run.json").read_bytes() == before
    assert not unfinished(small) and intact(small) == (change is not without_digests)


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_run_whose_tables_are_replaced_is_believed_whole_or_not_at_all(
    small, monkeypatch, number, side, resume
):
    if resume:
        without_digests(small)
    before, log = contents(small), (small / "run.json").read_bytes()

    def rerun() -> None:
        folder = opened(small, resume)
        folder.table("srga.csv", OTHER)
        folder.table("more.csv", OTHER)
        folder.finish()

    assert killed_at(monkeypatch, number, side, rerun)
    if contents(small) == before and (small / "run.json").read_bytes() == log:
        assert not unfinished(small)
    elif not unfinished(small):
        frames = read_tables(small, ["srga", "more"]).values()
        assert all(frame.equals(OTHER) for frame in frames) and finished(small, ABOUT)
    else:
        assert not opened(small).complete()


def test_what_is_drawn_again_leaves_a_run_finished(small):
    (small / "srga.png").unlink()
    opened(small).write("srga.png", b"another")
    assert not unfinished(small) and intact(small, drawn=False)


def test_a_kill_between_the_log_and_the_end_of_the_cache_loses_nothing(small, monkeypatch):
    folder = opened(small, resume=False)
    folder.cache.put({"key": 1}, {"a": torch.zeros(1)})
    folder.table("srga.csv", OTHER)

    def killed(cache: ActivationCache) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ActivationCache, "clear", killed)
        folder.finish()
    assert finished(small, ABOUT) and opened(small).complete()


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("done", [True, False])
def test_a_run_that_begins_anew_can_be_resumed_after_a_kill(small, monkeypatch, number, side, done):
    """With smaller batches, twice; the run that was begun, or the one before it, goes on."""
    path = small if done else opened(small.parent / "new", resume=False).path
    sizes = {None: [4], 2: [2, 2], 1: [1, 1, 1, 1]}
    for size in (2, 1):
        folder = opened(path, about=ABOUT | {"batches": sizes[Changes.recorded(path).batch_size]})
        folder.cache.put({"key": size}, {"a": torch.zeros(1)})
        changed = ABOUT | {"batches": sizes[size]}
        begun = lambda: folder.begin_anew(changed, record(Changes(size)))  # noqa: B023, E731
        assert killed_at(monkeypatch, number, side, begun)
        if (number, side) != (1, "before"):
            assert unfinished(path) and Changes.recorded(path).batch_size == size
        about = ABOUT | {"batches": sizes[Changes.recorded(path).batch_size]}
        assert opened(path, about=about).cache.count()
        assert json.loads((path / "manifest.json").read_text()) == about
        if size == 2:
            opened(path, about=about).begin_anew(changed, record(Changes(size)))
    with pytest.raises(BadInput, match="holds another run"):
        opened(path, about=ABOUT | {"seed": 1})


def test_numbers_that_are_not_finite_are_written_as_json_has_them(tmp_path):
    """As in the object that `--json` prints; the same run is found again."""
    about = ABOUT | {"training": {"loss": float("nan"), "best": float("inf")}}
    folder = RunFolder(tmp_path / "run", "srga", about, record={"x": float("nan")})

    def refuse(name: str) -> None:
        raise AssertionError(name)

    for name in ("manifest.json", "run.json"):
        json.loads((folder.path / name).read_text(), parse_constant=refuse)
    assert opened(folder.path, about=about)
    folder.begin_anew(about | {"x": float("inf")}, {"y": float("nan")})
    for name in ("manifest.json", "run.json"):
        json.loads((folder.path / name).read_text(), parse_constant=refuse)


@pytest.mark.parametrize("asked, said", [(None, 0), (2, 0), (4, 1)])
def test_another_batch_size_than_the_recorded_one_is_not_used_without_a_note(
    small, capsys, asked, said
):
    folder = opened(small)
    folder.begin_anew(ABOUT | {"batches": [2, 2]}, record(Changes(2)))
    job: Any = SimpleNamespace(
        settings=SimpleNamespace(batch_size=asked),
        inputs=SimpleNamespace(ranks=SINGLE_PROCESS),
        changed=lambda changes: changes.batch_size,
    )
    assert as_recorded(job, small) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == said and all("instead of --batch-size 4" in line for line in lines)
    assert as_recorded(job, small, quiet=True) == 2 and not capsys.readouterr().err


def started(output: str, *more: str) -> None:
    given = ("masked.pth", "--noise", "isp", "--crop", "16", "--limit", "4", "--no-controls")
    command.run_arguments(ANALYSIS, [*given, "--output-dir", output, *more], "test")


def test_a_finished_run_of_an_earlier_version_is_computed_anew_with_a_note(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    started("run")
    before, path = contents(tmp_path / "run"), tmp_path / "run"
    without_digests(path)
    log = (path / "run.json").read_bytes()

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    capsys.readouterr()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ActivationCache, "put", stop)
        started("run", "--resume")
    reason = "finished by a version that recorded no digests of its files"
    assert disbelieved(path) == reason
    said = [line for line in capsys.readouterr().err.splitlines() if "anew" in line]
    assert said == [f"run is computed anew: {reason}"]
    assert (path / "run.json").read_bytes() == log
    started("run", "--resume", "--quiet")
    assert "anew" not in capsys.readouterr().err
    assert contents(path) == before and intact(path)
    assert [bool(entry["finished"]) for entry in read_log(path)] == [True, True]
