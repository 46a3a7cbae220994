"""Recipes: the bundled ones, and what is refused."""

from __future__ import annotations

import pytest
import torch

from mtd.networks import registry
from mtd.training import config as training_config
from mtd.training.config import CONFIGS
from mtd.utils.errors import BadInput


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda p: p.stem)
def test_bundled_recipes_are_valid_and_their_baseline_has_no_mask(path):
    masked = training_config.load(path.name)
    plain = training_config.load(path.name, baseline=True)
    if path.stem in ("paper", "reference", "small"):
        assert masked.mask.masks_input and masked.mask.attention_percent
    assert not plain.mask.masks_input and not plain.mask.attention_percent
    assert plain.network == masked.network


PEERS = ("dncnn", "ridnet", "rnan", "restormer", "swinir", "dropout", "ffdnet", "idf")
PEERS += ("bf_dncnn", "bf_recurrent_cnn", "bf_unet", "bf_densenet")


@pytest.mark.parametrize("name", ["paper", *PEERS])
def test_paper_recipe_is_the_papers(name):
    paper = training_config.load(f"{name}.toml")
    assert (paper.run.steps, paper.run.batch_size, paper.data.crop) == (200_000, 64, 64)
    assert (paper.optimizer.learning_rate, paper.optimizer.betas) == (1e-4, (0.9, 0.99))
    assert paper.optimizer.milestones == (100_000, 150_000) and paper.optimizer.gamma == 0.5
    assert paper.data.noise == "gaussian:15"
    assert training_config.load("reference.toml", baseline=True).run.batch_size == 16


@pytest.mark.parametrize(
    "name, weights",
    [
        *(("dncnn", 559_363), ("ridnet", 1_499_515), ("rnan", 8_959_555)),
        *(("restormer", 26_111_668), ("swinir", 11_504_163), ("dropout", 824_118)),
        *(("ffdnet", 852_108), ("idf", 49_021)),
    ],
)
def test_peers_are_the_published_networks(name, weights):
    with torch.device("meta"):
        network = registry.build(training_config.load(f"{name}.toml").network)
    assert sum(p.numel() for p in network.parameters()) == weights


@pytest.mark.parametrize(
    "change, message",
    [
        ("network.architecture='DnCN'", "did you mean DnCNN"),
        ("network.output_dropout=1.0", "output_dropout 1.0: from 0 below 1"),
        ("run.stps=3", "did you mean steps"),
        ("rn.steps=3", "did you mean run"),
        ("steps=3", "expected section.name"),
        ("run.steps", "expected section.name=value"),
        ("run.steps='3'", "expected a whole number"),
        ("run.compile=1", "expected true or false"),
        ("run.steps=0", r"\[run\] steps = 0: expected 1 or more"),
        ("optimizer.betas=0.9", "expected a list"),
        ("optimizer.betas=[0.9]", "two numbers"),
        ("optimizer.learning_rate=-1", "learning_rate = -1: expected a number above 0"),
        ("network.num_heads=[5, 5]", "does not divide"),
        ("network.depths=[4]", "for every group"),
        ("network.in_chans=2", "expected 3, color, or 1, grayscale"),
        ("mask.fill=learnable", "mask_token"),
        ("mask.fill=grey", "known: pixel, zero, learnable"),
        ("mask.input_percent=[90, 80]", "low <= high"),
        ("data.noise=gausian:15", "did you mean gaussian"),
        ("data.crop=4", "at least the window"),
        ("data.folders=[3]", "expected text in quotes"),
        ("mask.input_percent=[75]", r"\[low, high\]"),
        ("mask.input_percent=[]", r"\[low, high\]"),
        ("mask.attention_percent=0.75", "expected a whole number"),
        ("network.window_size=0", "1 or more"),
        ("network.mlp_hidden=-1", "1 or more"),
        ("network.drop_path=1.5", "from 0 below 1"),
        ("optimizer.learning_rate=nan", "expected a number"),
        ("optimizer.gamma=-1.0", "gamma = -1: expected a number above 0"),
        ("optimizer.ema=1", "ema = 1: expected a number from 0, below 1"),
        ("optimizer.milestones=[0]", "expected steps from 1 on"),
        ("data.page=-1", "expected a number from 1, or 0 for none"),
        ("run.attention='spda'", "did you mean sdpa"),
        ("run.attention='fast'", "known: auto, sdpa, matmul, flex"),
    ],
)
def test_impossible_recipes(change, message):
    with pytest.raises(BadInput, match=message):
        training_config.load("small.toml", [change])


def test_recipe_file_errors(tmp_path):
    with pytest.raises(BadInput, match=r"did you mean small\.toml"):
        training_config.load("smal.toml")
    (tmp_path / "a.toml").write_text("x = [")
    with pytest.raises(BadInput, match="not TOML"):
        training_config.load(str(tmp_path / "a.toml"))
    with pytest.raises(BadInput, match="is a folder"):
        training_config.load(str(tmp_path))
    for text in ("run = 3", "[[run]]", "baseline = 3"):
        (tmp_path / "a.toml").write_text(text)
        with pytest.raises(BadInput, match="not a section"):
            training_config.load(str(tmp_path / "a.toml"))
    (tmp_path / "a.toml").write_text('[baseline]\n"run.stps" = 3')
    with pytest.raises(BadInput, match="did you mean steps"):
        training_config.load(str(tmp_path / "a.toml"))
