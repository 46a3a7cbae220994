"""The options of commands that say how a model is built and called, and which models they name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mtd.loading.classical import CLASSICAL, FILTER, filter_spec, parameter, stem
from mtd.loading.model_names import named_files, spellings, values_by_model
from mtd.utils import cli, input_files
from mtd.utils.errors import BadInput, one_of

if TYPE_CHECKING:
    from mtd.loading.options import LoadOptions

ORACLE: Literal["oracle"] = "oracle"


@dataclass(frozen=True)
class CustomModel:
    """A model as it is given on the command line, mostly one of the user's own class.

    Attributes:
        factory: `package.module:name` of a class or function that returns the network; empty for a
            file of a known network.
        checkpoint: the file of its weights; empty if none is given yet.
        arguments: of the factory, by name.
        name: that it was given, as in NAME=FILE; empty for that of its file.
    """

    factory: str
    checkpoint: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""

    def settings(self) -> dict[str, Any]:
        """What tells it from another model of the same file."""
        return ({"factory": self.factory} if self.factory else {}) | dict(self.arguments)


@dataclass(frozen=True)
class ModelRequest:
    """A model that a command line names.

    Attributes:
        path: of the checkpoint, or the name of a bundled one.
        options: how it is built and called; see `mtd.loading.load.load`.
        own_sigma: whether a noise level was given for this model by name.
        name: that it was given, shared by several trainings of one model; empty for that of its
            file.
    """

    path: str
    options: LoadOptions
    own_sigma: bool = False
    name: str = ""


class _Model(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), CustomModel(values)])


class _Checkpoint(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        models = getattr(namespace, self.dest)
        if not models or models[-1].checkpoint:
            parser.error(f"{option} {values}: give --model package.module:factory before it")
        last = replace(models[-1], checkpoint=values)
        setattr(namespace, self.dest, [*models[:-1], last])


class _Argument(argparse.Action):
    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        models = getattr(namespace, self.dest)
        if not models:
            parser.error(f"{option} {values[0]}: give --model package.module:factory before it")
        last = replace(models[-1], arguments={**models[-1].arguments, values[0]: values[1]})
        setattr(namespace, self.dest, [*models[:-1], last])


def _argument(text: str) -> tuple[str, Any]:
    import tomllib

    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r}: expected KEY=VALUE")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
        json.dumps(parsed)  # as it will be recorded; dates stay text
    except (ValueError, TypeError, RecursionError):  # thousands of digits are a ValueError, too
        return name, value
    return name, parsed


def add(p: cli.Parser, many: bool = True) -> None:
    """Add the options to a parser.

    Args:
        p: of a command.
        many: whether it takes several models. Values may then begin with MODEL=, as given or
            without its folder and ending, and be repeated; see `mtd.loading.model_names`.
    """
    masks = p.group("masks")
    masks.add_argument(
        "--attention-mask",
        choices=("auto", "on", "off"),
        default="auto",
        help="auto: as the checkpoint says; on or off: override it",
    )
    masks.add_argument(
        "--mask-samples",
        type=cli.whole_number(1),
        default=1,
        metavar="K",
        help="a network with random attention masks returns the mean of its outputs with K masks",
    )
    masks.add_argument(
        "--options",
        metavar="[MODEL=]JSON" if many else "JSON",
        action="append",
        default=[],
        help="KAIR option file that says what is masked" + (" (repeatable)" if many else ""),
    )
    p.group("compute").add_argument(
        "--seed",
        type=cli.whole_number(0),
        default=0,
        metavar="N",
        help=cli.SEED,
    )
    group = p.group("models of other kinds")
    custom: dict[str, Any] = {"dest": "custom_models", "default": []}
    group.add_argument(
        "--model",
        action=_Model,
        metavar="MODULE:FACTORY",
        help="a class or function of yours that returns the network"
        + (", for the next --checkpoint (repeatable)" if many else " of the checkpoint"),
        **custom,
    )
    if many:
        group.add_argument(
            "--checkpoint",
            action=_Checkpoint,
            metavar="FILE",
            help="weights of the --model before it",
            **custom,
        )
    group.add_argument(
        "--arg",
        action=_Argument,
        type=_argument,
        metavar="KEY=VALUE",
        help="an argument of the --model before it (repeatable)",
        **custom,
    )
    prefix = "[MODEL=]" if many else ""
    repeatable: dict[str, Any] = {"action": "append", "default": []}
    group.add_argument(
        "--weights",
        metavar=f"{prefix}KEY",
        help="which weights of a file that holds several, such as params or state_dict.model; "
        "mtd models FILE lists all (default: averaged ones, if there are some)",
        **repeatable,
    )
    group.add_argument(
        "--sigma",
        metavar=f"{prefix}LEVEL",
        help="noise level, in 8-bit levels, for noise-conditional models"
        + ("; oracle: the level of the noise that was added" if many else ""),
        **repeatable,
    )
    group.add_argument(
        "--value-range",
        metavar=f"{prefix}WHITE",
        help="the network's value of white, 1 or 255 (default: what its checkpoint says)",
        **repeatable,
    )
    group.add_argument(
        "--channel-order",
        metavar=f"{prefix}ORDER",
        help="rgb or bgr (default: rgb)",
        **repeatable,
    )
    group.add_argument(
        "--grayscale",
        metavar=f"{prefix}HOW",
        help=(
            "grayscale networks: luma, all images of the run are grayscale; or per-channel, they "
            "are run on each channel of color images (default: luma)"
            if many
            else "grayscale networks on color images: per-channel runs them on each channel"
        ),
        **repeatable,
    )
    group.add_argument(
        "--residual",
        metavar=f"{prefix}HOW",
        help="where a network returns no image. minus: it returns the noise, which is subtracted "
        "from the input; plus: what is added to it; flip: its own residual has the wrong sign",
        **repeatable,
    )
    group.add_argument(
        "--wrap",
        metavar=f"{prefix}HOW",
        help="normalize: give the network each image with mean 0.5 and standard deviation 0.25 and "
        "scale its output back, so that contrast and brightness make no difference; or none "
        "(default: none)",
        **repeatable,
    )
    group.add_argument("--grey", dest="grayscale", help=argparse.SUPPRESS, **repeatable)


def resolve_requests(args: argparse.Namespace) -> list[ModelRequest]:
    """The models that a command line names, in order; `args` stays as it was parsed.

    Args:
        args: parsed by a parser that `add` has extended. Commands for several models have
            `models`, those for one model have `checkpoint`.

    Raises:
        BadInput: no model, the same one with the same options twice, or an option that cannot be
            used or names no model.

    >>> parser = cli.Parser("mtd.example", "An example.", "")
    >>> _ = parser.add_argument("models", nargs="*")
    >>> add(parser)
    >>> request, = resolve_requests(parser.parse_args(["masked.pth", "--sigma", "25"]))
    >>> request.path, request.options.sigma
    ('masked.pth', 25.0)
    """
    from mtd.loading.options import LoadOptions
    from mtd.networks.input_format import RESIDUALS, WRAPS

    models = _models(args)
    names = spellings(
        [m.checkpoint for m in models],
        [m.settings() for m in models],
        [m.name for m in models],
    )

    def each(option: str, texts: Sequence[str], **how: Any) -> list[Any]:
        return values_by_model(option, texts, [m.checkpoint for m in models], names, **how)

    options = each("--options", args.options, shared=len(models) == 1)
    sigmas = [None if v is None else _sigma(v) for v in each("--sigma", args.sigma)]
    whites = [None if v is None else _white(v) for v in each("--value-range", args.value_range)]
    weights = each("--weights", args.weights)
    orders = each("--channel-order", args.channel_order, choices=("rgb", "bgr"))
    grayscale = each("--grayscale", args.grayscale, choices=("luma", "per-channel"))
    residuals = each("--residual", args.residual, choices=RESIDUALS)
    wraps = each("--wrap", args.wrap)
    for wrap in wraps:
        one_of("--wrap", wrap or "none", WRAPS)
    found = [
        ModelRequest(
            model.checkpoint,
            LoadOptions(
                attention_mask=args.attention_mask,
                mask_samples=args.mask_samples,
                seed=args.seed,
                options=options[i],
                sigma=sigmas[i],
                value_range=whites[i],
                bgr=None if orders[i] is None else orders[i] == "bgr",
                per_channel=grayscale[i] == "per-channel",
                residual=residuals[i],
                wrap=wraps[i],
                factory=model.factory or None,
                arguments=model.arguments,
                weights=weights[i],
            ),
            own_sigma=any("=" in t and t.rpartition("=")[0] in names[i] for t in args.sigma),
            name=model.name,
        )
        for i, model in enumerate(models)
    ]
    _check_different(found)
    return found


def check(requests: Iterable[ModelRequest]) -> None:
    """Check what can be known of requested models without reading a file or importing torch.

    Raises:
        BadInput: no such file, or none that can be one; see `mtd.loading.locations`.
    """
    for request in requests:
        check_model(request.path)
        if request.options.options is not None:
            input_files.check(request.options.options)


def check_model(name: str) -> None:
    """Check a model's name: a path, a bundled or published name, or a model that is no file.

    Raises:
        BadInput: see `check`.

    >>> check_model("classical:blurr:0.9")
    Traceback (most recent call last):
    mtd.utils.errors.BadInput: classical:blurr:0.9: no classical denoiser 'blurr'; did you mean \
