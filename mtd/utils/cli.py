"""Command lines: exit codes, one-line errors, and the types of options."""

from __future__ import annotations

import argparse
import io
import math
import os
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NoReturn

import mtd
from mtd.utils import (
    input_files,
    interruptions,
    output,
    streams,
    temporary,
    user_folders,
    working_folder,
)
from mtd.utils.errors import BadInput, Failed, Partial, close_to, nearest
from mtd.utils.messages import say
from mtd.utils.printable import of_error

OK, FAILED, BAD_INPUT, PARTIAL = 0, 1, 2, 3


DEVICE = "cpu, cuda, cuda:1, mps, or auto: cuda if there is one, else mps, else cpu"
"""The help of `--device`."""

SEED = "seed of all random numbers"
"""The help of `--seed`."""

OWN = "this command"
"""The group of the options of one command alone."""

GROUPS = (
    *("models", "images", "noise", OWN, "masks", "compute", "output"),
    "models of other kinds",
)
"""Groups of options in the order of `--help`, in all commands."""


class Parser(argparse.ArgumentParser):
    """An argument parser with groups of options in one order, and with errors of one line.

    Args:
        module: of the command, such as `mtd.denoise`.
        description: the first lines of its help.
        examples: command lines, at the end of its help.
        measure: the title of the group of the command's own options.
        arguments: the positional arguments as the usage line shows them; "" for what they are.
    """

    def __init__(
        self,
        module: str,
        description: str,
        examples: str,
        measure: str = "",
        arguments: str = "",
    ) -> None:
        name = called(module)
        if name.startswith(SCRIPT):
            examples = re.sub(r"python -m (?:analysis|mtd)\.(\S+)", renamed, examples)
        super().__init__(
            prog=name,
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=Formatter,
            allow_abbrev=False,
            add_help=False,
        )
        self.measure, self.arguments = measure or module.rpartition(".")[2], arguments
        self.groups: dict[str, argparse._ArgumentGroup] = {}
        output.named(module)
        common = self.group("output")
        common.add_argument(
            output.FLAG,
            action=Unstored,
            help="print one JSON object on stdout: results, sentences, files, or the error",
        )
        version = f"mtd {mtd.__version__}"
        common.add_argument("--version", action="version", version=version, help="show the version")
        common.add_argument("-h", "--help", action="help", help="show this help and exit")

    def group(self, name: str) -> argparse._ArgumentGroup:
        """A group of options, by one of `GROUPS`; `OWN` is that of the command's own options."""
        if name not in self.groups:
            title = self.measure if name == OWN else name
            self.groups[name] = self.add_argument_group(title)
            self._action_groups.sort(key=self._place)
        return self.groups[name]

    def add_quiet(self) -> None:
        """Add the option `--quiet`."""
        self.group("output").add_argument(
            "--quiet", action="store_true", help="no progress, no messages: the result alone"
        )

    def _place(self, group: argparse._ArgumentGroup) -> int:
        """Where a group stands; the two of argparse itself come first."""
        names = {id(known): GROUPS.index(name) for name, known in self.groups.items()}
        return names.get(id(group), -1)

    def format_usage(self) -> str:
        """One line: the options are below."""
        return (
            f"usage: {self.prog} [options] {self.arguments or self._positional()}".rstrip() + "\n"
        )

    def format_help(self) -> str:
        """The usage line, what the command does, its options by group, and examples."""
        formatter = self._get_formatter()
        formatter.add_text(self.description)
        for group in self._action_groups:
            formatter.start_section(group.title)
            formatter.add_text(group.description)
            formatter.add_arguments(sorted(group._group_actions, key=placed))
            formatter.end_section()
        formatter.add_text(self.epilog)
        return f"{self.format_usage()}\n{formatter.format_help()}"

    def _positional(self) -> str:
        """The positional arguments, those that may be left out in brackets."""
        forms = {None: "{0}", "?": "[{0}]", "*": "[{0} ...]", "+": "{0} [{0} ...]"}
        actions = [action for action in self._actions if not action.option_strings]
        return " ".join(
            forms[action.nargs].format(  # type: ignore[index]
                "{" + ",".join(action.choices) + "}"
                if action.choices and not action.metavar
                else action.metavar or action.dest.upper()
            )
            for action in actions
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See `argparse`; the home stands for `~`, also where a shell leaves it."""
        given = sys.argv[1:] if args is None else args
        return super().parse_known_args(list(map(user_folders.expanded, given)), namespace)

    def error(self, message: str) -> NoReturn:
        """Refuse a command line.

        Raises:
            BadInput: always.
        """
        if found := CHOICE.search(message):  # the names in quotes or not, by version of Python
            names = re.findall(r"[^', ]+", found[2])
            message = f"{message[: found.start()]}{found[1]}: {nearest(found[1][1:-1], names)}"
        raise BadInput(f"{message}{self._meant(message)}; see {self.prog} --help")

    def _meant(self, message: str) -> str:
        """What unknown arguments may have meant, for the end of a message; "" if nothing is."""
        words = message.removeprefix("unrecognized arguments: ").split()
        if message.startswith("unrecognized") and not any(word[0] == "-" for word in words):
            return f"; expected {self.arguments or self._positional() or 'options alone'}"
        known = [flag[2:] for flag in self._option_string_actions if flag.startswith("--")]
        for word in message.split() if message.startswith("unrecognized") else []:
            if word.startswith("--") and (close := close_to(word[2:].partition("=")[0], known)):
                return f"; did you mean --{close[0]}?"
        return ""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help with the default of every option behind it, in one form: `(default: 64)`.

    Where the help names a default itself, in this form, it is left as it is.
    """

    def _get_help_string(self, action: argparse.Action) -> str:
        text, value = action.help or "", action.default
        if action.nargs == 0 or not action.option_strings or "default: " in text:
            return text
        if value is argparse.SUPPRESS or text.endswith("required)"):
            return text
        return with_default(text, "none" if value is None or value == [] else str(value))

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def placed(action: argparse.Action) -> int:
    """Where an option stands in its group: those that every command has are the last."""
    last = (output.FLAG, "--version", "--help")
    return max((1 + last.index(o) for o in action.option_strings if o in last), default=0)


def inside(title: str) -> str:
    """A title as it stands inside a sentence.

    >>> inside("Causal tracing"), inside("CKA")
    ('causal tracing', 'CKA')
    """
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def with_default(text: str, default: str) -> str:
    """The help of an option with its default, within brackets that end it already.

    >>> with_default("folder of photographs (repeatable)", "bundled")
    'folder of photographs (repeatable; default: bundled)'
    """
    shown = default.replace("%", "%%")
    if text.endswith(")"):
        return f"{text[:-1]}; default: {shown})"
    return f"{text} (default: {shown})".lstrip()


CHOICE = re.compile(r"invalid choice: ('[^']*') \(choose from ([^()]*)\)$")
"""How a message of argparse on an unknown value ends."""

SCRIPT = "mtd "
"""How the first argument of a process begins that the console script `mtd` has started."""


def starts(module: str, words: str) -> bool:
    """Whether words begin the command of a module: `mtd NAME`, or `python -m MODULE`.

    >>> starts("analysis.cka", "mtd cka"), starts("analysis.cka", "python -m analysis.srga")
    (True, False)
    """
    name = module.partition(".")[2].replace("_", "-")
    return words == f"python -m {module}" or words.replace("_", "-") == SCRIPT + name


def called(module: str) -> str:
    """The command of a module as this process was started: `mtd NAME`, or `python -m MODULE`."""
    name = sys.argv[0] if sys.argv else ""
    return name if starts(module, name) else f"python -m {module}"


def renamed(found: re.Match[str]) -> str:
    """An example for `python -m` as one for the console script."""
    return SCRIPT + found[1].replace("_", "-")


class Unstored(argparse.Action):
    """An option that is for `mtd.utils.output`, and none of the command's own arguments."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        nothing = argparse.SUPPRESS
        super().__init__(option_strings, nothing, nargs=0, default=nothing, help=help)

    def __call__(self, *given: object, **named: object) -> None:
        """Do nothing."""


def command(module: str, arguments: Sequence[str] | None = None) -> str:
    """A command line, quoted for a shell, as `called` has it; by default that of this process."""
    given = sys.argv[1:] if arguments is None else arguments
    return shlex.join([*called(module).split(), *given])


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command and exit: 0 done, 1 failed, 2 bad input, 3 partly done, or interrupted.

    `BadInput`, `Failed`, `Partial` and errors of the file system become one line on stderr; any
    other exception is a defect of the program and keeps its traceback. Ctrl-C, SIGTERM and SIGHUP
    end it with 130, 143 and 129 (`mtd.utils.interruptions`). What it prints may be read by nobody
    (`mtd.utils.streams`). With `--json` stdout holds one object, however the command ends.
    """
    show_every_character()
    working_folder.leave_settings_unread()
    with streams.lenient() as (stdout, _):
        if output.wanted():
            output.begin()
        try:
            with interruptions.raised():
                code, error = outcome(main)
        except BaseException as defect:
            output.end(FAILED, f"a defect of the program: {type(defect).__name__}: {defect}")
            raise
        with interruptions.too_late():
            output.end(code, error)
            stdout.flush()
            if stdout.error is not None and code in (OK, PARTIAL):
                code = unread(stdout.error)
    leave(code)


def show_every_character() -> None:
    """Print what the encoding of stdout or stderr lacks as Python writes it, such as `\\u03c3`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with suppress(OSError, ValueError):  # closed
                stream.reconfigure(errors="backslashreplace")


def check_names() -> None:
    """Check that the arguments and the working folder can be written into tables and pages.

    Raises:
        BadInput: one is not UTF-8, or the working folder is gone, without which libraries fail.
    """
    for argument in sys.argv[1:]:
        input_files.check_name(argument)
    try:
        place = Path.cwd()
    except FileNotFoundError:
        raise BadInput("the working folder was removed: start the command in another") from None
    except OSError:
        return
    input_files.check_name(place)


def outcome(main: Callable[[], None]) -> tuple[int, str | None]:
    """Run a command: its exit status, and its error, which is printed as one line on stderr."""
    try:
        check_names()
        user_folders.prepare()
        with interruptions.recognized():
            main()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None), None
    except BadInput as error:
        text = of_error(temporary.named(str(error)))
        return BAD_INPUT, said("error", text) if speaks() else text
    except Failed as error:
        return FAILED, said("failed", str(error))
    except Partial as error:
        return PARTIAL, said("failed", str(error))
    except KeyboardInterrupt as error:
        return interruptions.status(), stopped(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return BAD_INPUT, said("error", of_error(f"{where}{error.strerror or error}"))
    return OK, None


def speaks() -> bool:
    """Whether this process says what is wrong with a command line.

    Of several processes all find it before they are connected; the first of each machine says it.
    Later, `mtd.utils.distributed` lets one of them alone raise the error.
    """
    torch: Any = sys.modules.get("torch")
    connected = torch is not None and torch.distributed.is_initialized()
    return connected or os.environ.get("LOCAL_RANK", "0") == "0"


def said(what: str, error: str) -> str:
    """Print why a command ended, on stderr; the reason alone."""
    say(f"{what}{': ' if error else ''}{error}")
    return error or what


def stopped(hint: str) -> str:
    """Say that the command was interrupted; of several processes, all of them are, one says so."""
    first = os.environ.get("RANK", "0") == "0"
    return said("interrupted", hint) if first else hint


def unread(error: OSError) -> int:
    """The exit status of a command whose work is done, but not all printed on stdout.

    A reader that has seen enough, as `head`, needs no message.
    """
    if error.errno not in streams.GONE:
        said("failed", f"stdout: {error.strerror}; all files are written")
    return FAILED


def leave(code: int) -> NoReturn:
    """Exit the process; one of several exits without Python's finalization.

    The threads of torch.distributed may need the interpreter while it shuts down, and then
    sometimes abort the process with another exit code.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
        temporary.remove_all()
        os._exit(code)
    sys.exit(code)


def tile(text: str) -> int | Literal["auto", "off"]:
    """An argparse type: `auto`, `off`, or the side of a tile in pixels.

    >>> tile("auto"), tile("512")
    ('auto', 512)
    """
    if text == "auto" or text == "off":
        return text  # type: ignore[return-value]
    try:
        return whole_number(1)(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected auto, off, or a number of pixels such as 512"
        ) from None


def between(text: str, highest: float, expected: str) -> float:
    """A number in (0, highest), for the types of options.

    Raises:
        ArgumentTypeError: it is none; the message ends with `expected`.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < highest:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {expected}")
    return value


def share(text: str) -> float:
    """An argparse type: a share of pixels, in (0, 1)."""
    return between(text, 1.0, "a share of pixels between 0 and 1, such as 0.8")


def seconds(text: str) -> float:
    """An argparse type: seconds above 0.

    >>> seconds("1500"), seconds("0.5")
    (1500.0, 0.5)
    """
    return between(text, math.inf, "seconds above 0, such as 1500 or 0.5")


def gibibytes(text: str) -> float:
    """An argparse type: memory in GiB, above 0."""
    return between(text, 2.0**40, "GiB above 0, such as 2 or 0.5")


LARGEST = 2**63
"""Whole numbers are below it, so that they fit into 64 bits."""


def whole_number(lowest: int) -> Callable[[str], int]:
    """An argparse type: a whole number of at least `lowest`.

    >>> whole_number(1)("3")
    3
    """

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if not lowest <= value < LARGEST:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {lowest} up")
        return value

    return convert
