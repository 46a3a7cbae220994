"""Crops by rule: where they are cut, what decides that, how many; images of several folders."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from analysis.cka import command as cka_command
from analysis.commands.command import parser as parser_of
from mtd.data import photographs
from mtd.data.crops import Crop, crops
from mtd.data.photographs import Photograph
from mtd.utils.errors import BadInput

RULES = ("grid", "center", "random")


def photo(height: int, width: int, name: str = "p") -> Photograph:
    shape = (height, width, 3)
    pixels = np.random.default_rng([height, width]).integers(0, 256, shape, dtype=np.uint8)
    return Photograph(name, height, width, lambda: pixels)


def corners(cut: list[Crop], name: str | None = None) -> list[tuple[int, int]]:
    return [(crop.top, crop.left) for crop in cut if name in (None, crop.image)]


sizes = st.lists(st.tuples(st.integers(8, 40), st.integers(8, 40)), min_size=1, max_size=5)


@pytest.mark.parametrize("rule", RULES)
@given(sizes, st.integers(1, 20), st.integers(1, 8))
def test_pixels_are_those_of_the_image_at_the_recorded_corner(rule, shapes, count, size):
    photos = {str(i): photo(*shape, str(i)) for i, shape in enumerate(shapes)}
    found = crops(list(photos.values()), size, count, rule)
    assert 0 < len(found) <= count
    for crop in found:
        source = photos[crop.image].load()
        assert crop.top >= 0 and crop.left >= 0 and crop.pixels.dtype == np.uint8
        there = source[crop.top : crop.top + size, crop.left : crop.left + size]
        assert crop.pixels.shape == (size, size, 3) and (crop.pixels == there).all()


@pytest.mark.parametrize(
    "shape, count, expected",
    [
        ((100, 100), 1, [(45, 45)]),
        ((100, 100), 4, [(20, 20), (20, 70), (70, 20), (70, 70)]),
        ((60, 120), 2, [(25, 25), (25, 85)]),
        ((20, 30), 6, [(0, 0), (0, 10), (0, 20), (10, 0), (10, 10), (10, 20)]),
    ],
)
def test_grid_crops_sit_at_the_centers_of_equal_cells(shape, count, expected):
    assert corners(crops([photo(*shape)], 10, count)) == expected


@pytest.mark.parametrize("shape", [(10, 10), (11, 16), (40, 25), (101, 64)])
def test_center_is_the_middle_of_each_image(shape):
    ((top, left),) = corners(crops([photo(*shape)], 10, 7, "center"))
    assert abs(2 * top + 10 - shape[0]) <= 1 and abs(2 * left + 10 - shape[1]) <= 1
    photos = [photo(*shape, name) for name in "abc"]
    assert [crop.image for crop in crops(photos, 10, 7, "center")] == ["a", "b", "c"]


@pytest.mark.parametrize("rule", ["grid", "center"])
def test_seed_only_matters_to_random(rule):
    photos = [photo(50, 60, name) for name in "ab"]
    assert corners(crops(photos, 10, 8, rule, 0)) == corners(crops(photos, 10, 8, rule, 1))
    assert corners(crops(photos, 10, 8, "random")) != corners(crops(photos, 10, 8, "random", 1))


def test_random_corners_depend_on_seed_name_and_number_alone():
    alone = corners(crops([photo(70, 90, "a")], 10, 12, "random", 5))
    assert len(set(alone)) > 8
    assert corners(crops([photo(70, 90, "a")], 10, 4, "random", 5)) == alone[:4]
    among = crops([photo(70, 90, name) for name in "zab"], 10, 36, "random", 5)
    assert corners(among, "a") == alone
    assert corners(among, "b") != alone != corners(among, "z")
    assert corners(crops([photo(70, 90, "a")], 10, 12, "random", 6)) != alone


def test_random_reaches_every_corner_alike():
    """Of 16 places, each is met about 3200 / 16 times."""
    found = Counter(corners(crops([photo(13, 13)], 10, 3200, "random")))
    assert set(found) == {(top, left) for top in range(4) for left in range(4)}
    assert max(abs(times - 200) for times in found.values()) < 4.5 * np.sqrt(200)
    assert set(corners(crops([photo(10, 10)], 10, 3, "random"))) == {(0, 0)}


@given(st.integers(1, 9), st.integers(1, 30))
def test_random_takes_as_many_from_each_image_or_one_more(number, count):
    photos = [photo(20, 20, str(i)) for i in range(number)]
    found = Counter(crop.image for crop in crops(photos, 10, count, "random"))
    assert sum(found.values()) == count
    if number <= count:
        assert len(found) == number and max(found.values()) - min(found.values()) <= 1
    else:
        assert set(found.values()) == {1}


@pytest.mark.parametrize("rule", RULES)
def test_more_images_than_crops_give_one_each_evenly_spaced(rule):
    found = crops([photo(20, 20, str(i)) for i in range(12)], 10, 4, rule)
    places = [int(crop.image) for crop in found]
    assert len(found) == 4 and set(np.diff(places)) == {3}


@pytest.mark.parametrize("rule", RULES)
def test_an_image_smaller_than_the_crop_is_refused_not_resized(rule):
    for shape in ((7, 20), (20, 7)):
        message = f"small is {shape[0]} x {shape[1]}, smaller than the crop 8"
        with pytest.raises(BadInput, match=message):
            crops([photo(20, 20), photo(*shape, "small")], 8, 1, rule)


def test_the_old_spelling_of_center():
    photos = [photo(41, 60, name) for name in "ab"]
    old, new = (crops(photos, 10, 3, rule) for rule in ("centre", "center"))
    assert [(c.image, c.top, c.left, c.digest) for c in old] == [
        (c.image, c.top, c.left, c.digest) for c in new
    ]
    parser = parser_of(cka_command.ANALYSIS)
    assert parser.parse_args(["--crop-rule", "centre"]).crop_rule == "center"


def test_unknown_rule_is_refused():
    with pytest.raises(BadInput, match="crop rule 'centred': did you mean center"):
        crops([photo(20, 20)], 8, 1, "centred")  # type: ignore[arg-type]


def test_images_of_one_folder_are_named_as_files_and_of_several_under_their_folder(tmp_path):
    for place in ("one", "two", "deep/one"):
        (tmp_path / place).mkdir(parents=True)
        for name in ("a.png", "b.png"):
            Image.new("RGB", (9, 8)).save(tmp_path / place / name)
    one, two, other = (tmp_path / place for place in ("one", "two", "deep/one"))

    def names(*folders) -> list[str]:
        return [found.name for found in photographs.photographs(*folders)]

    assert names(one) == ["a.png", "b.png"]
    assert names(two, one) == ["two/a.png", "two/b.png", "one/a.png", "one/b.png"]
    assert names(f"{one}/", two) == ["one/a.png", "one/b.png", "two/a.png", "two/b.png"]
    assert len(set(names(one, other))) == 4  # folders of one name are told apart
    first = photographs.photographs(one, two)[0]
    assert (first.height, first.width) == (8, 9) == first.load().shape[:2]
    with pytest.raises(BadInput, match="absent: no such folder"):
        photographs.photographs(one, tmp_path / "absent")


def test_the_digest_of_a_crop_is_computed_once(monkeypatch):
    (crop,) = crops([photo(20, 20)], 16, 1)
    digest = crop.digest
    monkeypatch.setattr("mtd.data.crops.hashlib.sha256", None)
    assert crop.digest == digest


@pytest.mark.parametrize("size, count", [(0, 4), (-8, 4), (16, 0)])
def test_a_crop_has_pixels_and_there_is_one_at_least(size, count):
    with pytest.raises(BadInput, match="expected 1 or more of 1 x 1 or more"):
        crops(photographs.photographs(), size, count, "center")
