"""One command from checkpoints to a page: every analysis, its numbers, figures and provenance.

`python -m analysis.report a.pth b.pth` takes all analyses in one pass, executes the notebooks on
what it found, and renders one self-contained HTML page. Of run folders it makes the page alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands import options
from analysis.report import sections
from analysis.report.options import FORMATS, parser
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence


def main() -> None:
    """Compute what is lacking, make the page, say where it is."""
    run(parser().parse_args(), cli.command("analysis.report"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the report's folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
        Failed: a notebook failed; or numbers that were verified do not agree.
    """
    from analysis.pages import notebooks
    from analysis.report import folders as report_folders
    from analysis.report import publish

    if args.verify:
        from analysis.report import verify

        return verify.run(args)
    formats = chosen_formats(args.format)
    chosen = sections.choose(args.sections)
    notebooks.check_kernel()
    folders = options.run_folders(args)
    if folders:
        found = report_folders.gather(args, folders, chosen, command)
    else:
        found = report_folders.compute(args, chosen, command)
    if found.ranks.first:
        publish.publish(found, formats, args)
    found.ranks.leave()
    return found.folder.path


def chosen_formats(text: str) -> Sequence[str]:
    """The formats that a list with commas names.

    Raises:
        BadInput: an unknown one, or none; PDF without a browser.
    """
    from analysis.pages import pdf
    from mtd.utils.errors import nearest

    asked = [name.strip() for name in text.split(",") if name.strip()]
    for name in asked:
        if name not in FORMATS:
            raise BadInput(f"--format {name}: {nearest(name, FORMATS)}")
    if not asked:
        raise BadInput(f"--format names none: {', '.join(FORMATS)}")
    if "pdf" in asked and pdf.find() is None:
        raise BadInput(
            "--format pdf: needs Chromium or Chrome on the PATH, or its place in MTD_CHROMIUM"
        )
    return asked
