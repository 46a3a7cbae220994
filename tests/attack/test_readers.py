"""Damaged and hostile files are refused in one line or read, by every reader.

`python -m pytest -m attack tests/attack` runs 10,000 inputs of each; see README.md.
"""

from __future__ import annotations

import pytest

from tests.attack import readers
from tests.attack.forked_children import outcomes
from tests.attack.outcomes import Counts
from tests.attack.reader import Reader
from tests.attack.readers import READERS

SHORT, WHOLE = 200, 10_000

NAMES = [reader.name for reader in READERS]


def attack(reader: Reader, count: int) -> None:
    counts = Counts.of(outcomes(reader, readers.__name__, 0, count))
    assert not counts.defects, "\n".join(counts.lines(reader.name, 0)[:20])
    assert counts.refused + counts.accepted == count


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("reader", READERS, ids=NAMES)
def test_a_short_attack(reader: Reader) -> None:
    attack(reader, SHORT)


@pytest.mark.attack
@pytest.mark.parametrize("reader", READERS, ids=NAMES)
def test_the_whole_attack(reader: Reader) -> None:
    attack(reader, WHOLE)
