"""What every analysis command asks for: models, images, noises, masks, where and on what to run.

Nothing heavy is imported until the options are parsed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands.inputs import CROPS, NOISES
from mtd.loading import cli_options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    pass


def parser(
    module: str,
    description: str,
    examples: str,
    *,
    crop: int | None = 64,
    limit: int | None = CROPS,
    noises: str = ", ".join(NOISES),
    models: str = "checkpoint file, or bundled name",
) -> cli.Parser:
    """A parser with the shared options, and what they are by default.

    Args:
        module: whose command it is.
        description: what it does.
        examples: command lines.
        crop: side of a crop; None for whole images.
        limit: number of crops; None for all images, or `CROPS` if crops are asked for.
        noises: the default noises, in words.
        models: what the positional arguments are.
    """
    p = cli.Parser(module, description, examples)
    count = cli.whole_number
    p.add_argument("models", nargs="*", metavar="MODEL", help=models)
    p.add_argument(
        "--images",
        action="append",
        metavar="DIR",
        help="folder of clean photographs (repeatable; default: bundled)",
    )
    size = "whole images" if crop is None else str(crop)
    number = f"all; of crops {CROPS}" if limit is None else str(limit)
    p.add_argument(
        "--crop",
        type=count(8),
        default=crop,
        help=f"side of a crop (default {size})",
    )
    p.add_argument(
        "--crop-rule",
        type=cli.crop_rule,
        choices=("grid", "center", "random"),
        default="grid",
        help="where crops are cut: spread over each image (default), its center, or at random",
    )
    p.add_argument(
        "--limit",
        type=count(1),
        default=limit,
        help=f"number of crops (default {number})",
    )
    p.add_argument(
        "--noise",
        action="append",
        metavar="SPEC",
        help="noise, the first being the reference; folder:DIR takes recorded noisy versions, "
        f"matched by name (repeatable; default: {noises})",
    )
    p.add_argument("--no-quantize", action="store_true", help="noise without clipping and rounding")
    p.add_argument(
        "--mask-pairing",
        choices=("shared", "independent"),
        default="shared",
        help="a crop's masks: the same under every noise (default), or drawn anew",
    )
    p.add_argument(
        "--input-mask",
        type=cli.share,
        default=0.0,
        metavar="RATIO",
        help="hide this share of the pixels from the networks, as in training with an input mask "
        "(0.8, say; default: none)",
    )
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    p.add_argument(
        "--autocast",
        choices=("off", "bf16", "fp16"),
        default="off",
        help="precision of the networks' forward pass (default: off, float32)",
    )
    p.add_argument("--batch-size", type=count(1), help="crops that go through a network together")
    p.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    p.add_argument("--output-dir", metavar="DIR", help="default: runs/ANALYSIS-MODELS-DIGEST")
    p.add_argument("--quiet", action="store_true", help="no bar, no messages; the table only")
    cli_options.add(p)
    return p


def like(args: argparse.Namespace, parser: cli.Parser, **more: Any) -> argparse.Namespace:
    """Another command's options, those that are shared as they are given here."""
    found = parser.parse_args(args.models)
    held = vars(found)
    held.update({name: value for name, value in vars(args).items() if name in held}, **more)
    return found


def run_folders(args: argparse.Namespace) -> list[Path]:
    """What is given as models, if it is run folders; nothing if it is checkpoints.

    Raises:
        BadInput: some of both.
    """
    folders = [Path(name) for name in args.models if Path(name).is_dir()]
    if folders and len(folders) < len(args.models) + len(args.custom_models):
        absent = [name for name in args.models if not Path(name).exists()]
        if absent:
            raise BadInput(f"{absent[0]}: no such run folder")
        raise BadInput("checkpoints and run folders: give one or the other")
    return folders
