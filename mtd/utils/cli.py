"""Command lines: exit codes, one-line errors, and the types of options."""

from __future__ import annotations

import argparse
import math
import os
import shlex
import sys
from collections.abc import Callable
from typing import Literal, NoReturn

from mtd.utils import temporary
from mtd.utils.errors import BadInput, Failed, Partial

OK, FAILED, BAD_INPUT, PARTIAL, INTERRUPTED = 0, 1, 2, 3, 130


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

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr and exit with status 2."""
        self.exit(BAD_INPUT, f"error: {message}; see {self.prog} --help\n")


def command(module: str) -> str:
    """The command line of this process, quoted for a shell."""
    return shlex.join(["python", "-m", module, *sys.argv[1:]])


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command and exit: 0 done, 1 failed, 2 bad input, 3 partly done, 130 interrupted.

    `BadInput`, `Failed`, `Partial` and errors of the file system become one line on stderr; any
    other exception is a defect of the program and keeps its traceback.
    """
    try:
        main()
        sys.stdout.flush()
    except SystemExit as left:
        leave(left.code if isinstance(left.code, int) else int(left.code is not None))
    except BadInput as error:
        print(f"error: {temporary.named(str(error))}", file=sys.stderr)
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
    """Exit the process; one of several exits without Python's finalization.

    The threads of torch.distributed may need the interpreter while it shuts down, and then
    sometimes abort the process with another exit code.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        sys.stdout.flush()
        sys.stderr.flush()
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
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from {lowest} up")
        return value

    return convert
