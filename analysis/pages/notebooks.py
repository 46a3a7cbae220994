"""Notebooks of the package: composed, and executed by papermill in one kernel."""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from nbformat import NotebookNode

import notebooks
from analysis.pages import run_base
from mtd.utils import atomic_write, progress, temporary
from mtd.utils.errors import BadInput, Failed, nearest

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

KERNEL = "python3"
NOTEBOOK = "notebook"
"""The step of executing a notebook, as the progress names it."""
PARAMETERS, SECTIONS, STANDALONE = "parameters", "sections", "standalone"
"""Tags of cells: of the parameters, of the place where sections are inserted, and of what a report
leaves out."""

ERROR_LENGTH = 200
"""Characters of an error that a message quotes."""


def stored(name: str) -> NotebookNode:
    """A notebook of the package, by name.

    Raises:
        BadInput: no notebook has that name.
    """
    notebook: NotebookNode = nbformat.read(path_of(name), as_version=4)
    return notebook


def path_of(name: str) -> Path:
    """The file of a notebook of the package.

    Raises:
        BadInput: no notebook has that name.
    """
    if name not in names():
        raise BadInput(f"notebook {name}: {nearest(name, sorted(names()))}")
    return Path(next(iter(notebooks.__path__))) / f"{name}.ipynb"


def names() -> set[str]:
    """Names of the package's notebooks."""
    return {path.stem for path in Path(next(iter(notebooks.__path__))).glob("*.ipynb")}


def tagged(cell: NotebookNode, tag: str) -> bool:
    """Whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def known_parameters(notebook: NotebookNode) -> dict[str, Any]:
    """Names and defaults of the parameters of a notebook.

    They are literals, one on a line; see `ast.literal_eval`.
    """
    import ast

    defaults = {}
    for cell in notebook.cells:
        if tagged(cell, PARAMETERS):
            for line in ast.parse(cell.source).body:
                if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
                    defaults[line.targets[0].id] = ast.literal_eval(line.value)
    return defaults


def with_parameters(
    notebook: NotebookNode, parameters: Mapping[str, Any], name: str
) -> NotebookNode:
    """A notebook with a cell that sets some of its parameters, as papermill adds it.

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
    template = copy.deepcopy(notebook)
    template.metadata.papermill = {}  # papermill expects it, and tags
    for cell in template.cells:
        cell.metadata.setdefault("tags", [])
    filled: NotebookNode = parameterize_notebook(
        template, dict(parameters), kernel_name=KERNEL, language="python"
    )
    remove_run_metadata(filled)
    for number, cell in enumerate(filled.cells):
        if tagged(cell, "injected-parameters"):
            cell.id = f"{name}-given"  # papermill draws one at random
            filled.cells[number - 1].metadata.pop("tags", None)
            cell.metadata.pop("tags", None)
    for cell in filled.cells:
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
    return filled


def compose(report: NotebookNode, sections: Mapping[str, NotebookNode]) -> NotebookNode:
    """One notebook: the sections' cells in place of the cell that is tagged `sections`.

    Cells that are tagged `standalone` are left out.
    """
    cells: list[NotebookNode] = []
    for cell in report.cells:
        if tagged(cell, SECTIONS):
            for section in sections.values():
                cells += section.cells
        else:
            cells.append(cell)
    cells = [cell for cell in cells if not tagged(cell, STANDALONE)]
    composed = NotebookNode({**report, "cells": cells})
    nbformat.validate(composed)
    return composed


