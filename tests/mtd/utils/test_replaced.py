"""A folder that is replaced: whatever a kill leaves is the old or the new one, and nothing else."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtd.utils import replaced as module
from mtd.utils.errors import BadInput
from mtd.utils.replaced import exchanged, replaced, restore, restore_all
from tests.helpers.processes import Forked, environment


def folder_of(place: Path, text: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    for name in "ab":
        (place / name).write_text(text)
    return place


def texts(place: Path) -> list[str]:
    return [(place / name).read_text() for name in "ab"]


def write(folder: Path, text: str) -> None:
    with replaced(folder) as new:
        folder_of(new, text)


def kills(place: Path, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object]) -> list[Path]:
    """Copies of a place as SIGKILL would leave it on both sides of every rename and removal."""
    copies: list[Path] = []

    def keep() -> None:
        copies.append(place.parent / f"kill{len(copies)}")
        shutil.copytree(place, copies[-1], symlinks=True)

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **how: Any) -> Any:
            keep()
            done = real(*given, **how)
            keep()
            return done

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", watched(os.rename))
        patch.setattr(module, "exchanged", watched(module.exchanged))
        patch.setattr(os, "rmdir", watched(os.rmdir))
        work()
    return copies


@pytest.fixture(params=["in one step", "in two renames"])
def way(request, monkeypatch) -> str:
    if request.param == "in two renames":
        monkeypatch.setattr(module, "exchanged", lambda one, other: False)
    elif sys.platform != "linux":
        pytest.skip("needs Linux")
    return request.param


@pytest.mark.parametrize("there", [True, False])
def test_after_a_kill_the_old_or_the_new_folder_is_there(tmp_path, monkeypatch, way, there):
    place = tmp_path / "place"
    place.mkdir()
    if there:
        folder_of(place / "card", "old")
    copies = kills(place, monkeypatch, lambda: write(place / "card", "new"))
    assert texts(place / "card") == ["new"] * 2 and len(copies) >= 4
    seen = set()
    for number, copy in enumerate(copies):
        if way == "in one step" and there:
            assert (copy / "card").exists()
        restore(copy / "card") if number % 2 else restore_all(copy)
        held = texts(copy / "card") if (copy / "card").exists() else []
        assert held in ([["old"] * 2, ["new"] * 2] if there else [[], ["new"] * 2])
        seen.add(tuple(held))
        assert [path.name for path in copy.iterdir()] in (["card"], [])
        write(copy / "card", "again")
        assert texts(copy / "card") == ["again"] * 2
        assert [path.name for path in copy.iterdir()] == ["card"]
    assert len(seen) == 2


def test_a_command_that_is_killed_while_it_writes_leaves_nothing_for_good(tmp_path, way):
    folder = folder_of(tmp_path / "card", "old")
    folder_of(tmp_path / ".part-card" / "new", "half")
    folder_of(tmp_path / ".part-cards" / "new", "of another folder")
    write(folder, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".part-cards", "card"]


def test_an_error_leaves_the_old_folder(tmp_path, way):
    folder = folder_of(tmp_path / "card", "old")
    with pytest.raises(KeyError), replaced(folder) as new:
        folder_of(new, "new")
        raise KeyError
    assert texts(folder) == ["old"] * 2 and list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("fails", [2, (2, 3), (2, 3, 4)])
def test_what_cannot_be_moved_back_is_not_removed(tmp_path, monkeypatch, fails):
    monkeypatch.setattr(module, "exchanged", lambda one, other: False)
    folder, real, count = folder_of(tmp_path / "card", "old"), os.rename, 0

    def rename(*given: Any, **how: Any) -> None:
        nonlocal count
        count += 1
        if count in (fails if isinstance(fails, tuple) else (fails,)):
            raise OSError(5, "Input/output error")
        real(*given, **how)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(BadInput, match="cannot be written"):
            write(folder, "new")
    restore(folder)
    assert texts(folder) == ["old"] * 2 and list(tmp_path.iterdir()) == [folder]


def test_links_are_not_followed(tmp_path):
    other = folder_of(tmp_path / "other", "private")
    (tmp_path / "place").mkdir()
    (tmp_path / "place/.part-one").symlink_to(other)
    (tmp_path / "place/.part-two").mkdir()
    (tmp_path / "place/.part-two/old").symlink_to(other)
    restore_all(tmp_path / "place")
    restore(tmp_path / "place/one")
    assert texts(other) == ["private"] * 2 and not list((tmp_path / "place").iterdir())


def test_new_content_that_is_gone_is_an_error(tmp_path):
    for there in (False, True):
        if there:
            folder_of(tmp_path / "card", "old")
        with pytest.raises(BadInput, match=r"card: cannot be written"), replaced(tmp_path / "card"):
            shutil.rmtree(tmp_path / ".part-card")  # as a user would
        assert (tmp_path / "card").exists() == there


WRITING = """
import time
from pathlib import Path
from mtd.utils import atomic_write
from mtd.utils.replaced import replaced
with replaced(Path("card")) as new, atomic_write.opened("table.csv"):
    new.mkdir()
    (new / "a").write_text("first")
    (new / "b").write_text("first")
    Path("begun").touch()
    while not Path("end").exists():
        time.sleep(0.01)
