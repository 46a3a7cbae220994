"""Cards of several models beside one another, as a command and as a Python function."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mtd.utils import cli, messages, near_paths, output
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.compare_cards.comparison import Comparison

EXAMPLES = """\
  python -m analysis.compare_cards card                     # the cards of one run
  python -m analysis.compare_cards mine/card theirs/card
  python -m analysis.compare_cards mine/card theirs/result.json --json
"""


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "analysis.compare_cards",
        "Compare cards of one suite and protocol: their scores, and, where they hold the values of "
        "the same images, paired differences with intervals over photographs.",
        EXAMPLES,
    )
    p.group("models").add_argument(
        "cards",
        nargs="+",
        metavar="CARD",
        help="folder of mtd card, a folder of several, or a record of Every Eval Ever",
    )
    p.add_quiet()
    return p


def compare(*cards: str | Path) -> Comparison:
    """Compare the cards of models.

    Args:
        cards: folders of `analysis.card.make`, folders of several, or records of Every Eval Ever.

    Returns:
        Data frames `scores` and `differences`; `sentences()`, `text()`; `warnings`.

    Raises:
        BadInput: no card, a card that was changed, or cards of different suites, versions or
            protocols; the message names the first difference.
    """
    from analysis.compare_cards import comparison
    from analysis.compare_cards.cards import read_all

    return comparison.of(read_all(cards))


def main() -> None:
    """The command.

    Raises:
        BadInput: see `compare`.
    """
    args = parser().parse_args()
    for card in args.cards:  # before pandas is imported
        if not os.path.lexists(card):
            absent = near_paths.absent(Path(card), "card")
            raise BadInput(f"{absent}; expected a folder with result.json")
    found = compare(*args.cards)
    for warning in found.warnings:
        messages.note(f"warning: {warning}", quiet=args.quiet)
    frames = {"scores": found.scores, "differences": found.differences}
    output.show(
        found.text(),
        results={
            name: {"file": None, "rows": len(frame), "records": frame.to_dict("records")}
            for name, frame in frames.items()
        },
        sentences=found.sentences(),
    )
