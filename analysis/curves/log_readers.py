"""Logs of training runs, whatever the program: tables, TensorBoard events, text logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from analysis.curves import csv_logs, event_files, text_files, text_logs
from analysis.curves.csv_logs import LOG, VALIDATION
from analysis.curves.event_files import EVENTS
from analysis.curves.log_budget import LogBudget
from analysis.curves.logged import PSNR as PSNR
from analysis.curves.logged import Line
from analysis.text.terminal import plural
from mtd.loading.snapshots import SUFFIXES
from mtd.utils import digests, input_files, limits
from mtd.utils.errors import BadInput

RECIPE, EVENTS_FOLDER = "recipe.json", "events"
EXPECTED = (
    f"expected a folder of mtd.train ({LOG}), TensorBoard events ({EVENTS}.*), or a text log of "
    "KAIR or BasicSR"
)

MOST = 10**9
"""Crops, or pixels of their sides, that no recipe asks for."""


@dataclass(frozen=True)
class Log:
    """What one run has logged.

    Attributes:
        lines: in each of their sequences, in the order in which they were logged.
        recipe: of `mtd.train`, as `recipe.json` says; empty where there is none.
        files: SHA-256 of what was read, by name.
        cut: files whose last line has no end, and is left out.
        notes: what else is not read, as Markdown sentences.
    """

    lines: list[Line]
    recipe: Mapping[str, Any]
    files: dict[str, str]
    cut: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def trained(self) -> str:
        """The noise trained on; empty where the recipe does not say."""
        with suppress(KeyError, TypeError):
            return str(self.recipe["data"]["noise"])
        return ""

    @property
    def test_crops(self) -> str:
        """What test curves are means over; empty where the recipe does not say."""
        with suppress(KeyError, TypeError):
            count, side = (self.recipe["validation"][name] for name in ("crops", "crop"))
            if type(count) is type(side) is int and 0 < min(count, side) <= max(count, side) < MOST:
                return f"{plural(count, 'crop')} of {side} x {side}"
        return ""


def read(place: str | Path) -> Log:
    """The log of a run, whatever the program.

    Args:
        place: a folder of `mtd.train`, an event file or a folder with some, a text log of KAIR or
            BasicSR or a folder with some (`*.log`; several are one run that was resumed).

    Raises:
        BadInput: no such path, a file of another kind, a folder with none of them, or no values.
    """
    path = Path(place)
    if not path.exists():
        raise BadInput(f"{place}: no such file or folder; {EXPECTED}")
    if path.name in (LOG, VALIDATION):
        path = path.parent
    files, kind = _in_folder(path) if path.is_dir() else ([path], _kind(path))
    if not kind:
        wrong = "no log in it" if path.is_dir() else "not a log of a known program"
        files = list(path.iterdir()) if path.is_dir() else [path]
        checkpoints = any(file.suffix in SUFFIXES for file in files)
        hint = "; for checkpoints, --checkpoints FOLDER" if checkpoints else ""
        if path.is_file() and text_files.is_cut(path) and not any(text_files.lines(path)):
            hint = "; its only line has no end, so that its last value may be cut"
        raise BadInput(f"{place}: {wrong}; {EXPECTED}{hint}")
    limits.LOG_FILES.check(len(files), str(place))
    notes: list[str] = []
    lines = list(_lines(files, kind, LogBudget(str(place)), notes))
    cut = tuple(file.name for file in files if kind != "events" and text_files.is_cut(file))
    if not any(line.points for line in lines):
        hint = " but in a last line that has no end" if cut else ""
        raise BadInput(f"{place}: no loss, learning rate or PSNR in it{hint}")
    known = {file.name: digests.sha256(file) for file in files}
    return Log(lines, recipe(path), known, cut, tuple(notes))


def _in_folder(path: Path) -> tuple[list[Path], str]:
    if tables := [path / name for name in (LOG, VALIDATION) if (path / name).is_file()]:
        return tables, "mtd"
    if events := sorted(path.glob(f"{EVENTS}.*")):
        return events, "events"
    kinds = {file: _kind(file) for file in sorted(path.glob("*.log"))}
    kind = next(filter(None, kinds.values()), "")
    return [file for file, own in kinds.items() if own == kind], kind


def _kind(path: Path) -> str:
    return "events" if path.name.startswith(EVENTS) else text_logs.kind(path)


def _lines(files: list[Path], kind: str, budget: LogBudget, notes: list[str]) -> Iterable[Line]:
    if kind == "events":
        return event_files.read(files, budget, notes)
    if kind == "mtd":
        return budget.counted(chain.from_iterable(csv_logs.read(file) for file in files))
    return text_logs.read_run(files, kind, budget)


def recipe(path: Path) -> Mapping[str, Any]:
    """The recipe of `mtd.train`: in the folder, or that around its events; empty of none."""
    folder = path if path.is_dir() else path.resolve().parent
    for place in (folder, folder.resolve().parent):
        with suppress(BadInput):
            found = input_files.json(place / RECIPE)
            if isinstance(found, Mapping):
                return found
        if folder.resolve().name != EVENTS_FOLDER:
            break
    return {}
