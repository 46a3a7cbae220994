"""Centred kernel alignment: compare the layers of denoisers across models and across noises.

`cka` and `CKA` are for arrays; `python -m analysis.cka a.pth b.pth` is the command. Torch is
imported only once there is something to compute, so that `--help` answers at once.

Reference: Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML 2019.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from analysis import options
from analysis.stats.arrays import as_tensor
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from analysis.engine.observer import Batch
    from analysis.hsic import HSIC
    from analysis.options import Asked
    from analysis.work import Work

EXAMPLES = """\
  python -m analysis.cka baseline.pth masked.pth
  python -m analysis.cka baseline.pth masked.pth --noise gaussian:15 --noise poisson:3.5
  python -m analysis.cka mine.pth theirs.pth --images photos --crop 128 --limit 256
  python -m analysis.cka masked.pth --layers 're:layers\\.\\d+\\.conv' --unit image
  python -m analysis.cka mine.pth --images clean --noise gaussian:15 --noise folder:noisy
  torchrun --nproc-per-node 4 -m analysis.cka mine.pth theirs.pth --device cuda --pairs all
"""


def cka(
    x: ArrayLike | Tensor,
    y: ArrayLike | Tensor,
    estimator: Literal["unbiased", "biased"] = "unbiased",
) -> float:
    """Linear CKA of two representations of the same samples.

        CKA = HSIC(X, Y) / √(HSIC(X, X) · HSIC(Y, Y))

    with `unbiased` HSIC₁ (Song et al. 2012) or `biased` HSIC, see `analysis.hsic`. Computed in
    float64 on centred features. It is 1 for y = x, and does not change under rotation, scaling
    or shifting of either side. An unbiased value may be negative, and is not clamped; for
    independent Gaussian data the biased one tends to √(p·q/((p+n)(q+n))), not to 0.

    Args:
        x: (n, p), or (n, …), which is flattened; array or tensor.
        y: (n, q), or (n, …).
        estimator: `unbiased` (n ≥ 4) or `biased` (n ≥ 2).

    Returns:
        The value, or NaN with a warning that names the side and the reason where a self-HSIC is
        not above 0.

    Raises:
        BadInput: too few samples, or an unknown estimator.
        ValueError: different numbers of samples.

    Example:
        >>> round(cka([0, 1, 2, 3, 4, 5], [0, 1, 4, 9, 16, 25]), 6)
        0.950099

    Reference: Kornblith et al. 2019; Nguyen et al. 2021 (arXiv 2010.15327) for the unbiased form.
    """
    import torch

    from analysis import crossproducts, hsic

    sides = [as_tensor(side) for side in (x, y)]
    if min(map(len, sides)) == 0:
        raise BadInput("0 samples: nothing to compare")
    if len(sides[0]) != len(sides[1]):
        raise ValueError(
            f"{len(sides[0])} samples and {len(sides[1])}: expected the same samples on both sides"
        )
    sides = [side.reshape(len(side), -1) for side in sides]
    widths = [side.shape[1] for side in sides]
    if len(sides[0]) <= max(widths):
        grams = torch.stack([hsic.gram(side) for side in sides])
        sums = hsic.from_grams(grams, formula=estimator)
    else:
        both = torch.cat(sides, dim=1)[:, None]
        sums = crossproducts.from_features([lambda: both], widths, formula=estimator)
    value = float(sums.cka()[0, 1])
    for index, reason in sums.degenerate().items():
        warnings.warn(f"CKA is NaN: {'xy'[index]}: {reason}", RuntimeWarning, stacklevel=2)
    return value


class CKA:
    """Layer × layer CKA from minibatches.

    The minibatch estimator of Nguyen et al. 2021: HSIC₁ is averaged over batches, in proportion to
    n(n−3), and one ratio is taken at the end. With a single batch it is the full-set value.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> similarity = CKA()
    >>> for _ in range(3):
    ...     first, second = rng.normal(size=(2, 16, 8))
    ...     similarity.update([first, second], [first, second])
    >>> similarity.compute().shape
    (2, 2)
    """

    def __init__(self, estimator: Literal["unbiased", "biased"] = "unbiased") -> None:
        from analysis import hsic

        hsic.least(estimator)
        self.estimator = estimator
        self.sums: HSIC | None = None
        self.layers = (0, 0)

    def update(self, x: Sequence[ArrayLike | Tensor], y: Sequence[ArrayLike | Tensor]) -> None:
        """Add a batch: the layers of one side and of the other, (n, …) each, n ≥ 4 (biased: 2).

        Raises:
            BadInput: too few samples.
            ValueError: other numbers of layers than before, or layers of different samples.
        """
        import torch

        from analysis import hsic

        if self.sums is not None and (len(x), len(y)) != self.layers:
            raise ValueError(
                f"{len(x)} and {len(y)} layers: expected {self.layers[0]} and {self.layers[1]} "
                "as before"
            )
        sides = [as_tensor(layer, exact=False) for layer in (*x, *y)]
        if len({len(side) for side in sides}) != 1:
            shapes = [tuple(side.shape) for side in sides]
            raise ValueError(f"layers of shapes {shapes}: expected the same samples in each")
        grams = torch.stack([hsic.gram(side.reshape(len(side), -1)) for side in sides])
        sums = hsic.from_grams(grams, formula=self.estimator)
        self.layers = (len(x), len(y))
        self.sums = sums if self.sums is None else self.sums + sums

    def merge(self, other: CKA) -> None:
        """Add the batches that another one has seen."""
        if other.sums is not None:
            if self.sums is not None and self.layers != other.layers:
                raise ValueError(f"{other.layers} layers: expected {self.layers}")
            self.layers = other.layers
            self.sums = other.sums if self.sums is None else self.sums + other.sums

    def compute(self) -> NDArray[np.float64]:
        """CKA of every layer of x (rows) with every layer of y (columns); NaN as in `cka`.

        Raises:
            BadInput: no batch was added.
        """
        if self.sums is None:
            raise BadInput("0 samples: nothing to compare")
        rows = self.layers[0]
        matrix: NDArray[np.float64] = self.sums.cka()[:rows, rows:].cpu().numpy()
        for index, reason in self.sums.degenerate().items():
            side, place = ("x", index) if index < rows else ("y", index - rows)
            warnings.warn(f"CKA is NaN: {side}[{place}]: {reason}", RuntimeWarning, stacklevel=2)
        return matrix


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
    args: argparse.Namespace, asked: Asked, groups: list[Batch] | None = None
) -> tuple[list[Batch], Work]:
    """Batches, unless they are given, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis import comparison, pairs
    from analysis.work import Work

    comparison.settle(args)
    specs = [noise.spec for noise in asked.noises]
    chosen = pairs.choose(list(asked.models), specs, args.pairs)
    layers = options.choose_layers(asked.models, args.layers)
    own = comparison.make_batches(asked.crops, args)
    groups = own if groups is None else groups
    observer = comparison.use(asked, args, layers, groups)
    manifest = options.describe("cka", args, asked) | {
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
    work = Work(
        asked,
        observer,
        manifest,
        lambda found: comparison.files(
            comparison.values(found, observer, args, chosen, asked.ranks), chosen, groups, args
        ),
        lambda folder: comparison.report(folder, args),
        args.measure,
    )
    return groups, work


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis import work

    return work.run(args, plan, command)


if __name__ == "__main__":
    cli.run(main)