"""


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="needs locks of folders")
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("killed", [True, False])
def test_while_one_process_replaces_a_folder_another_is_refused(tmp_path, there, killed):
    """What it writes stays, and whether it ends or is killed, the folder is free again."""
    folder = tmp_path / "card"
    if there:
        folder_of(folder, "old")
    (tmp_path / "script.py").write_text(WRITING)
    first = Forked("script.py", cwd=tmp_path, variables=environment())
    try:
        while not (tmp_path / "begun").exists():
            assert first.running(), first.done().stderr
            time.sleep(0.01)
        with pytest.raises(BadInput, match=r"card: another process is writing it; wait"):
            write(folder, "second")
        restore(folder)
        restore_all(tmp_path)
        assert texts(tmp_path / ".part-card/new") == ["first"] * 2
        assert len(list(tmp_path.glob(".part-*.csv"))) == 1
        if killed:
            first.kill()
        else:
            (tmp_path / "end").touch()
            assert first.wait() == 0, first.done().stderr
            assert texts(folder) == ["first"] * 2
    finally:
        first.kill()
    restore_all(tmp_path)
    assert not list(tmp_path.glob(".part-*")) and folder.exists() == (there or not killed)
    write(folder, "second")
    assert texts(folder) == ["second"] * 2 and not list(tmp_path.glob(".part-*"))


def test_a_folder_that_another_process_removes_meanwhile_is_made_again(tmp_path, monkeypatch):
    """Between its being made and its being locked."""
    taken, times = module.locks.take, []

    def take(handle: int) -> bool:
        times.append(handle)
        if len(times) < 3:
            (tmp_path / ".part-card").rmdir()
        if len(times) == 2:
            (tmp_path / ".part-card").mkdir()
        return taken(handle)

    monkeypatch.setattr(module.locks, "take", take)
    write(tmp_path / "card", "new")
    assert texts(tmp_path / "card") == ["new"] * 2 and len(times) == 3


def test_without_locks_a_folder_is_replaced(tmp_path, monkeypatch):
    def no_locks(*_: object) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr("fcntl.flock", no_locks)
    write(folder_of(tmp_path / "card", "old"), "new")
    assert texts(tmp_path / "card") == ["new"] * 2 and [*tmp_path.iterdir()] == [tmp_path / "card"]


def test_leftovers_of_no_folder_are_passed_over(tmp_path):
    for name in (".part-", ".part-.", ".part-..", ".part-x"):
        (tmp_path / name).mkdir()
    restore_all(tmp_path)
    assert not (tmp_path / ".part-x").exists()


@pytest.mark.parametrize("name", [".", "..", "x/.."])
def test_a_folder_without_a_name_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="name the folder"):
        write(Path(name), "new")


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_an_exchange_is_refused_or_possible(tmp_path):
    one, other = folder_of(tmp_path / "one", "1"), folder_of(tmp_path / "other", "2")
    if exchanged(one, other):  # not on every file system
        assert (texts(one), texts(other)) == (["2"] * 2, ["1"] * 2)
    with pytest.raises(OSError, match="No such file"):
        exchanged(one, tmp_path / "none")
