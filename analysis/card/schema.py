"""Validation of records of Every Eval Ever against a copy of its schema.

The copy is that of `every-eval-ever` 0.3.0 (MIT licence, beside it); the package itself needs
Python 3.12. `tests/analysis/card` compares the copy with the package's where it is installed.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from mtd.utils.errors import BadInput
from mtd.utils.printable import one_line, shortened

VERSION = "0.3.0"
"""Of the schema."""

SCHEMA = Path(__file__).parent / "every_eval_ever" / "eval.schema.json"

SHA256 = "c9c6195aec8a9dfa0b2aba4924ac1aa8a184c9d8ca97cee778cb531088e39b48"
"""Of the schema's file."""


def check(record: Any, name: str | Path) -> None:
    """Check that a record is valid.

    Args:
        record: as read from JSON.
        name: of its file, for the message.

    Raises:
        BadInput: it is not valid; the message names the first entry that is wrong.
    """
    errors = sorted(validator().iter_errors(record), key=lambda error: list(map(str, error.path)))
    if errors:
        place = shortened("/".join(map(str, errors[0].absolute_path))) or "the record"
        what = one_line(errors[0].message[:200])
        raise BadInput(f"{name}: not valid by Every Eval Ever {VERSION}: {place}: {what}")


@cache
def validator() -> Any:
    """Of records."""
    from jsonschema import Draft7Validator

    return Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
