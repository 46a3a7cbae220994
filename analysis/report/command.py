"""One command from checkpoints to a page: every analysis, its numbers, figures and provenance.

`python -m analysis.report a.pth b.pth` runs all analyses in one pass, executes the notebooks on
their tables, and renders one self-contained HTML page. Given run folders instead, it only makes
the page.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from analysis.commands.parser import (
    OutputOptions,
    add_settings,
    build,
    output_options,
    run_folders,
    settings_from,
)
from analysis.report.settings import ReportOptions, ReportSettings
from mtd.loading import cli_options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.loading.cli_options import ModelRequest

EXAMPLES = """\
  python -m analysis.report baseline.pth masked.pth
  python -m analysis.report mine.pth theirs.pth --images photos --max-crops srga=300 \\
      --format html,pdf
  python -m analysis.report *.pth --sections generalization,srga --no-lpips
  python -m analysis.report runs/generalization-… runs/cka-… --output-dir page
  python -m analysis.report --verify runs/report-…
"""

DESCRIPTION = (
    "Run all analyses of models in one pass and make one page of them: benchmark, CKA, SRGA, "
    "distributions, degradation clusters, sensitivity, attribution, and training curves "
    "where logs lie beside the checkpoints. Sections that the folder already has are not "
    "computed again."
)


def parser() -> cli.Parser:
    """The command's options."""
    p = build(
        ReportSettings,
        "analysis.report",
        DESCRIPTION,
        EXAMPLES,
        models="checkpoint files or bundled names; or run folders of any analyses",
    )
    add_settings(p, ReportOptions)
    return p


def main() -> None:
    """The command, on this process's arguments."""
    run_arguments(sys.argv[1:], cli.command("analysis.report"))


class Request(NamedTuple):
    """A parsed command line.

    Attributes:
        models: checkpoints; none if run folders are given.
        settings: everything that decides the numbers.
        options: sections and formats of the page.
        output: where it is written.
        folders: run folders to make a page of.
    """

    models: list[ModelRequest]
    settings: ReportSettings
    options: ReportOptions
    output: OutputOptions
    folders: list[Path]


def parse(arguments: Sequence[str], command: str = "") -> Request:
    """Parse the arguments of a command line.

    Raises:
        BadInput: arguments that cannot be used.
    """
    parsed = parser().parse_args(list(arguments))
    settings = settings_from(ReportSettings, parsed)
    options = settings_from(ReportOptions, parsed)
    folders = [] if options.verify else run_folders(parsed)
    named = bool(parsed.models or parsed.custom_models)
    none = folders or (options.verify and not named)
    models = [] if none else cli_options.resolve_requests(parsed)
    return Request(models, settings, options, output_options(parsed, command), folders)


def run_arguments(arguments: Sequence[str], command: str = "") -> Path:
    """Make or verify a report on the arguments of a command line; returns its folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
        Failed: a notebook failed, or numbers that were verified do not agree.
    """
    request = parse(arguments, command)
    if request.options.verify:
        from analysis.report import verify

        return verify.run(request.options, request.settings, request.models)
    return run(*request)


def run(
    models: Sequence[ModelRequest],
    settings: ReportSettings | None = None,
    options: ReportOptions | None = None,
    output: OutputOptions | None = None,
    folders: Sequence[Path] = (),
) -> Path:
    """Compute the missing sections and make the page; returns the report's folder.

    Args:
        models: checkpoints; none if run folders are given.
        settings: everything that decides the numbers.
        options: sections and formats of the page.
        output: where it is written.
        folders: run folders to make a page of.

    Raises:
        BadInput: see `mtd.utils.errors`.
        Failed: a notebook failed.
    """
    from analysis.pages import notebooks
    from analysis.report import folders as report_folders
    from analysis.report import publish

    settings, options = settings or ReportSettings(), options or ReportOptions()
    output = output or OutputOptions()
    check_formats(options)
    notebooks.check_kernel()
    if folders:
        report = report_folders.collect(folders, options, output)
    else:
        report = report_folders.compute(models, settings, options, output)
    if report.ranks.first:
        publish.publish(report, options, output.quiet)
    report.ranks.leave()
    return report.folder.path


def check_formats(options: ReportOptions) -> None:
    """Check that the formats of the page can be written.

    Raises:
        BadInput: an unknown format, or PDF without a browser.
    """
    from analysis.pages import pdf

    if "pdf" in options.formats and pdf.find() is None:
        raise BadInput(
            "--format pdf: needs Chromium or Chrome on the PATH, or its path in MTD_CHROMIUM"
        )
