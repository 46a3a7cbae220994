"""Texts in CSV files, such that no spreadsheet runs them.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, whatever quotes are
around it. Such a text is written with an apostrophe before it, and so is one with apostrophes
before such a character, so that taking one away gives every text back. Numbers, also signed ones
with an interval, stay as they are.
"""

from __future__ import annotations

import re

FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that is quoted; wide forms of the characters count as well."""

NUMBER = r"[+-]?(?:(?:\d++\.?\d*+|\.\d++)(?:[eE][+-]?\d++)?|inf|nan)"
VALUE = re.compile(rf"{NUMBER}(?: \[{NUMBER}, {NUMBER}\])?", re.ASCII)


def quoted(text: str) -> str:
    """A text as it is written into a cell.

    >>> quoted("baseline"), quoted("=1+1"), quoted("'=1+1"), quoted("-1.5"), quoted("+1 [-0.5, +2]")
    ('baseline', "'=1+1", "''=1+1", '-1.5', '+1 [-0.5, +2]')
    """
    return f"'{text}" if FORMULA.match(text) and not VALUE.fullmatch(text) else text


def unquoted(cell: str) -> str:
    """The text that a cell holds.

    >>> unquoted("'=1+1"), unquoted("''=1+1"), unquoted("'a'"), unquoted("-1.5")
    ('=1+1', "'=1+1", "'a'", '-1.5')
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
