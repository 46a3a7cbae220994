"""What networks are known, and what a file is: `python -m mtd.models [FILE ...]`."""

from __future__ import annotations

import json
import sys
import textwrap
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mtd import model_options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.architecture import Architecture
    from mtd.model import How

WIDTH = 100

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
    model_options.add(p, many=False)
    return p


def known() -> dict[str, Any]:
    """All networks that are known: ours, other packages', spandrel's; and bundled checkpoints."""
    import torch

    from mtd import inspection, registry, spandrels
    from mtd.checkpoint import BUNDLED

    def row(entry: Architecture) -> dict[str, Any]:
        with torch.device("meta"):
            count = inspection.parameters(entry.build(entry.config()))
        return {"name": entry.name, "parameters": count, "about": entry.about}

    rows = [row(entry) for entry in registry.architectures().values()]
    ours = len(registry.BUILT_IN)
    return {
        "architectures": rows[:ours],
        "of_other_packages": rows[ours:],
        "bundled": sorted(path.name for path in BUNDLED.glob("*.pth")),
        "spandrel": sorted(spandrels.names(), key=str.lower),
    }


def listing(found: dict[str, Any]) -> str:
    """What `known` gives, as text."""
    others, spandrel = found["of_other_packages"], found["spandrel"]
    return "\n".join(
        [
            "architectures (parameters of the default configuration)",
            *_table(found["architectures"]),
            "",
            "of other packages (entry points of the group mtd.models)",
            *(_table(others) or ["  none"]),
            "",
            "bundled checkpoints (give the name for the file)",
            f"  {', '.join(found['bundled']) or 'none'}",
            "",
            "by spandrel (those that keep the size of an image can be used)",
            *(_paragraph(spandrel) if spandrel else ["  not installed: pip install spandrel"]),
        ]
    )


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    names = max((len(row["name"]) for row in rows), default=0)
    counts = max((len(f"{row['parameters']:,}") for row in rows), default=0)
    return [
        f"  {row['name']:<{names}}  {row['parameters']:>{counts},}  {row['about']}" for row in rows
    ]


def _paragraph(words: Iterable[str]) -> list[str]:
    text = ", ".join(words)
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def inspect(name: str, how: How, size: int) -> dict[str, Any]:
    """What a file is; see `mtd.inspection.describe`.

    A noise level is not asked for where one is needed, since nothing told of a file depends on it.

    Raises:
        BadInput: the file cannot be used.
    """
    from mtd import inspection
    from mtd.model import load

    unasked = how.sigma is None and how.factory is None
    model = load(name, **vars(replace(how, sigma="oracle") if unasked else how))
    if unasked:
        model.usage = replace(model.usage, sigma=None)
    try:
        return inspection.describe(model, size)
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


def requests(options: Namespace) -> list[tuple[str, How]]:
    """The files that are asked for, and how each is to be made and called.

    Raises:
        BadInput: an option that is not understood.
    """
    found = []
    for name in options.files:
        given = Namespace(**(vars(options) | {"checkpoint": name}))
        found += model_options.settle(given)
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
