"""One training at a time writes into a folder, and only into this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtd.training import run as training_run
from mtd.training.config import Recipe
from mtd.utils import locks
from mtd.utils.errors import BadInput
from tests.helpers.training import make


@pytest.fixture
def plan(photos: Path) -> Recipe:
    return make(photos, "run.steps=2", "run.save_every=1")


def test_a_second_training_is_refused_while_the_first_one_runs(plan, tmp_path):
    folder = tmp_path / "run"
    with (
        locks.alone(folder, "trains into"),
        pytest.raises(BadInput, match="run: another process trains into it; wait for its end"),
    ):
        training_run.train(plan, folder, quiet=True, resume=True)
    assert not list(folder.iterdir())
    training_run.train(plan, folder, quiet=True)
    training_run.train(plan, folder, quiet=True, resume=True)


@pytest.mark.parametrize("name", ["events", "validation", "log.csv", "recipe.json"])
def test_nothing_is_written_where_a_link_leads(plan, tmp_path, name):
    training_run.train(plan, folder := tmp_path / "run", quiet=True)
    (tmp_path / "else").mkdir()
    if (folder / name).exists():
        (folder / name).rename(tmp_path / "else" / "own")
    (folder / name).symlink_to(tmp_path / "else")
    before = sorted(tmp_path.rglob("else/*"))
    with pytest.raises(BadInput, match=rf"{name} is a link"):
        training_run.train(plan, folder, quiet=True, resume=True)
    assert sorted(tmp_path.rglob("else/*")) == before
