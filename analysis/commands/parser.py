"""From the command line to settings: an option for every field, output options, run folders."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import (
    Any,
    Literal,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
)

from analysis.commands import drawing, several_values
from analysis.commands.drawing import Drawing
from analysis.commands.options import Option, convert, plain
from analysis.commands.settings import Options, Settings
from mtd.loading import cli_options
from mtd.utils import cli, near_paths, plugins, user_folders
from mtd.utils.errors import BadInput

T = TypeVar("T", bound=Options)


@dataclass(frozen=True)
class OutputOptions:
    """Where and how a command writes; no number depends on it.

    Attributes:
        output_dir: the run folder; None for one named after the analysis, its models and settings.
        resume: continue an interrupted run.
        quiet: no progress bar, no messages.
        command: the command line, recorded in `run.json`.
        printed: whether the text is printed once a run is finished.
        drawing: how figures and tables are written.
    """

    output_dir: str | Path | None = None
    resume: bool = False
    quiet: bool = False
    command: str = ""
    printed: bool = True
    drawing: Drawing = field(default_factory=Drawing)


class ConfiguredParser(cli.Parser):
    """A command's parser with `--config`; see `analysis.commands.config_file`.

    Attributes:
        expanded: the arguments that were parsed last, those of `--config` written out.
        configured: whether there were some.
    """

    def __init__(self, module: str, *about: str, **more: str) -> None:
        super().__init__(module, *about, **more)
        self.module, self.expanded, self.configured = module, list[str](), False
        self.recorded: list[tuple[str, list[str]]] | None = None
        self.group("output").add_argument(
            "--config",
            metavar="FILE",
            help="take models and options from a .toml file (crop = 32), or from a run folder, "
            "whose run is repeated; options beside it replace them (default: none)",
        )

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments, with those that `--config` stands for.

        Raises:
            BadInput: arguments that cannot be used.
        """
        self.expanded = sys.argv[1:] if args is None else list(args)
        self.configured = any(text.partition("=")[0] == "--config" for text in self.expanded)
        if self.configured:
            self._check_config()
            from analysis.commands import config_file

            self.expanded = config_file.expanded(self, self.expanded)
        return self._parsed(self.expanded, namespace)

    def _check_config(self) -> None:
        """Check that the file of `--config` is there, before its reader imports PyTorch.

        Raises:
            BadInput: it is not.
        """
        own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        own.add_argument("--config", nargs="?")
        place = own.parse_known_args(self.expanded)[0].config
        if place and not os.path.lexists(path := user_folders.expanded(place)):
            raise BadInput(near_paths.absent(Path(path), "file"))

    def _parsed(self, arguments: Sequence[str], namespace: Any = None) -> Any:
        """Parse arguments; models may stand anywhere, and several values after one option."""
        own = self._option_string_actions
        several = {o: f for o, f in several_values.OPTIONS.items() if o in own}
        given = several_values.written_out(list(map(user_folders.expanded, arguments)), several)
        return self.parse_intermixed_args(given, namespace)

    def split(self, arguments: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Arguments by what they set, models first, each option with its values.

        Raises:
            BadInput: arguments that cannot be used.
        """
        self.recorded = []
        try:
            self._parsed(list(arguments))
            models = {action.dest for action in self._get_positional_actions()}
            return sorted(self.recorded, key=lambda one: one[0] not in models)
        finally:
            self.recorded = None

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        """The values of an option, which `split` records as they were given."""
        if self.recorded is not None and action.dest != argparse.SUPPRESS:
            flag = next(iter(action.option_strings), "")
            texts = [text for text in arg_strings if text != "--"]
            if not flag and texts:
                self.recorded.append((action.dest, texts))
            elif flag and len(texts) == 1:
                self.recorded.append((action.dest, [f"{flag}={texts[0]}"]))
            elif flag:
                self.recorded.append((action.dest, [flag, *texts]))
        return super()._get_values(action, arg_strings)

    def command(self, line: str) -> str:
        """The command line as a run records it, so that it can be repeated without its file."""
        return cli.command(self.module, self.expanded) if line and self.configured else line


def build(
    settings: type[Settings],
    module: str,
    description: str,
    examples: str,
    *,
    models: str = "checkpoint file or bundled name; NAME=PATTERN for trainings of one model",
    measure: str = "",
) -> ConfiguredParser:
    """A command's parser, with an option for every field of its settings.

    Args:
        settings: the class whose fields become options.
        module: the command, `analysis.cka`.
        description: what it does.
        examples: command lines.
        models: what the positional arguments are.
        measure: the title of the group of the analysis' own options.
    """
    shown = "MODEL [MODEL ...]"
    p = ConfiguredParser(module, description, examples + extensions(), measure, shown)
    p.group("models").add_argument("models", nargs="*", metavar="MODEL", help=models)
    add_settings(p, settings)
    add_output(p, "runs/ANALYSIS-MODELS-DIGEST")
    cli_options.add(p)
    return p


def add_output(p: cli.Parser, folder: str) -> None:
    """Add the options of where and how a run writes.

    Args:
        p: of a command.
        folder: the run folder by default, in words.
    """
    group = p.group("output")
    add_run_options(group, folder)
    drawing.add_options(group)
    p.add_quiet()


def add_run_options(group: argparse._ArgumentGroup, folder: str) -> None:
    """Add the options of a run's folder; see `add_output`."""
    group.add_argument("--output-dir", metavar="DIR", help=f"folder to write (default: {folder})")
    group.add_argument("--resume", action="store_true", help="continue an interrupted run")


GROUPS = {
    "mtd.noises": "noises",
    "mtd.metrics": "metrics",
    "mtd.models": "networks",
    "mtd.analyses": "analyses",
}
"""Entry points by which other packages add to the project."""


def extensions() -> str:
    """The extensions of other packages, for the end of `--help`; "" if there are none."""
    lines = []
    for group, what in GROUPS.items():
        names = sorted(entry.name for entry in plugins.of_group(group))
        lines += [f"  {what}: {', '.join(names)}\n"] if names else []
    return "".join(["\nfrom other packages:\n", *lines]) if lines else ""


def add_settings(p: cli.Parser, settings: type[Options]) -> None:
    """Add an option for every field of a class of options, each to its group."""
    kinds = get_type_hints(settings)
    for item in fields(settings):
        about: Option = item.metadata["option"]
        if about.listed:
            add_option(p.group(about.group), item, kinds[item.name], about)


def add_option(p: argparse._ArgumentGroup, item: Field[Any], kind: Any, about: Option) -> None:
    """Add the option of one field."""
    flag = flag_of(item)
    default = None if item.default is MISSING else item.default
    inner, _ = plain(kind)
    keywords: dict[str, Any] = {"dest": item.name, "help": about.help}
    if inner is bool:
        keywords["action"] = "store_false" if default else "store_true"
        p.add_argument(flag, default=argparse.SUPPRESS, **keywords)
        return
    many = get_origin(inner) is tuple and about.parse is None
    entry = get_args(inner)[0] if many else inner
    if get_origin(entry) is tuple and about.parse is None:  # an option with several values
        keywords["nargs"] = len(get_args(entry))
        entry = get_args(entry)[0]
    if get_origin(entry) is Literal:
        keywords["metavar"] = about.metavar or "{" + ",".join(map(str, get_args(entry))) + "}"
    else:
        keywords["metavar"] = about.metavar or {int: "N", float: "X"}.get(entry)
    keywords["type"] = value_type(entry, about)
    words = about.shown() if callable(about.shown) else about.shown
    text = words or ("none" if default in (None, ()) else f"{default}")
    keywords["help"] = argparse.SUPPRESS
    if about.help:
        keywords["help"] = cli.with_default(about.help.replace("%", "%%"), text)
    action: dict[str, Any] = {"action": "append"} if many else {}
    p.add_argument(flag, default=argparse.SUPPRESS, **keywords, **action)
    if about.aliases:
        hidden = keywords | {"help": argparse.SUPPRESS}
        p.add_argument(*about.aliases, default=argparse.SUPPRESS, **hidden, **action)


def flag_of(item: Field[Any]) -> str:
    """The option of a field of settings."""
    about: Option = item.metadata["option"]
    return about.flag or f"--{item.name.replace('_', '-')}"


def given_options(
    options: argparse.Namespace, defaults: argparse.Namespace, *kinds: type[Options]
) -> dict[str, str]:
    """The options that a command line gives other values than by default: flags, by name.

    Args:
        options: as parsed.
        defaults: those of an empty command line.
        kinds: the settings that have options.
    """
    flags = {item.name: flag_of(item) for kind in kinds for item in fields(kind)}
    flags["custom_models"] = "--model"
    return {
        name: flags.get(name, f"--{name.replace('_', '-')}")
        for name, value in vars(options).items()
        if name not in defaults or value != getattr(defaults, name)
    }


def refuse(given: Mapping[str, str], heeded: Collection[str], why: str) -> None:
    """Check that every option that is given has an effect.

    Args:
        given: see `given_options`.
        heeded: names of the options that have one.
        why: the others have none.

    Raises:
        BadInput: one has none.
    """
    for name, flag in given.items():
        if name not in heeded:
            raise BadInput(f"{flag}: {why}")


def value_type(kind: Any, about: Option) -> Callable[[str], Any]:
    """An argparse type that reads one value of a field."""

    def read(text: str) -> Any:
        try:
            return convert(kind, about, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None

    return read


def settings_from(settings: type[T], arguments: argparse.Namespace) -> T:
    """The settings that parsed options name.

    Raises:
        BadInput: options that do not go together.
    """
    values = vars(arguments)
    return settings.of(**{f.name: values[f.name] for f in fields(settings) if f.name in values})


def output_options(arguments: argparse.Namespace, command: str = "") -> OutputOptions:
    """Where and how a parsed command line wants its results written."""
    return OutputOptions(
        arguments.output_dir,
        arguments.resume,
        arguments.quiet,
        command,
        drawing=drawing.from_arguments(arguments),
    )


def run_folders(arguments: argparse.Namespace) -> list[Path]:
    """The positional arguments as run folders; none if they are checkpoints.

    Raises:
        BadInput: some of both.
    """
    folders = [Path(name) for name in arguments.models if Path(name).is_dir()]
    if folders and len(folders) < len(arguments.models) + len(arguments.custom_models):
        absent = [name for name in arguments.models if not Path(name).exists()]
        if absent:
            raise BadInput(f"{absent[0]}: no such run folder")
        raise BadInput("checkpoints and run folders: give one or the other")
    return folders


def exact(value: float) -> str:
    """The shortest text of a number that gives the same number again.

    >>> exact(2.0), exact(0.123456789)
    ('2', '0.123456789')
    """
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


NO_DEVICE = ("device", "cpu")
"""The device for which a command needs no option on a machine without GPU."""


def arguments_of(settings: Options) -> list[str]:
    """The options of a command line that give these settings, those at their default left out.

    >>> arguments_of(Settings(crop=32, noises=("gaussian:25",), quantize=False))
    ['--crop', '32', '--noise', 'gaussian:25', '--no-quantize']
    """
    options: list[str] = []
    for item in fields(settings):
        value, about = getattr(settings, item.name), item.metadata["option"]
        if value == item.default or value is None or (item.name, value) == NO_DEVICE:
            continue
        flag = about.flag or f"--{item.name.replace('_', '-')}"
        if isinstance(value, bool):
            options.append(flag)
            continue
        for one in value if isinstance(value, tuple) else [value]:
            parts = one if isinstance(one, tuple) else [one]
            options += [flag, *(exact(p) if isinstance(p, float) else str(p) for p in parts)]
    return options
