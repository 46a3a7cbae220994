"""What `python -m analysis.cka` does with its options: batches, values, tables, figures, text."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from analysis.cka import figures, hsic, summary, tables
from analysis.cka.observer import Comparison, Representations
from analysis.cka.other_measures import MEASURES
from analysis.cka.tables import Block
from analysis.cka.view_pairs import Pair
from analysis.commands.inputs import RunInputs
from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.engine.observer import Batch
from analysis.engine.run import batches
from analysis.stats import permutation
from mtd.data.crops import Crop
from mtd.utils.distributed import Ranks
from mtd.utils.errors import BadInput

FULL = 256
"""Most whole images whose Grams are compared at once unless asked to."""

STEADY = 12
"""Fewest crops of a minibatch from which one can be left out without making the interval far too
wide. In simulations it is 1.0 to 1.4 times as wide as it should be from here on, more at 4."""

BATCH = {"position": 16, "image": 64}
"""Crops of a batch, by sample unit."""


def settle(args: argparse.Namespace) -> None:
    """Fill in what follows from other options.

    Raises:
        BadInput: options that do not go together.
    """
    other = args.measure != "cka"
    args.unit = args.unit or ("image" if other else "position")
    if other and (args.unit, args.kernel) != ("image", "linear"):
        raise BadInput(f"--measure {args.measure} compares whole images: use --unit image")
    if other and args.estimator:
        raise BadInput(f"--estimator {args.estimator}: {args.measure} has none; leave it out")
    if args.permutations and (other or args.unit == "position"):
        raise BadInput("--permutations: whole crops are permuted; needs cka with --unit image")
    if not args.bandwidth > 0 or math.isinf(args.bandwidth):
        raise BadInput(f"--bandwidth {args.bandwidth}: expected a number above 0")
    if (
        args.kernel == "rbf"
        and args.unit == "position"
        and args.estimator in ("unbiased", "biased")
    ):
        raise BadInput(
            f"--estimator {args.estimator}: an RBF kernel over positions needs minibatch"
        )
    if args.permutations is None:
        args.permutations = 1000 if args.unit == "image" and not other else 0


def make_batches(crops: list[Crop], args: argparse.Namespace) -> list[Batch]:
    """Batches of crops, none too small for the estimator, which is chosen here if none was asked.

    Raises:
        BadInput: too few crops, or a batch size that the estimator does not admit.
    """
    by_image, size = args.unit == "image", args.batch_size
    if not by_image and args.positions > args.crop**2:
        side = args.crop
        raise BadInput(f"--positions {args.positions}: a crop of {side} x {side} has {side**2}")
    if args.estimator is None:
        cut = len(crops) > (size or FULL) if by_image else args.kernel == "rbf"
        args.estimator = "minibatch" if cut and args.measure == "cka" else "unbiased"
    least = 2 if args.estimator == "biased" else 4
    samples = len(crops) * (1 if by_image else args.positions)
    if samples < least:
        raise BadInput(
            f"{samples} samples ({len(crops)} crops): {args.estimator} {args.measure.upper()} "
            f"needs {least}; raise --limit or give more images"
        )
    if by_image and args.estimator != "minibatch":
        if size and size < len(crops):
            raise BadInput(
                f"--batch-size {size}: {len(crops)} whole images are compared in one batch; leave "
                "it out, or use --estimator minibatch"
            )
        return batches(crops, len(crops))
    per_batch = least if by_image else -(-least // args.positions)
    return batches(crops, size or BATCH[args.unit], per_batch)


@dataclass(frozen=True)
class Found:
    """What a comparison found: the representations' sums, and a value for every pair of them."""

    comparison: Comparison
    values: Tensor
    p: permutation.PValues

    def blocks(self, pairs: Sequence[Pair]) -> list[Block]:
        """Cut into pairs of views."""
        rows, places = self.comparison.rows, self.comparison.slices()
        found = []
        for pair in pairs:
            a, b = (places[view] for view in pair)
            without = np.zeros((0, a.stop - a.start, b.stop - b.start))
            if len(self.comparison.hsic.changes):
                without = self.comparison.hsic.cka_without(a, b).numpy()
            p = (self.p.alone[a, b].numpy(), self.p.corrected[a, b].numpy())
            found.append(Block(pair, rows[a], rows[b], self.values[a, b].numpy(), without, p))
        return found


