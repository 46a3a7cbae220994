"""Options from a file or an earlier run: `--config run.toml`, `--config RUN`.

A TOML file holds options of the command by their names, and `models`:

    models = ["baseline.pth", "masked.pth"]
    noise = ["gaussian:15", "poisson:3.5"]
    crop = 32
    no-controls = true

A run folder, or its `manifest.json`, stands for the models and options of that run. What the
command line gives itself replaces what the file says.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands.run_manifest import MANIFEST, read_log, read_manifest
from mtd.utils import cli, input_files, output
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from analysis.commands.parser import ConfiguredParser

OPTION = "--config"

OF_ONE_RUN = ("output_dir", "resume", "quiet", "config")
"""What a run is not repeated with."""

CODE = "custom_models"
"""Models of the user's own class, whose code is run."""

Given = list[tuple[str, list[str]]]
"""Arguments of a command line: what they set, and the arguments themselves."""


def expanded(parser: ConfiguredParser, arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line with those of its `--config` written out.

    Raises:
        BadInput: a file that cannot be used, or one that would run code that the command line does
            not name.
    """
    own = parser.split(arguments)
    places = [texts[-1].removeprefix(f"{OPTION}=") for name, texts in own if name == "config"]
    given = {name for name, _ in own}
    place = places[-1]
    read = [one for one in configured(parser, place) if one[0] not in given]
    if code := next((texts for name, texts in read if name == CODE), None):
        raise BadInput(
            f"{place}: needs {' '.join(code)}, which runs code; name it on the command line, if "
            "you trust it"
        )
    positional = [action.dest for action in parser._actions if not action.option_strings]
    both = [*read, *own]
    first = [text for dest in positional for name, texts in both if name == dest for text in texts]
    last = [text for name, texts in read if name not in positional for text in texts]
    kept = [texts for name, texts in own if name not in (*positional, "config")]
    rest = [text for texts in kept for text in texts]
    flags = [output.FLAG] if output.FLAG in arguments else []
    return [*first, *rest, *last, *flags]


def configured(parser: ConfiguredParser, place: str) -> Given:
    """The arguments that a file or a run folder stands for.

    Raises:
        BadInput: it is neither, damaged, or of another command.
    """
    path = Path(place)
    if path.is_dir() or path.name == MANIFEST:
        return of_run(parser, path if path.is_dir() else path.parent)
    try:
        return parser.split(list(of_table(parser, input_files.toml(path), place)))
    except BadInput as error:
        raise BadInput(str(error) if place in str(error) else f"{place}: {error}") from None


def of_run(parser: ConfiguredParser, folder: Path) -> Given:
    """The arguments of the command that wrote a run folder, on the device that it ran on.

    Raises:
        BadInput: no run folder, one of another command, or one that was written from Python.
    """
    manifest, log = read_manifest(folder), read_log(folder)
    begun, *later = [parser.split(words) for words in commands_of(parser, folder, log)] or [[]]
    if not begun and manifest.get("analysis") == parser.module.partition(".")[2]:
        begun = parser.split(manifest.get("arguments", []))
    if not begun:
        raise BadInput(
            f"{folder}: no command line in it, as it was written from Python; give its settings as "
            "options, or in a .toml file"
        )
    # the last one: a report may have got more sections; not one that made a page of the folder
    same = [one for one in [begun, *later] if models_of(parser, one) == models_of(parser, begun)]
    found = [one for one in same[-1] if one[0] not in OF_ONE_RUN]
    if remote := next((text for _, texts in found for text in texts if "://" in text), None):
        raise BadInput(
            f"{folder}: names {remote}, which would be downloaded; give the run's models and "
            "options on the command line, if you trust that"
        )
    device = manifest.get("device")
    if isinstance(device, str) and "device" not in {name for name, _ in found}:
        found.append(("device", [f"--device={device}"]))
    return found


def commands_of(
    parser: ConfiguredParser, folder: Path, log: Sequence[Mapping[str, Any]]
) -> list[list[str]]:
    """The arguments of each start of a run, the first one first; none if it has no command.

    Raises:
        BadInput: it is of another command, or damaged.
    """
    found = []
    for entry in log:
        recorded = entry.get("command")
        try:
            words = shlex.split(recorded) if isinstance(recorded, str) else []
        except ValueError:
            raise BadInput(f"{folder}: run.json is damaged (command)") from None
        start = words[: 2 if words[:1] == ["mtd"] else 3]
        if cli.starts(parser.module, " ".join(start)):
            found.append(words[len(start) :])
        elif words:
            raise BadInput(
                f"{folder}: made by {' '.join(start)}; give it to that command, or a run folder "
                f"of {parser.prog}"
            )
    return found


def models_of(parser: ConfiguredParser, given: Given) -> Given:
    """The positional arguments, and models of the user's own class."""
    names = {CODE, *(action.dest for action in parser._actions if not action.option_strings)}
    return [one for one in given if one[0] in names]


def of_table(parser: ConfiguredParser, table: Mapping[str, Any], place: str) -> Iterator[str]:
    """The arguments that a TOML file stands for.

    Raises:
        BadInput: an option that the command does not have, or a value that cannot be one.
    """
    known = options_of(parser)
    for key, value in table.items():
        name = key.replace("_", "-")
        if isinstance(value, dict):
            raise BadInput(
                f"{place}: [{key}]: expected options as NAME = VALUE, without tables; recipes are "
                "for mtd train"
            )
        if name not in known:
            raise BadInput(
                f"{place}: {key!r} is no option of {parser.prog}; {nearest(name, known)}"
            )
        yield from texts_of(name, known[name], value, f"{place}: {key}")


def options_of(parser: ConfiguredParser) -> dict[str, argparse.Action]:
    """What a TOML file may hold, by name: options, and positional arguments."""
    known = {
        flag[2:]: action
        for flag, action in parser._option_string_actions.items()
        if flag.startswith("--") and flag not in (OPTION, output.FLAG, "--version", "--help")
    }
    return known | {a.dest: a for a in parser._actions if not a.option_strings}


def texts_of(name: str, action: argparse.Action, value: Any, where: str) -> Iterator[str]:
    """The arguments of one entry.

    Raises:
        BadInput: a value that cannot be one of this option.
    """
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise BadInput(f"{where} = {value!r}: expected true or false")
        yield from [f"--{name}"] if value else []
        return
    listed = isinstance(value, list)
    several = action.nargs is not None or isinstance(action, argparse._AppendAction)
    if listed and not several:
        raise BadInput(f"{where}: a list; expected one value")
    values = value if listed else [value]
    if isinstance(action.nargs, int) and not any(isinstance(one, list) for one in values):
        values = [values]
    for one in values:
        texts = [text_of(part, where) for part in (one if isinstance(one, list) else [one])]
        if not action.option_strings:
            yield from texts
        elif len(texts) == 1:
            yield f"--{name}={texts[0]}"
        else:
            yield from (f"--{name}", *texts)


def text_of(value: Any, where: str) -> str:
    """A value as the command line has it.

    Raises:
        BadInput: neither a text nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadInput(f"{where}: {value}; expected a text or a number")
    return str(value)