def execute(notebook: NotebookNode, folder: Path, name: str) -> NotebookNode:
    """Run all cells in a new kernel, which works in an empty folder of its own.

    A run folder may come from anywhere, so no code in it is ever imported: neither the folder nor
    the kernel's working folder is on `sys.path`. Notebooks find their runs below `folder`, as
    `analysis.pages.run_base.located` resolves them.

    Args:
        notebook: see `compose`.
        folder: of the run; nothing is written there unless a cell fails.
        name: of the notebook, for the file that is written if a cell fails.

    Raises:
        BadInput: no kernel that runs this Python.
        Failed: a cell failed; what was executed is in `NAME.failed.ipynb`.
    """
    import papermill

    check_kernel()
    progress.step(NOTEBOOK, len(notebook.cells), "cells")
    failed = folder / f"{name}.failed.ipynb"
    scratch = temporary.folder("notebook-")
    source, target, working = (scratch / name for name in ("source.ipynb", "target.ipynb", "empty"))
    working.mkdir()
    with environment(scratch, folder), kernels(scratch / "runtime") as kernel:
        nbformat.write(notebook, source)
        try:
            papermill.execute_notebook(
                source,
                target,
                kernel_name=KERNEL,
                kernel_manager_class=kernel,
                cwd=str(working),
                engine_name=counting(),
                progress_bar=False,
                log_output=False,
                request_save_on_cell_execute=False,  # the whole notebook, twice for each cell
            )
        except papermill.PapermillExecutionError as error:
            atomic_write.write(failed, target.read_bytes())
            text = f"{error.ename}: {error.evalue}"
            quoted = text if len(text) <= ERROR_LENGTH else f"{text[:ERROR_LENGTH]}…"
            raise Failed(f"a cell of the notebook failed ({quoted}); see {failed}") from None
    executed: NotebookNode = nbformat.read(target, as_version=4)
    failed.unlink(missing_ok=True)
    remove_run_metadata(executed)
    return executed


def counting() -> str:
    """The name of papermill's engine that counts the cells that are done, for the progress."""
    from papermill.engines import NBClientEngine, papermill_engines

    class Counting(NBClientEngine):  # type: ignore[misc]
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **more: Any) -> Any:
            complete = nb_man.cell_complete

            def completed(*about: Any, **named: Any) -> None:
                complete(*about, **named)
                progress.advance()

            nb_man.cell_complete = completed
            return super().execute_managed_notebook(nb_man, kernel_name, **more)

    papermill_engines.register("counting", Counting)
    return "counting"


def remove_run_metadata(notebook: NotebookNode) -> None:
    """Remove run metadata: times, paths and durations, which differ between runs."""
    for part in (notebook, *notebook.cells):
        for key in ("papermill", "execution"):
            part.metadata.pop(key, None)


def check_kernel() -> None:
    """Check that there is a kernel, and that it runs this Python.

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
def environment(scratch: Path, folder: Path) -> Iterator[None]:
    """Environment of the kernel: with this package, without code of the user's folders.

    Args:
        scratch: a temporary folder, for the kernel's configuration.
        folder: of the run.
    """
    (scratch / "runtime").mkdir(mode=0o700)
    profile = scratch / "profile_default"
    profile.mkdir()
    lines = ("c.IPKernelApp.log_level = 50", "c.IPKernelApp.ignore_cwd = True")
    # the first: it would warn that it is reachable, though from this machine alone, and that it was
    # interrupted when it ends
    (profile / "ipython_kernel_config.py").write_text("\n".join(lines) + "\n")
    new = {
        "PYTHONPATH": os.pathsep.join(search_path(folder)),
        "IPYTHONDIR": str(scratch),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),  # the home may be read-only
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        run_base.VARIABLE: str(folder.absolute()),
    }
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


@contextmanager
def kernels(runtime: Path) -> Iterator[type[AsyncKernelManager]]:
    """A class of kernels that have ended, as their processes have, when the context ends.

    One that is interrupted while it starts would otherwise be left behind, with the file in which
    its ports are written.

    Args:
        runtime: folder of that file.
    """
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_core.utils import run_sync

    begun: list[AsyncKernelManager] = []

    class Kernel(AsyncKernelManager):
        def __init__(self, **settings: Any) -> None:
            super().__init__(connection_file=str(runtime / "kernel.json"), **settings)
            begun.append(self)

    try:
        yield Kernel
    finally:
        for kernel in begun:
            if kernel.has_kernel:
                run_sync(kernel.shutdown_kernel)(now=True)
                run_sync(kernel.cleanup_resources)()


def search_path(folder: Path) -> list[str]:
    """This package's root and the entries of `PYTHONPATH`, absolute, none inside a run's folder."""
    root = Path(next(iter(notebooks.__path__))).parent
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    inside = folder.resolve()
    places = [Path(entry).absolute() for entry in given]
    others = [place for place in places if not place.resolve().is_relative_to(inside)]
    return [str(place) for place in (root, *others)]
