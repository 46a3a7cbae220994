"""How photographs are read for training: workers, the store, damaged files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_train import make, photos, weights_of  # noqa: F401

from mtd import loader, pixel_store, trainer
from mtd.dataset import TrainingPairs
from mtd.errors import BadInput


def same(one, other) -> bool:
    return all(
        torch.equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_workers_give_the_batches_of_none(photos):  # noqa: F811
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15")
    firsts = [0, 8, 4, 100]
    alone = list(loader.batches(pairs, firsts, 4))
    assert same(alone, list(loader.batches(pairs, firsts, 4, workers=2)))
    assert same(alone[:1], [pairs.batch(0, 4)])


def test_the_store_holds_the_same_pixels_and_is_made_once(photos, tmp_path, monkeypatch):  # noqa: F811
    plain = TrainingPairs([str(photos)], 16, "gaussian:15")
    store = tmp_path / "store"
    held = TrainingPairs([str(photos)], 16, "gaussian:15", store=store)
    assert held.digest == plain.digest
    for photo, other in zip(held.photographs, plain.photographs, strict=True):
        assert isinstance(photo.load(), np.memmap) and np.array_equal(photo.load(), other.load())
    assert same([held.batch(3, 5)], [plain.batch(3, 5)])
    with monkeypatch.context() as patch:
        patch.setattr("mtd.images.read", lambda _: 1 / 0)
        again = TrainingPairs([str(photos)], 16, "gaussian:15", store=store)
        assert same([again.batch(3, 5)], [plain.batch(3, 5)])
    (store / "pixels.bin").write_bytes((store / "pixels.bin").read_bytes()[:-1])
    with pytest.raises(BadInput, match="no store of these 4"):
        pixel_store.stored(store, plain.photographs)
    TrainingPairs([str(photos)], 16, "gaussian:15", store=store)  # a damaged one is made anew
    assert len(pixel_store.stored(store, plain.photographs)) == 4


def test_damaged_photographs_are_named_and_left_out_only_if_asked(photos, tmp_path):  # noqa: F811
    whole = (photos / "0.png").read_bytes()
    (photos / "torn.png").write_bytes(whole[: len(whole) // 2])
    (photos / "text.png").write_text("no image")
    with pytest.raises(BadInput, match=r"(text|torn)\.png"):
        TrainingPairs([str(photos)], 16, "gaussian:15")
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15", skip_bad=True)
    assert len(pairs.photographs) == 4 and len(pairs.bad) == 2
    assert "text.png" in pairs.bad[0] and "torn.png" in pairs.bad[1]
    for path in photos.glob("*.png"):
        path.write_text("no image")
    with pytest.raises(BadInput, match="none of 7 images can be read"):
        TrainingPairs([str(photos)], 16, "gaussian:15", skip_bad=True)
    with pytest.raises(BadInput):
        trainer.train(make(photos), tmp_path / "run", quiet=True)


def test_however_photographs_are_read_the_network_learns_the_same(photos, tmp_path):  # noqa: F811
    plain = weights_of(trainer.train(make(photos), tmp_path / "plain", quiet=True))
    reading = trainer.Reading(workers=2, store=tmp_path / "store", skip_bad=True)
    path = trainer.train(make(photos), tmp_path / "other", quiet=True, reading=reading)
    assert all(torch.equal(value, plain[name]) for name, value in weights_of(path).items())
