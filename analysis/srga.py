"""SRGA: how far a network's deep features under a noise are from those under the one it knows.

`srga` is for arrays; `python -m analysis.srga a.pth b.pth` is the command.

Reference: Liu et al., *Evaluating the Generalization Ability of Super-Resolution Networks*, IEEE
TPAMI 2023.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from torch import Tensor

    from analysis.commands.inputs import Asked
    from analysis.commands.job import Work
    from analysis.engine.observer import Batch
    from analysis.stats.generalized_gaussian import GGD, Method

EXAMPLES = """\
  python -m analysis.srga baseline.pth masked.pth
  python -m analysis.srga mine.pth theirs.pth --images photos --limit 800 \\
      --reference gaussian:15 --noise poisson:3.5 --noise speckle:0.04 --noise mixture:4
  python -m analysis.srga mine.pth --images clean --noise folder:noisy
"""

COMPONENTS = 300
OUTLIER = 5.0
"""Scores this many standard deviations from 0, or more, are left out."""

PATCHES = 300
"""Fewer patches are too few, says the published code."""

REFERENCE = "gaussian:15"
NOISES = ("poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02", "mixture:4")


@dataclass(frozen=True)
class Fit:
    """A generalized Gaussian fitted to pooled scores.

    Attributes:
        ggd: the density.
        components: how many were pooled.
        outliers: how many scores were left out.
    """

    ggd: GGD
    components: int
    outliers: int


@dataclass(frozen=True)
class SRGA:
    """How far features are from reference features.

    Attributes:
        srga: log₁₀(KL + 10⁻⁵) + 5; 0 for the reference itself, unbounded above.
        kl: KL(reference ‖ test) of the fitted densities, in nats.
        sigma: standard deviation of the test's density.
        shape: its shape.
        reference: the reference's fit.
        test: the test's fit.
    """

    srga: float
    kl: float
    sigma: float
    shape: float
    reference: Fit
    test: Fit


def score(kl: float) -> float:
    """log₁₀(KL + 10⁻⁵) + 5."""
    return math.log10(kl + 1e-5) + 5


def fit(gram: Tensor, n_components: int = COMPONENTS, method: Method = "grid") -> Fit:
    """A generalized Gaussian on the pooled principal-component scores of some samples.

    All scores of the leading min(`n_components`, n − 1) components are one sample. Scores of
    magnitude 5 s or more are left out, once, s being the standard deviation of them all. (The
    published code measures from their mean, which is 0 for every component.)

    Args:
        gram: (n, n), of features centred on their mean; see `analysis.stats.gram_pca.gram`.
        n_components: at most how many components.
        method: see `analysis.stats.generalized_gaussian.fit_ggd`.

    Raises:
        BadInput: fewer than 2 samples, or features that are not finite or do not vary.
    """
    from analysis.stats import gram_pca
    from analysis.stats.generalized_gaussian import fit_ggd

    if n_components < 1 or len(gram) < 2:
        raise BadInput(
            f"{n_components} components of {len(gram)} samples: expected 1 and 2 or more"
        )
    count = min(n_components, len(gram) - 1)
    values = gram_pca.scores(gram, count).flatten()
    kept = values[values.abs() < OUTLIER * values.square().mean().sqrt()]
    if not len(kept):
        raise BadInput("features do not vary: nothing to fit")
    return Fit(fit_ggd(kept.numpy(), method), count, len(values) - len(kept))


def compare(reference: Fit, test: Fit) -> SRGA:
    """The score of a fit against a reference fit."""
    from analysis.stats.generalized_gaussian import kl_ggd

    kl = kl_ggd(*reference.ggd, *test.ggd)
    return SRGA(score(kl), kl, *test.ggd, reference, test)


def srga(
    reference: ArrayLike | Tensor,
    test: ArrayLike | Tensor,
    n_components: int = COMPONENTS,
    method: Method = "grid",
) -> SRGA:
    """SRGA of features under a test noise against those under a reference noise.

    Each set has a PCA of its own, exact, through its Gram matrix; see `fit`. A score compares
    spreads within one network, since features are not scaled; it is not symmetric.

    Args:
        reference: (n, p) or (n, …), n patches; array or tensor.
        test: (m, q) or (m, …).
        n_components: at most how many components of each set.
        method: `grid` (published) or `root` (exact) for the shapes.

    Raises:
        BadInput: see `fit`.

    Example:
        >>> import numpy as np
        >>> features = np.random.default_rng(0).normal(size=(50, 200))
        >>> srga(features, features).srga
        0.0
        >>> srga(features, 2 * features).srga > 4
        True

    Reference: the published script, but with mean|x| uncentred, so that it does not depend on the
    signs of eigenvectors.
    """
    from analysis.stats import gram_pca as stats_gram_pca
    from analysis.stats.arrays import as_tensor

    sides = [as_tensor(side, exact=False) for side in (reference, test)]
    fits = [fit(stats_gram_pca.gram(side), n_components, method) for side in sides]
    return compare(*fits)


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.srga",
        "Score how far each model's deepest features under unseen noise are from those under the "
        "noise it was trained on (SRGA): 0 is no distance, more is worse. Scores compare noises "
        "within a model, and models of similar PSNR.",
        EXAMPLES,
        crop=128,
        limit=PATCHES,
        noises=", ".join(NOISES),
    )
    p.add_argument(
        "--reference",
        metavar="SPEC",
        default=REFERENCE,
        help=f"noise that the models were trained on (default {REFERENCE})",
    )
    p.add_argument(
        "--layer",
        metavar="GLOB",
        help="layer to take, input:GLOB for what goes into it (default: what goes into the last "
        "convolution)",
    )
    p.add_argument(
        "--components",
        type=cli.whole_number(1),
        default=COMPONENTS,
        help="principal components, at most patches - 1 (default 300)",
    )
    p.add_argument(
        "--fit",
        choices=("grid", "root"),
        default="grid",
        help="shape of the density: nearest of the published grid (default), or exact",
    )
    p.add_argument("--no-intervals", action="store_true", help="do not leave patches out")
    p.add_argument(
        "--memory",
        type=cli.gibibytes,
        default=2.0,
        metavar="GIB",
        help="for reading features back (default 2); they are spilled to the run folder",
    )
    return p


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.srga"))


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises, the reference first."""
    args.noise = [args.reference, *(n for n in args.noise or NOISES if n != args.reference)]


