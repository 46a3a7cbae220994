"""The run that a notebook shows, and the parameters that a notebook was given."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import run_manifest
from analysis.pages.run_base import located
from mtd.utils.errors import BadInput, nearest
from mtd.utils.printable import one_line

if TYPE_CHECKING:
    from analysis.commands.result import Result

PARENTS = ("runs", "../runs")
"""Folders that are searched for runs; JupyterLab starts in notebooks/."""

EXAMPLES = ("reports/example", "../reports/example")

INJECTED = "# Parameters\n"
"""How a cell begins in which papermill sets parameters."""


class ParameterError(BadInput):
    """A parameter that a notebook does not have, or no value of; shown without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


def check_parameters(variables: Mapping[str, Any], *known: str) -> None:
    """See that a notebook was given only parameters that it has; papermill just warns of others.

    Args:
        variables: `globals()` of the notebook.
        known: names of its parameters.

    Raises:
        ParameterError: papermill set another one, or one of these has no value.

    Example:
        >>> cells = ["", 'run_dir = ""', '# Parameters\\nrundir = "runs/mine"\\n']
        >>> check_parameters({"In": cells, "run_dir": ""}, "run_dir")
        Traceback (most recent call last):
        ...
        analysis.commands.run_lookup.ParameterError: no parameter 'rundir' in this notebook; \
did you mean run_dir?
    """
    # in a report, whose sections share their variables, the last such cell is this section's
    cells = [cell for cell in variables.get("In", ()) if cell.startswith(INJECTED)]
    for line in ast.parse(cells[-1] if cells else "").body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            name = line.targets[0].id
            if name not in known:
                hint = nearest(name, known)
                raise ParameterError(f"no parameter {name!r} in this notebook; {hint}")
    for name in known:
        if name not in variables:
            raise ParameterError(f"parameter {name!r} has no value; run the cell that sets it")


def open_run(run_dir: str | PathLike[str] = "", name: str = "cka") -> Result:
    """The result that a run folder holds.

    Args:
        run_dir: the folder; empty for the newest run in `runs/`, whatever its folder is called,
            also inside a report, or else the example.
        name: of the analysis.

    Returns:
        Data frames, figures and sentences of the run; see `analysis.commands.result.Result`.

    Raises:
        BadInput: there is no such run, or it is not finished.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import analysis
        >>> scores = analysis.srga.score_models("baseline.pth", crop=32, limit=4, progress=False)
        >>> with TemporaryDirectory() as place:
        ...     result = analysis.open_run(scores.save(f"{place}/mine"), "srga")
        >>> result.frames["srga"].equals(scores.scores)
        True
    """
    from analysis.commands.registry import analysis
    from analysis.commands.result import Result

    record, path = analysis(name), folder(run_dir, name)
    kind = record.result() if record.result is not None else Result
    result = kind.read(record, path)
    if run_manifest.unfinished(path):
        raise BadInput(f"{path}: the run is not finished; continue it with --resume")
    if not result.frames:
        raise BadInput(f"{path}: no tables; continue the run with --resume")
    return result


def folder(run_dir: str | PathLike[str], name: str) -> Path:
    """The run folder that a notebook shows; if none is given, its path is printed.

    Args:
        run_dir: the folder; empty for the newest run, or else the example.
        name: of the analysis.

    Raises:
        BadInput: there is none, or it is of another analysis.
    """
    if run_dir:
        path = located(run_dir)
        if not path.is_dir():
            raise BadInput(f"{run_dir}: no such folder; expected one of analysis.{name}")
        kind = run_manifest.read_manifest(path).get("analysis") if name != "report" else name
        if kind != name:
            raise BadInput(f"{run_dir}: a run of {kind}; expected one of analysis.{name}")
        return path
    for parent in PARENTS:
        newest = run_manifest.newest(name, parent)
        if newest is not None:
            print(one_line(f"showing {newest}, the newest run; run_dir selects another"))
            return newest
    for example in EXAMPLES:
        path = Path(example) if name == "report" else Path(example) / name
        if (path / run_manifest.MANIFEST).is_file():
            print(
                one_line(
                    f"showing {path}, the example: there is no run of analysis.{name} in runs/"
                )
            )
            return path
    from analysis.commands.registry import command_of

    raise BadInput(
        f"no run of analysis.{name} in {' or '.join(PARENTS)}: run `python -m {command_of(name)}` "
        "first (--help has examples), or set run_dir"
    )
