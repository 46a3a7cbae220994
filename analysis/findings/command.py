"""The paper's findings against trainings of your own, on one page.

`python -m analysis.findings STUDY` is the command.
"""

from __future__ import annotations

import os
from pathlib import Path

from analysis.commands import drawing
from analysis.commands.parser import OutputOptions
from mtd.utils import cli, messages, near_paths, output_folders
from mtd.utils.errors import BadInput

EXAMPLES = """\
  bash reports/findings/remake.sh DATA runs/findings                # everything, trainings included
  python -m analysis.findings runs/findings                         # claims and page
  python -m analysis.findings reports/findings                      # the page alone
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "analysis.findings",
        "Compare trainings of your own with the paper's findings: its tables and figures next to "
        "yours, and for each claim whether they agree.",
        EXAMPLES,
    )
    p.group("models").add_argument(
        "study",
        metavar="STUDY",
        help="folder of run folders: ablations, levels, monte_carlo, brightness, completion_80, "
        "completion_90, tissue, tissue_hidden, curves, snapshots_visible, snapshots_hidden, pair "
        "(a report); claims whose run is missing are listed as not run. For a folder that this "
        "command wrote, only the page is made again",
    )
    group = p.group("output")
    group.add_argument("--output-dir", metavar="DIR", help="folder to write (default: STUDY/page)")
    drawing.add_options(group, tables=False)
    p.add_quiet()
    return p


def main() -> None:
    """Judge the claims, copy the tables and figures of the page, make the page.

    Raises:
        BadInput: see `analysis.findings.page.run`.
        Failed: a cell of the notebook failed.
    """
    arguments = parser().parse_args()
    if not os.path.lexists(arguments.study):
        what = near_paths.absent(Path(arguments.study), "folder")
        raise BadInput(f"{what}; expected one of run folders")
    output_folders.check(arguments.output_dir)
    messages.importing(quiet=arguments.quiet)
    from analysis.findings import page

    options = OutputOptions(
        arguments.output_dir,
        quiet=arguments.quiet,
        command=cli.command("analysis.findings"),
        drawing=drawing.from_arguments(arguments),
    )
    page.run(arguments.study, options)
