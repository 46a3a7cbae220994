"""The fingerprint of a page: digests of the code and notebooks that it depends on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

import mtd
from analysis.pages import notebooks

PAGE = "report"
"""Name of a report's page, without its ending."""

INPUTS = "page.json"
"""File with the fingerprint of a page; see `inputs`."""

SHARED = ("pages/*.py", "pages/assets/*", "plotting/*.py", "text/*.py")
"""Code that all pages depend on."""


def inputs(
    names: Sequence[str], packages: Sequence[str], versions: Mapping[str, int]
) -> dict[str, Any]:
    """What a page depends on beside the tables: if any of it changes, the page is out of date.

    Args:
        names: of its notebooks.
        packages: whose code draws its figures and writes its sentences, as `analysis.cka`.
        versions: of the extracted features, by analysis.

    Returns:
        Digests of notebooks and code, and versions.
    """
    root = Path(__file__).parents[1]
    code = [path for pattern in SHARED for path in root.glob(pattern)]
    for package in packages:
        module = import_module(package)
        file = Path(str(module.__file__))
        code += file.parent.glob("*.py") if hasattr(module, "__path__") else [file]
    return {
        "mtd": mtd.__version__,
        "versions": dict(versions),
        "notebooks": {name: digest(notebooks.path_of(name)) for name in names},
        "code": {f"{path.parent.name}/{path.name}": digest(path) for path in sorted(code)},
    }


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def heading(done: NotebookNode) -> str:
    """The title of an executed notebook: its first heading."""
    line: str = done.cells[0].source.partition("\n")[0]
    return re.sub(r"\\(.)", r"\1", line.removeprefix("# "))
