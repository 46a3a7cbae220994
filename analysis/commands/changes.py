"""How a run differs from what was asked for, as its `run.json` records it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from analysis.commands.run_manifest import read_log

CHANGES = "changes"
"""Entry of `run.json`."""


@dataclass(frozen=True)
class Changes:
    """How a run differs from what was asked for.

    Attributes:
        batch_size: crops of a batch, where memory ran out; None if it did not.
        left_out: networks that failed, each with the reason.
    """

    batch_size: int | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """For `run.json`."""
        return {"batch_size": self.batch_size, "left_out": dict(self.left_out)}

    @classmethod
    def recorded(cls, folder: Path) -> Changes:
        """Those of a run folder's last start; none if it says nothing that can be used."""
        runs = read_log(folder)
        held = runs[-1].get(CHANGES) if runs and isinstance(runs[-1], dict) else None
        held = held if isinstance(held, dict) else {}
        size, out = held.get("batch_size"), held.get("left_out")
        return cls(
            size if isinstance(size, int) and size > 0 else None,
            {str(k): str(v) for k, v in out.items()} if isinstance(out, dict) else {},
        )
