"""How photographs are read for training: workers, the store, damaged files."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mtd.data.photographs import Photograph
from mtd.training import decoded_store, prefetch, trainer
from mtd.training import run as training_run
from mtd.training.pairs import TrainingPairs
from mtd.utils.errors import BadInput
from tests.helpers.training import make, weights_of


def same(one, other) -> bool:
    return all(
        torch.equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_workers_give_the_batches_of_none(photos):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15")
    firsts = [0, 8, 4, 100]
    alone = list(prefetch.batches(pairs, firsts, 4))
    assert same(alone, list(prefetch.batches(pairs, firsts, 4, workers=2)))
    assert same(alone[:1], [pairs.batch(0, 4)])


def test_the_store_holds_the_same_pixels_and_is_made_once(photos, tmp_path, monkeypatch):
    plain = TrainingPairs([str(photos)], 16, "gaussian:15")
    store = tmp_path / "store"
    held = TrainingPairs([str(photos)], 16, "gaussian:15", store=store)
    assert held.digest == plain.digest
    for photo, other in zip(held.photographs, plain.photographs, strict=True):
        assert isinstance(photo.load(), np.memmap) and np.array_equal(photo.load(), other.load())
    assert same([held.batch(3, 5)], [plain.batch(3, 5)])
    with monkeypatch.context() as patch:
        patch.setattr("mtd.data.image_io.read_rgb", lambda _: 1 / 0)
        again = TrainingPairs([str(photos)], 16, "gaussian:15", store=store)
        assert same([again.batch(3, 5)], [plain.batch(3, 5)])
    (store / "pixels.bin").write_bytes((store / "pixels.bin").read_bytes()[:-1])
    with pytest.raises(BadInput, match="no store of these photographs"):
        decoded_store.stored(store, plain.photographs)
    TrainingPairs([str(photos)], 16, "gaussian:15", store=store)  # a damaged one is made anew
    assert len(decoded_store.stored(store, plain.photographs)) == 4


def small() -> list[Photograph]:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    return [Photograph(name, 2, 3, lambda: pixels) for name in ("a", "b")]


@pytest.mark.parametrize("name", [decoded_store.INDEX, decoded_store.PIXELS])
def test_no_flipped_bit_of_a_store_is_believed(tmp_path, name):
    decoded_store.build(tmp_path, small())
    path = tmp_path / name
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found = decoded_store.stored(tmp_path, small())
        except BadInput:
            continue
        assert content[place : place + 1] == b" "  # between entries
        assert np.array_equal(found[1].load(), small()[1].load())
    decoded_store.build(tmp_path, small())  # made anew
    assert path.read_bytes() == content


def test_links_and_fifos_are_no_store(tmp_path):
    decoded_store.build(tmp_path / "store", small())
    (tmp_path / "store" / decoded_store.INDEX).rename(tmp_path / "index.json")
    (tmp_path / "store" / decoded_store.INDEX).symlink_to(tmp_path / "index.json")
    with pytest.raises(BadInput, match="no store"):
        decoded_store.stored(tmp_path / "store", small())
    (tmp_path / "store" / decoded_store.INDEX).unlink()
    os.mkfifo(tmp_path / "store" / decoded_store.INDEX)
    with pytest.raises(BadInput, match="no store"):
        decoded_store.stored(tmp_path / "store", small())


def test_a_store_of_other_photographs_of_the_same_names_is_not_used(photos, tmp_path):
    store, other = tmp_path / "store", tmp_path / "other"
    shutil.copytree(photos, other)
    for path in other.glob("*.png"):
        with Image.open(path) as image:
            Image.new("RGB", image.size).save(path)
    first = TrainingPairs([str(photos)], 16, "gaussian:15", store=store)
    second = TrainingPairs([str(other)], 16, "gaussian:15", store=store)
    assert first.digest != second.digest
    assert all(photo.load().max() == 0 for photo in second.photographs)


def test_a_run_is_not_resumed_on_other_photographs(photos, tmp_path):
    training_run.train(make(photos), tmp_path / "run", quiet=True)
    (tmp_path / "run/model.pth").unlink()
    for path in photos.glob("*.png"):
        with Image.open(path) as image:
            Image.new("RGB", image.size).save(path)
    with pytest.raises(BadInput, match="begun with other photographs"):
        training_run.train(make(photos), tmp_path / "run", resume=True, quiet=True)


def test_an_image_that_a_worker_cannot_read_is_one_line(photos):
    pairs = TrainingPairs([str(photos)], 16, "gaussian:15", cache_mb=0)
    for path in photos.glob("*.png"):
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(BadInput) as raised:
        list(prefetch.batches(pairs, [0, 4], 4, workers=1))
    assert ".png" in str(raised.value) and "\n" not in str(raised.value)


def test_damaged_photographs_are_named_and_left_out_only_if_asked(photos, tmp_path):
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
        training_run.train(make(photos), tmp_path / "run", quiet=True)


def test_however_photographs_are_read_the_network_learns_the_same(photos, tmp_path):
    plain = weights_of(training_run.train(make(photos), tmp_path / "plain", quiet=True))
    reading = trainer.Reading(workers=2, store=tmp_path / "store", skip_bad=True)
    path = training_run.train(make(photos), tmp_path / "other", quiet=True, reading=reading)
    assert all(torch.equal(value, plain[name]) for name, value in weights_of(path).items())
