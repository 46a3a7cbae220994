"""What networks are known, and what a file is: `python -m mtd.models [FILE ...]`."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mtd.loading import cli_options
from mtd.loading.listing import known, listing
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.loading.load import LoadOptions


EXAMPLES = """\
  python -m mtd.models
  python -m mtd.models masked.pth baseline.pth
  python -m mtd.models unknown.pth --size 128 --json
  python -m mtd.models mine.pth --model package.module:Network --arg width=32
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.models",
        "List the networks that are known, or say what a file is: architecture, size, cost, how "
        "far it sees, how it is called.",
        EXAMPLES,
    )
    p.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a checkpoint, or baseline.pth, masked.pth; without it, all that is known is listed",
    )
    p.add_argument(
        "--size",
        type=cli.whole_number(1),
        default=64,
        metavar="N",
        help="count multiply-adds on an image of N x N pixels (default: 64)",
    )
    p.add_argument("--json", action="store_true", help="one JSON object for each file, on one line")
    cli_options.add(p, many=False)
    return p


def inspect(name: str, how: LoadOptions, size: int) -> dict[str, Any]:
    """What a file is; see `mtd.networks.profile.describe`.

    A noise level is not asked for where one is needed, since nothing told of a file depends on it.

    Raises:
        BadInput: the file cannot be used.
    """
    from mtd.loading.load import load
    from mtd.networks import profile as networks_profile_

    unasked = how.sigma is None and how.factory is None
    model = load(name, **vars(replace(how, sigma="oracle") if unasked else how))
    if unasked:
        model.usage = replace(model.usage, sigma=None)
    try:
        return networks_profile_.describe(model, size)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None


def lines(told: dict[str, Any]) -> list[str]:
    """What `inspect` gives, a name and a value in each line."""
    size, training = told["macs_size"], told["training"]
    steps, noise = training.get("steps"), training.get("noise")
    trained = [f"{steps:,} steps" if isinstance(steps, int) else "", f"noise {noise}" * bool(noise)]
    drawn = ", drawn when it denoises" if told["attention_mask_drawn"] else ""
    layers = f"{told['layers']}: {told['first_layer']} … {told['last_layer']}"
    values = {
        "file": told["file"],
        "SHA-256": told["sha256"],
        "container": told["container"] or "none, the state dict itself",
        "architecture": told["architecture"],
        "recognised by": _recognised(told),
        "assumed": told.get("assumed", ""),
        "hyper-parameters": _named(told["hyper_parameters"]),
        "parameters": f"{told['parameters']:,} in {told['parameter_tensors']} tensors",
        "multiply-adds": f"{told['macs_per_pixel']:,.0f} per pixel, at {size} x {size}",
        "receptive field": told["receptive_field"]["text"],
        "value range": f"0 to {told['value_range']:g}",
        "channel order": told["channel_order"],
        "noise level": _level(told),
        "mask policy": f"{told['mask_policy']}{drawn}",
        "mask source": told["mask_source"],
        "default layers": layers if told["layers"] else "none",
        "training": ", ".join(filter(None, trained)),
        "command": training.get("command", ""),
    }
    width = max(map(len, values))
    return [f"{name:<{width}}  {value}" for name, value in values.items() if value]


def _recognised(told: dict[str, Any]) -> str:
    if "factory" not in told:
        return str(told["recognised"])
    return f"{told['recognised']}, {told['factory']}({_named(told['arguments'])})"


def _named(values: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _level(told: dict[str, Any]) -> str:
    level = told["noise_level"]
    if not told["takes_noise_level"]:
        return "not told"
    if level is None:
        return "told: give --sigma, in 8-bit levels"
    return "told: that of the noise at hand" if level == "oracle" else f"told: {level:g} of 255"


def requests(options: Namespace) -> list[tuple[str, LoadOptions]]:
    """The files that are asked for, and how each is to be made and called.

    Raises:
        BadInput: an option that is not understood.
    """
    found = []
    for name in options.files:
        given = Namespace(**(vars(options) | {"checkpoint": name}))
        found += cli_options.settle(given)
    return found


def main() -> None:
    """List all, or tell of each file; one that cannot be used is reported, the others still are."""
    options = parser().parse_args()
    if not options.files:
        if options.made:
            raise BadInput(f"--model {options.made[0].factory}: give its weights, FILE")
        found = known()
        print(json.dumps(found) if options.json else listing(found))
        return
    shown = failed = 0
    for name, how in requests(options):
        try:
            told = inspect(name, how, options.size)
        except BadInput as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr, flush=True)
            continue
        if options.json:
            print(json.dumps(told), flush=True)
        else:
            print("\n" * (shown > 0) + "\n".join(lines(told)), flush=True)
        shown += 1
    if failed:
        sys.exit(cli.BAD_INPUT)


if __name__ == "__main__":
    cli.run(main)
