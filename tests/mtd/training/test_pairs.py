"""Training pairs: crops, noise and order, and which files they come from."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mtd.data import photograph_archives
from mtd.data.photographs import photographs
from mtd.training import config, decoded_store, trainer
from mtd.training import run as training_run
from mtd.training.device_pairs import DevicePairs
from mtd.training.pairs import TrainingPairs, usable
from mtd.utils.errors import BadInput
from tests.helpers.training import make, weights_of


def on_the_cpu(folders, crop, spec, *, clip):
    """Pairs of photographs that are on the device, one stream for each crop."""
    return DevicePairs(folders, crop, spec, torch.device("cpu"), 4, clip=clip, quiet=True)


@pytest.fixture
def pages(tmp_path: Path) -> list[np.ndarray]:
    """The two pages of a.tif."""
    drawn = list(np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8))
    made = [Image.fromarray(page) for page in drawn]
    made[0].save(tmp_path / "a.tif", save_all=True, append_images=made[1:])
    return drawn


def test_a_page_of_every_file(tmp_path: Path, pages: list[np.ndarray]) -> None:
    folder = str(tmp_path)
    with pytest.raises(BadInput, match="2 pages; choose one with --page N"):
        TrainingPairs([folder], 16, "gaussian:0")
    found = [TrainingPairs([folder], 16, "gaussian:0", page=page) for page in (1, 2)]
    for pairs, expected in zip(found, pages, strict=True):
        assert np.array_equal(pairs.photographs[0].load(), expected)
    assert found[0].digest != found[1].digest
    readable, bad = usable([folder], skip_bad=True, page=2)
    assert np.array_equal(readable[0].load(), pages[1]) and not bad


def test_a_store_knows_its_page(tmp_path: Path, pages: list[np.ndarray]) -> None:
    store = tmp_path / "store"
    for page, expected in enumerate(pages, 1):
        photos = photographs(tmp_path, page=page)
        decoded_store.build(store, photos)
        assert np.array_equal(decoded_store.stored(store, photos)[0].load(), expected)


def test_the_page_is_a_setting_that_older_recipes_do_not_have() -> None:
    assert "page" not in config.load("small.toml").to_dict()["data"]
    assert config.load("small.toml", ["data.page=2"]).to_dict()["data"]["page"] == 2
    with pytest.raises(BadInput, match=r"page = -1"):
        config.load("small.toml", ["data.page=-1"])


def test_what_folders_hold_beside_images(tmp_path: Path, pages: list[np.ndarray]) -> None:
    (tmp_path / "notes.txt").touch()
    (tmp_path / "._a.tif").touch()
    pairs = TrainingPairs([str(tmp_path)], 16, "gaussian:0", page=1)
    assert pairs.skipped == [f"{tmp_path}: 1 file skipped (1 .txt)"]


def test_a_run_from_a_folder_is_resumed_from_an_archive(photos, tmp_path, monkeypatch):
    whole = weights_of(training_run.train(make(photos), tmp_path / "whole", quiet=True))
    save = trainer.Trainer.save_state

    def killed(self):
        save(self)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "save_state", killed)
        with pytest.raises(KeyboardInterrupt):
            training_run.train(make(photos), tmp_path / "cut", quiet=True)
    archive = tmp_path / "photographs.zip"
    photograph_archives.write(archive, photograph_archives.members([photos]))
    before = (tmp_path / "cut/recipe.json").read_bytes()
    shutil.rmtree(photos)
    path = training_run.train(make(archive), tmp_path / "cut", quiet=True, resume=True)
    assert all(torch.equal(value, whole[name]) for name, value in weights_of(path).items())
    assert (tmp_path / "cut/recipe.json").read_bytes() == before
    with pytest.raises(BadInput, match="another recipe"):
        changed = make(archive, "data.crop=8")
        training_run.train(changed, tmp_path / "cut", quiet=True, resume=True)


def test_pairs_depend_on_seed_and_position_only(photos):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15", seed=1)
    assert pairs.too_small == ["small.png"]
    noisy, clean = pairs.batch(12, 4)
    assert noisy.shape == clean.shape == (4, 3, 16, 16)
    assert noisy.min() >= 0 and noisy.max() <= 1
    again = TrainingPairs([str(photos)], 16, "gaussian:15", seed=1, cache_mb=0)
    assert torch.equal(again.pair(14)[0], noisy[2:3])
    other = TrainingPairs([str(photos)], 16, "gaussian:15", seed=2)
    assert not torch.equal(other.pair(14)[0], noisy[2:3])


def test_every_epoch_visits_every_photograph_once(photos):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15")
    assert sorted(pairs.order(0)) == sorted(pairs.order(7)) == list(range(4))
    assert any(pairs.order(0) != pairs.order(epoch) for epoch in range(1, 5))


def test_training_noise_has_the_stated_level_and_is_not_rounded(photos):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15", clip=False)
    difference = torch.cat([noisy - clean for noisy, clean in (pairs.pair(i) for i in range(300))])
    assert abs(difference.std() * 255 - 15) < 0.1
    assert not torch.equal(difference.mul(255).round(), difference.mul(255))


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("kind", [TrainingPairs, on_the_cpu])
def test_noise_of_matched_strength_is_as_strong_after_clipping(photos, kind, clip):
    """The other noise is drawn first from the same stream, and is thus that of its own pairs."""

    def strengths(spec):
        noisy, clean = kind([str(photos)], 16, spec, clip=clip).batch(4, 4)
        return (noisy - clean).double().square().mean((1, 2, 3))

    expected = strengths("poisson:3")
    assert torch.allclose(strengths("gaussian:=poisson:3"), expected, rtol=1e-5, atol=0)
    assert expected.max() > 1.01 * expected.min()


def test_crops_take_all_eight_orientations(tmp_path):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[2, 5] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    pairs = TrainingPairs([str(tmp_path)], 16, "gaussian:0")
    seen = {tuple(pairs.pair(i)[1][0, 0].nonzero()[0].tolist()) for i in range(100)}
    assert seen == {(y, x) for a, b in [(2, 5), (5, 2)] for y in (a, 15 - a) for x in (b, 15 - b)}


def test_a_damaged_photograph_is_found_before_training(photos):
    whole = (photos / "0.png").read_bytes()
    (photos / "z.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"z\.png: damaged"):
        TrainingPairs([str(photos)], 16, "gaussian:15")
