"""The progress of commands: what is shown at a terminal, and without one."""

import io
import os
import pty
import sys

import pytest

from mtd.utils import messages, output, progress
from mtd.utils.distributed import SINGLE_PROCESS
from mtd.utils.progress import EVERY, Progress, running


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


STEPS = ("loading", "running the networks", "statistics")


@pytest.fixture
def clock():
    return Clock()


def test_text_of_a_step_with_a_count_and_the_time_that_it_takes_still(clock):
    shown = Progress(STEPS, io.StringIO(), False, clock)
    assert shown.text() == ""
    shown.step("running the networks", 60, "passes", done=10)
    assert shown.text() == "2/3 running the networks, 10 of 60 passes"
    clock.now = 20.0
    shown.advance(10)  # 10 passes in 20 s: 40 more take 80 s
    assert shown.text() == "2/3 running the networks, 20 of 60 passes, about 1 min left"
    shown.step("statistics")
    assert shown.text() == "3/3 statistics"
    clock.now = 32.0
    assert shown.text() == "3/3 statistics, 12 s"


def test_other_labels_are_parts_of_the_present_step(clock):
    shown = Progress(("Attribution", "page"), io.StringIO(), False, clock)
    shown.step("Attribution")
    shown.step("statistics")
    assert shown.text() == "1/2 Attribution: statistics"
    shown.step("store", 2000)
    shown.advance(500)
    assert shown.text() == "1/2 Attribution: store, 25%"
    shown.step("page")
    assert shown.text() == "2/2 page"


def test_without_a_terminal_a_line_is_printed_every_half_minute(clock):
    stream = io.StringIO()
    shown = Progress(STEPS, stream, False, clock)
    shown.step("loading")
    for _ in range(int(2 * EVERY) + 5):
        clock.now += 1.0
        shown.beat()
    assert stream.getvalue().splitlines() == ["1/3 loading, 30 s", "1/3 loading, 1 min"]


def test_at_a_terminal_a_bar_is_drawn_removed_for_messages_and_at_the_end(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with running(STEPS):
            progress.step("running the networks", 4, "passes")
            for _ in range(2):
                progress.advance()
            messages.say("a note")
            with running(("other",)):  # a command in a command
                progress.step("other")
        messages.say("the end")
        terminal.flush()
        text = ""
        while "the end" not in text:
            text += os.read(ours, 2**16).decode()
    os.close(ours)
    assert "2/3 running the networks, 0 of 4 passes" in text
    assert "2/3 running the networks: other" in text
    lines = [line.rpartition(progress.CLEAR)[2] for line in text.split("\r\n")]
    assert "a note" in lines and "the end" in lines, lines  # after the bar, which is gone


def test_after_a_result_no_bar_is_drawn(monkeypatch, capsys):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with running(STEPS):
            progress.step("statistics", 4)
            output.show("a result")
            messages.say("a note")
            progress.advance()
            progress.step("loading")
        messages.say("the end")
        terminal.flush()
        text = ""
        while "the end" not in text:
            text += os.read(ours, 2**16).decode()
    os.close(ours)
    assert capsys.readouterr().out == "a result\n"
    before, after = text.split("a note")
    assert "statistics" in before and "statistics" not in after and "loading" in after


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_nothing_is_shown_quietly_by_other_processes_or_without_stderr(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    for quiet, rank in ((True, "0"), (False, "1")):
        monkeypatch.setenv("RANK", rank)
        with running(STEPS, quiet=quiet):
            progress.step("loading")
            assert progress._current is None
    monkeypatch.setenv("RANK", "0")
    with running(STEPS):
        assert (progress._current is None) == (stream is None)
        progress.step("loading")
    assert progress._current is None and (stream is None or stream.getvalue() == "")


def test_a_stream_that_is_closed_does_not_end_a_run(monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    with running(STEPS):
        progress.step("loading", 3, "images")
        progress.advance()
        assert progress._current is not None
        progress._current.terminal = True
        progress._current.beat()


def test_items_are_counted():
    with running(STEPS):
        assert list(progress.track(iter("abc"), 3, "statistics", "figures")) == ["a", "b", "c"]
        assert progress._current is not None
        assert progress._current.text() == "3/3 statistics, 3 of 3 figures"


def test_items_of_processes_are_counted():
    with running(STEPS):
        progress.step("statistics")
        assert SINGLE_PROCESS.map(abs, [-1, 2, -3, 4], "layers") == [1, 2, 3, 4]
        assert progress._current is not None
        assert progress._current.text() == "3/3 statistics: layers, 100%"
