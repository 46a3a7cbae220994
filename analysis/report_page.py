"""The page of a report: notebooks composed, executed, and rendered."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

import mtd
from analysis import browser, notebook, page
from analysis.attachments import Attachment
from analysis.deep_features import DeepFeatures
from analysis.feature_histograms import FeatureHistograms
from analysis.layer_changes import LayerChanges
from analysis.page_markdown import markdown
from analysis.pooled_features import PooledFeatures
from analysis.readings.report import scores
from analysis.readings.words import escaped
from analysis.report_parts import Report
from analysis.representations import Representations
from analysis.runs import MANIFEST
from analysis.scores import Scores
from mtd.utils import atomic_write

PAGE = "report"
"""What the files of the page are called."""

LARGEST = 9_500_000
"""Bytes of a page that people still send to each other."""

LEADERBOARD = "leaderboard.csv"

INPUTS = "page.json"
"""What the page was made with; see `inputs`."""


DRAWN = (
    *("display.py", "page.py", "page_markup.py", "attachments.py", "*_figure.py", "*_figures.py"),
    *("*_table.py", "plots.py", "legend.py", "names.py", "level_curves.py", "strips.py"),
    *("standings.py", "ranking.py", "significance.py", "indices.py", "tables.py", "summary.py"),
)
"""Code that tables, figures and sentences are made by, beside that of the readings."""


def publish(found: Report, formats: Sequence[str], args: argparse.Namespace) -> None:
    """Execute the notebooks on what a report's folder holds, and write the page.

    Nothing is written unless every cell ran.

    Raises:
        BadInput: no kernel, or a file that cannot be written.
        Failed: a cell failed.
    """
    folder = found.folder.path
    if not args.quiet:
        print("executing the notebooks", file=sys.stderr)
    done = notebook.execute(composed(found.sections, args.title), folder, PAGE)
    title = heading(done)
    frame = scores(folder)
    if not frame.empty:
        found.folder.table(LEADERBOARD, frame)
    made = {name: folder / f"{PAGE}.{name}" for name in formats}
    html = fitting(done, attachments(folder, found.sections), title)
    now = inputs(found.sections) | {"title": title}
    forget(folder, now, formats)
    if "html" in made:
        atomic_write.write(made["html"], html)
    if "ipynb" in made:
        atomic_write.write(made["ipynb"], nbformat.writes(done) + "\n")
    atomic_write.write(folder / INPUTS, json.dumps(now, indent=2) + "\n")
    if "md" in made:
        text, pictures = markdown(done, f"{PAGE}_files")
        for name, content in pictures.items():
            atomic_write.write(folder / name, content)
        atomic_write.write(made["md"], text)
    if "pdf" in made:
        with tempfile.TemporaryDirectory() as place:
            source = Path(place) / f"{PAGE}.html"
            source.write_text(html, encoding="utf-8")
            browser.pdf(source, made["pdf"])
    found.folder.finish()
    print("\n".join(f"written to {path}" for path in made.values()))


def fitting(notebook: NotebookNode, files: Sequence[Attachment], title: str) -> str:
    """The page, without the largest tables if it were too large with them."""
    left = sorted(files, key=lambda file: len(file.content))
    absent: list[str] = []
    while True:
        kept = [file for file in files if file.name not in absent]
        html = page.html(notebook, kept, title, absent)
        if len(html.encode()) <= LARGEST or not left:
            return html
        absent.append(left.pop().name)


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
    others = notebook.names() - {PAGE, *sections}
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
        "notebooks": {name: digest(notebook.place(name)) for name in (PAGE, *sections)},
        "code": {str(path.relative_to(package)): digest(path) for path in code if path.is_file()},
    }


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def composed(sections: Sequence[str], title: str | None = None) -> NotebookNode:
    """The report's notebook with those of its sections, ready to be executed in its folder.

    Args:
        sections: names of notebooks.
        title: in place of the stored one.
    """
    report = notebook.given(notebook.stored(PAGE), {"run_dir": "."}, PAGE)
    if title:
        rest = report.cells[0].source.partition("\n")[2]
        report.cells[0].source = f"# {escaped(' '.join(title.split()))}\n{rest}"
    parts = {n: notebook.given(notebook.stored(n), {"run_dir": n}, n) for n in sections}
    return notebook.compose(report, parts)


def heading(done: NotebookNode) -> str:
    """The title of an executed notebook: its first heading."""
    line: str = done.cells[0].source.partition("\n")[0]
    return re.sub(r"\\(.)", r"\1", line.removeprefix("# "))


def forget(folder: Path, made: Mapping[str, Any], formats: Sequence[str]) -> None:
    """Remove pages in other formats, if they were made of other sections or by other code."""
    try:
        before = json.loads((folder / INPUTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = None
    if before != made:
        for path in folder.glob(f"{PAGE}.*"):
            if path.suffix.removeprefix(".") not in formats:
                path.unlink()
        if "md" not in formats:
            shutil.rmtree(folder / f"{PAGE}_files", ignore_errors=True)


def attachments(folder: Path, sections: Sequence[str]) -> list[Attachment]:
    """The tables and manifests of a report, by the names that figures link to."""
    own = [folder / name for name in (MANIFEST, LEADERBOARD) if (folder / name).is_file()]
    found = [Attachment(path.name, path.read_bytes()) for path in own]
    for name in sections:
        for path in sorted((folder / name).iterdir()):
            if path.suffix == ".csv" or path.name == MANIFEST:
                found.append(Attachment(f"{name}/{path.name}", path.read_bytes()))
    return found
