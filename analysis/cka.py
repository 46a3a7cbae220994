"""Centred kernel alignment: compare the layers of denoisers across models and across noises.

`cka` and `CKA` are for arrays; `python -m analysis.cka a.pth b.pth` is the command. Torch is
imported only once there is something to compute, so that `--help` answers at once.

Reference: Kornblith et al., *Similarity of Neural Network Representations Revisited*, ICML 2019.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from analysis import options
from mtd import cli
from mtd.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from analysis.engine import Seen, View
    from analysis.hsic import HSICSums
    from mtd.images import Crop

EXAMPLES = """\
  python -m analysis.cka baseline.pth masked.pth
  python -m analysis.cka baseline.pth masked.pth --noise gaussian:15 --noise poisson:3.5
  python -m analysis.cka mine.pth theirs.pth --images photos --crop 128 --limit 256
  python -m analysis.cka masked.pth --layers 're:layers\\.\\d+\\.conv' --unit image
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
    from analysis.hsic import FeatureSums, GramSums

    sides = [as_tensor(side) for side in (x, y)]
    if min(map(len, sides)) == 0:
        raise BadInput("0 samples: nothing to compare")
    sides = [side.reshape(len(side), -1) for side in sides]
    few = len(sides[0]) <= max(side.shape[1] for side in sides)
    sums = (GramSums if few else FeatureSums)(estimator)
    sums.update(sides)
    value = float(sums.cka()[0, 1])
    for index, reason in sums.degenerate().items():
        warnings.warn(f"CKA is NaN: {'xy'[index]}: {reason}", RuntimeWarning, stacklevel=2)
    return value


