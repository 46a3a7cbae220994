"""What is due at a step of a run: rows of the log, validations, states and snapshots."""

from __future__ import annotations

from mtd.training.config import Recipe

SNAPSHOTS = 3
CHECK_EVERY = 10
"""Steps between checks for a loss that is not finite on a GPU, where each check waits for it."""


class Intervals:
    """What a recipe asks for at a step, counted from 1.

    Args:
        recipe: the settings.
        always: whether the run waits for the device after each step anyway.
    """

    def __init__(self, recipe: Recipe, always: bool) -> None:
        self.run, self.every, self.always = recipe.run, recipe.validation.every, always
        steps = range(1, SNAPSHOTS + 1)
        self.snapshots = {self.run.steps * part // (SNAPSHOTS + 1) for part in steps}

    def last(self, step: int) -> bool:
        """Whether it is the last one."""
        return step == self.run.steps

    def logs(self, step: int) -> bool:
        """Whether a row of the log is due."""
        return step % self.run.log_every == 0 or self.last(step)

    def saves(self, step: int) -> bool:
        """Whether a state is due."""
        return step % self.run.save_every == 0

    def keeps(self, step: int) -> bool:
        """Whether a snapshot is due."""
        return step in self.snapshots

    def checks_weights(self, step: int) -> bool:
        """Whether weights are to be saved, or the run ends."""
        return self.saves(step) or self.keeps(step) or self.last(step)

    def validates(self, step: int) -> bool:
        """Whether a validation is due."""
        return bool(self.every) and (step % self.every == 0 or self.last(step))

    def validates_soon(self, step: int) -> bool:
        """Whether a validation is due before the run next waits for the device, or then."""
        return any(self.validates(step + 1 + i) for i in range(1 if self.always else CHECK_EVERY))

    def waits(self, step: int) -> bool:
        """Whether the run waits for the device, so that losses can be checked and the time read."""
        works = self.logs(step) or self.checks_weights(step) or self.validates(step)
        return self.always or works or step % CHECK_EVERY == 0