def plan(args: argparse.Namespace, asked: Asked) -> tuple[list[Batch], Work]:
    """Batches, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis import srga_table
    from analysis.commands.job import Work
    from analysis.deep_features import DeepFeatures
    from analysis.engine.layers import INPUT, choose, last_convolution
    from analysis.engine.run import batches

    srga_table.check(asked)
    layers = {
        name: choose(model, args.layer or INPUT + last_convolution(model))
        for name, model in asked.models.items()
    }
    for name, chosen in layers.items():
        if len(chosen) != 1:
            raise BadInput(f"--layer {args.layer}: {len(chosen)} layers of {name}; name one")
    single = {name: chosen[0] for name, chosen in layers.items()}
    groups = batches(asked.crops, args.batch_size or max(1, 2**16 // args.crop**2))
    manifest = commands_inputs.describe("srga", args, asked) | {
        "layers": single,
        "components": min(args.components, len(asked.crops) - 1),
        "fit": args.fit,
        "intervals": not args.no_intervals,
    }
    work = Work(
        asked,
        DeepFeatures(single, int(args.memory * 2**30), asked.setting.device),
        manifest,
        lambda found: {"srga.csv": srga_table.table(found, asked, single, args)},
        srga_table.report,
    )
    return groups, work


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis.commands import job as commands_job

    settle(args)
    return commands_job.run(args, plan, command)


if __name__ == "__main__":
    cli.run(main)
