"""Noisy/clean pairs: folders, patterns, MATLAB blocks, EXR and tone maps, and what is refused."""

from __future__ import annotations

import math
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from mtd.data import crops as data_crops
from mtd.data import exr_io, image_io, image_pairs, test_sets, tone_mapping
from mtd.data import image_io as data_image_io
from mtd.data.recorded_noise import Recorded
from mtd.utils.errors import BadInput
from tests.helpers.paths import data_folder

Array = np.ndarray


def drawn(seed: int, *shape: int) -> Array:
    shape = shape or (20, 30, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def linear(seed: int, height: int = 5, width: int = 7) -> Array:
    """Colour from below 0 to well above 1."""
    x = np.random.default_rng(seed).gamma(0.5, 1.0, (height, width, 3)) - 0.05
    return x.astype(np.float32)


def save(path: str, pixels: Array) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def psnr(found: image_pairs.Paired) -> list[float]:
    """Of each pair, whole, in 8 bits; the noisy image as the engine cuts it."""
    values = []
    for photo in found.photographs:
        clean = photo.load()
        noisy = found.recorded.cut(data_crops.Crop(photo.name, 0, 0, clean))
        error = (noisy.astype(np.float64) - clean) ** 2
        values.append(10 * math.log10(255**2 / error.mean()))
    return values


def as_found(found: image_pairs.Paired, name: str) -> tuple[Array, Array]:
    """Noisy and clean pixels of a name."""
    photo = next(photo for photo in found.photographs if photo.name == name)
    clean = photo.load()
    assert clean.shape == (photo.height, photo.width, 3) and clean.dtype == np.uint8
    return found.recorded.cut(data_crops.Crop(name, 0, 0, clean)), clean


def test_two_folders_are_matched_by_stem():
    for i, name in enumerate(("scene", "street.01")):
        save(f"noisy/{name}.tif", drawn(10 + i))
        save(f"clean/{name}.png", drawn(i))
    found = image_pairs.find("noisy/", "clean")
    assert [photo.name for photo in found.photographs] == ["scene.png", "street.01.png"]
    assert (found.recorded.spec, found.recorded.level) == ("pairs:noisy", None)
    assert found.source == "noisy/ against clean, by file name" and found.tone_map == "as stored"
    found.recorded.check(found.photographs)
    for i, name in enumerate(("scene.png", "street.01.png")):
        noisy, clean = as_found(found, name)
        assert (noisy == drawn(10 + i)).all() and (clean == drawn(i)).all()
    same = Recorded("folder:noisy")
    cut = data_crops.crops(found.photographs, 8, 5)
    assert found.recorded.digest(cut) == same.digest(cut)
    named = image_pairs.find("noisy", "clean", name="camera:3").recorded
    assert (named.spec, named.name, named.level) == ("camera:3", "camera", 3.0)


@pytest.mark.parametrize(
    "noisy, clean, names",
    [
        ("cc/*_real.png", "cc/*_mean.png", ["a", "b.x"]),
        ("noisy/*.png", "other/clean_*.tif", ["a", "b"]),
        ("data/*/NOISY[1].png", "data/*/GT[1].png", ["one", "two"]),
    ],
)
def test_two_patterns_are_matched_by_what_the_star_stands_for(noisy, clean, names):
    for i, name in enumerate(names):
        save(noisy.replace("*", name), drawn(10 + i))
        save(clean.replace("*", name), drawn(i))
    found = image_pairs.find(noisy, clean)
    assert [photo.name for photo in found.photographs] == names
    assert found.recorded.spec == found.recorded.name == f"pairs:{image_pairs.short(str(noisy))}"
    assert "star" in found.source
    found.recorded.check(found.photographs)
    for i, name in enumerate(names):
        pixels = as_found(found, name)
        assert (pixels[0] == drawn(10 + i)).all() and (pixels[1] == drawn(i)).all()


def test_real_camera_pairs_have_the_published_noise():
    cc = data_folder("cc")
    found = image_pairs.find(f"{cc}/*_real.png", f"{cc}/*_mean.png", name="cc")
    assert len(found.photographs) == 15
    assert np.mean(psnr(found)) == pytest.approx(33.41, abs=0.01)


def test_renderings_stored_in_8_bits_have_their_known_noise():
    renders = data_folder("mc_cbox")
    for samples, expected in ((16, 28.59), (64, 34.24), (128, 37.14)):
        for side, file in (("noisy", f"cbox_{samples}.png"), ("clean", "cbox_2048.png")):
            save(f"{samples}/{side}/cbox.png", data_image_io.read_rgb(renders / file))
        found = image_pairs.find(
            f"{samples}/noisy", f"{samples}/clean", name=f"monte_carlo:{samples}"
        )
        assert found.recorded.level == samples
        assert psnr(found) == [pytest.approx(expected, abs=0.005)]


def test_blocks_of_matlab_files_are_matched_by_place():
    noisy, clean = drawn(1, 3, 2, 16, 12, 3), drawn(2, 3, 2, 16, 12, 3)
    scipy.io.savemat("noisy.mat", {"ValidationNoisyBlocksSrgb": noisy, "other": np.eye(2)})
    scipy.io.savemat("clean.mat", {"ValidationGtBlocksSrgb": clean}, do_compression=True)
    found = image_pairs.find("noisy.mat", "clean.mat", name="sidd_validation")
    names = [photo.name for photo in found.photographs]
    assert names[:3] == ["scene 01 block 01", "scene 01 block 02", "scene 02 block 01"]
    assert {photo.scene for photo in found.photographs} == {f"scene 0{i}" for i in (1, 2, 3)}
    assert len(names) == 6 and found.source == "noisy.mat against clean.mat, by place"
    found.recorded.check(found.photographs)
    pixels = as_found(found, "scene 03 block 01")
    assert (pixels[0] == noisy[2, 0]).all() and (pixels[1] == clean[2, 0]).all()
    assert (found.photographs[0].height, found.photographs[0].width) == (16, 12)


def test_blocks_without_scenes_and_of_any_single_variable():
    noisy, clean = drawn(1, 120, 8, 8, 3), drawn(2, 120, 8, 8, 3)
    scipy.io.savemat("noisy.mat", {"x": noisy})
    scipy.io.savemat("clean.mat", {"y": clean})
    found = image_pairs.find("noisy.mat", "clean.mat")
    assert found.recorded.spec == "pairs:noisy"
    pixels = as_found(found, "block 117")
    assert (pixels[0] == noisy[116]).all() and (pixels[1] == clean[116]).all()


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"a": drawn(0, 4, 8, 8, 3), "b": drawn(0, 4, 8, 8, 3)}, "variables a, b; expected Valid"),
        ({"a": np.zeros((4, 8, 8, 3))}, "a is double, 4 x 8 x 8 x 3; expected uint8"),
        ({"a": drawn(0, 4, 8, 8)}, "expected uint8"),
        ({"a": drawn(0, 4, 8, 3)[0]}, "expected uint8"),
        ({"ValidationGtBlocksSrgb": drawn(0, 4, 8, 8, 3)}, "give the noisy file first"),
        ({"a": drawn(0, 5, 8, 8, 3)}, "noisy.mat ends with block 05, clean.mat with block 04"),
        ({"a": drawn(0, 4, 8, 9, 3)}, "block 01 is 8 x 9, its clean image 8 x 8"),
    ],
)
def test_matlab_files_that_cannot_be_used(variables, message):
    scipy.io.savemat("noisy.mat", variables)
    scipy.io.savemat("clean.mat", {"x": drawn(0, 4, 8, 8, 3)})
    with pytest.raises(BadInput, match=message):
        image_pairs.find("noisy.mat", "clean.mat")


