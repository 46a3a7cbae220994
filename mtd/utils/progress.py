"""The progress of a command: one bar at a terminal, else a line every half minute.

A command names its steps when it begins (`running`), and says when each of them starts (`step`)
and how far it is (`advance`). At a terminal a bar shows the step, its count and about how long it
takes still; once a second it is drawn again, so that work that is not counted shows its time. Where
stderr is no terminal, the same text is printed as a line every half minute. What is printed in
between (`mtd.utils.messages.say`, `mtd.utils.output.show`) hides the bar meanwhile.

There is one progress in a process: `running` inside another adds its steps as details of the
other's present step. All functions do nothing where none is running.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO, TypeVar

Item = TypeVar("Item")

BEAT = 1.0
"""Seconds between two drawings of the bar."""

EVERY = 30.0
"""Seconds between two lines where there is no terminal."""

SURE = 3.0
"""Seconds of a step before the rest of it is estimated."""

BAR = 24
"""Characters of a bar."""

CLEAR = "\r\x1b[K"
"""Returns to the beginning of a terminal's line and empties it."""

BEGAN = time.monotonic()
"""When the process began."""


def spent() -> str:
    """The time since the process began, in words."""
    return duration(time.monotonic() - BEGAN)


def duration(seconds: float) -> str:
    """A time in words.

    >>> duration(0.4), duration(42.4), duration(60), duration(754), duration(7380)
    ('less than a second', '42 s', '1 min', '12 min 34 s', '2 h 3 min')
    """
    whole = round(seconds)
    if whole < 1:
        return "less than a second"
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    units = [(hours, "h"), (minutes, "min"), (rest, "s")]
    kept = [f"{count} {unit}" for count, unit in units if count]
    return " ".join(kept[:2] if hours else kept)


def left(seconds: float) -> str:
    """An estimate of what a step takes still, in words, not finer than it can be known.

    >>> left(4), left(17), left(55), left(130)
    ('a few seconds left', 'about 20 s left', 'about 1 min left', 'about 2 min left')
    """
    if seconds < 7.5:
        return "a few seconds left"
    if seconds < 55:
        return f"about {10 * round(seconds / 10)} s left"
    if seconds < 3600:
        return f"about {max(1, round(seconds / 60))} min left"
    return f"about {int(seconds / 3600 + 0.5)} h left"


