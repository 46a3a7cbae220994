"""What commands print with `--json`."""

from __future__ import annotations

import json
from typing import Any

KEYS = [
    *("schema", "command", "arguments", "version", "status", "exit_code", "error"),
    *("run", "results", "sentences", "messages", "files"),
]


def strict(out: str) -> dict[str, Any]:
    """The object of one line of strictly valid JSON, with the keys that every command gives.

    Args:
        out: all of stdout.
    """

    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    assert out.endswith("\n") and out.count("\n") == 1, out
    found = json.loads(out, parse_constant=refuse)
    assert list(found) == KEYS and found["schema"] == "mtd-output/1"
    assert isinstance(found["results"], dict)
    for name in ("arguments", "sentences", "messages", "files"):
        assert all(isinstance(text, str) for text in found[name]), name
    return dict(found)
