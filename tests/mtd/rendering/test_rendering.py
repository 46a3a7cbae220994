"""Rendering of pairs: the same seed gives the same file, and noise falls as one over samples."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mtd import render
from mtd.data import exr_io, image_pairs
from mtd.rendering import mitsuba as rendering_mitsuba
from mtd.rendering import scenes
from mtd.utils.errors import BadInput


@pytest.fixture
def mitsuba() -> None:
    pytest.importorskip("mitsuba", reason="rendering needs the extra 'render'")
    pytest.importorskip("OpenEXR", reason="EXR files need the OpenEXR package")


SMALL = ("--size", "16", "--spp", "2", "--reference", "4", "--quiet")


def test_views_are_apart_and_the_first_looks_straight_ahead():
    places = [scenes.sway(view) for view in range(30)]
    assert places[0] == (0, 0) and all(-1 <= x <= 1 for place in places for x in place)
    apart = [np.hypot(a[0] - b[0], a[1] - b[1]) for a in places for b in places if a != b]
    assert min(apart) > 0.1


def test_a_folder_of_pairs(mitsuba, tmp_path, in_process):
    code, out, err = in_process(render.main, str(tmp_path), *SMALL, "--spp", "3", "--views", "2")
    assert code == 0 and out.strip() == str(tmp_path) and not err
    names = sorted(f"{name}{view}.exr" for name in rendering_mitsuba.SCENES for view in ("", "_1"))
    folders = {path.name: path for path in tmp_path.iterdir() if path.is_dir()}
    assert set(folders) == {"2spp", "3spp", "clean"}
    for folder in folders.values():
        assert sorted(path.name for path in folder.iterdir()) == names
        for name in names:
            pixels = exr_io.read(folder / name)
            assert pixels.shape == (16, 16, 3) and np.isfinite(pixels).all()
            assert 0.02 < pixels.mean() < 1 and pixels.min() >= 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["spp"] == [2, 3] and manifest["scenes"] == list(rendering_mitsuba.SCENES)
    assert (manifest["seed"], manifest["size"], manifest["reference"]) == (0, 16, 4)
    assert manifest["versions"]["mitsuba"] and len(manifest["images"]) == 12
    found = image_pairs.find(tmp_path / "2spp", tmp_path / "clean", name="monte_carlo:2")
    assert [photo.name for photo in found.photographs] == names


def test_the_same_seed_gives_the_same_file_and_another_one_does_not(mitsuba, tmp_path, in_process):
    def bytes_of(folder: str, *arguments: str) -> dict[str, bytes]:
        output = tmp_path / folder
        scene = ("--scene", "rough_metals")
        code, _, err = in_process(render.main, str(output), *scene, *SMALL, *arguments)
        assert code == 0, err
        return {p.parent.name: p.read_bytes() for p in sorted(output.glob("*/*.exr"))}

    first = bytes_of("a")
    for i in range(4):  # the order of a scene's objects must not depend on the moment
        assert bytes_of(f"b{i}") == first
    other = bytes_of("c", "--seed", "1")
    assert all(other[name] != first[name] for name in ("2spp", "clean"))
    more = bytes_of("d", "--spp", "3", "--scene", "cornell_box", "--views", "2")
    assert len(more) == 3
    assert (tmp_path / "d/2spp/rough_metals.exr").read_bytes() == first["2spp"]


@pytest.mark.parametrize("name, tolerance", [("cornell_box", 0.15), ("rough_metals", 0.3)])
def test_squared_error_falls_as_one_over_samples(mitsuba, name, tolerance):
    """E (x_n − x_N)² = v (1/n + 1/N), v the variance of one sample.

    Without the twentieth of the values where v is largest, as other renderings tell: rare bright
    reflections would need many more samples.
    """
    scene = rendering_mitsuba.load(name, 24)
    others = np.stack([rendering_mitsuba.render(scene, 64, ("other", i)) for i in range(16)])
    reference, spread = others.mean(axis=0, dtype=np.float64), others.var(axis=0)
    calm = spread <= np.quantile(spread, 0.95)
    errors = {
        samples: np.mean(
            [
                (rendering_mitsuba.render(scene, samples, (samples, i))[calm] - reference[calm])
                ** 2
                for i in range(20)
            ]
        )
        for samples in (4, 16)
    }
    expected = (1 / 4 + 1 / 1024) / (1 / 16 + 1 / 1024)
    assert errors[4] / errors[16] == pytest.approx(expected, rel=tolerance)


def test_passes_are_independent_and_their_mean_is_the_image(mitsuba, monkeypatch):
    """Of 5 samples in passes of 2, 2 and 1: the mean weighted by samples."""
    scene = rendering_mitsuba.load("cornell_box", 16)
    parts = []
    original = rendering_mitsuba.renderer().render

    def keep(scene, spp, seed):
        parts.append((spp, seed, np.asarray(original(scene, spp=spp, seed=seed), dtype=np.float64)))
        return parts[-1][2]

    monkeypatch.setattr(rendering_mitsuba, "PASS", 2)
    monkeypatch.setattr(rendering_mitsuba.renderer(), "render", keep)
    steps: list[int] = []
    whole = rendering_mitsuba.render(scene, 5, ("key",), steps.append)
    assert steps == [2, 2, 1] == [spp for spp, _, _ in parts]
    assert len({seed for _, seed, _ in parts}) == 3
    assert all(0 <= seed < 2**32 for _, seed, _ in parts)
    assert (parts[0][2] != parts[1][2]).any()
    expected = sum(spp * pixels for spp, _, pixels in parts) / 5
    assert np.allclose(whole, expected, rtol=1e-6)


def test_resume_renders_what_is_missing_and_nothing_else(mitsuba, tmp_path, in_process):
    arguments = (str(tmp_path), "--scene", "cornell_box", *SMALL)
    assert in_process(render.main, *arguments)[0] == 0
    before = {p: p.stat().st_mtime_ns for p in tmp_path.glob("*/*.exr")}
    lost = tmp_path / "2spp" / "cornell_box.exr"
    content = lost.read_bytes()
    lost.unlink()
    code, out, err = in_process(render.main, *arguments)
    assert code == 2 and "--resume continues them" in err and not out and not lost.exists()
    assert in_process(render.main, *arguments, "--resume")[0] == 0
    assert lost.read_bytes() == content
    kept = tmp_path / "clean" / "cornell_box.exr"
    assert kept.stat().st_mtime_ns == before[kept]
    assert in_process(render.main, *arguments, "--spp", "3", "--views", "2", "--resume")[0] == 0
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["spp"] == [2, 3] and len(manifest["images"]) == 6
    for changed in (("--seed", "1"), ("--size", "17"), ("--reference", "5")):
        code, _, err = in_process(render.main, *arguments, *changed, "--resume")
        assert code == 2 and f"rendered with {changed[0][2:]}" in err
    (tmp_path / "manifest.json").write_text("{}")
    code, _, err = in_process(render.main, *arguments, "--resume")
    assert code == 2 and "manifest.json: damaged" in err
    (tmp_path / "manifest.json").unlink()
    code, _, err = in_process(render.main, *arguments)
    assert code == 2 and "name an empty folder" in err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--scene", "cornel_box"), "did you mean cornell_box?"),
        (("--spp", "64", "--reference", "64"), "expected more samples than --spp 64"),
        (("--spp", "0"), "expected a whole number from 1 up"),
        (("--size", "8"), "expected a whole number from 16 up"),
    ],
)
def test_options_that_cannot_be_used(tmp_path, in_process, arguments, message):
    output = tmp_path / "out"
    code, _, err = in_process(render.main, str(output), *arguments)
    assert code == 2 and message in err and err.count("\n") == 1 and not output.exists()


@pytest.mark.parametrize(
    "package, message",
    [
        ("mitsuba", "pip install 'masked-training-denoisers[render]'"),
        ("OpenEXR", "install openexr"),
    ],
)
def test_without_a_package(tmp_path, monkeypatch, in_process, package, message):
    if package == "OpenEXR":
        pytest.importorskip("mitsuba", reason="rendering needs the extra 'render'")
    monkeypatch.setitem(sys.modules, package, None)
    code, _, err = in_process(render.main, str(tmp_path / "out"), "--spp", "2")
    assert code == 2 and message in err and not Path(tmp_path / "out").exists()


RENDERED = {"seed": 0, "size": 1, "reference": 9, "views": 2}
RENDERED |= {"spp": [1], "scenes": ["a"], "images": ["b"]}


@pytest.mark.parametrize(
    "damage",
    [b"{}", b"[]", b"\xff", b"[" * 100_000, {"views": "2"}, {"spp": [[]]}, {"images": [1]}],
)
def test_a_damaged_manifest_is_refused(damage, tmp_path):
    content = damage if isinstance(damage, bytes) else json.dumps(RENDERED | damage).encode()
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"manifest\.json: (damaged|not UTF-8)"):
        render.merged(dict(RENDERED), tmp_path, resume=True)