class Progress:
    """The steps of a command, and how far it is.

    Args:
        steps: their labels, in order.
        stream: where it is shown.
        terminal: whether that is a terminal, on which a bar can be drawn.
        clock: the time in seconds.
    """

    def __init__(
        self,
        steps: Sequence[str],
        stream: TextIO,
        terminal: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.steps, self.stream, self.terminal, self.clock = tuple(steps), stream, terminal, clock
        self.place, self.detail, self.unit, self.extra = -1, "", "", ""
        self.total: float | None = None
        self.done = self.start = 0.0
        self.since = self.shown = clock()
        self.drawn = False
        self.lock = threading.RLock()  # the thread of the beat draws, too

    def step(self, label: str, total: float | None = None, unit: str = "", done: float = 0) -> None:
        """Begin a step, or a part of the present one; see the function `step`."""
        if label in self.steps:
            self.place, self.detail = self.steps.index(label), ""
        elif label != self.detail:
            self.detail = label
        self.total, self.unit, self.extra = total, unit, ""
        self.done = self.start = done
        self.since = self.clock()
        self.draw()

    def advance(self, count: float = 1) -> None:
        """Add to the count of the present step."""
        self.done += count
        self.draw(force=False)

    def text(self) -> str:
        """The present step in words, with its count and the time that it takes still."""
        if self.place < 0 and not self.detail:
            return ""
        step = self.steps[self.place] if self.place >= 0 else ""
        place = f"{self.place + 1}/{len(self.steps)} " if step and len(self.steps) > 1 else ""
        label = ": ".join(filter(None, [step, self.detail]))
        parts = [self.count(), self.rest(), self.extra]
        return f"{place}{', '.join(filter(None, [label, *parts]))}"

    def count(self) -> str:
        """How much of the step is done; "" if it is not counted."""
        if not self.total:
            return ""
        if not self.unit:
            return f"{min(1.0, self.done / self.total):.0%}"
        return f"{self.done:.0f} of {self.total:.0f} {self.unit}"

    def rest(self) -> str:
        """How long the step takes still, if it can be said; of one without a count its time."""
        elapsed, made = self.clock() - self.since, self.done - self.start
        if not self.total:
            return duration(elapsed) if elapsed >= SURE else ""
        if elapsed < SURE or made <= 0 or self.done >= self.total:
            return ""
        return left(elapsed / made * (self.total - self.done))

    def draw(self, force: bool = True) -> None:
        """Draw the bar with the present text; not without a terminal, nor between steps."""
        if not self.terminal or not self.text():
            return
        now = self.clock()
        if not force and now - self.shown < 0.1:
            return
        self.shown = now
        with suppress(OSError, ValueError):  # the terminal is gone: the run goes on
            columns = os.get_terminal_size(self.stream.fileno()).columns or 80
            self.write(self.line(columns - 1))
            self.drawn = True

    def line(self, width: int) -> str:
        """The text with a bar, as far as they fit into a width."""
        text = self.text()
        if self.total and len(text) + BAR + 3 <= width:
            full = round(BAR * min(1.0, self.done / self.total))
            text = f"{text} [{'#' * full}{' ' * (BAR - full)}]"
        return text[:width]

    def write(self, line: str) -> None:
        """Replace the terminal's present line."""
        self.stream.write(f"{CLEAR}{line}")
        self.stream.flush()

    def beat(self) -> None:
        """Show that the command is at work: the bar anew, or a line if none was due for long."""
        with self.alone():
            if self.terminal:
                self.draw()
            elif self.clock() - self.shown >= EVERY and self.text():
                self.shown = self.clock()
                with suppress(OSError, ValueError):
                    print(self.text(), file=self.stream, flush=True)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Context in which something else is printed: the bar is not there."""
        with self.alone():
            shown = self.drawn
            self.close()
            try:
                yield
            finally:
                if shown:
                    self.draw()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Context in which the other thread writes nothing; a fork may have left it locked."""
        locked = self.lock.acquire(timeout=1)
        try:
            yield
        finally:
            if locked:
                self.lock.release()

    def end(self) -> None:
        """Remove the bar until another step begins."""
        with self.alone():
            self.place, self.detail, self.extra, self.total = -1, "", "", None
            self.close()

    def close(self) -> None:
        """Remove the bar."""
        if self.drawn:
            self.drawn = False
            with suppress(OSError, ValueError):
                self.write("")


_current: Progress | None = None


@contextmanager
def running(steps: Sequence[str], *, quiet: bool = False) -> Iterator[None]:
    """Context of a command whose progress is shown on stderr.

    Args:
        steps: labels of its steps, in order.
        quiet: nothing is shown; nor is it by other processes than the first.
    """
    global _current
    if _current is not None or quiet or os.environ.get("RANK", "0") != "0" or sys.stderr is None:
        yield
        return
    try:
        terminal = sys.stderr.isatty()
    except ValueError:  # closed
        terminal = False
    _current = shown = Progress(steps, sys.stderr, terminal)
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(shown, over), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        _current = None
        over.set()
        thread.join()
        shown.close()


def _beat(shown: Progress, over: threading.Event) -> None:
    while not over.wait(BEAT):
        shown.beat()


def step(label: str, total: float | None = None, unit: str = "", done: float = 0) -> None:
    """Say that a step begins.

    Args:
        label: one of the steps of the command; any other is a detail of the present step.
        total: how much there is to do; None if it is not known.
        unit: of the total, in the plural; "" to show the share in percent.
        done: how much of it is done already.
    """
    if _current is not None:
        _current.step(label, total, unit, done)


def advance(count: float = 1) -> None:
    """Say that more of the present step is done."""
    if _current is not None:
        _current.advance(count)


def reach(count: float) -> None:
    """Say how much of the present step is done in all."""
    if _current is not None:
        _current.advance(count - _current.done)


def add(text: str) -> None:
    """Say more of the present step, such as the loss of a training."""
    if _current is not None:
        _current.extra = text


def track(items: Iterable[Item], total: int, label: str, unit: str) -> Iterator[Item]:
    """Items one after the other, as a step."""
    step(label, total, unit)
    for item in items:
        yield item
        advance()


def end() -> None:
    """Say that the steps are done: no bar is drawn any more, unless another step begins."""
    if _current is not None:
        _current.end()


@contextmanager
def hidden() -> Iterator[None]:
    """Context in which something else is printed; see `Progress.hidden`."""
    if _current is None:
        yield
        return
    with _current.hidden():
        yield
