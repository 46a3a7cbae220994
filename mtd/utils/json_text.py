"""JSON of files that a run leaves: valid for every reader, whatever numbers it holds."""

from __future__ import annotations

import json
from typing import Any

from mtd.utils.output import plain


def json_text(value: Any) -> str:
    """A value as indented JSON with a line end; see `mtd.utils.output.plain` for its numbers.

    >>> print(json_text({"best": float("inf"), "loss": float("nan")}), end="")
    {
      "best": "inf",
      "loss": null
    }
    """
    return json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