def test_matlab_files_that_are_none():
    scipy.io.savemat("clean.mat", {"x": drawn(0, 4, 8, 8, 3)})
    with pytest.raises(BadInput, match=r"noisy\.mat: no such file"):
        image_pairs.find("noisy.mat", "clean.mat")
    Path("noisy.mat").write_bytes(
        b"MATLAB 7.3 MAT-file, HDF5".ljust(124) + b"\x00\x02IM" + bytes(99)
    )
    with pytest.raises(BadInput, match="save -v7"):
        image_pairs.find("noisy.mat", "clean.mat")
    for content in (b"", b"not a matlab file at all", bytes(range(256)) * 4):
        Path("noisy.mat").write_bytes(content)
        with pytest.raises(BadInput, match=r"noisy\.mat: not a MATLAB file that can be read"):
            image_pairs.find("noisy.mat", "clean.mat")
    whole = Path("clean.mat").read_bytes()
    Path("noisy.mat").write_bytes(whole[:-100])
    with pytest.raises(BadInput, match=r"noisy\.mat: "):
        image_pairs.find("noisy.mat", "clean.mat").recorded.check(
            image_pairs.find("clean.mat", "clean.mat").photographs
        )


def scalar_srgb(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return 12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055


ORACLES = {
    "srgb": scalar_srgb,
    "gamma2.2": lambda x: min(max(x, 0.0), 1.0) ** (1 / 2.2),
    "reinhard": lambda x: scalar_srgb(max(x, 0.0) / (1 + max(x, 0.0))),
}


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_tone_maps_against_scalar_formulas(name):
    x = np.concatenate([linear(0).ravel(), [0, 1, 0.0031308, 0.00313, -3, 1e6]]).astype(np.float32)
    expected = [round(255 * ORACLES[name](float(value))) for value in x]
    assert tone_mapping.to_8_bits(x, name).tolist() == expected
    assert tone_mapping.to_8_bits(np.array([np.nan, np.inf, -np.inf]), name).tolist() == [0, 255, 0]


def test_a_nan_of_any_bits_becomes_0_without_a_warning():
    signaling = np.array([0x7FA00000], np.uint32).view(np.float32)
    with warnings.catch_warnings(action="error"):
        assert tone_mapping.to_8_bits(signaling).tolist() == [0]


def test_tone_maps_at_known_points():
    """0.5 in linear light is 188 in sRGB; 18 % grey is 118."""
    assert tone_mapping.to_8_bits([0.5, 0.18, 0.0, 1.0]).tolist() == [188, 118, 0, 255]
    assert tone_mapping.to_8_bits([1.0], "reinhard").tolist() == [188]
    with pytest.raises(BadInput, match=r"tone map 'srbg': did you mean srgb\?"):
        tone_mapping.to_8_bits([0.5], "srbg")


def test_exr_round_trip_keeps_every_float():
    pytest.importorskip("OpenEXR")
    x = linear(1, 9, 4)
    x[0, 0] = np.nan, np.inf, 1e-30
    exr_io.write("deep/a.exr", x)
    assert exr_io.size("deep/a.exr") == (9, 4)
    back = exr_io.read("deep/a.exr")
    assert back.dtype == np.float32 and back.tobytes() == x.tobytes()
    assert [path.name for path in Path("deep").iterdir()] == ["a.exr"]
    with pytest.raises(ValueError, match="expected"):
        exr_io.write("b.exr", x[..., 0])


@pytest.mark.parametrize("channels", ["RGB", "RGBA", "separate"])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_exr_of_others_half_or_float_with_or_without_more_channels(channels, kind):
    library = pytest.importorskip("OpenEXR")
    x = linear(2).astype(kind)
    more = np.ones(x.shape[:2], dtype=kind)
    content = {
        "RGB": {"RGB": x},
        "RGBA": {"RGBA": np.concatenate([x, more[..., None]], axis=2)},
        "separate": {
            **{name: np.ascontiguousarray(x[..., i]) for i, name in enumerate("RGB")},
            "albedo.R": more,
            "Z": more,
        },
    }[channels]
    library.File({}, content).write("a.exr")
    assert (exr_io.read("a.exr") == x.astype(np.float32)).all()


def test_exr_pairs_go_through_a_named_tone_map():
    pytest.importorskip("OpenEXR")
    for side, seed in (("64spp", 3), ("clean", 4)):
        exr_io.write(f"{side}/box.exr", linear(seed))
    for name in (None, *tone_mapping.TONE_MAPS):
        found = image_pairs.find("64spp", "clean", name="monte_carlo:64", tone_map=name)
        assert found.tone_map == (name or "srgb")
        pixels = as_found(found, "box.exr")
        for got, seed in zip(pixels, (3, 4), strict=True):
            oracle = np.vectorize(ORACLES[name or "srgb"])(linear(seed).astype(np.float64))
            assert (got == np.rint(255 * oracle)).all()
    with pytest.raises(BadInput, match="tone map 'filmic': known: srgb"):
        image_pairs.find("64spp", "clean", tone_map="filmic")


def test_exr_files_that_cannot_be_used(monkeypatch):
    library = pytest.importorskip("OpenEXR")
    with pytest.raises(BadInput, match=r"a\.exr: no such file"):
        exr_io.read("a.exr")
    Path("a.exr").write_bytes(b"no EXR at all")
    with pytest.raises(BadInput, match=r"a\.exr: not an EXR file"):
        exr_io.size("a.exr")
    exr_io.write("a.exr", linear(0, 50, 50))
    whole = Path("a.exr").read_bytes()
    for length in (10, 200, len(whole) // 2, len(whole) - 3):
        Path("a.exr").write_bytes(whole[:length])
        with pytest.raises(BadInput, match=r"a\.exr: damaged EXR file"):
            exr_io.read("a.exr")
    library.File({}, {"Y": linear(0)[..., 0].copy()}).write("a.exr")
    with pytest.raises(BadInput, match=r"a\.exr: channels Y; expected R, G and B"):
        exr_io.read("a.exr")
    exr_io.write("noisy/a.exr", linear(0))
    save("clean/a.png", drawn(0))
    with pytest.raises(BadInput, match="one kind on both sides"):
        image_pairs.find("noisy", "clean")
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(BadInput, match="pip install openexr"):
        exr_io.read("a.exr")


def test_what_has_no_partner_or_another_size_is_named():
    save("noisy/scene.png", drawn(0))
    save("clean/scene.png", drawn(0))
    save("noisy/stret.png", drawn(0))
    with pytest.raises(BadInput, match=r"noisy/stret\.png: no clean image belongs to it"):
        image_pairs.find("noisy", "clean")
    save("clean/street.png", drawn(0))
    Path("noisy/stret.png").unlink()
    with pytest.raises(BadInput, match=r"clean/street\.png: no noisy image belongs to it"):
        image_pairs.find("noisy", "clean")
    save("noisy/street.png", drawn(0, 30, 20, 3))
    with pytest.raises(BadInput, match=r"noisy/street.png is 30 x 20, its clean image 20 x 30"):
        image_pairs.find("noisy", "clean")
    save("noisy/street.tif", drawn(0))
    with pytest.raises(BadInput, match=r"two images of one name; give a pattern.*noisy/\*"):
        image_pairs.find("noisy", "clean")
    Path("clean/scene.png").unlink()
    found = image_pairs.find("noisy/*.tif", "clean/*.png")
    assert [photo.name for photo in found.photographs] == ["street"]


@pytest.mark.parametrize(
    "noisy, clean, message",
    [
        (
            "absent",
            "clean",
            "absent: no such folder; expected two folders, two files, two patterns",
        ),
        ("clean/a.png", "clean", "expected two folders, two files.*not one of each"),
        ("empty", "clean", "empty: no image in it; expected files ending in .png"),
        ("clean/*.png", "clean", "not one of each"),
        ("noisy.mat", "clean", "not one of each"),
        ("*/*.png", "clean/*.png", r"\*/\*\.png: 2 stars; expected exactly one"),
        ("clean/*.jpg", "clean/*.png", r"clean/\*\.jpg: no such file"),
    ],
)
def test_places_that_cannot_be_used(noisy, clean, message):
    save("clean/a.png", drawn(0))
    Path("empty").mkdir()
    with pytest.raises(BadInput, match=message):
        image_pairs.find(noisy, clean)


def test_two_files_are_a_pair_whatever_their_names():
    save("a/16spp.png", drawn(0))
    save("b/2048spp.png", drawn(1))
    found = image_pairs.find("a/16spp.png", "b/2048spp.png")
    assert [photo.name for photo in found.photographs] == ["2048spp.png"]
    assert found.recorded.spec == "pairs:16spp"
    found.recorded.check(found.photographs)


def test_sixteen_bits_are_rounded_not_cut_off(tmp_path):
    values = np.random.default_rng(0).integers(0, 2**16, (9, 7, 3), dtype=np.uint16)
    for suffix in ("png", "tif"):
        image_io.write(tmp_path / f"a.{suffix}", image_io.ImageFile(values, None))
        found = data_image_io.read_rgb(tmp_path / f"a.{suffix}")
        assert np.array_equal(found, np.round(values / 257).astype(np.uint8))


def test_scenes_of_sidd_and_polyu_are_known():
    for i in range(2):
        save(f"polyu/CroppedImages/Canon_5_160_bicycle_{i}_real.JPG", drawn(i))
        save(f"polyu/CroppedImages/Canon_5_160_bicycle_{i}_mean.JPG", drawn(i))
    recipe = test_sets.RECIPES["polyu"]
    found = recipe.find(Path("polyu"), None)
    assert {photo.scene for photo in found.photographs} == {"Canon_5_160_bicycle"}
    crops = data_crops.whole(found.photographs)
    assert {crop.scene for crop in crops} == {"Canon_5_160_bicycle"}


def test_damaged_images_are_named():
    save("noisy/a.png", drawn(0))
    save("clean/a.png", drawn(0))
    Path("noisy/a.png").write_text("no image")
    with pytest.raises(BadInput, match=r"noisy/a\.png: not an image that can be read"):
        image_pairs.find("noisy", "clean")


def test_a_tone_map_is_for_linear_files_only():
    save("noisy/a.png", drawn(0))
    save("clean/a.png", drawn(0))
    with pytest.raises(BadInput, match=r"tone map 'srgb': noisy/a\.png is not linear EXR"):
        image_pairs.find("noisy", "clean", tone_map="srgb")
    scipy.io.savemat("a.mat", {"x": drawn(0, 4, 8, 8, 3)})
    with pytest.raises(BadInput, match="not linear EXR"):
        image_pairs.find("a.mat", "a.mat", tone_map="srgb")


@pytest.mark.parametrize("name", ["gaussian", "gaussian:15", "folder:64", "a,b", "", "two words"])
def test_names_of_recorded_noise(name):
    save("noisy/a.png", drawn(0))
    save("clean/a.png", drawn(0))
    with pytest.raises(BadInput, match="expected a word such as polyu"):
        image_pairs.find("noisy", "clean", name=name)


def test_a_turned_jpeg_scores_as_the_same_picture_upright():
    """Stored turned with its orientation, and upright: the score is that of the same pixels."""
    clean = np.asarray(Image.fromarray(drawn(0, 6, 8, 3)).resize((80, 60)))
    save("clean/a.png", clean)
    tags = Image.Exif()
    tags[0x112] = 3
    Path("noisy").mkdir()
    Image.fromarray(clean).rotate(180).save("noisy/a.jpg", quality=95, exif=tags)
    found = image_pairs.find("noisy", "clean")
    found.recorded.check(found.photographs)
    decoded = np.asarray(Image.open("noisy/a.jpg")).astype(np.float64)
    exact, as_stored = (
        10 * math.log10(255**2 / ((pixels - clean) ** 2).mean())
        for pixels in (decoded[::-1, ::-1], decoded)
    )
    assert exact > 35 and as_stored < 15
    assert psnr(found) == [pytest.approx(exact, abs=1e-9)]


def test_a_turned_pair_has_its_upright_size():
    tags = Image.Exif()
    tags[0x112] = 6
    for side in ("noisy", "clean"):
        Path(side).mkdir()
        Image.fromarray(drawn(0, 20, 30, 3)).save(f"{side}/a.png", exif=tags)
    found = image_pairs.find("noisy", "clean")
    assert [(photo.height, photo.width) for photo in found.photographs] == [(30, 20)]
    found.recorded.check(found.photographs)


def test_a_page_of_both_sides():
    for side, seed in (("noisy", 10), ("clean", 0)):
        Path(side).mkdir()
        pages = [Image.fromarray(drawn(seed + i)) for i in range(2)]
        pages[0].save(f"{side}/a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(BadInput, match=r"clean/a\.tif: 2 pages|noisy/a\.tif: 2 pages"):
        image_pairs.find("noisy", "clean")
    for found in (
        image_pairs.find("noisy", "clean", page=2),
        image_pairs.find("noisy/*.tif", "clean/*.tif", page=2),
    ):
        noisy, clean = as_found(found, found.photographs[0].name)
        assert (noisy == drawn(11)).all() and (clean == drawn(1)).all()
    recorded = Recorded("folder:noisy", page=2)
    assert (recorded.cut(data_crops.Crop("a.png", 0, 0, drawn(1))) == drawn(11)).all()
    scipy.io.savemat("a.mat", {"x": drawn(0, 4, 8, 8, 3)})
    with pytest.raises(BadInput, match=r"page 1: a\.mat has blocks"):
        image_pairs.find("a.mat", "a.mat", page=1)


def test_hidden_files_are_no_pairs():
    for side in ("noisy", "clean"):
        save(f"{side}/a.png", drawn(0))
        Path(f"{side}/._b.png").write_bytes(b"x")
        Path(f"{side}/Thumbs.db").write_bytes(b"x")
    assert len(image_pairs.find("noisy", "clean").photographs) == 1
    for word in ("real", "mean"):
        save(f"cc/a_{word}.png", drawn(0))
        Path(f"cc/._a_{word}.png").write_bytes(b"x")
    assert len(test_sets.RECIPES["cc"].find(Path("cc"), None).photographs) == 1
