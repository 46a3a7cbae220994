"""Sweeps: cells of a file, by number and by name, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mtd import train
from mtd.training import config as training_config
from mtd.training import sweep
from mtd.utils.errors import BadInput
from tests.helpers.json_output import strict
from tests.helpers.training import SMALL

CELLS = """
base = "small.toml"

[[cell]]
name = "plain"
baseline = true

[grid]
"mask.attention_percent" = [50, 75]
"run.seed" = [0, 1]
"""


def test_cells_are_those_named_and_every_combination(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text(CELLS)
    found = sweep.load(str(path))
    assert [cell.name for cell in found.cells] == [
        "plain",
        *(f"attention_percent={p},seed={s}" for p in (50, 75) for s in (0, 1)),
    ]
    made = [cell.recipe(found.base, ["run.steps=7"], ["photos"]) for cell in found.cells]
    assert not made[0].mask.masks_input and made[0].run.steps == 7
    assert [(m.mask.attention_percent, m.run.seed) for m in made[1:]] == [
        *((50, 0), (50, 1), (75, 0), (75, 1))
    ]
    assert sweep.choose(found, "3") is sweep.choose(found, "attention_percent=75,seed=0")
    with pytest.raises(BadInput, match="--cell 9: expected 0 to 4"):
        sweep.choose(found, "9")


@pytest.mark.parametrize("path", sorted(sweep.SWEEPS.glob("*.toml")), ids=lambda p: p.stem)
def test_bundled_sweeps_can_be_trained_and_are_of_the_papers_recipe(path):
    found = sweep.load(path.name)
    made = {cell.name: cell.recipe(found.base, [], ["photos"]) for cell in found.cells}
    assert all(one.run == training_config.load("paper.toml").run for one in made.values())
    masks = {(m.mask.input_percent, m.mask.attention_percent) for m in made.values()}
    assert len(masks) == len(made)


@pytest.mark.parametrize(
    "name, masks",
    [
        ("table1", [((0, 0), 75), ((80, 90), 0), ((80, 90), 75)]),
        ("table2", [((80, 90), ratio) for ratio in (65, 75, 85)]),
        (
            "table3a",
            [
                *(((r, r), 75) for r in (75, 85, 95)),
                *((r, 75) for r in ((70, 80), (75, 85), (75, 90), (75, 95), (80, 90))),
            ],
        ),
    ],
)
def test_the_masks_are_those_of_the_papers_tables(name, masks):
    found = sweep.load(f"{name}.toml")
    made = [cell.recipe(found.base, [], ["photos"]).mask for cell in found.cells]
    assert {(tuple(m.input_percent), m.attention_percent) for m in made} == set(masks)
    assert len(made) == len(masks)


@pytest.mark.parametrize(
    "text, message",
    [
        ("[grid]\n'mask.attention_percent' = [1]", "expected base"),
        ("base = 'small.toml'\n[grid]", "no cell in it"),
        ("base = 'small.toml'\n[grid]\n'mask.attention_percent' = 5", "expected a list of values"),
        ("base = 'small.toml'\n[grid]\n'mas.attention_percent' = [5]", "did you mean mask"),
        ("base = 'small.toml'\ngrids = 1\n[grid]", "did you mean grid"),
        ("base = 'small.toml'\ngrid = 3", "expected a table, headed by"),
        ("base = 'small.toml'\ncell = 3", "each headed by"),
        ("base = 'small.toml'\ncell = ['a']", "each headed by"),
        ("base = 'small.toml'\n[cell]\nname = 'a'", "each headed by"),
        ("base = 'small.toml'\n[[cell]]\nname = '../a'", "as the name of"),
        ("base = 'small.toml'\n[[cell]]\nname = '/tmp/a'", "as the name of"),
        ("base = 'small.toml'\n[[cell]]\nname = ''", "as the name of"),
        ("base = 'small.toml'\n[[cell]]\nbaseline = 'no'", "expected true or false"),
        ("base = 'small.toml'\n[grid]\n'run.seed' = [2024-01-01]", "expected a value of a recipe"),
        (
            "base = 'small.toml'\n[[cell]]\nname = 'a'\n[[cell]]\nname = 'a'",
            "two cells are named a",
        ),
    ],
)
def test_what_is_no_sweep(tmp_path, text, message):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        sweep.load(str(path))


def test_cells_are_checked_before_any_is_begun_and_trained_in_turn(
    photos,
    tmp_path,
    monkeypatch,
    in_process,
):
    monkeypatch.chdir(tmp_path)
    Path("a.toml").write_text(CELLS.replace("[0, 1]", "[3]"))
    given = ["a.toml", "--data", "photos", *(x for c in SMALL for x in ("--set", c))]
    code, out, _ = in_process(train.main, *given, "--list")
    assert code == 0 and out.splitlines()[0] == "0\truns/train-a/plain"
    assert len(out.splitlines()) == 3 and not Path("runs").exists()
    code, _, err = in_process(train.main, *given, "--set", "mask.attention_percent=101")
    assert code == 2 and "cell" in err and not Path("runs").exists()
    code, out, err = in_process(train.main, *given)
    assert code == 0 and out.count("model.pth") == 3, err
    assert "cell 2 of 3: attention_percent=50,seed=3" in err
    one = Path("runs/train-a/attention_percent=75,seed=3/log.csv")
    before = pd.read_csv(one)
    code, out, _ = in_process(train.main, *given, "--cell", "2", "--output-dir", "b", "--quiet")
    assert code == 0 and pd.read_csv("b" / one.relative_to("runs/train-a")).loss.equals(before.loss)
    code, out, _ = in_process(train.main, *given, "--cell", "2", "--list")
    assert code == 0 and out == "2\truns/train-a/attention_percent=75,seed=3\n"
    found = strict(in_process(train.main, *given, "--cell", "2", "--list", "--json")[1])
    cell = {"number": 2, "folder": "runs/train-a/attention_percent=75,seed=3"}
    assert found["results"] == {"cells": [cell]}
    code, _, err = in_process(train.main, *given, "--cell", "")
    assert code == 2 and "--cell : expected 0 to 2" in err
    code, _, err = in_process(train.main, "small.toml", "--list")
    assert code == 2 and "are for sweeps" in err


def test_after_a_cell_that_fails_the_others_are_trained(
    photos,
    tmp_path,
    monkeypatch,
    in_process,
):
    monkeypatch.chdir(tmp_path)
    Path("a.toml").write_text("base = 'small.toml'\n[grid]\n'data.crop' = [999, 16]")
    small = [change for change in SMALL if not change.startswith("data.crop")]
    given = ["a.toml", "--data", "photos", *(x for c in small for x in ("--set", c))]
    code, out, err = in_process(train.main, *given, "--quiet")
    assert code == 3 and "1 of 2 cells were not trained: crop=999" in err
    assert "cell crop=999: 5 images are all smaller than the crop" in err
    assert out == "runs/train-a/crop=16/model.pth\n"
    code, out, _ = in_process(train.main, *given, "--quiet", "--resume", "--json")
    found = strict(out)
    assert (code, found["status"], found["run"]) == (3, "partial", None)
    first, second = found["results"]["runs"]
    assert "smaller than the crop" in first["error"]
    done = {"folder": "runs/train-a/crop=16", "finished": True}
    assert second == done | {"model": "runs/train-a/crop=16/model.pth", "error": None}
    code, _, err = in_process(train.main, *given, "--quiet", "--set", "data.crop=999")
    assert code == 2 and "no cell could be trained" in err


def test_a_sweep_that_cannot_be_read_is_one_line(tmp_path):
    with pytest.raises(BadInput, match=r"absent.toml"):
        sweep.load(str(tmp_path / "absent.toml"))
    with pytest.raises(BadInput, match="is a folder: expected a file"):
        sweep.load(str(tmp_path))


@pytest.mark.parametrize("base", ["x" * 300, "a/" * 3000, "x" * 70_000])
def test_a_base_that_no_file_can_have_is_refused_in_one_line(base: str, tmp_path: Path):
    (tmp_path / "x.toml").write_text(f'base = "{base}"\n[[cell]]\nname = "a"\n')
    with pytest.raises(BadInput, match=r"base = .*: File name too long") as error:
        sweep.load(str(tmp_path / "x.toml"))
    assert len(str(error.value)) < 500


def test_the_seed_has_the_option_of_all_commands(monkeypatch, in_process):
    seeds: list[int] = []
    monkeypatch.setattr(train, "_train", lambda runs, *_: seeds.append(runs[0][1].run.seed) or {})
    for given in (["--seed", "3"], ["--set", "run.seed=4"], []):
        assert in_process(train.main, "small.toml", "--data", ".", *given, "--quiet")[0] == 0
    assert seeds == [3, 4, 0]
