"""The list of known networks and bundled checkpoints."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtd.networks.architecture import Architecture


WIDTH = 100


def known() -> dict[str, Any]:
    """Built-in architectures, those of other packages and of spandrel, bundled checkpoints, zoo."""
    import torch

    from mtd.loading import classical, zoo
    from mtd.loading.locations import BUNDLED
    from mtd.networks import profile, registry, spandrel_adapter

    def row(entry: Architecture) -> dict[str, Any]:
        with torch.device("meta"):
            count = profile.parameters(entry.build(entry.config()))
        return {"name": entry.name, "parameters": count, "about": entry.about}

    rows = [row(entry) for entry in registry.architectures().values()]
    built_in = len(registry.BUILT_IN)
    return {
        "architectures": rows[:built_in],
        "of_other_packages": rows[built_in:],
        "no_files": [
            *classical.EXPECTED.values(),
            "filter:MODEL, the fixed filter with a model's content gain",
        ],
        "bundled": sorted(path.name for path in BUNDLED.glob("*.pth")),
        "zoo": [name for name in zoo.entries() if name not in zoo.BACKBONES],
        "spandrel": sorted(spandrel_adapter.names(), key=str.lower),
    }


def listing(networks: dict[str, Any]) -> str:
    """The result of `known` as text."""
    others, spandrel = networks["of_other_packages"], networks["spandrel"]
    return "\n".join(
        [
            "architectures (parameters of the default configuration)",
            *_table(networks["architectures"]),
            "",
            "of other packages (entry points of the group mtd.models)",
            *(_table(others) or ["  none"]),
            "",
            "bundled checkpoints (give the name instead of a file)",
            f"  {', '.join(networks['bundled']) or 'none'}",
            "",
            "of the zoo (give the name; downloaded when needed, mtd zoo list says more)",
            *_paragraph(networks["zoo"]),
            "",
            "models that are no files",
            *(f"  {text}" for text in networks["no_files"]),
            "",
            "of spandrel (usable if they keep the size of an image)",
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


def weights_line(source: Mapping[str, Any]) -> str:
    """Which of several sets of weights a network has, and what was left out; empty if none was."""
    used = source.get("weights")
    if used is None:
        return ""
    kind = "averaged, " if used["averaged"] else ""
    shared = f", all but parameters from {used['buffers']}" if "buffers" in used else ""
    training = [f"{key} ({_tensors(n)})" for key, n in used.get("of_training", {}).items()]
    training = [f"left out, of training: {_first(training)}"] if training else []
    values = used.get("beside", [])
    values = [f"left out, no weights: {_first(values)}"] if values else []
    return "; ".join([f"{kind}{used['key']}{shared}", *training, *values])


def sets_line(source: Mapping[str, Any]) -> str:
    """All sets of weights of a file with their numbers of tensors; empty if it holds one."""
    used = source.get("weights", {})
    training = used.get("of_training", {})
    sets = used.get("sets", {})
    sets = sets | {key: count for key, count in training.items() if key not in sets}
    return ", ".join(
        f"{key} ({_tensors(count)}{', of training' if key in training else ''})"
        for key, count in sets.items()
    )


def _tensors(count: int) -> str:
    return f"{count} tensor{'s' * (count != 1)}"


def _first(texts: Sequence[str], most: int = 3) -> str:
    return ", ".join([*texts[:most], *(["…"] if len(texts) > most else [])])