blur?
    """
    from mtd.loading import locations
    from mtd.noise.specs import parse

    if name.startswith(FILTER):
        model, noise = filter_spec(name)
        if not model:
            raise BadInput(f"{name}: expected filter:MODEL, such as filter:masked.pth")
        check_model(model)
        if noise:
            parse(noise)
    elif name.startswith(CLASSICAL):
        parameter(name)
    else:
        locations.check(name)


def _models(args: argparse.Namespace) -> list[CustomModel]:
    """The requested models, in order; one without a class of the user's own has no factory."""
    custom: list[CustomModel] = list(args.custom_models)
    if hasattr(args, "checkpoint"):  # of a command for one model
        if len(custom) > 1:
            raise BadInput(f"--model {custom[1].factory}: one --model for one checkpoint")
        return [replace(model, checkpoint=args.checkpoint) for model in custom] or [
            CustomModel("", args.checkpoint)
        ]
    models = [*(CustomModel("", path) for path in args.models), *custom]
    if not models:
        raise BadInput("the following arguments are required: MODEL, or --model and --checkpoint")
    for model in models:
        if model.factory and not model.checkpoint:
            raise BadInput(f"--model {model.factory}: give its weights with --checkpoint")
    return [
        replace(model, checkpoint=path, name=name)
        for model in models
        for name, path in named_files(model.checkpoint)
    ]


def _check_different(requests: Sequence[ModelRequest]) -> None:
    """Check that no two requests are for the same file with the same options."""
    seen: list[tuple[Path, LoadOptions]] = []
    for request in requests:
        same = (Path(request.path).resolve(), request.options)
        if same in seen:
            second = f"{stem(request.path)}#2"
            example = f"--wrap {second}=normalize"
            if request.options.factory:
                example = "--arg KEY=VALUE behind its --model"
            raise BadInput(
                f"the same model is given twice, {request.path}: leave one out, or give the second "
                f"another setting, such as {example}"
            )
        seen.append(same)


def _sigma(text: str) -> float | Literal["oracle"]:
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
