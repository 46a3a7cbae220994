"""Streams that fail: what a command computes is not lost for it."""

from __future__ import annotations

import errno
import io
import os
import sys

import pytest

from mtd.utils import cli, output, streams
from mtd.utils.messages import note


class Failing(io.StringIO):
    """A stream that cannot be written to."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


def main_into(done: list[str]) -> None:
    for part in range(3):
        note(f"part {part}")
        output.show(f"row {part}")
        done.append(str(part))


@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("number", [errno.EPIPE, errno.EBADF, errno.EIO, errno.ENOSPC])
def test_a_stream_that_fails_ends_no_work(monkeypatch, capsys, name, number):
    done: list[str] = []
    monkeypatch.setattr(sys, name, Failing(number))
    monkeypatch.setattr(sys, "argv", ["command"])
    with pytest.raises(SystemExit) as left:
        cli.run(lambda: main_into(done))
    assert done == ["0", "1", "2"]
    assert left.value.code == (1 if name == "stdout" else 0)
    out, err = capsys.readouterr()
    if name == "stdout":
        said = "failed: stdout: No space left on device; all files are written\n"
        assert err == "part 0\npart 1\npart 2\n" + (said if number == errno.ENOSPC else "")
    else:
        assert out == "row 0\nrow 1\nrow 2\n"


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_without_a_stream_a_command_works(monkeypatch, capsys, name):
    done: list[str] = []
    monkeypatch.setattr(sys, name, None)
    for arguments in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.run(lambda: main_into(done))
        assert left.value.code == 0
    assert done == ["0", "1", "2"] * 2
    out, err = capsys.readouterr()
    assert (err if name == "stdout" else out).count("2\n") >= 1
    assert "part" not in out.partition("{")[0]


def test_a_message_does_not_go_where_results_go(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    with streams.lenient():
        print("a note", file=sys.stderr)
    assert capsys.readouterr().out == ""
