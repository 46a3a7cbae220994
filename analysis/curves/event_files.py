"""TensorBoard event files."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from analysis.curves.event_records import Records, scalar
from analysis.curves.log_budget import LogBudget
from analysis.curves.logged import LOSS, PSNR, RATE, Line, Point
from analysis.curves.progress import Values, differing, two_processes, values
from analysis.text.markdown import code
from analysis.text.terminal import plural
from mtd.utils import limits
from mtd.utils.errors import BadInput
from mtd.utils.messages import verb

EVENTS = "events.out.tfevents"


def read(files: Sequence[Path], budget: LogBudget, notes: list[str]) -> Iterator[Line]:
    """What the event files of one run hold, in the order in which they were begun.

    A file that was begun after the others ended is of a resumed run. A start that names a step, as
    after `SummaryWriter(purge_step=STEP)`, is one of `Line`.

    Args:
        files: of one run.
        budget: of the run.
        notes: what of a file is not read is added.

    Raises:
        BadInput: TensorBoard is not installed, a file cannot be read or holds too much, or two
            processes wrote other values at once.
    """
    rates: dict[str, None] = {}
    contents = [content for file in files if (content := Content.of(file, rates, budget, notes))]
    contents.sort(key=lambda content: content.begin)
    for earlier, later in combinations(contents, 2):
        if later.begin < earlier.end and (steps := differing(earlier.values, later.values)):
            raise BadInput(f"{files[0].parent}: {two_processes(steps)}")
    end = math.inf
    for content in contents:
        if content.begin >= end:
            yield Line()
        end = content.end if math.isinf(end) else max(end, content.end)
        yield from content.lines


@dataclass(frozen=True)
class Content:
    """What a file holds, in the order in which it was written.

    Attributes:
        lines: values, and starts that name a step.
        begin: time of the first value.
        end: time of the last value.
    """

    lines: list[Line]
    begin: float
    end: float

    @cached_property
    def values(self) -> Values:
        """All finite values of each curve at each step."""
        return values(self.lines)

    @classmethod
    def of(
        cls, file: Path, rates: dict[str, None], budget: LogBudget, notes: list[str]
    ) -> Content | None:
        """What a file holds; None if that is no value.

        Args:
            file: of events.
            rates: tags of learning rates, of which the first counts; those of the file are added.
            budget: of the run.
            notes: what is not read is added.

        Raises:
            BadInput: TensorBoard is not installed, or the file cannot be read or holds too much.
        """
        lines, times = [], []
        records = Records(file)
        for event in records.events():
            of_event = list(budget.counted(_of_event(event, rates)))
            lines += of_event
            times += [event.wall_time for line in of_event if line.points]
        if records.damaged:
            notes.append(f"{code(file.name)} is damaged; what it holds before that is read.")
        if records.large:
            notes.append(
                f"Of {code(file.name)}, {plural(records.large, 'record')} above "
                f"{limits.EVENT.value:g} MB {verb(records.large, 'is', 'are')} not read: as a rule "
                f"they hold pictures or graphs ({code(limits.EVENT.variable)} raises the limit)."
            )
        return cls(lines, min(times), max(times)) if times else None


def _of_event(event: Any, rates: dict[str, None]) -> Iterator[Line]:
    if event.HasField("session_log"):
        started = event.session_log.status == event.session_log.START
        if started and event.step > 0:
            yield Line(first_step=event.step)
        return
    for value in event.summary.value:
        quantity, name = of_tag(value.tag)
        if quantity == RATE:
            rates.setdefault(value.tag)
            quantity = RATE if value.tag == next(iter(rates)) else ""
        if quantity and (number := scalar(value)) is not None:
            point = Point("tensorboard", quantity, name, event.step, number)
            yield Line((point,), value.tag)


def of_tag(tag: str) -> tuple[str, str]:
    """Quantity and name of a tag; no quantity if it is neither.

    >>> of_tag("validation/gaussian:15/psnr"), of_tag("Kodak24 PSNR"), of_tag("images/s")
    (('psnr', 'gaussian:15'), ('psnr', 'Kodak24 PSNR'), ('', ''))
    """
    lower = tag.lower()
    if "psnr" in lower:
        own = re.fullmatch(r"validation/(.+)/psnr", tag)
        return PSNR, own[1] if own else tag
    if "loss" in lower:
        return LOSS, tag
    rate = re.search(r"learning[ _-]?rate|(^|[/_ ])lr($|[/_ \d])", lower)
    return (RATE, "") if rate else ("", "")
