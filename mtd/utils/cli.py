"""What every command shares: exit codes, one-line errors, and the text of its version."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from typing import Any, Literal, NoReturn

from mtd.utils.errors import BadInput, Failed, Partial

OK, FAILED, BAD_INPUT, PARTIAL, INTERRUPTED = 0, 1, 2, 3, 130


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line: what was wrong, and where to read on."""

    def __init__(self, module: str, description: str, examples: str) -> None:
        super().__init__(
            prog=f"python -m {module}",
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"error: {message}; see {self.prog} --help\n")


def accept_spelling(parser: Any, action: argparse.Action, *spellings: str) -> None:
    """Let a parser, or a group of its options, understand other spellings of an option.

    Help and messages show the option's own spelling only.

    >>> parser = argparse.ArgumentParser()
    >>> accept_spelling(parser, parser.add_argument("--centering"), "--centring")
    >>> parser.parse_args(["--centring", "none"]).centering, "centring" in parser.format_help()
    ('none', False)
    """
    for spelling in spellings:
        parser._option_string_actions[spelling] = action  # argparse shows what is in the action


def command(module: str) -> str:
    """This process's command line, as one would type it."""
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command and leave with its exit code.

    0 done, 1 failed, 2 bad input, 3 done but for some units that are listed, 130 interrupted.

    `BadInput`, and what the file system refuses, become one line on stderr. Anything else is a
    defect of ours: it keeps its traceback, and Python's exit code 1.
    """
    try:
        main()
        sys.stdout.flush()
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else int(left.code is not None))
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        leave(BAD_INPUT)
    except Failed as error:
        print(f"failed: {error}", file=sys.stderr)
        leave(FAILED)
    except Partial as error:
        print(f"failed: {error}", file=sys.stderr)
        leave(PARTIAL)
    except KeyboardInterrupt as error:
        print(f"interrupted{': ' if str(error) else ''}{error}", file=sys.stderr)
        leave(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        leave(FAILED)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        leave(BAD_INPUT)
    leave(OK)


def leave(code: int) -> NoReturn:
    """End the process; one of several at once, without Python's own ending.

    Threads of the connection between processes may want the interpreter while it ends, and then
    abort the process now and then, whatever its exit code was to be.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def tile(text: str) -> int | Literal["auto", "off"]:
    """An argparse type: `auto`, `off`, or the side of a tile in pixels."""
    if text == "auto" or text == "off":
        return text  # type: ignore[return-value]
    try:
        return whole_number(1)(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected auto, off, or a number of pixels such as 512"
        ) from None


def between(text: str, highest: float, expected: str) -> float:
    """A number above 0 and below `highest`."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < highest:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {expected}")
    return value


def share(text: str) -> float:
    """An argparse type: a share of pixels."""
    return between(text, 1.0, "a share of pixels between 0 and 1, such as 0.8")


def gibibytes(text: str) -> float:
    """An argparse type: GiB of memory."""
    return between(text, 2.0**40, "GiB above 0, such as 2 or 0.5")


def whole_number(lowest: int) -> Callable[[str], int]:
    """An argparse type: a whole number, at least `lowest`."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = lowest - 1
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {lowest} up")
        return value

    return convert
