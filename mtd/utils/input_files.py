"""Files that users give: regular ones only, of limited size, with one line for what is wrong.

Reading a FIFO would wait for a writer, and a device may have no end; neither is opened for reading.
"""

from __future__ import annotations

import json as json_library
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import IO, Any

from mtd.utils import limits
from mtd.utils.errors import BadInput
from mtd.utils.limits import Limit

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

NESTING = 100
"""Lists and tables inside each other, in JSON and TOML."""

PARTS = 100
"""Parts of a key of TOML, as in `a.b.c`; the time to read one grows with their square."""

MEGABYTE = 1e6
BLOCK = 2**20

HALF = re.compile("[\ud800-\udfff]")
"""Halves of characters: Python's sign of bytes that are no UTF-8, and in JSON of damage."""

ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def opened(path: str | Path) -> IO[bytes]:
    """Open a regular file to read bytes.

    Args:
        path: of the file, or of a link to it.

    Raises:
        BadInput: there is no such file, it is something else, or it cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (OSError, ValueError) as error:
        check(path)
        raise unreadable(path, error) from None
    try:
        _check_kind(path, os.fstat(handle).st_mode)
    except BadInput:
        os.close(handle)
        raise
    return os.fdopen(handle, "rb")


def check(path: str | Path) -> None:
    """Check, before another library opens it, that a path is one of a regular file.

    Raises:
        BadInput: it is not.
    """
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    _check_kind(path, mode)


def _check_kind(path: str | Path, mode: int) -> None:
    check_name(path)
    if not stat.S_ISREG(mode):
        kind = next((kind for is_one, kind in KINDS if is_one(mode)), "something else")
        raise BadInput(f"{path} is {kind}: expected a file")


def check_name(path: str | Path) -> None:
    """Check that a name can be written into tables and pages, which are UTF-8.

    Raises:
        BadInput: it is a file's whose bytes are no UTF-8.
    """
    if HALF.search(str(path)):
        raise BadInput(f"{path}: its name is not UTF-8; rename it, or set LC_ALL=C.UTF-8")


def unreadable(path: str | Path, error: Exception) -> BadInput:
    """The error of a file that cannot be read."""
    reason = getattr(error, "strerror", None) or error
    return BadInput(f"{path}: cannot be read ({reason})")


def content(path: str | Path, limit: Limit) -> bytes:
    """The bytes of a file.

    Args:
        path: of the file.
        limit: on its size, in MB (10^6 bytes).

    Raises:
        BadInput: see `opened`; or it is larger than the limit.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        limit.check(size / MEGABYTE, str(path))
        try:
            read = file.read(size + 1)  # as many bytes as it may have are allocated before
            while more := file.read(BLOCK):  # it has grown
                read += more
                limit.check(len(read) / MEGABYTE, str(path))
        except OSError as error:
            raise unreadable(path, error) from None
    return read


def text(path: str | Path, limit: Limit) -> str:
    """The text of a file in UTF-8, without its byte order mark.

    Raises:
        BadInput: see `content`; or it is not UTF-8.
    """
    return decoded(content(path, limit), path)


def decoded(read: bytes, path: str | Path) -> str:
    """The text of bytes that were read, without its byte order mark.

    Args:
        read: the bytes.
        path: of their file, for messages.

    Raises:
        BadInput: they are not UTF-8.
    """
    try:
        return read.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 at byte {error.start}; expected a text file") from None


def json(path: str | Path) -> Any:
    """The value in a JSON file.

    Raises:
        BadInput: see `text`; or it is not JSON, is nested too deeply, or has a number with
            thousands of digits.
    """
    return parsed_json(text(path, limits.JSON), path)


def parsed_json(source: str, name: str | Path) -> Any:
    """The value of a text in JSON.

    Args:
        source: the text.
        name: of its file, for messages.

    Raises:
        BadInput: see `json`.
    """
    try:
        value = json_library.loads(source)
    except json_library.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}: {error.msg}"
        raise BadInput(f"{name}: damaged; expected JSON ({where})") from None
    except RecursionError:
        raise BadInput(f"{name}: damaged; expected JSON (nested too deeply)") from None
    except ValueError:
        raise BadInput(f"{name}: damaged; expected JSON (a number with too many digits)") from None
    if _nested_too_deeply(value):
        raise BadInput(f"{name}: damaged; expected JSON (nested too deeply)")
    if ESCAPED_HALF.search(source) and HALF.search(json_library.dumps(value, ensure_ascii=False)):
        raise BadInput(f"{name}: damaged; expected JSON (half a character, such as \\ud800)")
    return value


def toml(path: str | Path) -> dict[str, Any]:
    """The table of a TOML file.

    Raises:
        BadInput: see `text`; or it is not TOML, is nested too deeply, has a key of very many parts
            or a number with thousands of digits.
    """
    return parsed_toml(text(path, limits.TOML), path)


def parsed_toml(source: str, name: str | Path) -> dict[str, Any]:
    """The table of a text in TOML.

    Args:
        source: the text.
        name: of its file, for messages.

    Raises:
        BadInput: see `toml`.
    """
    if any(part.count(".") >= PARTS for part in re.split(r"[=,\[\]{}\n]", source)):
        raise BadInput(f"{name}: not TOML (a key of more than {PARTS} parts)")
    try:
        table = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{name}: not TOML ({error})") from None
    except RecursionError:
        raise BadInput(f"{name}: not TOML (nested too deeply)") from None
    except ValueError as error:
        reason = "a number with too many digits" if "digits" in str(error) else error
        raise BadInput(f"{name}: not TOML ({reason})") from None
    if _nested_too_deeply(table):
        raise BadInput(f"{name}: not TOML (nested too deeply)")
    return table


def _nested_too_deeply(value: Any) -> bool:
    """Whether lists and tables are inside each other so often that recursive code may fail."""
    level = [value]
    for _ in range(NESTING):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True
