"""Slices of a run: the time that a command has, step times, and the table at the end of each."""

from __future__ import annotations

import csv
import io
import math
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from mtd.training.logs import SLICES
from mtd.utils import input_files, limits
from mtd.utils.csv_cells import unquoted
from mtd.utils.messages import plural

WARM_UP = 50
"""Steps at the start of a slice that its step times leave out."""
RECENT = 20
"""Step times, between two readings, of which the longest is kept free before the time is up."""
RESERVE = 1.25
"""What the measured times that are kept free are multiplied by."""
LEAVING = 2.0
"""Seconds kept free for the end of the process."""
CLOSING = 0.25
"""The largest share of a command's time that a validation at the end of a slice may take."""
SAVING, VALIDATION = "saving", "validation"
"""Work beside the steps."""


class OutOfTime(Exception):
    """The time of the command is up: the run is saved, and can be resumed."""


@dataclass(frozen=True)
class TimeLimit:
    """The time that a command has.

    Attributes:
        seconds: from the start on; infinite for no limit.
        start: of the command, as the clock showed it; by default now.
        clock: seconds that never go back.
    """

    seconds: float = math.inf
    start: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.start

    @property
    def left(self) -> float:
        """Seconds until the time is up; below 0 after that."""
        return self.seconds - self.passed


class Slice:
    """The steps of a run from its start, or from the state that it is resumed from.

    Time is read where the run waits for the device anyway: after each step of a single process on
    the CPU, else every ten steps or so. A step time is the time between two readings divided by the
    steps between them, without validations and saving.

    Args:
        step: that it begins at.
        limit: the time of the command.
        first: seconds to the first reading in an earlier slice, with compilation, if it is known.

    Attributes:
        validated: the step of the last validation, and mean PSNR in dB by noise.
    """

    def __init__(self, step: int, limit: TimeLimit, first: float = 0.0) -> None:
        self.begin = self.step = step
        self.limit, self.first = limit, first
        self.start = self.since = limit.clock()
        self.readings: list[tuple[int, float]] = []
        self.longest: dict[str, float] = {}
        self.validated: tuple[int, dict[str, float]] = (-1, {})

    def read(self, step: int) -> None:
        """Read the clock after a step, when the device has finished it."""
        now = self.limit.clock()
        if step > self.step:
            self.readings.append((step - self.step, now - self.since))
        self.step, self.since = step, now

    @contextmanager
    def apart(self, work: str) -> Iterator[None]:
        """Around work that is no part of a step; its longest time is kept."""
        start = self.limit.clock()
        yield
        seconds = self.limit.clock() - start
        self.since += seconds
        self.longest[work] = max(self.longest.get(work, 0.0), seconds)

    def estimate(self, work: str, share: Callable[[], None], count: int) -> None:
        """Estimate the time of work as that of the second of two times that a share of it is done.

        Args:
            work: see `apart`.
            share: does it.
            count: the shares of the whole.
        """
        start = self.limit.clock()
        share()
        middle = self.limit.clock()
        share()
        end = self.limit.clock()
        self.since += end - start
        self.longest[work] = count * (end - middle)

    @property
    def unmeasured(self) -> bool:
        """Whether time is limited and nothing is known yet of validation and saving."""
        return math.isfinite(self.limit.seconds) and not self.longest

    def over(self, validates: bool) -> bool:
        """Whether the run has to end now, to be saved and validated before the time is up.

        The first step, which may compile the network, counts only as long as it is the only one.

        Args:
            validates: whether the recipe has a validation before the next reading of the clock.
        """
        seconds = [seconds for _, seconds in self.readings]
        steps = seconds[1:][-RECENT:] or seconds or [self.first]
        validations = int(validates) + int(self.closes)
        saving, validation = (self.longest.get(work, 0.0) for work in (SAVING, VALIDATION))
        return not self._fits(max(steps) + 3 * saving + validations * validation)

    @property
    def closes(self) -> bool:
        """Whether there is to be a validation at the end of the slice, which has time for it."""
        seconds = self.longest.get(VALIDATION, 0.0)
        return seconds <= CLOSING * self.limit.seconds and self._fits(seconds)

    def _fits(self, seconds: float) -> bool:
        return self.limit.left > RESERVE * seconds + LEAVING

    @property
    def psnr(self) -> dict[str, float]:
        """Mean PSNR in dB of the averaged weights by noise, if they were validated at the end."""
        step, psnr = self.validated
        return psnr if step == self.step else {}

    def step_times(self) -> tuple[np.ndarray, int]:
        """Milliseconds of each step, and how many steps at the start are left out.

        These are the first 50, or, of a shorter slice, those up to the first reading, unless there
        is only one.
        """
        ends = np.cumsum([steps for steps, _ in self.readings])
        kept = [i for i in range(len(ends)) if ends[i] - self.readings[i][0] >= WARM_UP]
        kept = kept or list(range(1, len(ends))) or list(range(len(ends)))
        times = [np.full(n, 1000 * seconds / n) for n, seconds in (self.readings[i] for i in kept)]
        milliseconds = np.concatenate([*times, np.empty(0)])
        return milliseconds, int(sum(n for n, _ in self.readings)) - len(milliseconds)

    def row(self, noisy: Mapping[str, float]) -> dict[str, object]:
        """The slice's numbers in a row of `slices.csv`; see `columns`.

        Args:
            noisy: mean PSNR of the noisy input in dB, by noise.
        """
        times, _ = self.step_times()
        psnr = {noise: self.psnr.get(noise, math.nan) for noise in noisy}
        seconds = self.limit.clock() - self.start
        return {
            "step_from": self.begin,
            "step_to": self.step,
            "seconds": f"{seconds:.1f}",
            "seconds_first": f"{self.readings[0][1]:.3f}",
            "ms_median": f"{np.median(times):.6g}",
            "ms_p95": f"{np.percentile(times, 95):.6g}",
            **{f"psnr {noise}": f"{value:.6g}" for noise, value in psnr.items()},
            **{f"noisy {noise}": f"{value:.6g}" for noise, value in noisy.items()},
        }

    def table(self, steps: int, batch: int, trained: str, noisy: Mapping[str, float]) -> str:
        """The slice's numbers for people.

        Args:
            steps: of the whole run.
            batch: images in a step.
            trained: the noise that the network is trained on.
            noisy: mean PSNR of the noisy input in dB, by noise.
        """
        times, left_out = self.step_times()
        own, psnr = self.step - self.begin, self.psnr
        seconds = self.limit.clock() - self.start
        without = f"the first {left_out if left_out > 1 else 'one'} left out" if left_out else "all"
        reading = max(n for n, _ in self.readings)
        means = f"; timed in groups of up to {reading}" if reading > 1 else ""
        lines = [
            f"steps       {self.step:,} of {steps:,}; {own:,} in {seconds:.1f} s",
            f"ms a step   {np.median(times):.1f} median, {np.percentile(times, 95):.1f} 95th "
            f"percentile ({plural(len(times), 'step')}, {without}{means})",
            f"images/s    {1000 * batch / max(float(times.mean()), 1e-9):,.1f}",
        ]
        if noisy and not psnr:
            lines += ["PSNR        not measured: a validation takes too long for the time given"]
        elif noisy:
            names = {one: one + (", trained on" if one == trained else "") for one in noisy}
            lines += [f"{'PSNR in dB':<28}{'noisy':>8}{'denoised':>10}"]
            lines += [f"  {names[one]:<26}{noisy[one]:8.2f}{psnr[one]:10.2f}" for one in noisy]
        return "\n".join(lines)


