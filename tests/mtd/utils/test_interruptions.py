"""SIGTERM and SIGHUP end a command like Ctrl-C; ignored signals stay ignored."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys

import pytest

from mtd.utils import distributed, interruptions, output
from mtd.utils.errors import BadInput
from mtd.utils.messages import note
from tests.helpers.interrupted import libraries_error
from tests.helpers.processes import HANGS, environment, fresh

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("sent, code", [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_ends_a_command_with_one_line_and_a_status_of_its_own(in_process, sent, code):
    def main() -> None:
        try:
            os.kill(os.getpid(), getattr(signal, sent))
            raise AssertionError("it goes on")
        except KeyboardInterrupt:
            raise KeyboardInterrupt("use --resume") from None

    before = [signal.getsignal(number) for number in HANDLED]
    assert in_process(main) == (code, "", "interrupted: use --resume\n")
    assert in_process(main, "--json")[0] == code
    assert [signal.getsignal(number) for number in HANDLED] == before


@pytest.mark.parametrize("sent, code", [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_a_library_turns_into_an_error_interrupts(in_process, sent, code):
    interrupted = in_process(lambda: libraries_error(getattr(signal, sent)))
    assert interrupted == (code, "", "interrupted\n")
    with pytest.raises(ValueError, match="shape"), interruptions.recognized():
        raise ValueError("could not determine the shape")  # of itself: a defect


@pytest.mark.parametrize("sent", ["SIGINT", "SIGHUP", "SIGTERM"])
def test_a_signal_after_the_work_changes_nothing(in_process, monkeypatch, sent):
    end = output.end

    def ended(code: int, error: str | None) -> None:
        os.kill(os.getpid(), getattr(signal, sent))
        end(code, error)

    monkeypatch.setattr(output, "end", ended)
    assert in_process(lambda: note("done")) == (0, "", "done\n")


@pytest.mark.parametrize("sent", ["SIGINT", "SIGHUP", "SIGTERM"])
def test_an_ignored_signal_stays_ignored(in_process, sent):
    """As `nohup` ignores SIGHUP, and a shell's & SIGINT."""
    number = getattr(signal, sent)

    def main() -> None:
        os.kill(os.getpid(), number)
        note("done")

    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert in_process(main) == (0, "", "done\n")
    finally:
        signal.signal(number, before)


def test_a_signal_that_a_launcher_repeats_interrupts_once(in_process):
    def main() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
            note("saved")

    assert in_process(main) == (129, "", "saved\ninterrupted\n")


def test_of_several_processes_one_says_so(in_process, monkeypatch):
    def main() -> None:
        raise KeyboardInterrupt("use --resume")

    monkeypatch.setenv("RANK", "1")
    assert in_process(main) == (130, "", "")


def test_other_threads_handle_no_signals():
    import threading

    seen = []
    thread = threading.Thread(target=lambda: seen.append(interruptions.heeded(*HANDLED)))
    thread.start()
    thread.join()
    assert seen == [[]]


def test_without_descriptors_nothing_is_printed_into_files(tmp_path):
    """`command >&- 2>&-`: the next file that is opened must not be what is printed into."""
    program = (
        "import os, sys\nfrom mtd.utils import cli, output\nfrom mtd.utils.messages import note\n"
        "def main():\n"
        "    with open('result', 'w') as file:\n"
        "        note('a note')\n        output.show('a table')\n        os.write(2, b'raw')\n"
        "        assert all(os.get_inheritable(number) for number in range(3))\n"
        "        file.write('42')\n"
        "cli.run(main)\n"
    )
    (tmp_path / "command.py").write_text(program)
    given = {"shell": True, "cwd": tmp_path, "env": environment(), "timeout": HANGS}
    for closed in (">&-", "<&- >&- 2>&-", "--json 2>&-"):
        (tmp_path / "result").unlink(missing_ok=True)
        started = f"{shlex.quote(sys.executable)} command.py {closed}"
        done = subprocess.run(started, check=False, capture_output=True, **given)
        assert (done.returncode, (tmp_path / "result").read_text()) == (0, "42"), closed


CHILD = """
import os, sys, time
from pathlib import Path
from mtd.utils import interruptions
if os.fork():
    while not Path("begun").exists():
        time.sleep(0.005)
    os.kill(os.getpid(), 9)
interruptions.end_with_parent()
with interruptions.raised():
    try:
        Path("begun").touch()
        time.sleep(60)
    except KeyboardInterrupt:
        Path("ended").write_text(str(interruptions.status()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_a_process_is_interrupted_when_the_one_that_started_it_is_killed(tmp_path):
    assert fresh("-c", CHILD, cwd=tmp_path).returncode == -signal.SIGKILL  # both have closed stdout
    assert (tmp_path / "ended").read_text() == str(128 + signal.SIGTERM)


@pytest.mark.parametrize("launcher", ["torchrun", "another"])
def test_processes_of_torchrun_alone_end_with_it(monkeypatch, launcher):
    """Of another launcher, what started a process may end while it works."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "x")  # where the start ends in this test
    monkeypatch.delenv(distributed.TORCHRUN, raising=False)
    if launcher == "torchrun":
        monkeypatch.setenv(distributed.TORCHRUN, "none")
    asked = []
    monkeypatch.setattr(interruptions, "end_with_parent", lambda: asked.append(1))
    with pytest.raises(BadInput, match="LOCAL_RANK is 'x'"):
        distributed.start("cpu", steady=False)
    assert bool(asked) == (launcher == "torchrun")
