"""The options of the report."""

from __future__ import annotations

from analysis.commands import options
from analysis.report import sections
from mtd.utils import cli

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
