"""Recorded noise: files matched by name, pixels cut where the clean ones were, whole runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.cka import command as cka_command
from analysis.commands.command import run_arguments
from mtd.data import crops as data_crops
from mtd.data import photographs as data_photographs
from mtd.data.recorded_noise import Recorded
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.helpers.noises import add_keyed

Array = np.ndarray


def drawn(seed: int, height: int = 30, width: int = 40) -> Array:
    shape = (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(path: Path, pixels: Array) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(("scene", "street.01", "zebra")):
        save(Path(f"clean/{name}.png"), drawn(i))
    return tmp_path


def test_names_are_matched_without_their_endings_and_pixels_are_those_at_the_crop(folder):
    noisy = {"scene": drawn(10), "street.01": drawn(11), "zebra": drawn(12), "more": drawn(13)}
    for (name, pixels), ending in zip(noisy.items(), ("tif", "webp", "png", "tiff"), strict=True):
        save(Path(f"noisy/{name}.{ending}"), pixels)
    photographs = data_photographs.photographs("clean")
    recorded = Recorded("folder:noisy")
    recorded.check(photographs)
    cut = data_crops.crops(photographs, 8, 24)
    assert {crop.image for crop in cut} == {"scene.png", "street.01.png", "zebra.png"}
    for crop in cut:
        there = noisy[crop.image.removesuffix(".png")]
        expected = there[crop.top : crop.top + 8, crop.left : crop.left + 8]
        found = recorded.cut(crop)
        assert found.dtype == np.uint8 and found.flags.c_contiguous
        assert found.shape == (8, 8, 3) and (found == expected).all()


@pytest.mark.parametrize("name", ["scene", "scene.jpg", "clean/scene.png", "a/b/scene.png"])
def test_folders_in_names_and_bundled_names_do_not_matter(folder, name):
    save(Path("noisy/scene.png"), drawn(4))
    recorded = Recorded("folder:noisy")
    recorded.check([data_photographs.Photograph(name, 30, 40, lambda: drawn(0))])
    crop = data_crops.Crop(name, 3, 5, drawn(0)[3:11, 5:13])
    assert (recorded.cut(crop) == drawn(4)[3:11, 5:13]).all()


def test_a_missing_file_is_named_with_what_is_like_it(folder):
    save(Path("noisy/scene.png"), drawn(0))
    save(Path("noisy/street-01.png"), drawn(1))
    message = r"noisy: no noisy version of street\.01\.png.*did you mean street-01\?"
    with pytest.raises(BadInput, match=message):
        Recorded("folder:noisy").check(data_photographs.photographs("clean"))


@pytest.mark.parametrize("shape", [(40, 30), (30, 39), (60, 80)])
def test_another_size_is_refused(folder, shape):
    for name in ("scene", "street.01"):
        save(Path(f"noisy/{name}.png"), drawn(0))
    save(Path("noisy/zebra.png"), drawn(0, *shape))
    message = rf"zebra\.png is {shape[0]} x {shape[1]}, the clean one 30 x 40"
    with pytest.raises(BadInput, match=message):
        Recorded("folder:noisy").check(data_photographs.photographs("clean"))


def test_folders_that_cannot_be_used(folder):
    with pytest.raises(BadInput, match="absent: no such folder"):
        Recorded("folder:absent")
    Path("noisy").mkdir()
    with pytest.raises(BadInput, match="no image in it"):
        Recorded("folder:noisy")
    save(Path("noisy/scene.png"), drawn(0))
    with pytest.raises(BadInput, match="expected a folder"):
        Recorded("folder:noisy/scene.png")
    save(Path("noisy/scene.tif"), drawn(0))
    with pytest.raises(BadInput, match="noisy: two images of one name"):
        Recorded("folder:noisy")


def test_spec_is_one_text_for_one_folder(folder):
    save(Path("noisy/scene.png"), drawn(0))
    for text in ("folder:noisy", "folder:noisy/", "folder:./noisy"):
        recorded = Recorded(text)
        assert recorded.spec == str(recorded) == "folder:noisy"


def test_digest_is_of_the_pixels_of_the_crops_and_of_nothing_else(folder):
    for i, name in enumerate(("scene", "street.01", "zebra")):
        save(Path(f"noisy/{name}.png"), drawn(10 + i))
    cut = data_crops.crops(data_photographs.photographs("clean"), 8, 3, "center")
    first = Recorded("folder:noisy").digest(cut)
    pixels = b"".join(Recorded("folder:noisy").cut(crop).tobytes() for crop in cut)
    assert first == hashlib.sha256(pixels).hexdigest()
    Path("noisy/scene.png").unlink()
    save(Path("noisy/scene.tif"), drawn(10))
    assert Recorded("folder:noisy").digest(cut) == first
    changed = drawn(10)
    changed[0, 0] ^= 255  # outside the crop
    save(Path("noisy/scene.tif"), changed)
    assert Recorded("folder:noisy").digest(cut) == first
    changed[15, 20, 1] ^= 1  # inside
    save(Path("noisy/scene.tif"), changed)
    assert Recorded("folder:noisy").digest(cut) != first
    assert Recorded("folder:noisy").digest(cut[1:]) != first


def run(*arguments: str) -> Path:
    options = ("--images", "clean", "--crop", "24", "--positions", "64", "--quiet")
    return run_arguments(cka_command.ANALYSIS, ["plain.pth", *options, *arguments], "test")


def test_a_run_with_the_recording_of_a_made_noise_is_a_run_with_that_noise(pair, monkeypatch):
    """Each image is one crop; its noisy file holds the very pixels of `gaussian:15`."""
    monkeypatch.chdir(pair)
    recorded = []
    for i in range(4):
        clean = drawn(i, 24, 24)
        save(Path(f"clean/{i}.png"), clean)
        key = data_crops.Crop("", 0, 0, clean).digest
        noisy = add_keyed(noise_specs.parse("gaussian:15"), data_crops.to_tensor([clean]), [key])
        recorded.append(noisy[0].mul(255).round().byte().permute(1, 2, 0).numpy())
        save(Path(f"noisy/{i}.tif"), recorded[-1])
    arguments = ("--noise", "gaussian:15", "--noise", "folder:noisy")
    path = run(*arguments)
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["noises"] == ["gaussian:15", "folder:noisy"]
    together = b"".join(recorded[int(crop["image"][0])].tobytes() for crop in manifest["crops"])
    assert manifest["recorded"] == {"folder:noisy": hashlib.sha256(together).hexdigest()}
    depth = pd.read_csv(path / "depth.csv")
    assert set(depth.noise_b) == {"folder:noisy"} and np.allclose(depth.cka, 1, atol=1e-9)

    assert run(*arguments) == path
    save(Path("noisy/2.tif"), 255 - recorded[2])
    other = run(*arguments)
    assert other != path and other.parent == path.parent
    assert (pd.read_csv(other / "depth.csv").cka < 0.999).all()
    made = run("--noise", "gaussian:15", "--noise", "gaussian:25")
    assert json.loads((made / "manifest.json").read_text())["recorded"] == {}


def test_a_run_refuses_what_does_not_match_and_writes_nothing(pair, monkeypatch, in_process):
    monkeypatch.chdir(pair)
    for i in range(3):
        save(Path(f"clean/{i}.png"), drawn(i))
    save(Path("noisy/0.png"), drawn(7))
    arguments = ("plain.pth", "--images", "clean", "--crop", "24", "--noise", "folder:noisy")
    code, out, err = in_process(cka_command.main, *arguments, "--noise", "gaussian:15")
    assert code == 2 and "no noisy version of 1.png" in err and not out
    code, out, err = in_process(cka_command.main, *arguments, "--noise", "folder:noisy/")
    assert code == 2 and "given twice" in err and not out
    assert not Path("runs").exists()


def test_pixels_may_come_from_anything_by_name():
    """From functions, by the very name of a clean image first, else without folder and ending."""
    versions = {"scene 01 block 02": drawn(1), "street.01": drawn(2), "street": drawn(3)}
    reads = []

    def loader(name: str) -> Array:
        reads.append(name)
        return versions[name]

    recorded = Recorded("sidd", {name: lambda name=name: loader(name) for name in versions})
    assert not reads
    for name, there in (
        ("scene 01 block 02", drawn(1)),
        ("street.01", drawn(2)),
        ("clean/street.01.png", drawn(2)),
        ("street.png", drawn(3)),
    ):
        recorded.check([data_photographs.Photograph(name, 30, 40, lambda: drawn(0))])
        crop = data_crops.Crop(name, 2, 4, drawn(0)[2:10, 4:16])
        assert (recorded.cut(crop) == there[2:10, 4:16]).all()
        assert recorded.digest([crop]) == hashlib.sha256(recorded.cut(crop).tobytes()).hexdigest()
    with pytest.raises(BadInput, match=r"sidd: no noisy version of stret.*did you mean street"):
        recorded.check([data_photographs.Photograph("stret", 30, 40, lambda: drawn(0))])
    with pytest.raises(BadInput, match="two clean images are named street"):
        recorded.check(
            [data_photographs.Photograph(f"street.{e}", 30, 40, list) for e in ("png", "jpg")]
        )
    with pytest.raises(BadInput, match="sidd: no noisy image"):
        Recorded("sidd", {})


@pytest.mark.parametrize(
    "spec, name, level, form",
    [
        ("monte_carlo:64", "monte_carlo", 64.0, "monte_carlo:64"),
        ("monte_carlo:064.0", "monte_carlo", 64.0, "monte_carlo:64"),
        ("x:0.5", "x", 0.5, "x:0.5"),
        ("polyu", "polyu", None, "polyu"),
        ("64", "64", None, "64"),
        ("a:b", "a:b", None, "a:b"),
        ("a:nan", "a:nan", None, "a:nan"),
        ("pairs:cc/*_real.png", "pairs:cc/*_real.png", None, "pairs:cc/*_real.png"),
    ],
)
def test_name_and_level_of_a_text(spec, name, level, form):
    recorded = Recorded(spec, {"a": lambda: drawn(0)})
    assert (recorded.name, recorded.level, recorded.spec) == (name, level, form)
    assert str(recorded) == form


@pytest.mark.parametrize("folder_name", ["noisy", "64", "spp:64"])
def test_a_folder_is_a_name_without_level(folder, folder_name):
    save(Path(folder_name) / "scene.png", drawn(0))
    recorded = Recorded(f"folder:{folder_name}")
    assert recorded.name == recorded.spec == f"folder:{folder_name}" and recorded.level is None
