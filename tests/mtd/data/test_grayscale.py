"""Grayscale of color photographs: the weights, the rounding, and what stays as it is."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from mtd.data import crops as data_crops
from mtd.data.grayscale import grayscale, of_channels
from mtd.data.photographs import photograph, photographs
from mtd.data.recorded_noise import Recorded

OPENCV = "8a1637668dfce498c65ddfe8db4216b230e5eb23ac29335e8f9ed0f4619ca72e"
"""SHA-256 of what OpenCV 5.0.0 makes of `every_third`: `hashlib.sha256(cv2.cvtColor(every_third(),
cv2.COLOR_RGB2GRAY).tobytes()).hexdigest()`."""


def every_third() -> np.ndarray:
    """86³ colors, of every third level of each channel."""
    levels = np.arange(0, 256, 3, dtype=np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 86, 3)


def test_it_is_what_opencv_computes():
    gray = grayscale(every_third())
    assert gray.shape == (7396, 86, 1) and gray.dtype == np.uint8
    assert hashlib.sha256(gray.tobytes()).hexdigest() == OPENCV


def test_it_is_the_nearest_level_of_the_luma_but_for_ties():
    rgb = every_third()
    exact = rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    error = np.abs(grayscale(rgb)[..., 0] - exact)
    # the weights of 15 bits are off by up to 1.2e-5, the sum of three by up to 255 times that
    assert error.max() <= 0.5 + 3 * 255 * 1.2e-5
    assert (error > 0.5).mean() < 0.01


@pytest.mark.parametrize(
    ("color", "level"),
    [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((1, 2, 3), 2), ((200, 30, 90), 88)],
)
def test_single_colors_by_hand(color, level):
    exact = sum(Fraction(w, 1000) * c for w, c in zip((299, 587, 114), color, strict=True))
    assert level == int(exact + Fraction(1, 2))
    assert grayscale(np.array([[color]], np.uint8)).tolist() == [[[level]]]


def test_gray_stays_as_it_is(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (grayscale(np.repeat(levels[..., None], 3, 2))[..., 0] == levels).all()
    one = levels[..., None]
    assert grayscale(one) is one
    Image.fromarray(levels).save(tmp_path / "eight.png")
    Image.fromarray(levels.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    for name in ("eight.png", "sixteen.png"):
        photo = of_channels(photograph(tmp_path / name), 1)
        assert (photo.load() == one).all() and photo.load().dtype == np.uint8
        assert photo.name == name and (photo.height, photo.width) == (16, 16)


def test_photographs_of_three_channels_are_left_as_they_are():
    photo = photographs()[0]
    assert of_channels(photo, 3) is photo
    assert (of_channels(photo, 1).load() == grayscale(photo.load())).all()


def test_crops_have_digests_of_their_own_and_recorded_noise_follows_them(tmp_path):
    stream = np.random.default_rng(0)
    clean, noisy = stream.integers(0, 256, (2, 12, 9, 3), dtype=np.uint8)
    (tmp_path / "noisy").mkdir()
    Image.fromarray(noisy).save(tmp_path / "noisy" / "a.png")
    Image.fromarray(clean).save(tmp_path / "a.png")
    photo = photograph(tmp_path / "a.png")
    recorded = Recorded(f"folder:{tmp_path / 'noisy'}")
    (color,) = data_crops.crops([photo], 8, 1)
    (gray,) = data_crops.crops([of_channels(photo, 1)], 8, 1)
    assert (color.top, color.left) == (gray.top, gray.left)
    part = clean[gray.top : gray.top + 8, gray.left : gray.left + 8]
    assert (gray.pixels == grayscale(part)).all() and gray.digest != color.digest
    there = noisy[gray.top : gray.top + 8, gray.left : gray.left + 8]
    assert (recorded.cut(color) == there).all()
    assert (recorded.cut(gray) == grayscale(there)).all()
    assert recorded.digest([gray]) == hashlib.sha256(grayscale(there).tobytes()).hexdigest()
    assert data_crops.to_tensor([gray.pixels]).shape == (1, 1, 8, 8)
