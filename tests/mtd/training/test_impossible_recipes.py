"""Recipes and sweeps that ask for the impossible: refused by arithmetic, before allocation."""

from __future__ import annotations

import json

import pytest
import torch

from mtd.networks import registry
from mtd.networks.swinir import SwinIR
from mtd.training import config as recipes
from mtd.training import sweep
from mtd.training.batch_parts import BatchParts, Firsts
from mtd.utils.distributed import SINGLE_PROCESS
from mtd.utils.errors import BadInput

HUGE = 10**12

IMPOSSIBLE = {
    "network.embed_dim=1200000": "million parameters; the limit is 1000",
    "network.embed_dim=1000000000000000000": "[network] embed_dim = 1000000000000000000: expected",
    f"network.mlp_hidden={HUGE}": "million parameters; the limit is 1000",
    "network.depths=[1000000000, 2]": "layers or blocks; the limit is 2000",
    "network.window_size=4096": "window_size 4096, 4096 pixels; the limit is 32",
    "network.embed_kernel=1000001": "million parameters; the limit is 1000",
    "network.architecture='DnCNN'": "[network] has no",
    f"run.batch_size={HUGE}": "megapixels; the limit is 200",
    "data.crop=1000000": "megapixels; the limit is 200",
    f"validation.crops={HUGE}": "megapixels; the limit is 200",
    "validation.crop=100000": "megapixels; the limit is 200",
    "run.seed=-1": "[run] seed = -1: expected 0 or more",
    "data.cache_mb=-4": "[data] cache_mb = -4: expected 0 or more",
    "run.steps=100000000000000000000000": "expected a number up to 1e+15",
    "run.steps=1e23": "[run] steps = 1e+23: expected",
    "optimizer.learning_rate=inf": "expected a number",
    "optimizer.learning_rate=nan": "expected a number",
    f"optimizer.learning_rate={10**400}": "expected a number up to 1e+15",
    f"optimizer.milestones=[{10**400}]": "expected a number up to 1e+15",
    f"run.steps={'[' * 3000}": "expected a whole number",
    f"run.steps={'9' * 5000}": "expected a whole number",
    f"run.steps={'1.' * 5000}x": "expected a whole number",
    "optimizer.betas=[[[[1]]]]": "expected a number",
}


@pytest.fixture(autouse=True)
def nothing_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network is built on the meta device only."""

    def build(config: object) -> object:
        assert torch.get_default_device().type == "meta"
        return built(config)

    built = registry.build
    monkeypatch.setattr(registry, "build", build)


@pytest.mark.parametrize("change", IMPOSSIBLE, ids=[text[:40] for text in IMPOSSIBLE])
def test_settings_that_are_refused(change):
    with pytest.raises(BadInput) as caught:
        recipes.load("small.toml", [change])
    message = str(caught.value)
    assert IMPOSSIBLE[change] in message and "\n" not in message and len(message) < 400


@pytest.mark.parametrize("name", list(registry.architectures()))
def test_a_depth_of_a_billion_is_refused_before_anything_is_built(monkeypatch, name):
    """Of every architecture that has a number of layers."""
    monkeypatch.setattr(registry, "build", lambda _: pytest.fail("built"))
    entry = registry.named(name)
    fields = {f: v for f, v in vars(entry.config()).items() if type(v) in (int, tuple)}
    deep = []
    for field, value in fields.items():
        many = 10**9 if isinstance(value, int) else tuple(10**9 for _ in value)
        try:
            registry.check(entry.config(**{field: many}))
        except BadInput as error:
            deep += [field] if "layers or blocks; the limit is 2000: set" in str(error) else []
    assert deep or name == "BFUNet"


def test_numbers_that_are_large_and_possible():
    changes = ["run.batch_size=4096", "run.steps=1000000000000", "network.window_size=16"]
    assert recipes.load("small.toml", changes).run.steps == HUGE
    firsts = Firsts(BatchParts(6, SINGLE_PROCESS, 3), range(HUGE, 2 * HUGE))
    assert len(firsts) == 3 * HUGE and firsts[4] == 6 * (HUGE + 1) + 2
    assert list(firsts[2:5]) == [6 * HUGE + 4, 6 * HUGE + 6, 6 * HUGE + 8]


def test_limits_are_raised_by_their_variables(monkeypatch):
    monkeypatch.setenv("MTD_MAX_WINDOW", "33")
    monkeypatch.setenv("MTD_MAX_LAYERS", "3000")
    plan = recipes.load("small.toml", ["network.window_size=33", "data.crop=33"])
    assert plan.network.window_size == 33


def test_a_grid_is_counted_before_its_cells_are_made(tmp_path, monkeypatch):
    path = tmp_path / "a.toml"
    names = ("data.crop", "run.seed", "run.steps", "run.log_every", "run.save_every", "data.page")
    grid = "".join(f"{json.dumps(n)} = {list(range(100))}\n" for n in names)
    path.write_text(f'base = "small.toml"\n[grid]\n{grid}')
    monkeypatch.setattr(sweep, "Cell", lambda *_: pytest.fail("made"))
    with pytest.raises(BadInput, match=r"1e\+12 cells; the limit is 1000: set .*MTD_MAX_CELLS"):
        sweep.load(str(path))


@pytest.mark.parametrize(
    "text, message",
    [
        ('base = "x"\n[grid]\n"run.seed" = 3', "expected a list of values"),
        ('base = "x"\n[[cell]]\nname = "../a"', "as the name of a folder"),
        (f'base = "x"\n[[cell]]\nname = "{"a" * 201}"', "a folder of 201 bytes"),
        ('base = "x"\n[grid]\n"data.noise" = ["' + "n" * 300 + '"]', "a folder of 306 bytes"),
        ('base = "x"\n[[cell]]\nname = "a"\n[[cell]]\nname = "a"', "two cells are named a"),
        ('base = "x"\ncell = [[[3]]]', "expected tables"),
        ("base = " + "[" * 5000, "nested too deeply"),
        ("base = " + "9" * 5000, "too many digits"),
        ('base = "x"\n[grid]\n"run.seed" = [' + "[" * 150 + "]" * 150 + "]", "nested too deeply"),
    ],
)
def test_sweeps_that_are_refused(tmp_path, text, message):
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        sweep.load(str(path))
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_networks_within_the_limits_are_built_as_before():
    outline = registry.outline(recipes.load("small.toml").network)
    assert isinstance(outline, SwinIR)
