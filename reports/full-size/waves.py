"""Variants of the race: prepared side by side, measured one after the other."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from children import Child

EAGER = "eager"
MEASURING = 7.0
"""Seconds kept free for measuring a variant that is ready."""


@dataclass
class Variant:
    """A way to run the network's training step.

    Attributes:
        attention: path of `mtd.networks.window_attention`.
        mode: of `torch.compile`, or eager.
        result: what was measured, or the reason why nothing was, as `error`.
    """

    attention: str
    mode: str
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def changes(self) -> list[str]:
        """Settings of the recipe."""
        compiled = self.mode != EAGER
        mode = [f"run.compile_mode='{self.mode}'"] if compiled else []
        return [
            f"run.attention='{self.attention}'",
            f"run.compile={str(compiled).lower()}",
            "run.precision='bf16'",
            "validation.every=0",
            *(mode or ["run.compile_mode='default'"]),
        ]

    @property
    def measured(self) -> bool:
        """Whether there is a time."""
        return "ms_median" in self.result

    @property
    def ms(self) -> float:
        """Median of a step in ms; infinite where there is none."""
        return float(self.result.get("ms_median", float("inf")))


class Runner:
    """A variant in its process."""

    def __init__(self, variant: Variant, folder: Path, settings: dict[str, Any]) -> None:
        folder.mkdir()
        self.variant, self.folder = variant, folder
        changes = [*settings["changes"], *variant.changes]
        given = folder / "settings.json"
        given.write_text(json.dumps(settings | {"changes": changes}))
        script = Path(__file__).with_name("race_variant.py")
        self.child = Child([str(script), str(given)], folder / "log.txt")

    @property
    def ready(self) -> bool:
        """Whether it waits to be measured."""
        return (self.folder / "ready").exists()

    def measure(self, deadline: float) -> None:
        """Let it measure and end, and take its result; stop it at the deadline."""
        (self.folder / "go").touch()
        status = self.child.wait(deadline)
        if (self.folder / "result.json").exists():
            self.variant.result = json.loads((self.folder / "result.json").read_text())
        elif status is not None:
            self.variant.result = {"error": f"exit status {status}: {self.child.last_line}"}
        else:
            self.late()

    def late(self) -> None:
        """Stop it for lack of time."""
        self.child.stop()
        seconds = time.monotonic() - self.child.started
        what = "being measured" if self.ready else "being prepared"
        self.variant.result = {
            "error": f"left out for lack of time: still {what} after {seconds:.0f} s"
        }


def run(variants: list[Variant], folder: Path, settings: dict[str, Any], deadline: float) -> None:
    """Prepare some variants side by side, then measure one after the other."""
    runners = []
    for variant in variants:
        place = folder / f"{variant.attention}-{variant.mode}-{time.monotonic_ns()}"
        runners.append(Runner(variant, place, settings))
    prepared = deadline - MEASURING * len(variants)
    while time.monotonic() < prepared and any(
        one.child.running and not one.ready for one in runners
    ):
        time.sleep(0.1)
    for one in runners:
        if one.child.running and not one.ready:
            one.late()
    for one in runners:
        if not one.variant.result:
            one.measure(deadline)


def in_waves(
    variants: list[Variant], at_once: int, folder: Path, settings: dict[str, Any], deadline: float
) -> None:
    """Run variants, some side by side; one that lacks memory then runs again alone."""
    waves = [variants[i : i + at_once] for i in range(0, len(variants), at_once)]
    while waves:
        wave = waves.pop(0)
        if deadline - time.monotonic() < MEASURING * (len(wave) + 1):
            for variant in wave:
                variant.result = {"error": "left out for lack of time: not begun"}
            continue
        run(wave, folder, settings, deadline)
        if len(wave) > 1:
            waves += [[one] for one in wave if "out of memory" in one.result.get("error", "")]
