"""Homes and folders for temporary files that are missing or cannot be written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from mtd.utils import home, temporary, user_folders
from mtd.utils.errors import BadInput


@pytest.fixture(autouse=True)
def no_folders_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MTD_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", user_folders.MATPLOTLIB):
        monkeypatch.setenv(name, "")  # so that it is restored, whatever the command sets it to
        monkeypatch.delenv(name)


def test_without_a_folder_for_temporary_files_nothing_is_begun(monkeypatch, in_process):
    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    begun: list[bool] = []
    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setenv("TMPDIR", "/gone")
    code, _, err = in_process(lambda: begun.append(True))
    assert (code, begun) == (2, []) and len(err.splitlines()) == 1
    assert err.startswith("error: no folder for temporary files can be written (TMPDIR=/gone, /tmp")


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/home"])
def test_a_home_that_cannot_be_written_gives_matplotlib_a_folder(monkeypatch, in_process, place):
    monkeypatch.setenv("HOME", place)
    seen: list[str] = []
    assert in_process(lambda: seen.append(os.environ[user_folders.MATPLOTLIB])) == (0, "", "")
    assert Path(seen[0]).is_dir() and user_folders.writable(Path(seen[0]))
    temporary.remove_all()


def test_a_home_that_may_not_be_searched_is_not_used(monkeypatch, in_process):
    """As after `su`, which leaves HOME as it was."""
    exists = Path.exists

    def refused(path: Path) -> bool:
        if path.is_relative_to("/closed/home"):
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", refused)
    monkeypatch.setenv("HOME", "/closed/home")
    seen: list[str] = []
    assert in_process(lambda: seen.append(os.environ[user_folders.MATPLOTLIB])) == (0, "", "")
    temporary.remove_all()


def test_a_home_that_can_be_written_is_used(monkeypatch, in_process, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    seen: list[bool] = []
    assert in_process(lambda: seen.append(user_folders.MATPLOTLIB in os.environ))[0] == 0
    assert seen == [False] and not list(tmp_path.iterdir())


def test_a_user_without_a_home_has_no_downloads(monkeypatch):
    import pwd

    def unknown(_: int) -> object:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert not home.home().exists()
    assert isinstance(home.unusable(home.home() / "zoo", "no folder"), BadInput)
    assert "MTD_HOME" in str(home.unusable(home.home() / "zoo", "no folder"))


def test_the_home_in_every_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    for text, expected in {
        "~/a.png": "/home/me/a.png",
        "~": "/home/me",
        "--images=~/photos": "--images=/home/me/photos",
        "--noise=folder:~/noisy": "--noise=folder:/home/me/noisy",
        "NAME=~/runs/*/model.pth": "NAME=/home/me/runs/*/model.pth",
        "~nobody_of_this_name/a": "~nobody_of_this_name/a",
        "a~/b": "a~/b",
        "photo.png~": "photo.png~",
        "gaussian:15": "gaussian:15",
    }.items():
        assert user_folders.expanded(text) == expected
    (tmp_path / "~").mkdir()
    assert user_folders.expanded("~") == "~"
