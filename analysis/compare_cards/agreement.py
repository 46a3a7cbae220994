"""Whether cards can be compared: one suite, one version, one protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.compare_cards.cards import Card
from mtd.utils.errors import BadInput

NOT_STATED = "not stated"


def check(cards: Sequence[Card]) -> None:
    """Check that cards can be compared.

    Raises:
        BadInput: the first entry in which one differs from the first card, and both values.
    """
    first = cards[0]
    for card in cards[1:]:
        for name, here, there in entries(first, card):
            if name == "noises":  # each is drawn by itself, so their order does not matter
                here, there = only(here, there), only(there, here)
            if here != there:
                raise BadInput(
                    f"{name}: {here} in {first.path.parent}, {there} in {card.path.parent}; only "
                    "cards of one protocol can be compared"
                )


def entries(first: Card, card: Card) -> Iterator[tuple[str, str, str]]:
    """What has to agree, with both values: suite, version, then the protocol."""
    yield "suite", first.suite, card.suite
    yield "version of the suite", first.version or NOT_STATED, card.version or NOT_STATED
    for name in dict.fromkeys([*first.protocol, *card.protocol]):
        here, there = (one.protocol.get(name, NOT_STATED) for one in (first, card))
        yield name, here, there


def only(noises: str, others: str) -> str:
    """The first noise of a list that another one does not have; of equal ones the same text.

    >>> only("gaussian:15, isp", "gaussian:15")
    'also isp'
    >>> only("gaussian:15", "gaussian:15, isp")
    'no others'
    """
    if NOT_STATED in (noises, others):
        return noises
    rest = [noise for noise in noises.split(", ") if noise not in others.split(", ")]
    return f"also {rest[0]}" if rest else "no others"


def warnings(cards: Sequence[Card]) -> list[str]:
    """What makes a comparison weaker: other images or metrics, or a protocol that is not stated."""
    first, text = cards[0], []
    for card in cards[1:]:
        if not (first.images and card.images):
            text.append(f"{card.name}: whether its images are those of {first.name} is not stated")
        elif first.images != card.images:
            text.append(
                f"images differ: those of {card.name} are not those of {first.name}, so that "
                "differences of means are of images, too"
            )
        for metric in [name for name in first.parameters if name in card.parameters]:
            here, there = first.parameters[metric], card.parameters[metric]
            names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
            text += [
                f"{metric}: {name} {here.get(name, NOT_STATED)} in {first.name}, "
                f"{there.get(name, NOT_STATED)} in {card.name}, which may change its values"
                for name in names
            ]
    if not first.protocol:
        text.append("no card states its protocol: numbers may differ by it alone")
    return text
