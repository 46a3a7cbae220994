"""The development data are read as on the day when their digests were noted."""

from __future__ import annotations

import hashlib

import pytest

from mtd.data import image_io
from mtd.data.crops import Crop
from tests.helpers.paths import data_folder

DIGESTS = {
    "bsds500_test": "b772ffd2129443ca77cf078deae60ff8e23d8e571e0e9400a34094f466977d6b",
    "bsds500_train": "5ca0a4833b97186346113590fd02b9d8a4affbf2d0c4771dbe916364d4857d13",
    "cbsd68": "9abb1e5aba7e66c77984c662d4820caa72f8e0f32ce0795d79fbc3d10c0ea452",
    "cc": "3558582db514b9dc9f0b7950b4a0cd9136254e11630b65dd0e1219da0d90b111",
    "kodak24": "c03563016c6bad3a3d4f22bbac1d2b5c9ff4482e3f4a08ae7f9693f83a700c1e",
    "mc_cbox": "b267f5a6f04565c9e513000e894ebff3187f366c1954f7479db2a20b308b09cd",
    "mcm_poisson_20/clean": "cba181ea438d3d88db39a0e210586d688160240a44ed89434666eec8e9d9a8f8",
    "mcm_poisson_20/noisy": "9a899fd1d0cad30ea21a5adf1eaf6fc44176a12e8988808fcb64e384b48092cc",
}
"""SHA-256 of the lines `NAME DIGEST` of all images, as `read_rgb` returned them at first."""


@pytest.mark.parametrize("name", DIGESTS)
def test_every_image_is_read_as_before(name: str) -> None:
    total = hashlib.sha256()
    for path in image_io.find(data_folder(name)):
        pixels = image_io.read_rgb(path)
        image = image_io.read_image(path)
        assert image.digest == Crop("", 0, 0, pixels).digest  # RGB of 8 bits
        assert image_io.header(path).library == "Pillow"
        total.update(f"{path.name} {image.digest}\n".encode())
    assert total.hexdigest() == DIGESTS[name]
