"""List the known networks, or describe a checkpoint: `python -m mtd.models [FILE ...]`."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mtd.loading import cli_options
from mtd.loading.listing import known, listing, sets_line, weights_line
from mtd.utils import cli, messages, output
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural
from mtd.utils.printable import of_error, one_line

if TYPE_CHECKING:
    from mtd.loading.cli_options import ModelRequest
    from mtd.loading.options import LoadOptions


EXAMPLES = """\
  python -m mtd.models
  python -m mtd.models masked.pth baseline.pth
  python -m mtd.models unknown.pth --size 128 --json --no-self-test
  python -m mtd.models mine.pth --model package.module:Network --arg width=32
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.models",
        "List the known networks, or describe a checkpoint: architecture, size, cost, receptive "
        "field, value range, masks.",
        EXAMPLES,
        measure="description",
    )
    p.group("models").add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="a checkpoint, baseline.pth, masked.pth, classical:blur:0.9 or the like; without it, "
        "all networks are listed",
    )
    own = p.group(cli.OWN)
    own.add_argument(
        "--size",
        type=cli.whole_number(1),
        default=64,
        metavar="N",
        help="count multiply-adds on an image of N x N pixels",
    )
    own.add_argument(
        "--no-self-test",
        action="store_true",
        help="do not denoise a crop of each bundled photograph with other channel orders, value "
        "ranges and residuals to see whether one of them is better",
    )
    cli_options.add(p, many=False)
    p.add_quiet()
    return p


def inspect(path: str, options: LoadOptions, size: int, tested: bool = True) -> dict[str, Any]:
    """What a file is; see `mtd.networks.profile.describe`, and `mtd.inference.self_test`.

    Noise-conditional networks need no level here, since no part of the description depends on it.

    Raises:
        BadInput: the file cannot be used.
    """
    from mtd.inference.self_test import self_test
    from mtd.loading.load import load
    from mtd.networks import profile

    any_level = options.sigma is None and options.factory is None
    model = load(path, **vars(replace(options, sigma="oracle") if any_level else options))
    if any_level:
        model.input_format = replace(model.input_format, sigma=None)
    try:
        facts = profile.describe(model, size)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None
    if tested and model.has_layers:
        try:
            facts["self_test"] = self_test(model, facts["macs_per_pixel"]).to_dict()
        except BadInput as error:
            facts["self_test"] = {"failed": str(error)}
    return facts


def lines(facts: dict[str, Any]) -> list[str]:
    """What `inspect` gives, a name and a value in each line."""
    size, training = facts["macs_size"], facts["training"]
    steps, noise = training.get("steps"), training.get("noise")
    taken = f"{steps:,} step{'s' * (steps != 1)}" if isinstance(steps, int) else ""
    trained = [taken, f"noise {noise}" * bool(noise)]
    drawn = ", drawn at inference" if facts["attention_mask_drawn"] else ""
    calls = f", {facts['layer_calls']} calls" * (facts["layer_calls"] > facts["layers"])
    layers = f"{facts['layers']}: {facts['first_layer']} … {facts['last_layer']}{calls}"
    values = {
        "file": facts["file"],
        "SHA-256": facts["sha256"],
        "container": facts["container"] or "none, the state dict itself",
        "prefix": facts.get("prefix", ""),
        "weights": weights_line(facts),
        "all weights": sets_line(facts),
        "not weights": ", ".join([*facts.get("counts", []), *facts.get("values", [])][:6]),
        "not read": ", ".join(facts.get("left_out", [])[:6]),
        "architecture": facts["architecture"],
        "recognized by": _recognized(facts),
        "assumed": facts.get("assumed", ""),
        "hyper-parameters": _named(facts["hyper_parameters"]),
        "parameters": f"{facts['parameters']:,} in {plural(facts['parameter_tensors'], 'tensor')}",
        "multiply-adds": f"{facts['macs_per_pixel']:,.0f} per pixel, at {size} x {size}"
        * (facts["parameters"] > 0),
        "receptive field": facts["receptive_field"]["text"],
        "value range": f"0 to {facts['value_range']:g}",
        "channel order": facts["channel_order"],
        "residual": facts["residual"] if facts["residual"] != "none" else "",
        "wrapper": facts["wrap"] if facts["wrap"] != "none" else "",
        "noise level": _level(facts),
        "mask policy": f"{facts['mask_policy']}{drawn}",
        "mask source": facts["mask_source"],
        "default layers": layers if facts["layers"] else "none",
        "training": ", ".join(filter(None, trained)),
        "command": training.get("command", ""),
        **_self_test(facts.get("self_test", {})),
    }
    width = max(map(len, values))
    return [f"{name:<{width}}  {value}" for name, value in values.items() if value]


def _self_test(facts: dict[str, Any]) -> dict[str, str]:
    from mtd.inference import self_test

    if "failed" in facts:
        return {"self-test": f"none ({facts['failed']})"}
    return self_test.lines(facts) if facts else {}


def _recognized(facts: dict[str, Any]) -> str:
    if "factory" not in facts:
        return str(facts["recognised"])
    return f"{facts['recognised']}, {facts['factory']}({_named(facts['arguments'])})"


def _named(values: dict[str, Any]) -> str:
    texts = {k: f"{len(v)} values" if _is_long(v) else v for k, v in values.items()}
    return ", ".join(f"{name}={value}" for name, value in texts.items())


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 12


def _level(facts: dict[str, Any]) -> str:
    level = facts["noise_level"]
    if not facts["takes_noise_level"]:
        return "not an input"
    if level is None:
        return "an input: give --sigma, in 8-bit levels"
    return (
        "an input: that of the added noise" if level == "oracle" else f"an input: {level:g} of 255"
    )


def requests(args: Namespace) -> list[ModelRequest]:
    """The requested files, and how each is built and called.

    Raises:
        BadInput: an option that cannot be used.
    """
    return [
        request
        for path in args.files
        for request in cli_options.resolve_requests(Namespace(**vars(args), checkpoint=path))
    ]


def main() -> None:
    """List every network, or describe files; one that cannot be used does not stop the others."""
    args = parser().parse_args()
    if not args.files:
        if args.custom_models:
            raise BadInput(f"--model {args.custom_models[0].factory}: give its weights, FILE")
        networks = known()
        output.show(listing(networks), results=networks)
        return
    described: list[dict[str, Any]] = []
    failed: list[str] = []
    for request in requests(args):
        try:
            cli_options.check([request])  # before PyTorch is imported
            messages.importing(quiet=args.quiet)
            facts = inspect(request.path, request.options, args.size, not args.no_self_test)
        except BadInput as error:
            messages.say(f"error: {of_error(error)}")
            output.fail(str(error))
            failed.append(request.path)
            continue
        text = "\n" * (described != []) + "\n".join(map(one_line, lines(facts)))
        described.append(facts)
        output.show(text, results={"models": described})
    if failed:
        sys.exit(cli.BAD_INPUT)


if __name__ == "__main__":
    cli.run(main)
