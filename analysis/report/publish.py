"""The page of a report: notebooks composed, executed, and rendered."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from analysis.commands.run_folder import MANIFEST
from analysis.pages import html as pages_html
from analysis.pages import notebooks, pdf
from analysis.pages.attachments import Attachment
from analysis.pages.fingerprint import INPUTS, PAGE, heading, inputs
from analysis.pages.markdown import markdown
from analysis.report.folders import Report
from analysis.report.reading import scores
from analysis.text.markdown import escaped
from mtd.utils import atomic_write

LARGEST = 9_500_000
"""Bytes of a page that people still send to each other."""

LEADERBOARD = "leaderboard.csv"


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
    done = notebooks.execute(composed(found.sections, args.title), folder, PAGE)
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
            pdf.pdf(source, made["pdf"])
    found.folder.finish()
    print("\n".join(f"written to {path}" for path in made.values()))


def fitting(notebook: NotebookNode, files: Sequence[Attachment], title: str) -> str:
    """The page, without the largest tables if it were too large with them."""
    left = sorted(files, key=lambda file: len(file.content))
    absent: list[str] = []
    while True:
        kept = [file for file in files if file.name not in absent]
        html = pages_html.html(notebook, kept, title, absent)
        if len(html.encode()) <= LARGEST or not left:
            return html
        absent.append(left.pop().name)


def composed(sections: Sequence[str], title: str | None = None) -> NotebookNode:
    """The report's notebook with those of its sections, ready to be executed in its folder.

    Args:
        sections: names of notebooks.
        title: in place of the stored one.
    """
    report = notebooks.with_parameters(notebooks.stored(PAGE), {"run_dir": "."}, PAGE)
    if title:
        rest = report.cells[0].source.partition("\n")[2]
        report.cells[0].source = f"# {escaped(' '.join(title.split()))}\n{rest}"
    parts = {n: notebooks.with_parameters(notebooks.stored(n), {"run_dir": n}, n) for n in sections}
    return notebooks.compose(report, parts)


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