def as_tensor(values: ArrayLike | Tensor) -> Tensor:
    """Any array, of whatever memory order and number type, as a float64 tensor without gradient."""
    import numpy as np
    import torch

    from analysis.hsic import double

    if isinstance(values, torch.Tensor):
        return double(values.detach())
    return torch.from_numpy(np.array(values, dtype=np.float64))


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
        from analysis.hsic import GramSums

        self._sums = GramSums(estimator)
        self._rows = 0

    def update(self, x: Sequence[ArrayLike | Tensor], y: Sequence[ArrayLike | Tensor]) -> None:
        """Add a batch: the layers of one side and of the other, (n, …) each, n ≥ 4 (biased: 2)."""
        if self._sums.samples and len(x) != self._rows:
            raise ValueError(f"{len(x)} layers on side x: expected {self._rows} as before")
        self._rows = len(x)
        self._sums.update([as_tensor(layer) for layer in (*x, *y)])

    def compute(self) -> NDArray[np.float64]:
        """CKA of every layer of x (rows) with every layer of y (columns); NaN as in `cka`."""
        matrix: NDArray[np.float64] = self._sums.cka()[: self._rows, self._rows :].cpu().numpy()
        for index, reason in self._sums.degenerate().items():
            side, place = ("x", index) if index < self._rows else ("y", index - self._rows)
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
    p.add_argument("--estimator", choices=("unbiased", "biased"), default="unbiased")
    p.add_argument(
        "--unit",
        choices=("position", "image"),
        default="position",
        help="what a sample is: a layer's channels at one position (default), or a whole crop, "
        "flattened, which saturates near 1 for denoisers because the content dominates",
    )
    count = cli.whole_number(1)
    p.add_argument("--positions", type=count, default=64, help="per crop (default 64)")
    p.add_argument("--batch-size", type=count, help="crops (default: position 16, image 64)")
    return p


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.cka"))


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.errors`.
    """
    from tqdm import tqdm

    from analysis import engine, plots
    from analysis.hsic import gram
    from analysis.runs import RunFolder
    from analysis.summary import summary

    asked = options.check(args)
    if len(asked.models) == 1 and len(asked.noises) == 1:
        raise BadInput("one model under one noise: give a second model, or a second --noise")
    layers = options.choose_layers(asked.models, args.layers)
    groups = make_batches(asked.crops, args)
    walk = engine.walk(
        asked.models,
        asked.noises,
        groups,
        layers,
        seed=args.seed,
        quantize=not args.no_quantize,
        pairing=args.mask_pairing,
        device=asked.device,
        pick=picker(args) if args.unit == "position" else None,
        reduce=gram if args.unit == "image" else None,
    )
    first = next(walk)  # shows that every layer can be used, before anything is written
    manifest = options.describe("cka", args, asked, command) | {
        "layers": layers,
        "estimator": args.estimator,
        "unit": args.unit,
        "positions": args.positions if args.unit == "position" else None,
        "batches": len(groups),
        "features": features(first, args.unit),
    }
    folder = RunFolder(args.output_dir, f"cka-{'-'.join(asked.models)}", manifest)
    if not args.quiet:
        options.tell(asked)
    hide = True if args.quiet else None
    bar = tqdm(itertools.chain([first], walk), total=len(groups), unit="batch", disable=hide)
    sums, rows = accumulate(bar, args)
    for index, reason in sums.degenerate().items():
        view, layer = rows[index]
        print(f"NaN: {view.model} under {view.noise}, {layer}: {reason}", file=sys.stderr)
    specs = [noise.spec for noise in asked.noises]
    frame = table(sums, rows, list(asked.models), specs, args, len(asked.crops))
    folder.table("cka.csv", frame)
    for draw in (plots.cross_model, plots.cross_noise):
        figure = draw(frame)
        if figure is not None:
            folder.figure(f"{draw.__name__}.png", figure)
    print(summary(frame, manifest))
    print(f"\nwritten to {folder.path}")
    return folder.path


def make_batches(crops: list[Crop], args: argparse.Namespace) -> list[list[Crop]]:
    """Batches of crops, none too small for the estimator where whole crops are the samples."""
    from analysis.engine import batches

    by_image = args.unit == "image"
    if not by_image and args.positions > args.crop**2:
        side = args.crop
        raise BadInput(f"--positions {args.positions}: a crop of {side} x {side} has {side**2}")
    least = 4 if args.estimator == "unbiased" else 2
    samples = len(crops) * (1 if by_image else args.positions)
    if samples < least:
        raise BadInput(
            f"{samples} samples ({len(crops)} crops): {args.estimator} CKA needs {least}; "
            "raise --limit or give more images"
        )
    size = args.batch_size or (options.CROPS if by_image else 16)
    return batches(crops, size, least if by_image else 1)


def picker(args: argparse.Namespace) -> Any:
    """From a batch of crops to the map that keeps a layer's channels at seeded positions."""
    from analysis.positions import Positions

    def pick(group: Sequence[Crop]) -> Any:
        digests = [crop.digest for crop in group]
        side = args.crop
        return Positions.draw(digests, args.positions, side, side, args.seed).pick

    return pick


def accumulate(walk: Any, args: argparse.Namespace) -> tuple[HSICSums, list[tuple[View, str]]]:
    """HSIC sums over all batches, and which (view, layer) each of their rows is."""
    from analysis.hsic import FeatureSums, GramSums

    sums: FeatureSums | GramSums
    sums = FeatureSums(args.estimator) if args.unit == "position" else GramSums(args.estimator)
    rows: list[tuple[View, str]] = []
    for seen in walk:
        rows = [(view, layer) for view, one in seen.items() for layer in one.layers]
        values = [value for one in seen.values() for value in one.layers.values()]
        if isinstance(sums, GramSums):
            sums.update_grams(values)
        else:
            sums.update([value.flatten(0, 1) for value in values])
    return sums, rows


def features(seen: dict[View, Seen], unit: str) -> dict[str, dict[str, int]]:
    """Features of a sample by model and layer: channels of a position, or all of a crop."""
    found: dict[str, dict[str, int]] = {}
    for view, one in seen.items():
        crops = len(one.output)
        found[view.model] = {
            layer: shape[-1] if unit == "position" else math.prod(shape) // crops
            for layer, shape in one.shapes.items()
        }
    return found


def table(
    sums: HSICSums,
    rows: list[tuple[View, str]],
    models: list[str],
    noises: list[str],
    args: argparse.Namespace,
    crops: int,
) -> pd.DataFrame:
    """Long form: every pair of models under the reference noise, then, for each model, the
    reference noise against each other one."""
    import pandas as pd

    from analysis.engine import View

    reference = noises[0]
    pairs = [
        (View(a, reference), View(b, reference))
        for i, a in enumerate(models)
        for b in models[i + 1 :]
    ]
    pairs += [(View(m, reference), View(m, other)) for m in models for other in noises[1:]]
    places: dict[View, list[int]] = {}
    for row, (view, _) in enumerate(rows):
        places.setdefault(view, []).append(row)
    matrix = sums.cka().cpu()
    records = [
        (
            *(a.model, a.noise, rows[i][1], depth_a),
            *(b.model, b.noise, rows[j][1], depth_b),
            *(float(matrix[i, j]), args.estimator, args.unit, sums.samples, crops),
        )
        for a, b in pairs
        for depth_a, i in enumerate(places[a])
        for depth_b, j in enumerate(places[b])
    ]
    return pd.DataFrame(records, columns=COLUMNS)


COLUMNS = [
    *("model_a", "noise_a", "layer_a", "index_a", "model_b", "noise_b", "layer_b", "index_b"),
    *("cka", "estimator", "unit", "samples", "crops"),
]


if __name__ == "__main__":
    cli.run(main)
