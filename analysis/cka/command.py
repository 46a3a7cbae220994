"""Centred kernel alignment: compare the layers of denoisers across models and across noises.

`cka` and `CKA` are for arrays; `python -m analysis.cka a.pth b.pth` is the command. Torch is
imported only once there is something to compute, so that `--help` answers at once.

Reference: Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML 2019.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from mtd.utils import cli

if TYPE_CHECKING:
    from analysis.commands.inputs import RunInputs
    from analysis.commands.job import AnalysisJob
    from analysis.engine.observer import Batch

EXAMPLES = """\
  python -m analysis.cka baseline.pth masked.pth
  python -m analysis.cka baseline.pth masked.pth --noise gaussian:15 --noise poisson:3.5
  python -m analysis.cka mine.pth theirs.pth --images photos --crop 128 --limit 256
  python -m analysis.cka masked.pth --layers 're:layers\\.\\d+\\.conv' --unit image
  python -m analysis.cka mine.pth --images clean --noise gaussian:15 --noise folder:noisy
  torchrun --nproc-per-node 4 -m analysis.cka mine.pth theirs.pth --device cuda --pairs all
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.cka",
        "Compare the layers of denoisers by CKA: model against model under the first noise, and "
        "each model under the first noise against itself under the others.",
        EXAMPLES,
    )
    p.add_argument(
        "--layers",
        action="append",
        metavar="PATTERN",
        help="glob, re:REGEX or type:CLASS (repeatable; default: first, blocks, last two)",
    )
    count = cli.whole_number
    p.add_argument(
        "--pairs",
        choices=("reference", "cross-model", "cross-noise", "self", "all"),
        default="reference",
        help="views to compare: models under the first noise, and each model between the first "
        "noise and every other (default); every two models; every two noises; each view with "
        "itself; all of these",
    )
    p.add_argument(
        "--measure",
        choices=("cka", "procrustes", "rsa", "knn"),
        default="cka",
        help="cka (default); of whole images also orthogonal Procrustes, RSA (Spearman), mutual "
        "nearest neighbours",
    )
    p.add_argument(
        "--estimator",
        choices=("unbiased", "minibatch", "biased"),
        help="over all samples, unbiased (default) or biased; or unbiased over the pairs within "
        "batches (default for more than 256 whole images)",
    )
    p.add_argument(
        "--unit",
        choices=("position", "image"),
        help="what a sample is: a layer's channels at one position (default), or a whole crop, "
        "flattened, which saturates near 1 for denoisers because the content dominates",
    )
    p.add_argument(
        "--centring",
        choices=("global", "image", "highpass"),
        default="global",
        help="what is removed from every channel first: nothing but the mean over all samples "
        "(default), each image's mean, or the mean of 9 x 9 places around each",
    )
    p.add_argument(
        "--kernel",
        choices=("linear", "rbf"),
        default="linear",
        help="rbf takes one sigma per layer and view, from the first batch",
    )
    p.add_argument(
        "--bandwidth", type=float, default=1.0, help="of rbf, in median distances (default 1)"
    )
    p.add_argument("--positions", type=count(1), default=64, help="per crop (default 64)")
    p.add_argument(
        "--permutations",
        type=count(0),
        help="for p-values of whole images (default 1000; 0: none)",
    )
    p.add_argument("--no-intervals", action="store_true", help="do not leave images out in turn")
    return p


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.cka"))


def plan(
    args: argparse.Namespace, asked: RunInputs, groups: list[Batch] | None = None
) -> tuple[list[Batch], AnalysisJob]:
    """Batches, unless they are given, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.cka import compute, view_pairs
    from analysis.commands.job import AnalysisJob

    compute.settle(args)
    specs = [noise.spec for noise in asked.noises]
    chosen = view_pairs.choose(list(asked.models), specs, args.pairs)
    layers = commands_inputs.choose_layers(asked.models, args.layers)
    own = compute.make_batches(asked.crops, args)
    groups = own if groups is None else groups
    observer = compute.use(asked, args, layers, groups)
    manifest = commands_inputs.describe("cka", args, asked) | {
        "layers": layers,
        "pairs": args.pairs,
        "measure": args.measure,
        "estimator": args.estimator if args.measure == "cka" else None,
        "kernel": args.kernel,
        "sigma": f"{args.bandwidth} x median distance in batch 0" if args.kernel == "rbf" else None,
        "centring": args.centring,
        "unit": args.unit,
        "positions": args.positions if args.unit == "position" else None,
        "permutations": args.permutations,
        "intervals": observer.leave_out,
    }
    work = AnalysisJob(
        asked,
        observer,
        manifest,
        lambda found: compute.files(
            compute.values(found, observer, args, chosen, asked.ranks), chosen, groups, args
        ),
        lambda folder: compute.report(folder, args),
        args.measure,
    )
    return groups, work


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands import job as commands_job

    return commands_job.run(args, plan, command)
