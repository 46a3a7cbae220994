"""A flipped bit in the folder of a training is refused or healed, never believed."""

from __future__ import annotations

import json

import pytest
import torch

from mtd.training import run as training_run
from mtd.training import state as training_state
from mtd.training.logs import Log
from mtd.utils import digests
from mtd.utils.errors import BadInput
from tests.helpers.training import make

STATE = {"step": 3, "average": [torch.ones(2)], "data": "x", "tables": {"log.csv": "step\n"}}


def flips(content: bytes, every: int = 1) -> list[bytes]:
    """A file with one bit changed at every place, or every few."""
    found = []
    for at in range(0, len(content), every):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        found.append(bytes(changed))
    return found


def test_no_bit_of_a_state_is_believed(tmp_path):
    """What is restored is what was saved, or nothing; a bit of the seal changes no number."""
    training_state.save(tmp_path, STATE)
    path = tmp_path / training_state.STATE
    whole = path.read_bytes()
    assert digests.unsealed(whole) is not None
    body = len(whole) - len(digests.SEAL) - 64
    for at, content in enumerate(flips(whole)):
        path.write_bytes(content)
        try:
            state, _ = training_state.load(tmp_path, lambda held: held)
        except BadInput as error:
            said = str(error)
            assert "damaged" in said and "\n" not in said
        else:
            assert body <= at < body + len(digests.SEAL)  # of an earlier version, by its look
            assert state["step"] == 3 and torch.equal(state["average"][0], torch.ones(2))


def test_no_bit_of_a_recipe_is_believed(photos, tmp_path):
    """A recipe is never used: the one of the command line is, if it is the same."""
    plan = make(photos)
    training_run.prepare(plan, tmp_path, resume=False)
    training_state.save(tmp_path, STATE)
    path = tmp_path / training_run.RECIPE
    whole, places = path.read_bytes(), plan.to_dict()["data"]["folders"]
    for content in flips(whole):
        path.write_bytes(content)
        try:
            training_run.prepare(plan, tmp_path, resume=True)
        except BadInput as error:
            assert "\n" not in str(error)  # noqa: PT017
            continue
        held = json.loads(content)  # spaces, and the places of photographs, which may change
        held["data"]["folders"] = places
        assert held == plan.to_dict()


@pytest.mark.parametrize("name", ["log.csv", "slices.csv", "validation.csv"])
def test_tables_are_written_anew_from_the_state(tmp_path, name):
    """Whatever has become of them."""
    columns = ("step_to", "seconds")
    log = Log(tmp_path)
    log.start(0, validates=True, slices=columns)
    log.loss(2, 0.5, 1e-3, 9.0)
    log.validated(2, {"gaussian:15": 30.0})
    log.slices.add({"step_to": 2, "seconds": "3.0"})
    texts = log.texts()
    log.loss(4, 0.4, 1e-3, 9.0)
    log.close()
    path = tmp_path / name
    for content in [*flips(texts[name].encode()), b"", b"\xff\x00" * 99]:
        path.write_bytes(content)
        again = Log(tmp_path)
        for table in (again.losses, again.validation, again.slices):
            table.columns = columns if table is again.slices else table.columns
            table.start(2, texts[table.path.name])
        assert path.read_text() == texts[name]
    path.unlink()
    again.slices.start(2, texts["slices.csv"])
    again.losses.start(2, texts["log.csv"])
    again.validation.start(2, texts["validation.csv"])
    assert path.read_text() == texts[name]


def test_a_resumed_run_has_the_tables_of_one_that_was_not_interrupted(photos, tmp_path):
    plan = make(photos)
    training_run.train(plan, tmp_path, quiet=True)
    names = ("log.csv", "slices.csv")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    for name in names:
        path = tmp_path / name
        path.write_bytes(path.read_bytes().replace(b"0", b"1"))
    training_run.train(plan, tmp_path, quiet=True, resume=True)
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
