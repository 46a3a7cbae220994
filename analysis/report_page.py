"""The page of a report: notebooks composed, executed, and rendered."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
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
from analysis.report_parts import Report
from analysis.representations import Representations
from analysis.runs import MANIFEST
from analysis.scores import Scores
from mtd import files

PAGE = "report"
"""What the files of the page are called."""

LARGEST = 9_500_000
"""Bytes of a page that people still send to each other."""

INPUTS = "page.json"
"""What the page was made with; see `inputs`."""


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
    title = args.title or "How do these denoisers generalize?"
    made = {name: folder / f"{PAGE}.{name}" for name in formats}
    html = fitting(done, attachments(folder, found.sections), title)
    if "html" in made:
        files.write(made["html"], html)
    if "ipynb" in made:
        files.write(made["ipynb"], nbformat.writes(done) + "\n")
    files.write(folder / INPUTS, json.dumps(inputs(found.sections), indent=2) + "\n")
    if "md" in made:
        text, pictures = markdown(done, f"{PAGE}_files")
        for name, content in pictures.items():
            files.write(folder / name, content)
        files.write(made["md"], text)
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
    """
    package = Path(__file__).parent
    code = [
        *sorted((package / "readings").glob("*.py")),
        *sorted((package / "page_assets").iterdir()),
    ]
    code += [
        package / name for name in ("display.py", "page.py", "page_markup.py", "attachments.py")
    ]
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
    """The report's notebook with those of its sections, ready to be executed in its folder."""
    report = notebook.given(
        notebook.stored(PAGE), {"run_dir": "."} | ({"title": title} if title else {}), PAGE
    )
    parts = {
        name: notebook.given(notebook.stored(name), {"run_dir": name}, name) for name in sections
    }
    return notebook.compose(report, parts)


def attachments(folder: Path, sections: Sequence[str]) -> list[Attachment]:
    """The tables and manifests of a report, by the names that figures link to."""
    found = [Attachment(MANIFEST, (folder / MANIFEST).read_bytes())]
    for name in sections:
        for path in sorted((folder / name).iterdir()):
            if path.suffix == ".csv" or path.name == MANIFEST:
                found.append(Attachment(f"{name}/{path.name}", path.read_bytes()))
    return found
