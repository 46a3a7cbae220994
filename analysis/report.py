"""One command from checkpoints to a page: every analysis, its numbers, figures and provenance.

`python -m analysis.report a.pth b.pth` takes all analyses in one pass, executes the notebooks on
what it found, and renders one self-contained HTML page. Of run folders it makes the page alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis import sections
from analysis.commands import options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """\
  python -m analysis.report baseline.pth masked.pth
  python -m analysis.report mine.pth theirs.pth --images photos --budget srga=1.3 --format html,pdf
  python -m analysis.report *.pth --sections generalization,srga --no-lpips
  python -m analysis.report runs/generalization-… runs/cka-… --output-dir page
  python -m analysis.report --verify runs/report-…
"""

FORMATS = ("html", "ipynb", "md", "pdf")


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.report",
        "Analyse models in one pass, and make a page of it: benchmark, CKA, SRGA, distributions, "
        "degradation clusters, sensitivity, attribution, and training curves where logs are "
        "beside the checkpoints. Sections that the folder holds already are not computed again.",
        EXAMPLES,
        crop=64,
        limit=None,
        noises="beside --reference: those of analysis.srga; for the benchmark, its suite's",
        models="checkpoint files or bundled names; or run folders of any analyses",
    )
    p.add_argument(
        "--sections",
        metavar="NAMES",
        help=f"with commas (default: all that apply): {', '.join(sections.NAMES)}",
    )
    shown = ", ".join(f"{name}={value:g}" for name, value in sections.BUDGETS.items())
    p.add_argument(
        "--budget",
        action="append",
        default=[],
        metavar="SECTION=MEGAPIXELS",
        help="clean images that each model is shown under each noise (repeatable; default: "
        f"{shown}; --limit is at most so many crops in every section)",
    )
    p.add_argument(
        "--reference",
        metavar="SPEC",
        default="gaussian:15",
        help="noise that the models were trained on (default gaussian:15)",
    )
    p.add_argument(
        "--suite",
        metavar="NAME",
        help="noises of the benchmark (default quick; with --noise: --reference and those)",
    )
    p.add_argument(
        "--benchmark-crop",
        type=cli.whole_number(16),
        metavar="SIDE",
        default=128,
        help="side of the benchmark's crops, at most that of the smallest image (default 128)",
    )
    p.add_argument("--lpips-weights", metavar="FILE", help="AlexNet backbone of LPIPS")
    p.add_argument("--no-lpips", action="store_true", help="leave LPIPS out")
    p.add_argument("--no-intervals", action="store_true", help="of CKA and SRGA")
    p.add_argument(
        "--memory",
        type=cli.gibibytes,
        default=2.0,
        metavar="GIB",
        help="for each analysis (default 2); features are spilled to the run folder",
    )
    p.add_argument(
        "--training",
        action="append",
        default=[],
        metavar="RUN",
        help="folder of mtd.train, or any log that analysis.curves reads (repeatable; default: "
        "where the checkpoints are)",
    )
    p.add_argument(
        "--format",
        default="html,ipynb",
        metavar="NAMES",
        help=f"of the page, with commas (default html,ipynb): {', '.join(FORMATS)}",
    )
    p.add_argument("--title", help="of the page")
    p.add_argument(
        "--verify",
        metavar="REPORT",
        help="a report's folder or page: compute some of its numbers again, and say whether they "
        "agree",
    )
    p.add_argument(
        "--share",
        type=lambda text: cli.between(text, 1.0000001, "a share above 0 and up to 1, as 0.01"),
        default=0.01,
        help="of the numbers that --verify computes again, drawn at random (default 0.01)",
    )
    return p


def main() -> None:
    """Compute what is lacking, make the page, say where it is."""
    run(parser().parse_args(), cli.command("analysis.report"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the report's folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
        Failed: a notebook failed; or numbers that were verified do not agree.
    """
    from analysis import report_page, report_parts
    from analysis.pages import notebooks

    if args.verify:
        from analysis import verify

        return verify.run(args)
    formats = chosen_formats(args.format)
    chosen = sections.choose(args.sections)
    notebooks.check_kernel()
    folders = options.run_folders(args)
    if folders:
        found = report_parts.gather(args, folders, chosen, command)
    else:
        found = report_parts.compute(args, chosen, command)
    if found.ranks.first:
        report_page.publish(found, formats, args)
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


if __name__ == "__main__":
    cli.run(main)
