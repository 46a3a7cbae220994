"""What is known about a network or a file, in words and as a table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtd.networks.architecture import Architecture


WIDTH = 100


def known() -> dict[str, Any]:
    """All networks that are known: ours, other packages', spandrel's; and bundled checkpoints."""
    import torch

    from mtd.loading.checkpoint_file import BUNDLED
    from mtd.networks import profile as networks_profile
    from mtd.networks import registry, spandrel_adapter

    def row(entry: Architecture) -> dict[str, Any]:
        with torch.device("meta"):
            count = networks_profile.parameters(entry.build(entry.config()))
        return {"name": entry.name, "parameters": count, "about": entry.about}

    rows = [row(entry) for entry in registry.architectures().values()]
    ours = len(registry.BUILT_IN)
    return {
        "architectures": rows[:ours],
        "of_other_packages": rows[ours:],
        "bundled": sorted(path.name for path in BUNDLED.glob("*.pth")),
        "spandrel": sorted(spandrel_adapter.names(), key=str.lower),
    }


def listing(found: dict[str, Any]) -> str:
    """What `known` gives, as text."""
    others, spandrel = found["of_other_packages"], found["spandrel"]
    return "\n".join(
        [
            "architectures (parameters of the default configuration)",
            *_table(found["architectures"]),
            "",
            "of other packages (entry points of the group mtd.models)",
            *(_table(others) or ["  none"]),
            "",
            "bundled checkpoints (give the name for the file)",
            f"  {', '.join(found['bundled']) or 'none'}",
            "",
            "by spandrel (those that keep the size of an image can be used)",
            *(_paragraph(spandrel) if spandrel else ["  not installed: pip install spandrel"]),
        ]
    )


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    names = max((len(row["name"]) for row in rows), default=0)
    counts = max((len(f"{row['parameters']:,}") for row in rows), default=0)
    return [
        f"  {row['name']:<{names}}  {row['parameters']:>{counts},}  {row['about']}" for row in rows
    ]


def _paragraph(words: Iterable[str]) -> list[str]:
    text = ", ".join(words)
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")
