"""Sensitivity to noise over depth: how far each layer moves from a clean image to a noisy one.

`change` and `gain` are for sums of arrays; `python -m analysis.sensitivity a.pth b.pth` is the
command.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands import inputs as commands_inputs
from analysis.commands import options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from analysis.commands.inputs import Asked
    from analysis.commands.job import Work
    from analysis.engine.observer import Batch
    from analysis.layer_changes import Sums

    Array = NDArray[np.float64]

EXAMPLES = """\
  python -m analysis.sensitivity baseline.pth masked.pth
  python -m analysis.sensitivity mine.pth theirs.pth --images photos --limit 64 \\
      --noise gaussian:15 --noise gaussian:50 --noise spatial:60
  python -m analysis.sensitivity mine.pth --layers 'layers.*.residual_group.blocks.*'
"""

CROPS = 32
NOISES = ("gaussian:15", "gaussian:50", "poisson:3.5", "salt_pepper:0.02")

NOTHING = 1e-10
"""A layer that varies by less than this share of its size is taken for constant."""


def change(layer: Sums, draws: Sequence[int] | None = None) -> tuple[Array, Array]:
    """How far a layer moves under noise, relative to how much it varies between clean contents.

    √(Σ ‖f(noisy) − f(clean)‖² / Σ ‖f(clean) − m‖²), sums over all images and positions, m being
    the channels' means over all images and positions: the noise-to-signal ratio of the layer, as
    one of amplitudes. Neither a layer's scale nor a constant added to a channel changes it, so
    layers can be compared, and 1 means that the noise moves a layer as much as image content
    does. The sums are of all images, so that batches do not matter.

    Args:
        layer: its sums; see `analysis.layer_changes.Sums`.
        draws: which images are left out together, (images,) from 0; see `jackknife.draws`. By
            default each by itself.

    Returns:
        The value, and the (draws,) values with one of them left out; NaN where the layer is
        constant over clean images.
    """
    import numpy as np

    of = np.arange(len(layer.moved)) if draws is None else np.asarray(draws)
    members = of == np.arange(of.max() + 1)[:, None]
    parts = [side.numpy() for side in (layer.moved, layer.first, layer.second)]
    # sums of each draw by themselves, added up image by image
    moved, first, second = (np.stack([side[one].sum(0) for one in members]) for side in parts)
    sizes = members.sum(1)
    wholes = [(moved.sum()[None], first.sum(0)[None], second.sum(0)[None], sizes.sum()[None])]
    rest = sizes.sum() - sizes
    wholes.append((moved.sum() - moved, first.sum(0) - first, second.sum(0) - second, rest))
    found = []
    for shift, total, square, images in wholes:
        count = np.maximum(1, images * layer.positions)[:, None]
        spread = (square - np.square(total) / count).sum(-1)
        varies = spread > NOTHING * square.sum(-1)
        ratio = np.maximum(shift, 0) / np.where(varies, spread, np.nan)
        found.append(np.sqrt(ratio))
    return found[0][0], found[1]


def gain(layer: tuple[Array, Array], image: tuple[Array, Array]) -> tuple[Array, Array]:
    """A layer's change over the noisy image's own: 1 is as sensitive as the input.

    Args:
        layer: of `change`.
        image: of `change`, for what goes into the network.

    Returns:
        As of `change`; NaN where the noise changes nothing.
    """
    import numpy as np

    whole, parts = (
        one / np.where(other > 0, other, np.nan) for one, other in zip(layer, image, strict=True)
    )
    return whole, parts


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.sensitivity",
        "Measure how far each layer moves from a clean image to its noisy version, relative to how "
        "much the layer varies over clean images, and to how far the image itself moves: whether "
        "a network dampens a noise on the way through, or amplifies it.",
        EXAMPLES,
        limit=CROPS,
        noises=", ".join(NOISES),
    )
    p.add_argument(
        "--layers",
        action="append",
        metavar="GLOB",
        help="layers (repeatable; default: blocks and convolutions around them, else convolutions)",
    )
    p.add_argument(
        "--memory",
        type=cli.gibibytes,
        default=2.0,
        metavar="GIB",
        help="that a batch's clean layers may take (default 2)",
    )
    return p


def main() -> None:
    """Check everything, compute, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.sensitivity"))


def settle(args: argparse.Namespace) -> None:
    """Fill in the noises, none of them first.

    Raises:
        BadInput: no noise is asked for.
    """
    from analysis.text.noise_labels import CLEAN

    args.noise = [CLEAN, *(args.noise or NOISES)]
    if CLEAN in args.noise[1:]:
        raise BadInput(f"--noise {CLEAN}: it is what the others are compared with; leave it out")


def plan(args: argparse.Namespace, asked: Asked) -> tuple[list[Batch], Work]:
    """Batches, and the analysis of what is asked.

    Raises:
        BadInput: see `mtd.utils.errors`.
    """
    from analysis import sensitivity_table
    from analysis.commands.job import Work
    from analysis.engine.run import batches
    from analysis.layer_changes import LayerChanges

    layers = commands_inputs.choose_layers(asked.models, args.layers)
    groups = batches(asked.crops, args.batch_size or max(1, 2**15 // args.crop**2))
    work = Work(
        asked,
        LayerChanges(layers, int(args.memory * 2**30)),
        commands_inputs.describe("sensitivity", args, asked) | {"layers": layers},
        lambda found: {"sensitivity.csv": sensitivity_table.table(found, asked)},
        sensitivity_table.report,
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
