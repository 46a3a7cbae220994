"""From the command line to settings: an option for every field, and what else commands are
given."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from analysis.commands.settings import Option, Settings, convert, plain
from mtd.loading import cli_options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.loading.cli_options import ModelRequest

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class OutputOptions:
    """Where and how a command writes; no number depends on it.

    Attributes:
        output_dir: the run folder; None for one named after the analysis, its models and settings.
        resume: continue an interrupted run.
        quiet: no progress bar, no messages.
        command: the command line, recorded in `run.json`.
    """

    output_dir: str | Path | None = None
    resume: bool = False
    quiet: bool = False
    command: str = ""


@dataclass(frozen=True)
class Request(Generic[S]):
    """A parsed command line.

    Attributes:
        models: the checkpoints, and how each is loaded.
        settings: everything that decides the results.
        output: where and how results are written.
        arguments: the parsed options, for those that are neither.
    """

    models: list[ModelRequest]
    settings: S
    output: OutputOptions


def build(
    settings: type[Settings],
    module: str,
    description: str,
    examples: str,
    *,
    models: str = "checkpoint file, or bundled name",
) -> cli.Parser:
    """A command's parser, with an option for every field of its settings.

    Args:
        settings: the class whose fields become options.
        module: the command, `analysis.cka`.
        description: what it does.
        examples: command lines.
        models: what the positional arguments are.
    """
    p = cli.Parser(module, description, examples)
    p.add_argument("models", nargs="*", metavar="MODEL", help=models)
    add_settings(p, settings)
    p.add_argument("--resume", action="store_true", help="continue an interrupted run")
    p.add_argument("--output-dir", metavar="DIR", help="default: runs/ANALYSIS-MODELS-DIGEST")
    p.add_argument("--quiet", action="store_true", help="no progress bar, no messages")
    cli_options.add(p)
    return p


def add_settings(p: argparse.ArgumentParser, settings: type[Settings]) -> None:
    """Add an option for every field of a class of settings."""
    kinds = get_type_hints(settings)
    for item in fields(settings):
        about: Option = item.metadata["option"]
        if about.listed:
            add_option(p, item, kinds[item.name], about)


def add_option(p: argparse.ArgumentParser, item: Field[Any], kind: Any, about: Option) -> None:
    """Add the option of one field."""
    flag = about.flag or f"--{item.name.replace('_', '-')}"
    default = None if item.default is MISSING else item.default
    inner, _ = plain(kind)
    keywords: dict[str, Any] = {"dest": item.name, "help": about.help}
    if inner is bool:
        keywords["action"] = "store_false" if default else "store_true"
        p.add_argument(flag, default=argparse.SUPPRESS, **keywords)
        return
    many = get_origin(inner) is tuple and about.parse is None
    entry = get_args(inner)[0] if many else inner
    if get_origin(entry) is Literal:
        keywords["metavar"] = about.metavar or "{" + ",".join(map(str, get_args(entry))) + "}"
    elif about.metavar:
        keywords["metavar"] = about.metavar
    keywords["type"] = value_type(entry, about)
    shown = about.shown if about.shown is not None else "" if default is None else f"{default}"
    if shown and "default" not in about.help:
        keywords["help"] += f" (default: {shown})"
    keywords["help"] = keywords["help"].replace("%", "%%").replace(") (default", "; default")
    action: dict[str, Any] = {"action": "append"} if many else {}
    p.add_argument(flag, default=argparse.SUPPRESS, **keywords, **action)
    if about.aliases:
        hidden = keywords | {"help": argparse.SUPPRESS}
        p.add_argument(*about.aliases, default=argparse.SUPPRESS, **hidden, **action)


def value_type(kind: Any, about: Option) -> Callable[[str], Any]:
    """An argparse type that reads one value of a field."""

    def read(text: str) -> Any:
        try:
            return convert(kind, about, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None

    return read


def settings_from(settings: type[S], arguments: argparse.Namespace) -> S:
    """The settings that parsed options name.

    Raises:
        BadInput: options that do not go together.
    """
    given = vars(arguments)
    return settings.of(**{f.name: given[f.name] for f in fields(settings) if f.name in given})


def request(settings: type[S], arguments: argparse.Namespace, command: str = "") -> Request[S]:
    """Models, settings and output options of a parsed command line.

    Raises:
        BadInput: options that do not go together, or name no model.
    """
    chosen = settings_from(settings, arguments)
    models = cli_options.resolve_requests(arguments)
    return Request(models, chosen, output_options(arguments, command))


def output_options(arguments: argparse.Namespace, command: str = "") -> OutputOptions:
    """Where and how a parsed command line wants its results written."""
    return OutputOptions(arguments.output_dir, arguments.resume, arguments.quiet, command)


def run_folders(arguments: argparse.Namespace) -> list[Path]:
    """What is given as models, if it is run folders; nothing if it is checkpoints.

    Raises:
        BadInput: some of both.
    """
    folders = [Path(name) for name in arguments.models if Path(name).is_dir()]
    if folders and len(folders) < len(arguments.models) + len(arguments.made):
        absent = [name for name in arguments.models if not Path(name).exists()]
        if absent:
            raise BadInput(f"{absent[0]}: no such run folder")
        raise BadInput("checkpoints and run folders: give one or the other")
    return folders
