"""The options with which commands are told how a model is made and called."""

from __future__ import annotations

import argparse
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtd.utils import cli
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from mtd.loading.load import LoadOptions

ORACLE = "oracle"


@dataclass
class CustomModel:
    """A model of the user's own class, as it is given on the command line."""

    factory: str
    checkpoint: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)


class _Model(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), CustomModel(values)])


class _Checkpoint(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        made = getattr(namespace, self.dest)
        if not made or made[-1].checkpoint:
            parser.error(f"{option} {values}: give --model package.module:factory before it")
        made[-1].checkpoint = values


class _Argument(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        made = getattr(namespace, self.dest)
        if not made:
            parser.error(f"{option} {values[0]}: give --model package.module:factory before it")
        made[-1].arguments.update([values])


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}: expected KEY=VALUE")
    try:
        found = tomllib.loads(f"value = {value}")["value"]
        json.dumps(found)  # as it will be recorded; dates stay text
    except (tomllib.TOMLDecodeError, TypeError, RecursionError):
        return name, value
    return name, found


def add(p: argparse.ArgumentParser, many: bool = True) -> None:
    """Add the options to a parser.

    Args:
        p: of a command.
        many: whether it takes several models. Values may then begin with MODEL=, as given or
            without its folder and ending, and be repeated.
    """
    masks = p.add_argument_group("masks")
    masks.add_argument(
        "--attention-mask",
        choices=("auto", "on", "off"),
        default="auto",
        help="as the checkpoint says (default), or against it",
    )
    masks.add_argument(
        "--mask-samples",
        type=cli.whole_number(1),
        default=1,
        metavar="K",
        help="average K draws of the attention mask (default 1)",
    )
    masks.add_argument(
        "--options",
        metavar="[MODEL=]JSON" if many else "JSON",
        action="append",
        default=[],
        help="KAIR option file that says what is masked" + (" (repeatable)" if many else ""),
    )
    p.add_argument(
        "--seed", type=cli.whole_number(0), default=0, help="of everything random (default 0)"
    )
    group = p.add_argument_group("models of other kinds")
    made: dict[str, Any] = {"dest": "made", "default": []}
    group.add_argument(
        "--model",
        action=_Model,
        metavar="MODULE:FACTORY",
        help="a class or function of yours that makes the network"
        + (", for --checkpoint (repeatable)" if many else " that the checkpoint is of"),
        **made,
    )
    if many:
        group.add_argument(
            "--checkpoint",
            action=_Checkpoint,
            metavar="FILE",
            help="weights of the --model before it",
            **made,
        )
    group.add_argument(
        "--arg",
        action=_Argument,
        type=_argument,
        metavar="KEY=VALUE",
        help="an argument of the --model before it (repeatable)",
        **made,
    )
    whose = "[MODEL=]" if many else ""
    often: dict[str, Any] = {"action": "append", "default": []}
    group.add_argument(
        "--sigma",
        metavar=f"{whose}LEVEL",
        help="noise level, in 8-bit levels, that models which take one are told"
        + ("; oracle: that of the noise they are shown" if many else ""),
        **often,
    )
    group.add_argument(
        "--value-range",
        metavar=f"{whose}WHITE",
        help="white for the network, 1 or 255, where its weights do not tell",
        **often,
    )
    group.add_argument(
        "--channel-order",
        metavar=f"{whose}ORDER",
        help="rgb (default) or bgr",
        **often,
    )
    group.add_argument(
        "--grey",
        metavar=f"{whose}HOW",
        help="networks of one channel: "
        + ("refuse (default), or per-channel" if many else "per-channel calls them for each"),
        **often,
    )


@dataclass(frozen=True)
class ModelRequest:
    """A checkpoint, and how it is loaded.

    Attributes:
        path: of a file, or a bundled name.
        options: how it is made and called.
        own_sigma: whether a noise level was given for this model alone.
    """

    path: str
    options: LoadOptions
    own_sigma: bool = False


def resolve_requests(args: argparse.Namespace) -> list[ModelRequest]:
    """The checkpoints that are asked for, and how each is to be made and called.

    Raises:
        BadInput: an option that is not understood, or names no model.
    """
    from mtd.loading.load import LoadOptions

    if hasattr(args, "checkpoint"):  # of a command with one model
        for made in args.made[:1]:
            made.checkpoint = args.checkpoint
        args.models = [] if args.made else [args.checkpoint]
    given: list[str] = [*args.models, *(made.checkpoint for made in args.made)]
    if not given:
        raise BadInput("the following arguments are required: MODEL, or --model and --checkpoint")
    for made in args.made:
        if not made.checkpoint:
            raise BadInput(f"--model {made.factory}: give its weights with --checkpoint")
    if len(set(given)) < len(given):
        raise BadInput("the same model is given twice")
    factories = {made.checkpoint: made for made in args.made}
    options = _each("--options", args.options, given, shared=len(given) == 1)
    sigmas = {k: _sigma(v) for k, v in _each("--sigma", args.sigma, given).items()}
    ranges = {k: _white(v) for k, v in _each("--value-range", args.value_range, given).items()}
    orders = _each("--channel-order", args.channel_order, given, choices=("rgb", "bgr"))
    greys = _each("--grey", args.grey, given, choices=("refuse", "per-channel"))
    found = []
    for name in given:
        made = factories.get(name)
        how = LoadOptions(
            attention_mask=args.attention_mask,
            mask_samples=args.mask_samples,
            seed=args.seed,
            options=options.get(name),
            sigma=sigmas.get(name),
            value_range=ranges.get(name),
            bgr=orders[name] == "bgr" if name in orders else None,
            per_channel=greys.get(name) == "per-channel",
            factory=made.factory if made else None,
            arguments=made.arguments if made else {},
        )
        own = any("=" in t and t.rpartition("=")[0] in (name, Path(name).stem) for t in args.sigma)
        found.append(ModelRequest(name, how, own))
    return found


def _each(
    option: str,
    texts: list[str],
    given: list[str],
    choices: tuple[str, ...] = (),
    shared: bool = True,
) -> dict[str, str]:
    """An option's value by model; one without a model is for all, or refused if not `shared`."""
    everyone: dict[str, str] = {}
    found: dict[str, str] = {}
    for text in texts:
        whose, equals, value = text.rpartition("=")
        if choices and value not in choices:
            raise BadInput(f"{option} {text}: expected {' or '.join(choices)}")
        named = [name for name in given if whose in (name, Path(name).stem)]
        if equals and len(named) != 1:
            raise BadInput(f"{option} {text}: no such model; {nearest(whose, given)}")
        if not equals and not shared:
            raise BadInput(f"{option} {text}: with several models, say which: MODEL={value}")
        if equals:
            found[named[0]] = value
        else:
            everyone |= dict.fromkeys(given, value)
    return everyone | found


def _sigma(text: str) -> Any:
    if text == ORACLE:
        return ORACLE
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 255:
        raise BadInput(f"--sigma {text}: expected a level from 0 to 255, or oracle")
    return value


def _white(text: str) -> float:
    if text not in ("1", "255"):
        raise BadInput(f"--value-range {text}: expected 1 or 255")
    return float(text)
