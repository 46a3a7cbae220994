"""Cards: the benchmark of a model in forms that other tools and people read.

`make` writes them; `python -m analysis.card` is the command. `analysis.compare_cards` compares
them.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.card.command import make

__all__ = ["make"]

__getattr__, __dir__ = lazy_exports(__name__, {"make": "analysis.card.command"})
