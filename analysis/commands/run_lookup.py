"""Where a notebook's run is, and what it says of itself, without the folder's own path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.commands import run_folder
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.markdown import code, escaped
from mtd.utils.errors import BadInput, nearest

PARENTS = ("runs", "../runs")
"""Where runs are looked for; JupyterLab starts in notebooks/."""

EXAMPLES = ("reports/example", "../reports/example")

if TYPE_CHECKING:
    from analysis.commands.result import Result

Manifest = dict[str, Any]


def folder(run_dir: str, name: str) -> Path:
    """The run folder that a notebook shows.

    Args:
        run_dir: as it was given; empty for the newest run, also inside a report, or else the
            example.
        name: of the analysis.

    Raises:
        BadInput: there is none, or it is of another analysis.
    """
    if run_dir:
        found = Path(run_dir)
        if not found.is_dir():
            raise BadInput(f"{run_dir}: no such folder; expected one of analysis.{name}")
        if name == "report":
            return found
        kind = run_folder.read_manifest(found).get("analysis")
        if kind != name:
            raise BadInput(f"{run_dir}: a run of {kind}; expected one of analysis.{name}")
        return found
    for parent in PARENTS:
        newest = run_folder.newest(name, parent)
        if newest is not None:
            return newest
    for found in examples(name):
        if (found / run_folder.MANIFEST).is_file():
            return found
    raise BadInput(
        f"no run of analysis.{name} in {' or '.join(PARENTS)}: run `python -m analysis.{name}` "
        "first (--help has examples), or set run_dir"
    )


def examples(name: str) -> list[Path]:
    """Where a notebook's example may be."""
    return [Path(parent) if name == "report" else Path(parent) / name for parent in EXAMPLES]


def which(run_dir: str, name: str) -> Displayed | None:
    """Which run a notebook shows, if none was given; else nothing: pages name no folder."""
    if run_dir:
        return None
    found = folder("", name)
    why = "the newest run"
    if found in examples(name):
        why = f"the example, since there is no run of analysis.{name}"
    return notebook_output.say([f"Shown is {code(found)}, {why}; `run_dir` chooses another."])


def open_run(run_dir: str = "", name: str = "cka") -> Result:
    """The result that a run folder holds.

    Args:
        run_dir: the folder; empty for the newest run, also inside a report, or else the example.
        name: of the analysis.

    Returns:
        Data frames, figures and sentences of the run; see `analysis.commands.result.Result`.

    Raises:
        BadInput: there is no such run, or it is not finished.
    """
    from analysis.commands.registry import analysis
    from analysis.commands.result import Result

    record, found = analysis(name), folder(run_dir, name)
    kind = record.result() if record.result is not None else Result
    result = kind.read(record, found)
    if not result.frames:
        raise BadInput(f"{found}: no tables; continue the run with --resume")
    return result


def check_parameters(variables: Mapping[str, Any], *known: str) -> None:
    """See that a notebook was given parameters that it knows; papermill only warns.

    Args:
        variables: `globals()` of the notebook, before anything is imported.
        known: names of its parameters.

    Raises:
        BadInput: another one.
    """
    own = {"In", "Out", "exit", "quit", "open", "get_ipython", "analysis"}
    for name in variables:
        if not name.startswith("_") and name not in own and name not in known:
            raise BadInput(f"no parameter {name!r} in this notebook; {nearest(name, known)}")


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
