"""The fingerprint of a page: a digest of everything that decides its bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

import mtd
from analysis.cka.observer import Representations
from analysis.degradation.observer import PooledFeatures
from analysis.distributions.observer import FeatureHistograms
from analysis.generalization.observer import Scores
from analysis.pages import notebooks
from analysis.sensitivity.observer import LayerChanges
from analysis.srga.observer import DeepFeatures

PAGE = "report"
"""What the files of the page are called."""


INPUTS = "page.json"
"""What the page was made with; see `inputs`."""


DRAWN = (
    *("display.py", "page.py", "page_markup.py", "attachments.py", "*_figure.py", "*_figures.py"),
    *("*_table.py", "plots.py", "legend.py", "names.py", "level_curves.py", "strips.py"),
    *("standings.py", "ranking.py", "significance.py", "indices.py", "tables.py", "summary.py"),
)
"""Code that tables, figures and sentences are made by, beside that of the readings."""


def inputs(sections: Sequence[str]) -> dict[str, Any]:
    """What a page depends on beside the tables: if any of it changes, the page is to be made anew.

    Digests of notebooks, of the sentences' and the page's code, and versions of what is measured.
    Code that is named after a notebook which is not on the page is none of it.
    """
    package = Path(__file__).parent
    code = [
        *sorted((package / "readings").glob("*.py")),
        *sorted((package / "page_assets").iterdir()),
    ]
    for pattern in DRAWN:
        code += sorted(package.glob(pattern))
    others = notebooks.names() - {PAGE, *sections}
    code = [path for path in code if path.stem.partition("_")[0] not in others]
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
        "notebooks": {name: digest(notebooks.place(name)) for name in (PAGE, *sections)},
        "code": {str(path.relative_to(package)): digest(path) for path in code if path.is_file()},
    }


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def heading(done: NotebookNode) -> str:
    """The title of an executed notebook: its first heading."""
    line: str = done.cells[0].source.partition("\n")[0]
    return re.sub(r"\\(.)", r"\1", line.removeprefix("# "))
