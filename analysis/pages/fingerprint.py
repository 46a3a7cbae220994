"""The fingerprint of a page: a digest of everything that decides its bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

import mtd
from analysis.pages import notebooks

PAGE = "report"
"""Stem of the names of a page's files."""

INPUTS = "page.json"
"""File that records what a page was made from; see `inputs`."""

DRAWN = ("pages/*.py", "pages/assets/*", "plotting/*.py", "report/reading.py", "text/*.py")
"""Code that every page depends on, besides the packages of its sections."""

PACKAGES = {"training": "curves"}
"""Packages that are not called what their section is."""


def inputs(sections: Sequence[str]) -> dict[str, Any]:
    """What a page depends on besides its tables; if any of it changes, the page is stale.

    Digests of the notebooks and of the code for sentences, figures and pages, and the observers'
    versions.
    """
    from analysis.cka.observer import Representations
    from analysis.degradation.observer import PooledFeatures
    from analysis.distributions.observer import FeatureHistograms
    from analysis.generalization.observer import Scores
    from analysis.sensitivity.observer import LayerChanges
    from analysis.srga.observer import DeepFeatures

    package = Path(__file__).parents[1]
    own = [f"{PACKAGES.get(name, name)}/*.py" for name in sections]
    code = sorted({path for pattern in (*DRAWN, *own) for path in package.glob(pattern)})
    observers = (
        Scores,
        Representations,
        DeepFeatures,
        FeatureHistograms,
        PooledFeatures,
        LayerChanges,
    )
    return {
        "mtd": mtd.__version__,
        "observers": {observer.name: observer.version for observer in observers},
        "notebooks": {name: digest(notebooks.path_of(name)) for name in (PAGE, *sections)},
        "code": {path.relative_to(package).as_posix(): digest(path) for path in code},
    }


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def heading(done: NotebookNode) -> str:
    """The title of an executed notebook: its first heading."""
    line: str = done.cells[0].source.partition("\n")[0]
    return re.sub(r"\\(.)", r"\1", line.removeprefix("# "))
