"""Text from outside as a terminal, a page or a figure can show it.

A name in a file may hold characters that erase a line, color it, or change the order in which it is
read. They are shown as Python writes them, so that a name looks like no other one.
"""

from __future__ import annotations

import re

UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and line feed
    "\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # formatting
    "\ud800-\udfff"  # bytes of a file name that are no UTF-8, and halves of characters
    "\U000e0000-\U000e007f]"  # invisible letters
)

LINES = re.compile(r"[\t\n]")

LONGEST, LONGEST_ERROR = 200, 2000
"""Characters of a name and of an error that are shown."""


def printable(text: str) -> str:
    r"""A text with the characters escaped that are no text.

    >>> print(printable("a\x1b[2Jb\u202ec"))
    a\x1b[2Jb\u202ec
    """
    return UNSAFE.sub(_escaped, text)


def one_line(text: str) -> str:
    r"""A text in one line; see `printable`.

    >>> print(one_line("a\nb"))
    a\nb
    """
    return LINES.sub(_escaped, printable(text))


def shortened(text: str, longest: int = LONGEST) -> str:
    """A name in one line of limited length, its middle left out if it is longer.

    >>> len(shortened("a" * 500))
    200
    """
    line = one_line(text)
    if len(line) <= longest:
        return line
    return f"{line[: longest // 2]}…{line[-(longest - longest // 2 - 1) :]}"


def of_error(error: object) -> str:
    """An error in one line of limited length, whatever it quotes from a file."""
    return shortened(str(error), LONGEST_ERROR)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
