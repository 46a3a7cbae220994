"""One command from checkpoints to a page: every analysis, its numbers, figures and provenance.

`python -m analysis.report a.pth b.pth` runs all analyses in one pass, executes the notebooks on
their tables, and renders one self-contained HTML page. Given run folders instead, it only makes
the page.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from analysis.commands.parser import (
    ConfiguredParser,
    OutputOptions,
    add_settings,
    build,
    given_options,
    output_options,
    refuse,
    run_folders,
    settings_from,
)
from analysis.report import sections
from analysis.report.settings import ReportOptions, ReportSettings
from mtd.loading import cli_options
from mtd.utils import cli, interruptions, near_paths, output_folders, progress
from mtd.utils.errors import BadInput
from mtd.utils.messages import importing

if TYPE_CHECKING:
    from analysis.report.folders import Report
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
    "Run analyses of models, most of them in one pass, and make one page of them: error "
    "decomposition, benchmark, CKA, SRGA, distributions, degradation clusters, sensitivity, causal "
    "tracing, local linear maps, attribution, and training curves where logs lie beside the "
    "checkpoints. Stitching and causal effect maps take longer: --sections "
    "default,stitch,causal_effects adds them. Sections that the folder already has are not "
    "computed again."
)


OF_VERIFICATION = ("share", "verify_seed")
"""Options that are for `--verify` alone."""

WITH_VERIFY = (
    *("models", "verify", *OF_VERIFICATION, "images", "device", "custom_models", "quiet"),
    "metrics",
)
"""Options that `--verify` heeds."""

WITH_FOLDERS = ("models", "sections", "format", "title", "output_dir", "resume", "quiet")
"""Options that a page of run folders heeds."""


def parser() -> ConfiguredParser:
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
    known = parser()
    parsed = known.parse_args(list(arguments))

    from analysis.commands import checks  # not for --help

    options = settings_from(ReportOptions, parsed)
    folders = [] if options.verify else run_folders(parsed)
    given = given_options(parsed, known.parse_args([]), ReportSettings, ReportOptions)
    if options.verify and "seed" in given:
        raise BadInput("--seed: a report keeps its own seed; --verify-seed draws the rows")
    if options.verify:
        refuse(given, WITH_VERIFY, "a report is verified with its own settings; leave it out")
    elif alone := [name for name in OF_VERIFICATION if name in given]:
        raise BadInput(f"{given[alone[0]]}: for --verify REPORT; leave it out")
    elif folders:
        refuse(given, WITH_FOLDERS, "the runs of the folders have their own; leave it out")
    settings = settings_from(ReportSettings, parsed)
    named = bool(parsed.models or parsed.custom_models)
    none = folders or (options.verify and not named)
    models = [] if none else cli_options.resolve_requests(parsed)
    output = output_options(parsed, known.command(command))
    sections.choose(options.sections)
    _ = options.formats
    if options.verify and not os.path.lexists(options.verify):
        hint = "give its folder or its page, report.html"
        raise BadInput(f"{near_paths.absent(Path(options.verify), 'report')}; {hint}")
    checks.models(models)
    settings.check_names()
    output_folders.check(output.output_dir)
    importing(quiet=parsed.quiet)
    return Request(models, settings, options, output, folders)


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
    models: Sequence[ModelRequest | str | Path] = (),
    settings: ReportSettings | None = None,
    options: ReportOptions | None = None,
    output: OutputOptions | None = None,
    folders: Sequence[str | Path] = (),
) -> Path:
    """Compute the missing sections and make the page; returns the report's folder.

    Args:
        models: paths of checkpoints or bundled names; none if run folders are given.
        settings: everything that decides the numbers.
        options: sections and formats of the page.
        output: where it is written.
        folders: run folders to make a page of.

    Raises:
        BadInput: see `mtd.utils.errors`.
        Failed: a notebook failed.
    """
    from analysis.pages import notebooks
    from analysis.report import collected, requests
    from analysis.report import folders as report_folders

    settings, options = settings or ReportSettings(), options or ReportOptions()
    output = output or OutputOptions()
    if options.verify:
        raise BadInput(f"verify {options.verify!r}: analysis.report.verify.run verifies a report")
    check_formats(options)
    if folders and models:
        raise BadInput("models and run folders: give one or the other")
    requested = [] if folders else requests.of(models, settings)
    notebooks.check_kernel()
    with progress.running(steps(options, bool(folders)), quiet=output.quiet):
        if folders:
            report = collected.collect([Path(path) for path in folders], options, output)
        else:
            report = report_folders.compute(requested, settings, options, output)
        return finish(report, options, output.quiet)


def steps(options: ReportOptions, folders: bool) -> list[str]:
    """The steps of a report, as its progress names them.

    Args:
        options: of the report.
        folders: whether it is made of run folders.
    """
    from analysis.commands.network_pass import LOADING, PASS
    from analysis.pages.notebooks import NOTEBOOK
    from analysis.report.folders import computed

    known = sections.headings()
    names = [] if folders else sections.choose(options.sections)
    ordered = [*computed(names), *(name for name in sections.DERIVED if name in names)]
    titles = [known[name] for name in ordered]
    return [*([] if folders else [LOADING, PASS]), *titles, NOTEBOOK, "page"]


def finish(report: Report, options: ReportOptions, quiet: bool = False) -> Path:
    """Make the page, in the first process, and leave the others; returns the report's folder.

    Raises:
        BadInput: a file that cannot be written.
        Failed: a notebook failed.
        KeyboardInterrupt: with how to go on.
    """
    from analysis.report import publish

    with report.ranks.raise_on_all_ranks():
        if report.ranks.first:
            try:
                with interruptions.recognized():
                    publish.publish(report, options, quiet)
            except KeyboardInterrupt:
                hint = f"all numbers are kept in {report.folder.path}; use --resume for the page"
                raise KeyboardInterrupt(hint) from None
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
