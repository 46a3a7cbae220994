"""What a checkpoint records of its training: facts of known types; all else is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtd.utils.errors import BadInput
from mtd.utils.typed_values import typed

FACTS: dict[str, Any] = {
    **dict.fromkeys(("version", "torch", "command", "noise", "precision", "noise_stream"), ""),
    **dict.fromkeys(("steps", "batch_size", "crop", "seed", "images", "accumulate"), 0),
    "ema": 0.0,
    "data": ("",),
    "out_of_memory_at": (0,),
}
"""Values of the types that `mtd.training` records, by name."""


def training(values: Any) -> tuple[dict[str, Any], list[str]]:
    """The facts about a training, and the names of those that were left out.

    Facts of other names are kept if they are a single text or number. Text that is no Unicode, such
    as half of a surrogate pair, is shown escaped.

    >>> training({"steps": 100, "noise": ["x"], "seed": -1, "by": "hand"})
    ({'steps': 100, 'by': 'hand'}, ['noise', 'seed'])
    >>> training(3)
    ({}, ['training'])
    """
    if not isinstance(values, Mapping):
        return {}, ["training"] if values else []
    kept, left_out = dict[str, Any](), list[str]()
    for name, value in values.items():
        try:
            kept[_text(name)] = _fact(name, value)
        except BadInput:
            left_out.append(_text(name))
    return kept, left_out


def _fact(name: str, value: Any) -> Any:
    """One fact of the type that it should have.

    Raises:
        BadInput: it has another one.
    """
    if name not in FACTS and not isinstance(value, str | int | float):
        raise BadInput("neither text nor a number")
    fact = typed(value, FACTS.get(name, value), name)
    items = fact if isinstance(fact, tuple) else (fact,)
    if name in FACTS and any(isinstance(item, int | float) and item < 0 for item in items):
        raise BadInput("below 0")
    texts = [_text(item) if isinstance(item, str) else item for item in items]
    return texts if isinstance(fact, tuple) else texts[0]


def _text(text: str) -> str:
    """Text that can be written in UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()
