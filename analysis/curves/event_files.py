"""TensorBoard event files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any

from analysis.curves.logged import LOSS, PSNR, RATE, Line, Point
from analysis.curves.progress import differing_steps, two_processes
from mtd.utils.errors import BadInput

EVENTS = "events.out.tfevents"


def read(files: Sequence[Path]) -> Iterator[Line]:
    """What the event files of one run hold, in the order in which they were begun.

    A file that was begun after the others ended is of a resumed run. A start that names a step, as
    after `SummaryWriter(purge_step=STEP)`, is one of `Line`.

    Raises:
        BadInput: TensorBoard is not installed, or two processes wrote other values at once.
    """
    rates: dict[str, None] = {}
    contents = [content for file in files if (content := Content.of(file, rates))]
    contents.sort(key=lambda content: content.begin)
    for earlier, later in combinations(contents, 2):
        if later.begin < earlier.end and (steps := differing_steps(earlier.lines, later.lines)):
            raise BadInput(f"{files[0].parent}: {two_processes(steps)}")
    for number, content in enumerate(contents):
        if number and content.begin >= max(before.end for before in contents[:number]):
            yield Line()
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

    @classmethod
    def of(cls, file: Path, rates: dict[str, None]) -> Content | None:
        """What a file holds; None if that is no value.

        Args:
            file: of events.
            rates: tags of learning rates, of which the first counts; those of the file are added.

        Raises:
            BadInput: TensorBoard is not installed.
        """
        lines, times = [], []
        for event in in_file(file):
            of_event = list(_of_event(event, rates))
            lines += of_event
            times += [event.wall_time for line in of_event if line.points]
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


def in_file(file: Path) -> list[Any]:
    """The events of a file, as far as it is sound.

    Raises:
        BadInput: TensorBoard is not installed.
    """
    try:
        loader: Any = import_module("tensorboard.backend.event_processing.event_file_loader")
    except ImportError:
        raise BadInput(f"{file}: to read TensorBoard events, pip install tensorboard") from None
    return list(loader.EventFileLoader(str(file)).Load())


def scalar(value: Any) -> float | None:
    """The real number in a value of a summary; None for anything else."""
    if not value.HasField("tensor"):
        return None
    array = import_module("tensorboard.util.tensor_util").make_ndarray(value.tensor)
    return float(array) if array.ndim == 0 and array.dtype.kind in "fiu" else None


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