def values(
    comparison: Comparison,
    observer: Representations,
    args: argparse.Namespace,
    pairs: Sequence[Pair],
    ranks: Ranks,
) -> Found:
    """All that is computed from what was kept of the views."""
    values = comparison.hsic.cka()
    none = torch.full_like(values, torch.nan)
    p = permutation.PValues(none, none)
    if args.measure != "cka" or args.permutations:
        grams = observer.gathered_grams()
        if args.measure != "cka":
            values = matrix(args.measure, grams[0]) if ranks.first else values
        elif ranks.first:
            if args.kernel == "rbf":
                grams = [hsic.rbf(k, comparison.sigma) for k in grams]
            center = hsic.center if args.estimator == "biased" else hsic.u_center
            asked = torch.zeros_like(values, dtype=torch.bool)
            places = comparison.slices()
            for a, b in pairs:
                asked[places[a], places[b]] = True
            centred = [center(k) for k in grams]
            defined = ~values.diagonal().isnan()
            p = permutation.p_values(centred, asked, defined, args.permutations, args.seed)
    return Found(comparison, values, p)


def matrix(measure: str, grams: Tensor) -> Tensor:
    """A measure of every pair of representations, from their Grams."""
    chosen = MEASURES[measure]
    ready = [chosen.prepare(k) for k in grams]
    values = torch.zeros(len(ready), len(ready), dtype=torch.float64)
    for i, a in enumerate(ready):
        for j, b in enumerate(ready[i:], i):
            values[i, j] = values[j, i] = chosen.compare(a, b)
    return values


def files(
    found: Found, pairs: Sequence[Pair], groups: Sequence[Batch], args: argparse.Namespace
) -> dict[str, pd.DataFrame]:
    """The tables of a run, by file name."""
    measure, comparison = args.measure, found.comparison
    about = {
        "estimator": args.estimator if measure == "cka" else "",
        "unit": args.unit,
        "samples": comparison.hsic.samples,
        "crops": sum(len(batch.crops) for batch in groups),
        "kernel": args.kernel,
        "centring": args.centring,
    }
    blocks = found.blocks(pairs)
    written = {
        "layers.csv": layers(found, measure),
        "depth.csv": tables.depth(blocks, measure),
        "deep.csv": tables.deep(blocks, measure),
        f"{measure}.csv": tables.cells(blocks, measure, about),
    }
    if len(comparison.hsic.changes):
        crops = [groups[batch].crops[i] for batch, i in comparison.places]
        written["parting.csv"] = tables.parting(blocks)
        written["influence.csv"] = tables.influence(blocks, crops)
    return written


def layers(found: Found, measure: str) -> pd.DataFrame:
    """Every representation: features, its HSIC with itself, sigma, why its values are NaN."""
    comparison = found.comparison
    own, reasons = comparison.hsic.hsic().diagonal(), comparison.hsic.degenerate()
    if measure != "cka":
        missing = found.values.diagonal().isnan().nonzero().flatten().tolist()
        reasons = dict.fromkeys(missing, "its activations are not finite, or do not vary")
    rows = []
    for i, row in enumerate(comparison.rows):
        sigma = float(comparison.sigma[i]) if len(comparison.sigma) else math.nan
        if i in reasons and sigma == 0:
            reasons[i] = "the median distance of its samples in the first batch is 0"
        about = (row.features, float(own[i]), sigma, reasons.get(i, ""))
        rows.append((*row.view, row.layer, *about))
    columns = ["model", "noise", "layer", "features", "self_hsic", "sigma", "reason"]
    return pd.DataFrame(rows, columns=columns)


def report(folder: RunFolder, args: argparse.Namespace) -> str:
    """Write the figures and return the text, from the tables alone."""
    frames = read_tables(folder.path, tables.NAMES)
    frame = frames[args.measure]
    broken = frames["layers"]
    for row in broken[broken.reason != ""].itertuples():
        print(f"NaN: {row.model} under {row.noise}, {row.layer}: {row.reason}", file=sys.stderr)
    for name, figure in figures.figures(frame, frames["depth"]).items():
        folder.figure(f"{name}.png", figure)
    return summary.summary(frames, read_manifest(folder.path))


def use(
    asked: RunInputs,
    args: argparse.Namespace,
    layers: dict[str, list[str]],
    groups: Sequence[Batch],
) -> Representations:
    """The observer for the options."""
    smallest = min(len(batch.crops) for batch in groups)
    small = args.estimator == "minibatch" and smallest < STEADY
    if small and not args.no_intervals and asked.ranks.first and not args.quiet:
        print(
            f"no intervals: leaving one crop out of a batch of {smallest} changes too much; they "
            f"need batches of {STEADY} or more",
            file=sys.stderr,
        )
    return Representations(
        layers,
        unit=args.unit,
        positions=args.positions,
        centring=args.centring,
        seed=args.seed,
        estimator=args.estimator,
        kernel=args.kernel,
        sigma=args.bandwidth,
        leave_out=args.measure == "cka" and not args.no_intervals and not small,
        device=asked.setting.device,
    )
