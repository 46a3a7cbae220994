"""A clock that goes on with steps of training alone, and `mtd.train` by such a clock.

As a script it is the command, in which a step takes 100 s, or STEP_SECONDS, and nothing else takes
time; only the clock of rank 0 goes.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from mtd.training.slices import TimeLimit
from mtd.training.trainer import Trainer
from mtd.training.validation import Validator

STEP = float(os.environ.get("STEP_SECONDS", "100"))


class StepClock:
    """Seconds that pass in steps, validations (of a crop: `probe`) and saving of a state only."""

    def __init__(
        self, step: float = STEP, validation: float = 0.0, saving: float = 0.0, probe: float = 0.0
    ) -> None:
        self.now = 0.0
        self.times = {"step": step, "validation": validation, "saving": saving, "probe": probe}

    def __call__(self) -> float:
        return self.now

    def limit(self, seconds: float) -> TimeLimit:
        return TimeLimit(seconds, self.now, self)

    def install(self, patch: Callable[[Any, str, Any], None]) -> None:
        """Let the clock go on with the work; `patch` is `setattr`, or that of pytest."""
        for owner, name, what in (
            (Trainer, "advance", "step"),
            (Validator, "run", "validation"),
            (Validator, "probe", "probe"),
            (Trainer, "save_state", "saving"),
        ):
            patch(owner, name, self._timed(getattr(owner, name), what))

    def _timed(self, work: Callable[..., Any], what: str) -> Callable[..., Any]:
        @functools.wraps(work)
        def timed(*arguments: Any, **options: Any) -> Any:
            result = work(*arguments, **options)
            self.now += self.times[what]
            return result

        return timed


if __name__ == "__main__":
    from mtd import train
    from mtd.training import slices
    from mtd.utils import cli

    clock = StepClock()
    if os.environ.get("RANK", "0") == "0":
        clock.install(setattr)
    train.STARTED = 0.0
    slices.TimeLimit = functools.partial(TimeLimit, clock=clock)  # type: ignore[misc,assignment]
    cli.run(train.main)
