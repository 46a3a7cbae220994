"""Recipes of test sets: each layout opens, and what is missing or of another size is said."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from mtd import testsets
from mtd.data import crops as data_crops
from mtd.data import exr_io, test_sets
from mtd.data.image_pairs import Paired
from mtd.utils.errors import BadInput
from tests.helpers.paths import data_folder
from tests.helpers.processes import fresh


def blank(path: Path, height: int, width: int, grey: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (grey, grey, grey)).save(path)


def pairs(folder: Path, noisy: str, clean: str, names: list[str], side: int) -> None:
    for i, name in enumerate(names):
        blank(folder / noisy.replace("*", name), side, side, 100 + i)
        blank(folder / clean.replace("*", name), side, side, i)


def fewer(monkeypatch: pytest.MonkeyPatch, name: str, *counts: int) -> None:
    """A recipe that asks for fewer images."""
    recipe = test_sets.RECIPES[name]
    forms = tuple(replace(f, count=n) for f, n in zip(recipe.forms, counts, strict=True))
    monkeypatch.setitem(test_sets.RECIPES, name, replace(recipe, forms=forms))


def test_counts_and_sizes_that_are_published():
    known = {
        name: [(f.count, sorted(f.sizes)) for f in recipe.forms]
        for name, recipe in test_sets.RECIPES.items()
    }
    assert known == {
        "cbsd68": [(68, [(321, 481), (481, 321)])],
        "kodak24": [(24, [(500, 500)]), (24, [(512, 768), (768, 512)])],
        "mcmaster": [(18, [(500, 500)])],
        "urban100": [(100, [])],
        "sidd_small": [(160, []), (320, [])],
        "sidd_validation": [(1280, [(256, 256)])],
        "polyu": [(100, [(512, 512)])],
        "cc": [(15, [(512, 512)])],
        "highiso": [(None, [])],
        "iphone": [(None, [])],
        "huawei": [(None, [])],
        "sidd_plus": [(None, [])],
        "nam": [(None, [])],
        **{f"fmdd:{n}": [(48, [(512, 512)])] for n in (1, 2, 4, 8, 16)},
        "idf": [(None, [])],
        "monte_carlo:64": [(None, [])],
        "monte_carlo:128": [(None, [])],
    }


@pytest.mark.parametrize("name, count, text", [("kodak24", 24, "the crops of"), ("cbsd68", 68, "")])
def test_clean_sets_as_they_are_published(name, count, text):
    found, form = test_sets.check(name, data_folder(name))
    assert len(found) == count and form.text.startswith(text)


def test_camera_pairs_as_they_are_published():
    found = test_sets.open("cc", data_folder("cc"))
    assert isinstance(found, Paired) and len(found.photographs) == 15
    assert (found.recorded.spec, found.recorded.level, found.tone_map) == ("cc", None, "as stored")
    values = []
    for photo in found.photographs:
        clean = photo.load()
        noisy = found.recorded.cut(data_crops.Crop(photo.name, 0, 0, clean)).astype(float)
        values.append(10 * math.log10(255**2 / ((noisy - clean) ** 2).mean()))
    assert np.mean(values) == pytest.approx(33.41, abs=0.01)


def test_the_original_form_of_kodak_is_told_from_the_crops(tmp_path):
    for i in range(24):
        blank(tmp_path / f"kodim{i + 1:02d}.png", *((768, 512) if i % 4 == 0 else (512, 768)))
    found, form = test_sets.check("kodak24", tmp_path)
    assert len(found) == 24 and form.text == "the original photographs"
    blank(tmp_path / "kodim05.png", 500, 500)
    with pytest.raises(BadInput, match=r"kodim05.png is 500 x 500; expected 24, 512 x 768 or"):
        test_sets.open("kodak24", tmp_path)


def test_mcmaster(tmp_path):
    for i in range(18):
        blank(tmp_path / f"{i + 1}.tif", 500, 500)
    assert len(test_sets.open("mcmaster", tmp_path)) == 18


def test_urban100_takes_the_high_resolution_images(tmp_path):
    for i in range(100):
        blank(tmp_path / f"img_{i + 1:03d}_SRF_2_HR.png", 10 + i, 12)
        blank(tmp_path / f"img_{i + 1:03d}_SRF_2_LR.png", 5, 6)
    found = test_sets.open("urban100", tmp_path)
    assert len(found) == 100 and all("_HR" in image.name for image in found)
    for path in tmp_path.glob("*_LR.png"):
        path.unlink()
    for path in tmp_path.glob("*_HR.png"):
        path.rename(path.with_name(path.name.replace("_SRF_2_HR", "")))
    assert len(test_sets.open("urban100", tmp_path)) == 100


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("prefix", ["", "0001_"])
def test_sidd_small_and_medium(tmp_path, monkeypatch, inside, prefix):
    fewer(monkeypatch, "sidd_small", 3, 6)
    data = tmp_path / "Data"
    scenes = ["0001_001_S6_00100_00060_3200_L", "0002_001_S6_x", "0003_001_GP_y"]
    shape = f"*/{prefix}NOISY_SRGB_010.PNG", f"*/{prefix}GT_SRGB_010.PNG"
    pairs(data, *shape, scenes, 8)
    top = tmp_path if inside else data
    found, form = test_sets.check("sidd_small", top)
    assert form.text == "SIDD-Small" and len(found.photographs) == 3
    assert found.photographs[0].name == f"{scenes[0]}/{prefix}010"
    assert found.recorded.name == "sidd_small"
    found.recorded.check(found.photographs)
    crop = data_crops.Crop(found.photographs[1].name, 0, 0, found.photographs[1].load())
    assert (crop.pixels == 1).all() and (found.recorded.cut(crop) == 101).all()
    pairs(data, *(name.replace("010", "011") for name in shape), scenes[:2], 8)
    with pytest.raises(BadInput, match="5 of 3 or 6 images"):
        test_sets.open("sidd_small", top)
    pairs(data, *(name.replace("010", "011") for name in shape), scenes, 8)
    assert test_sets.check("sidd_small", top)[1].text == "SIDD-Medium"
    (data / scenes[1] / f"{prefix}GT_SRGB_011.PNG").unlink()
    with pytest.raises(BadInput, match=r"NOISY_SRGB_011\.PNG: no clean image belongs to it"):
        test_sets.open("sidd_small", top)


def test_sidd_validation(tmp_path, monkeypatch):
    shape = (2, 3, 256, 256, 3)
    for i, name in enumerate(("Noisy", "Gt")):
        variable = f"Validation{name}BlocksSrgb"
        blocks = np.full(shape, i, dtype=np.uint8)
        scipy.io.savemat(tmp_path / f"{variable}.mat", {variable: blocks}, do_compression=True)
    with pytest.raises(BadInput, match=r"6 of 1280 images \(--images and --paired-images take any"):
        test_sets.open("sidd_validation", tmp_path)
    fewer(monkeypatch, "sidd_validation", 6)
    found = test_sets.open("sidd_validation", tmp_path)
    assert found.photographs[5].name == "scene 02 block 03"
    assert found.recorded.spec == "sidd_validation"


@pytest.mark.parametrize(
    "name, below, ending",
    [("polyu", "CroppedImages", "JPG"), ("polyu", "", "JPG"), ("cc", "", "png")],
)
def test_pairs_named_real_and_mean(tmp_path, monkeypatch, name, below, ending):
    fewer(monkeypatch, name, 4)
    names = ["Canon5D2_5_160_3200_chair_11", "a_1", "b", "c"]
    pairs(tmp_path / below, f"*_real.{ending}", f"*_mean.{ending}", names, 512)
    blank(tmp_path / below / f"b_ours.{ending}", 512, 512)
    found = test_sets.open(name, tmp_path)
    assert [photo.name for photo in found.photographs] == sorted(names)
    found.recorded.check(found.photographs)
    (tmp_path / below / f"b_mean.{ending}").unlink()
    with pytest.raises(BadInput, match=rf"b_real\.{ending}: no clean image belongs to it"):
        test_sets.open(name, tmp_path)


def test_renderings(tmp_path):
    pytest.importorskip("OpenEXR")
    for folder in ("64spp", "clean"):
        exr_io.write(tmp_path / folder / "box.exr", np.full((4, 6, 3), 0.5))
    found = test_sets.open("monte_carlo:64", tmp_path, "gamma2.2")
    assert (found.recorded.name, found.recorded.level) == ("monte_carlo", 64.0)
    assert found.tone_map == "gamma2.2" and len(found.photographs) == 1
    assert test_sets.open("monte_carlo:64", tmp_path).tone_map == "srgb"
    with pytest.raises(BadInput, match=r"monte_carlo:128: .*128spp: no such folder.*DIR/128spp/SC"):
        test_sets.open("monte_carlo:128", tmp_path)


@pytest.mark.parametrize("name", test_sets.RECIPES)
def test_missing_and_empty_folders_say_what_is_expected_and_where_to_get_it(tmp_path, name):
    recipe = test_sets.RECIPES[name]
    for folder in (tmp_path / "absent", tmp_path):
        with pytest.raises(BadInput) as raised:
            test_sets.open(name, folder)
        text = str(raised.value)
        assert text.startswith(f"{name}: ") and "\n" not in text
        assert f"expected {recipe.layout}; available from {recipe.source}" in text
    assert "absent: no such folder" not in text
    assert recipe.source.count("http") >= 1


def test_partial_sets_and_other_sizes(tmp_path):
    for i in range(17):
        blank(tmp_path / f"{i + 1}.tif", 500, 500)
    with pytest.raises(BadInput, match=r"mcmaster: 17 of 18 images \(--images and --paired-images"):
        test_sets.open("mcmaster", tmp_path)
    blank(tmp_path / "18.tif", 500, 501)
    with pytest.raises(BadInput, match=r"18\.tif is 500 x 501; expected 18, 500 x 500"):
        test_sets.open("mcmaster", tmp_path)
    with pytest.raises(BadInput, match="tone map 'srgb': its files are not linear"):
        test_sets.open("mcmaster", tmp_path, "srgb")
    with pytest.raises(BadInput, match=r"test set 'mcmastr': did you mean mcmaster\?"):
        test_sets.open("mcmastr", tmp_path)


def test_command(tmp_path, in_process):
    code, out, err = in_process(testsets.main)
    assert code == 0 and not err
    for name, recipe in test_sets.RECIPES.items():
        assert f"{name}: " in out and recipe.layout in out and recipe.source in out
    code, out, err = in_process(testsets.main, "polyu")
    assert code == 0 and out.startswith("polyu: 100 pairs") and "mcmaster" not in out
    for i in range(18):
        blank(tmp_path / f"{i + 1}.tif", 500, 500)
    code, out, err = in_process(testsets.main, "mcmaster", str(tmp_path))
    assert code == 0 and out.startswith("mcmaster: 18 images") and "500 x 500 (18)" in out
    for arguments in (("mcmaster", str(tmp_path / "no")), ("mcm",), ("cbsd68", str(tmp_path))):
        code, out, err = in_process(testsets.main, *arguments)
        assert code == 2 and not out and err.startswith("error: ") and err.count("\n") == 1


def test_help_does_not_need_torch(tmp_path):
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch was imported')")
    for module in ("mtd.testsets", "mtd.render"):
        done = fresh("-m", module, "--help", cwd=tmp_path)
        assert done.returncode == 0 and "examples:" in done.stdout


@pytest.mark.parametrize(
    "name, noisy, clean",
    [
        ("highiso", "noisy", "clean"),
        ("iphone", "noisy", "clean"),
        ("huawei", "noisy", "clean"),
        ("sidd_plus", "noisy", "gt"),
        ("nam", "lq", "hq"),
    ],
)
def test_pairs_in_two_folders(tmp_path, name, noisy, clean):
    pairs(tmp_path, f"{noisy}/*.png", f"{clean}/*.png", ["a", "b"], 16)
    found = test_sets.open(name, tmp_path)
    assert isinstance(found, Paired) and found.recorded.spec == name
    assert [photo.name for photo in found.photographs] == ["a.png", "b.png"]
    first = data_crops.Crop("a.png", 0, 0, found.photographs[0].load())
    assert (first.pixels.max(), found.recorded.cut(first).min()) == (0, 100)
    (tmp_path / noisy / "b.png").unlink()
    with pytest.raises(BadInput, match=f"{name}: .*; expected DIR/{noisy}"):
        test_sets.open(name, tmp_path)


def test_camera_sets_in_one_folder(tmp_path):
    pairs(tmp_path, "*_real.png", "*_mean.png", ["a", "b"], 16)
    found = test_sets.open("huawei", tmp_path)
    assert isinstance(found, Paired) and len(found.photographs) == 2


@pytest.mark.parametrize("shots, below", [(1, "raw"), (16, "avg16")])
def test_micrographs_are_gray_at_each_level(tmp_path, monkeypatch, shots, below):
    fewer(monkeypatch, f"fmdd:{shots}", 2)
    pairs(tmp_path / "test_mix", f"{below}/*.png", "gt/*.png", ["a", "b"], 512)
    for place in (tmp_path, tmp_path / "test_mix"):
        found = test_sets.open(f"fmdd:{shots}", place)
        assert isinstance(found, Paired)
        assert (found.recorded.name, found.recorded.level) == ("fmdd", shots)
        pixels = found.photographs[1].load()
        assert (pixels == pixels[..., :1]).all()


def test_prepared_folders_whatever_levels_are_there(tmp_path, capsys):
    for i, of in enumerate(("kodak24", "urban100")):
        pairs(tmp_path / of, "gaussian_15/*.png", "clean/*.png", ["a", "b"][: 2 - i], 16)
        pairs(tmp_path / of, "salt_pepper_0.02/*.png", "clean/*.png", ["a", "b"][: 2 - i], 16)
    pairs(tmp_path / "kodak24", "poisson_2.5/*.png", "clean/*.png", ["a", "b"], 16)
    found = test_sets.open("idf", tmp_path)
    assert isinstance(found, tuple)
    names = {one.recorded.spec: [p.name for p in one.photographs] for one in found}
    both = ["kodak24/a", "kodak24/b", "urban100/a"]
    assert names == {
        "idf_gaussian:15": both,
        "idf_poisson:2.5": both[:2],
        "idf_salt_pepper:0.02": both,
    }
    one = test_sets.open("idf", tmp_path / "urban100")
    assert isinstance(one, tuple) and len(one) == 2
    testsets.report(testsets.holds("idf", str(tmp_path), None))
    with pytest.raises(BadInput, match="no folder named TYPE_LEVEL"):
        test_sets.open("idf", tmp_path / "kodak24" / "clean")
