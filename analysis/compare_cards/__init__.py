"""Cards of several models beside one another: scores, and paired differences of single images.

`compare` is the function; `python -m analysis.compare_cards` is the command.
"""

from typing import TYPE_CHECKING

from mtd.utils.lazy import lazy_exports

if TYPE_CHECKING:
    from analysis.compare_cards.command import compare
    from analysis.compare_cards.comparison import Comparison

__all__ = ["Comparison", "compare"]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Comparison": "analysis.compare_cards.comparison",
        "compare": "analysis.compare_cards.command",
    },
)
