"""The attack finds a planted defect of each kind, and makes the same inputs again."""

from __future__ import annotations

import random
import sys
import time
from dataclasses import replace

import pytest
import torch

from tests.attack import (
    checkpoint_readers,
    folder_readers,
    image_readers,
    readers,
    text_mutations,
    text_readers,
    toy_readers,
)
from tests.attack.forked_children import Limits, outcomes
from tests.attack.outcomes import DEFECTS, Counts, of_message
from tests.attack.reader import input_of
from tests.attack.toy_readers import PLANTED, READERS

LIMITS = Limits(seconds=10, waiting=120, memory=64 * 2**20, disk=8 * 2**20)
"""Of time more than anything takes on a busy machine."""

QUICK = {"endless": replace(LIMITS, seconds=0.2), "waiting": replace(LIMITS, waiting=0.5)}
"""Of those readers whose defect takes as long as its limit."""

TOYS = {reader.name: reader for reader in READERS}

BY_DEFAULT = {"traceback", "two lines", "printed", "memory", "code", "read outside"}
"""Readers of the default tests, one of most kinds of defect."""


ENDING = {"endless", "waiting", "crash"}
"""Readers that end their process, which then begins anew."""


def counts(name: str, count: int = 12, limits: Limits = LIMITS) -> Counts:
    return Counts.of(outcomes(TOYS[name], toy_readers.__name__, 0, count, limits=limits))


@pytest.mark.parametrize(
    "name",
    [
        name if name in BY_DEFAULT else pytest.param(name, marks=pytest.mark.attack)
        for name in PLANTED
    ],
)
def test_a_planted_defect_is_found(name: str) -> None:
    """And named, with the number of its input; the other inputs are counted on."""
    found = counts(name, 5 if name in ENDING else 12, QUICK.get(name, LIMITS))
    kind, _ = PLANTED[name]
    assert {one.kind for one in found.defects} == {kind}
    assert found.accepted == 1 and found.refused + len(found.defects) in (4, 11) and found.refused
    assert (
        f"tests.attack {name} --seed 0 --input {found.defects[0].number}" in found.lines(name, 0)[0]
    )


def test_every_kind_is_planted() -> None:
    assert {kind for kind, _ in PLANTED.values()} | {"seed"} == set(DEFECTS)


def test_a_reader_without_defect() -> None:
    found = counts("without defect")
    assert not found.defects and found.accepted + found.refused == 12 and found.refused


def test_a_sound_file_that_is_refused() -> None:
    """Else a reader that reads nothing would pass."""
    assert [one.kind for one in counts("broken seed").defects] == ["seed"]


def test_inputs_are_made_again() -> None:
    reader = TOYS["without defect"]
    made = [input_of(reader, reader.seeds(), 0, number) for number in range(50)]
    assert made == [input_of(reader, reader.seeds(), 0, number) for number in range(50)]
    assert len({one["x"] for one in made}) > 20
    assert made != [input_of(reader, reader.seeds(), 1, number) for number in range(50)]


def test_sound_files_are_the_same_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an input cannot be made again: no time, random weights or order is in them."""
    made = []
    for number in (1, 2, 3):
        for module in (checkpoint_readers, image_readers, text_readers, folder_readers):
            for one in vars(module).values():
                if hasattr(one, "cache_clear"):
                    one.cache_clear()
        monkeypatch.delitem(sys.modules, "tests.helpers.pickles", raising=False)  # has weights
        monkeypatch.setattr(time, "time", lambda now=1e9 * number: now)
        monkeypatch.setattr(time, "asctime", lambda now=number: str(now))
        torch.manual_seed(number)
        made.append({reader.name: reader.seeds() for reader in readers.READERS})
    assert {name for name in made[0] for one in made if one[name] != made[0][name]} == set()


@pytest.mark.parametrize("text", ["", " ", "a\nb"])
def test_messages_that_are_no_line(text: str) -> None:
    assert of_message(text) and not of_message("photo.png: damaged (é); expected PNG")


def test_inputs_do_not_depend_on_those_that_were_made_before() -> None:
    """Values that are put into a text are copies, which later changes do not change."""
    before = repr(text_mutations.VALUES)
    for number in range(100):
        text_mutations.json_values(b'{"a": [1, {"b": [2]}], "c": {}}', random.Random(number))
    assert repr(text_mutations.VALUES) == before
