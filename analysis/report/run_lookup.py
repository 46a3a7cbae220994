"""Where a notebook's run is, and what it says of itself, without the folder's own path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.commands import run_folder
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.report import sections
from analysis.text.markdown import code, escaped
from mtd.utils.errors import BadInput

SECTIONS = {section.name: section.heading for section in sections.SECTIONS}
"""The parts of a report in their order: name of the notebook and of the folder, and heading."""

COMMANDS = {"training": "curves"}
"""Analyses whose notebook has another name."""

PARENTS = ("runs", "../runs")
"""Where runs are looked for; JupyterLab starts in notebooks/."""

EXAMPLES = ("reports/example", "../reports/example")

Manifest = dict[str, Any]


def folder(run_dir: str, name: str) -> Path:
    """The run folder that a notebook shows.

    Args:
        run_dir: as it was given; empty for the newest one, be it part of a report, or else the
            example.
        name: of the notebook.

    Raises:
        BadInput: there is none, or it is of another analysis.
    """
    analysis = COMMANDS.get(name, name)
    if run_dir:
        found = Path(run_dir)
        if name != "report":
            held = run_folder.read_manifest(found).get("analysis")
            if held != analysis:
                raise BadInput(f"{run_dir}: a run of {held}; expected one of analysis.{analysis}")
        elif not found.is_dir():
            raise BadInput(f"{run_dir}: no such folder; expected one of analysis.report")
        return found
    for parent in PARENTS:
        newest = latest(parent, name)
        if newest is not None:
            return newest
    for found in examples(name):
        if (found / run_folder.MANIFEST).is_file():
            return found
    raise BadInput(
        f"no run of analysis.{analysis} in {' or '.join(PARENTS)}: run `python -m "
        f"analysis.{analysis}` first (--help has examples), or set run_dir"
    )


def latest(parent: str, name: str) -> Path | None:
    """The run folder whose manifest was written last, by itself or in a report; None without."""
    found = []
    with suppress(BadInput):
        found.append(run_folder.newest(COMMANDS.get(name, name), parent))
    if name != "report":
        inside = Path(parent).glob(f"report-*/{name}/{run_folder.MANIFEST}")
        found += sorted(path.parent for path in inside)
    return max(
        found, key=lambda path: (path / run_folder.MANIFEST).stat().st_mtime_ns, default=None
    )


def examples(name: str) -> list[Path]:
    """Where a notebook's example may be."""
    return [Path(parent) if name == "report" else Path(parent) / name for parent in EXAMPLES]


def which(run_dir: str, name: str) -> Displayed | None:
    """Which run a notebook shows, where that was left to it; else nothing: pages name no folder."""
    if run_dir:
        return None
    found = folder("", name)
    if found in examples(name):
        analysis = COMMANDS.get(name, name)
        why = f"the example, for want of a run of analysis.{analysis}"
    else:
        why = "the newest run"
    return notebook_output.say([f"Shown is {code(found)}, {why}; `run_dir` chooses another."])


def read(
    run_dir: str, name: str, tables: tuple[str, ...]
) -> tuple[Path, Manifest, dict[str, pd.DataFrame]]:
    """The run folder of a notebook, its manifest, and those of the named tables that it holds.

    Raises:
        BadInput: see `folder`; or there is none of the tables.
    """
    found = folder(run_dir, name)
    held = run_folder.read_tables(found, tables)
    if not held:
        raise BadInput(f"{found}: {tables[0]}.csv is missing; run it to its end, with --resume")
    return found, run_folder.read_manifest(found), held


def notes(path: Path) -> list[str]:
    """What must be known of a run's numbers, as Markdown; run folders by their analysis' name."""
    of: Mapping[str, Any] = {}
    with suppress(BadInput):
        of = run_folder.read_manifest(path).get("runs", {})
    found = []
    for note in run_folder.read_notes(path):
        for place, about in of.items():
            # see `analysis.compare.predictors.remarks`, whose paths are those of whoever ran it
            named = re.match(rf"(?:.*/)?{re.escape(Path(place).name)}(?= has other )", note)
            if named:
                note = f"the run of {about.get('analysis')}{note[named.end() :]}"
                break
        for own in (str(path.resolve()), str(path)):
            note = note.replace(own, "this run") if "/" in own else note
        found.append(f"Note: {escaped(note)}")
    return found


def first(frames: Mapping[str, pd.DataFrame], most: int) -> dict[str, pd.DataFrame]:
    """Tables with the rows of their first models alone, for figures that hold no more."""
    kept: dict[str, None] = {}
    for frame in frames.values():
        if "model" in frame:
            kept |= dict.fromkeys(frame.model)
    models = list(kept)[:most]
    return {
        name: frame[frame.model.isin(models)] if "model" in frame else frame
        for name, frame in frames.items()
    }
