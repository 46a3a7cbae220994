"""Notebooks: composed of those that are stored, and executed by papermill in one kernel."""

from __future__ import annotations

import copy
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

import notebooks
from mtd.utils import atomic_write
from mtd.utils.errors import BadInput, Failed, nearest

KERNEL = "python3"
PARAMETERS, SECTIONS = "parameters", "sections"
"""Tags of cells: where parameters are, and where sections are put in."""

SPOKEN = 200
"""Letters of an error that are told."""


def stored(name: str) -> NotebookNode:
    """A notebook of the package, by name.

    Raises:
        BadInput: there is none of that name.
    """
    found: NotebookNode = nbformat.read(place(name), as_version=4)
    return found


def place(name: str) -> Path:
    """Where a notebook of the package is.

    Raises:
        BadInput: there is none of that name.
    """
    if name not in names():
        raise BadInput(f"notebook {name}: {nearest(name, sorted(names()))}")
    return Path(next(iter(notebooks.__path__))) / f"{name}.ipynb"


def names() -> set[str]:
    """Of the package's notebooks."""
    return {path.stem for path in Path(next(iter(notebooks.__path__))).glob("*.ipynb")}


def tagged(cell: NotebookNode, tag: str) -> bool:
    """Whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def known_parameters(notebook: NotebookNode) -> dict[str, Any]:
    """Names and defaults of the parameters of a notebook.

    They are literals, one on a line; see `ast.literal_eval`.
    """
    import ast

    found = {}
    for cell in notebook.cells:
        if tagged(cell, PARAMETERS):
            for line in ast.parse(cell.source).body:
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                    found[line.targets[0].id] = ast.literal_eval(line.value)
    return found


def given(notebook: NotebookNode, parameters: Mapping[str, Any], name: str) -> NotebookNode:
    """A notebook with a cell that sets some of its parameters, as papermill makes it.

    Raises:
        BadInput: a parameter that the notebook does not have, or one of another type.
    """
    from papermill.parameterize import parameterize_notebook

    known = known_parameters(notebook)
    for key, value in parameters.items():
        if key not in known:
            raise BadInput(f"notebook {name}: no parameter {key!r}; {nearest(key, known)}")
        if not isinstance(value, type(known[key])):
            kind = type(known[key]).__name__
            raise BadInput(f"notebook {name}: {key} = {value!r}: expected {kind}")
    asked = copy.deepcopy(notebook)
    asked.metadata.papermill = {}  # which papermill takes for granted, as it does tags
    for cell in asked.cells:
        cell.metadata.setdefault("tags", [])
    made: NotebookNode = parameterize_notebook(
        asked, dict(parameters), kernel_name=KERNEL, language="python"
    )
    plain(made)
    for number, cell in enumerate(made.cells):
        if tagged(cell, "injected-parameters"):
            cell.id = f"{name}-given"  # papermill draws one at random
            made.cells[number - 1].metadata.pop("tags", None)
            cell.metadata.pop("tags", None)
    for cell in made.cells:
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
    return made


def compose(report: NotebookNode, sections: Mapping[str, NotebookNode]) -> NotebookNode:
    """One notebook: the sections' cells in place of the cell that is tagged `sections`."""
    cells: list[NotebookNode] = []
    for cell in report.cells:
        if tagged(cell, SECTIONS):
            for section in sections.values():
                cells += section.cells
        else:
            cells.append(cell)
    made = NotebookNode({**report, "cells": cells})
    nbformat.validate(made)
    return made


def execute(notebook: NotebookNode, folder: Path, name: str, quiet: bool = True) -> NotebookNode:
    """Run all cells in one new kernel whose current folder is `folder`; nothing is written there.

    Args:
        notebook: its cells; see `compose`.
        folder: of the run.
        name: of the notebook, for what is left of it if a cell fails.
        quiet: no bar.

    Raises:
        BadInput: no kernel that runs this Python.
        Failed: a cell failed; what was done is in `NAME.failed.ipynb`.
    """
    import papermill

    check_kernel()
    kept = folder / f"{name}.failed.ipynb"
    with tempfile.TemporaryDirectory() as place, environment(place):
        asked, made = Path(place) / "asked.ipynb", Path(place) / "made.ipynb"
        nbformat.write(notebook, asked)
        try:
            papermill.execute_notebook(
                asked,
                made,
                kernel_name=KERNEL,
                cwd=str(folder),
                progress_bar=not quiet,
                log_output=False,
            )
        except papermill.PapermillExecutionError as error:
            atomic_write.write(kept, made.read_bytes())
            text = f"{error.ename}: {error.evalue}"
            said = text if len(text) <= SPOKEN else f"{text[:SPOKEN]}…"
            raise Failed(f"a cell of the notebook failed ({said}); see {kept}") from None
        done: NotebookNode = nbformat.read(made, as_version=4)
    kept.unlink(missing_ok=True)
    plain(done)
    return done


def plain(notebook: NotebookNode) -> None:
    """Leave out what differs each time: times, paths, and how long cells took."""
    for holder in (notebook, *notebook.cells):
        for key in ("papermill", "execution"):
            holder.metadata.pop(key, None)


def check_kernel() -> None:
    """See that there is a kernel, and that it runs this Python.

    Raises:
        BadInput: there is none, or it runs another one, which may not have these packages.
    """
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    hint = "python -m ipykernel install --sys-prefix"
    try:
        program = KernelSpecManager().get_kernel_spec(KERNEL).argv[0]
    except NoSuchKernel:
        raise BadInput(f"no Jupyter kernel {KERNEL!r}: {hint}") from None
    if Path(program).name == program:  # a bare name is taken for this Python
        return
    if Path(program).parent.resolve() != Path(sys.executable).parent.resolve():
        raise BadInput(f"the Jupyter kernel {KERNEL!r} runs {program}, not this Python: {hint}")


@contextmanager
def environment(place: str) -> Iterator[None]:
    """Variables that the kernel starts with: it finds this package, and nobody's own start-up."""
    profile = Path(place) / "profile_default"
    profile.mkdir()  # the kernel warns on stderr of how it is reached, which is this machine alone
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n")
    root = str(Path(next(iter(notebooks.__path__))).parent)
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
    new = {"PYTHONPATH": path, "IPYTHONDIR": place, "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    old = {name: os.environ.get(name) for name in new}
    os.environ.update(new)
    try:
        yield
    finally:
        for name, value in old.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
