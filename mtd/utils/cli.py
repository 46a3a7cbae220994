"""Command lines: exit codes, one-line errors, and the types of options."""

from __future__ import annotations

import argparse
import io
import math
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NoReturn

from mtd.utils import (
    input_files,
    interruptions,
    output,
    streams,
    temporary,
    user_folders,
    working_folder,
)
from mtd.utils.errors import BadInput, Failed, Partial
from mtd.utils.messages import say
from mtd.utils.printable import of_error

OK, FAILED, BAD_INPUT, PARTIAL = 0, 1, 2, 3


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line.

    Args:
        module: of the command, such as `mtd.denoise`.
        description: the first lines of its help.
        examples: command lines, at the end of its help.
    """

    def __init__(self, module: str, description: str, examples: str) -> None:
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        output.named(module)
        self.add_argument(
            output.FLAG,
            action=Unstored,
            help="print one JSON object on stdout: results, sentences, files, or the error",
        )

    def error(self, message: str) -> NoReturn:
        """Refuse a command line.

        Raises:
            BadInput: always.
        """
        raise BadInput(f"{message}; see {self.prog} --help")


class Unstored(argparse.Action):
    """An option that is for `mtd.utils.output`, and none of the command's own arguments."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        nothing = argparse.SUPPRESS
        super().__init__(option_strings, nothing, nargs=0, default=nothing, help=help)

    def __call__(self, *given: object, **named: object) -> None:
        """Do nothing."""


def command(module: str) -> str:
    """The command line of this process, quoted for a shell."""
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


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
        main()
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else int(left.code is not None), None
    except BadInput as error:
        return BAD_INPUT, said("error", of_error(temporary.named(str(error))))
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