def columns(noises: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of `slices.csv`.

    `seconds_first` is the time to the first reading; `attention` the path that window attention
    takes in training, or `none`; `accumulate` the parts of a batch at the end, and `out_of_memory`
    how often they had to be doubled in the whole run; `psnr NOISE` and `noisy NOISE` mean PSNR in
    dB of the averaged weights and of the noisy input.
    """
    return (
        *("step_from", "step_to", "seconds", "seconds_first", "ms_median", "ms_p95"),
        *("device", "torch", "attention", "accumulate", "out_of_memory"),
        *(f"{kind} {noise}" for kind in ("psnr", "noisy") for noise in noises),
    )


def device_name(device: torch.device) -> str:
    """The name of a GPU, or the kind of processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {platform.processor() or platform.machine()}"


def seconds_first(folder: Path, device: str) -> float:
    """How long the last slice in a folder took to its first reading, if on the same device."""
    try:
        text = input_files.text(folder / SLICES, limits.TABLE)
        read = csv.DictReader(io.StringIO(text, newline=""))
        rows = [row for row in read if unquoted(row.get("device") or "") == device]
        seconds = float(rows[-1]["seconds_first"]) if rows else 0.0
        return seconds if math.isfinite(seconds) else 0.0
    except (KeyError, TypeError, ValueError, csv.Error):
        return 0.0
