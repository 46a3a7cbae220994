"""The page of a report: notebooks composed, executed, and rendered."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from analysis.commands.run_manifest import MANIFEST
from analysis.commands.run_tables import reading
from analysis.pages import html as pages_html
from analysis.pages import notebooks, pdf
from analysis.pages.attachments import Attachment
from analysis.pages.fingerprint import INPUTS, PAGE, heading, inputs
from analysis.pages.markdown import markdown
from analysis.report import sections as report_sections
from analysis.report.collected import own_files
from analysis.report.folders import Report
from analysis.report.leaderboard import LEADERBOARD, scores
from analysis.report.printed import show
from analysis.report.settings import FORMATS, ReportOptions
from analysis.text.markdown import escaped
from mtd.utils import atomic_write, folder_files, limits, progress
from mtd.utils.errors import BadInput

LARGEST = 9_500_000
"""Maximum size of a page in bytes; most mail servers refuse larger attachments."""


def publish(report: Report, options: ReportOptions, quiet: bool = False) -> None:
    """Execute the notebooks on the tables in a report's folder, and write the page.

    Nothing is written unless every cell ran, and everything is made before the first file is
    written; each is replaced as a whole, and pages in other formats go last.

    Raises:
        BadInput: no kernel, or a file that cannot be written.
        Failed: a cell failed.
    """
    folder, formats = report.folder.path, options.formats
    done = notebooks.execute(composed(report.sections, options.title), folder, PAGE)
    progress.step("page")
    title = heading(done)
    with reading(folder):
        frame = scores(folder)
    if not frame.empty:
        report.folder.table(LEADERBOARD, frame)
    html = fitting(done, attachments(folder, report.sections), title)
    now = made_with(report.sections) | {"title": title}
    for name, content in contents(done, html, formats).items():
        place = folder / name
        if place.parent != folder:
            folder_files.path_of(folder, place.parent.name)  # no link
        atomic_write.write(place, content)
    forget(folder, now, formats)
    atomic_write.write(folder / INPUTS, json.dumps(now, indent=2, allow_nan=False) + "\n")
    report.folder.finish()
    show(folder, [folder / f"{PAGE}.{name}" for name in formats], quiet)


def contents(done: NotebookNode, html: str, formats: Sequence[str]) -> dict[str, str | bytes]:
    """The files of the page, by name.

    Raises:
        BadInput: no browser, or it printed nothing.
    """
    made: dict[str, str | bytes] = {}
    if "pdf" in formats:
        with tempfile.TemporaryDirectory() as place:
            source, printed = Path(place) / f"{PAGE}.html", Path(place) / f"{PAGE}.pdf"
            source.write_text(html, encoding="utf-8")
            pdf.pdf(source, printed)
            made[f"{PAGE}.pdf"] = printed.read_bytes()
    if "md" in formats:
        text, pictures = markdown(done, f"{PAGE}_files")
        made |= {**pictures, f"{PAGE}.md": text}
    if "ipynb" in formats:
        made[f"{PAGE}.ipynb"] = nbformat.writes(done) + "\n"
    if "html" in formats:
        made[f"{PAGE}.html"] = html
    return made


def made_with(sections: Sequence[str]) -> dict[str, Any]:
    """What a report's page depends on besides its tables; see `analysis.pages.fingerprint`."""
    known = report_sections.records()
    records = {name: known[name] for name in sections if name in known}
    packages = [record.home for record in records.values()]
    packages += [f"analysis.{name}" for name in sections if name not in records]
    versions = {name: record.version for name, record in records.items()}
    own = notebooks.names()
    names = dict.fromkeys(name if name in own else "section" for name in sections)
    return inputs([PAGE, *names], [*packages, "analysis.report"], versions)


def fitting(notebook: NotebookNode, files: Sequence[Attachment], title: str) -> str:
    """The page, without its largest tables if it would be too large with them."""
    by_size = sorted(files, key=lambda file: len(file.content))
    absent: list[str] = []
    while True:
        attached = [file for file in files if file.name not in absent]
        html = pages_html.html(notebook, attached, title, absent)
        if len(html.encode()) <= LARGEST or not by_size:
            return html
        absent.append(by_size.pop().name)


def composed(sections: Sequence[str], title: str | None = None) -> NotebookNode:
    """The report's notebook with those of its sections, ready to be executed in its folder.

    Args:
        sections: names of notebooks.
        title: replaces the stored one.
    """
    report = notebooks.with_parameters(notebooks.stored(PAGE), {"run_dir": "."}, PAGE)
    if title:
        rest = report.cells[0].source.partition("\n")[2]
        report.cells[0].source = f"# {escaped(' '.join(title.split()))}\n{rest}"
    return notebooks.compose(report, {name: section(name) for name in sections})


def section(name: str) -> NotebookNode:
    """The notebook of a section, which shows the folder of its name.

    An analysis of another package, without a notebook of its own, has its figures and sentences
    shown by the notebook `section`.
    """
    if name in notebooks.names():
        return notebooks.with_parameters(notebooks.stored(name), {"run_dir": name}, name)
    record, general = report_sections.records()[name], notebooks.stored("section")
    general.cells[0].source = f"## {escaped(record.title)}\n\n{escaped(record.description)}"
    for cell in general.cells:
        cell.id = cell.id.replace("section-", f"{name}-")
    return notebooks.with_parameters(general, {"run_dir": name, "name": name}, name)


def forget(folder: Path, fingerprint: Mapping[str, Any], formats: Sequence[str]) -> None:
    """Remove pages in other formats, if they have other sections or were made by other code."""
    try:
        before = folder_files.json(folder, INPUTS)
    except BadInput:
        before = None
    if before != fingerprint:
        for path in folder.glob(f"{PAGE}.*"):
            kind = path.suffix.removeprefix(".")
            if kind in FORMATS and kind not in formats:
                path.unlink()
        if "md" not in formats:
            shutil.rmtree(folder / f"{PAGE}_files", ignore_errors=True)


def attachments(folder: Path, sections: Sequence[str]) -> list[Attachment]:
    """The tables and manifests of a report, by the names that figures link to.

    Those alone that its analyses write.

    Raises:
        BadInput: one is a link, or no file.
    """
    own = [name for name in (MANIFEST, LEADERBOARD) if folder_files.holds(folder, name)]
    for name in sections:
        files = sorted(own_files(folder_files.path_of(folder, name), name))
        own += [f"{name}/{file}" for file in files if file.endswith(".csv") or file == MANIFEST]
    return [Attachment(n, folder_files.content(folder, n, limits.ATTACHMENT)) for n in own]
