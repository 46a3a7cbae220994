"""`python -m mtd.denoise`: files and folders in, files and folders out."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import mtd
from mtd.data import image_io
from mtd.data.image_io import ImageFile
from mtd.denoise import main
from mtd.inference import image_files
from mtd.inference.forward import GIB, denoise
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.utils.errors import BadInput
from tests.helpers.images import noise, profile
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.paths import ROOT
from tests.helpers.processes import fresh

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of small images of several kinds, and a small checkpoint beside it."""
    made = tmp_path / "in"
    image_io.write(made / "a.png", ImageFile(noise(3, np.uint16, 20, 31), profile()))
    image_io.write(made / "b.tif", ImageFile(noise(4, np.uint8, 9, 12), profile()))
    image_io.write(made / "c.png", ImageFile(noise(1, np.uint8, 3, 5)))
    jpeg = image_io.ImageFile(noise(3, np.uint8, 16, 16))
    from PIL import Image

    Image.fromarray(jpeg.pixels).save(made / "d.jpg", icc_profile=profile())
    weights = tiny_network(0).state_dict()
    checkpoint_file.save(tmp_path / "tiny.pth", weights, network=TINY, mask=MaskPolicy())
    return made


def run(call: Call, folder: Path, *more: str, output: str = "out") -> tuple[int, str, str]:
    base = folder.parent
    return call(main, str(base / "tiny.pth"), str(folder), str(base / output), *more)


def test_a_folder_keeps_depth_alpha_and_profile(in_process: Call, folder: Path) -> None:
    code, out, err = run(in_process, folder)
    assert code == 0, err
    assert "4 images" in out
    results = folder.parent / "out"
    assert sorted(p.name for p in results.iterdir()) == ["a.png", "b.tif", "c.png", "d.png"]
    for source in folder.iterdir():
        name = source.name.replace(".jpg", ".png")
        given, got = image_io.read_image(source), image_io.read_image(results / name)
        assert got.pixels.shape == given.pixels.shape and got.depth == given.depth
        assert got.icc == given.icc
        assert not np.array_equal(got.colors, given.colors)
    alpha = [image_io.read_image(p / "b.tif").pixels[..., 3] for p in (folder, results)]
    assert np.array_equal(*alpha)


def test_the_result_is_the_network_s(in_process: Call, folder: Path) -> None:
    network = mtd.load(folder.parent / "tiny.pth")
    code, out, err = run(in_process, folder, "--quiet")
    assert (code, out, err) == (0, "", "")
    results = folder.parent / "out"
    deep = image_io.read_image(folder / "a.png").pixels.astype(np.float32) / 65535
    y = denoise(network, torch.from_numpy(deep).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    expected = (y.double().clamp(0, 1) * 65535).round().numpy()
    assert np.array_equal(image_io.read_image(results / "a.png").pixels, expected)
    flat = torch.from_numpy(image_io.read_image(folder / "c.png").pixels.astype(np.float32) / 255)
    y = denoise(network, flat.permute(2, 0, 1).expand(1, 3, -1, -1)).mean(1)[0]
    expected = (y.double().clamp(0, 1) * 255).round().numpy()
    assert np.array_equal(image_io.read_image(results / "c.png").pixels[..., 0], expected)


def test_one_file(in_process: Call, folder: Path) -> None:
    base = folder.parent
    model, source = str(base / "tiny.pth"), str(folder / "d.jpg")
    assert in_process(main, model, source, str(base / "deep" / "x.tif"), "--quiet")[0] == 0
    assert image_io.read_image(base / "deep" / "x.tif").pixels.shape == (16, 16, 3)
    assert in_process(main, model, source, str(base / "deep"), "--quiet")[0] == 0
    assert (base / "deep" / "d.png").exists()


def test_results_that_are_there(in_process: Call, folder: Path) -> None:
    results = folder.parent / "out"
    assert run(in_process, folder, "--quiet")[0] == 0
    code, _, err = run(in_process, folder)
    assert code == 2 and err.count("\n") == 1
    assert "4 in all" in err and "--resume" in err and "--overwrite" in err
    (results / "a.png").unlink()
    before = (results / "c.png").stat().st_mtime_ns
    code, out, _ = run(in_process, folder, "--resume")
    assert code == 0 and "1 image, 3 skipped" in out
    assert (results / "a.png").exists() and (results / "c.png").stat().st_mtime_ns == before
    assert run(in_process, folder, "--overwrite", "--quiet")[0] == 0
    assert (results / "c.png").stat().st_mtime_ns > before
    assert run(in_process, folder, "--overwrite", "--resume")[0] == 2


def test_a_damaged_image_is_listed_and_the_others_done(in_process: Call, folder: Path) -> None:
    image_io.write(folder / "bad.png", ImageFile(noise(3, np.uint8, 90, 90)))
    content = (folder / "bad.png").read_bytes()
    (folder / "bad.png").write_bytes(content[: len(content) // 2])
    code, _, err = run(in_process, folder, "--quiet")
    assert code == 3
    assert "1 of 5 images" in err and "bad.png: damaged" in err
    assert len(list((folder.parent / "out").iterdir())) == 4


def test_input_mask(in_process: Call, folder: Path) -> None:
    network = mtd.load(folder.parent / "tiny.pth")
    code, _, err = run(in_process, folder, "--input-mask", "0.8", "--seed", "3", "--quiet")
    assert code == 0, err
    results = folder.parent / "out"
    assert len(list(results.iterdir())) == 8
    given = image_io.read_image(folder / "a.png")
    seen = image_io.read_image(results / "a_masked.png")
    assert seen.depth == 16 and seen.icc == given.icc
    kept = seen.pixels.any(2)
    assert 0.1 < kept.mean() < 0.3
    assert np.array_equal(seen.pixels[kept], given.pixels[kept])
    mask = image_files.input_mask(given, 0.8, 3)
    assert torch.equal(mask[0, 0], torch.from_numpy(kept))
    black = torch.from_numpy(seen.pixels.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    expected = (denoise(network, black)[0].permute(1, 2, 0).double().clamp(0, 1) * 65535).round()
    assert np.array_equal(image_io.read_image(results / "a.png").pixels, expected.numpy())
    assert np.array_equal(
        image_io.read_image(results / "b_masked.png").pixels[..., 3],
        image_io.read_image(folder / "b.tif").pixels[..., 3],
    )


def test_a_masked_network_completes_and_its_baseline_does_not(
    in_process: Call, tmp_path: Path
) -> None:
    import skimage.data

    clean = skimage.data.astronaut()[100:228, 150:278]
    image_io.write(tmp_path / "in.png", ImageFile(clean))
    error = {}
    for name in ("baseline", "masked"):
        target = tmp_path / f"{name}.png"
        code, _, err = in_process(
            main, f"{name}.pth", str(tmp_path / "in.png"), str(target), "--input-mask", "0.8"
        )
        assert code == 0, err
        difference = image_io.read_image(target).pixels.astype(float) - clean
        error[name] = float((difference**2).mean() ** 0.5)
    assert error["masked"] < 25 < 70 < error["baseline"]


def test_networks_for_grey_take_colour_channel_by_channel() -> None:
    torch.manual_seed(0)
    network = DnCNN(DnCNNConfig(in_chans=1, features=4, depth=3)).eval()
    how = image_files.DenoiseOptions("auto", None, GIB)
    image = ImageFile(noise(4, np.uint8))
    got, seen = image_files.restore(network, image, how, lambda pixels: None)
    for c in range(3):
        one = ImageFile(image.pixels[..., c : c + 1])
        alone, _ = image_files.restore(network, one, how, lambda pixels: None)
        assert np.array_equal(got.pixels[..., c], alone.pixels[..., 0])
    assert np.array_equal(seen.pixels, image.pixels)
    assert np.array_equal(got.pixels[..., 3], image.pixels[..., 3])
    with pytest.raises(BadInput, match="2 channels"):
        image_files.channels(DnCNN(DnCNNConfig(in_chans=2)))


def test_tiles_by_hand(in_process: Call, tmp_path: Path) -> None:
    image_io.write(tmp_path / "in.png", ImageFile(noise(3, np.uint16, 60, 150)))
    got = []
    for name, more in (("off", []), ("64", ["--overlap", "40"]), ("96", []), ("auto", [])):
        target = tmp_path / f"{name}.png"
        more = ["--tile", name, *more, "--quiet"]
        assert (
            in_process(main, "baseline.pth", str(tmp_path / "in.png"), str(target), *more)[0] == 0
        )
        got.append(image_io.read_image(target).pixels.astype(int))
    for other in got[1:]:
        assert np.abs(other - got[0]).max() < 655  # a hundredth of the range


@pytest.mark.parametrize(
    "more, words",
    [
        (["--tile", "some"], "expected auto, off, or a number"),
        (["--tile", "4"], "tile 4: expected 32"),
        (["--overlap", "-1"], "whole number from 0"),
        (["--tile", "64", "--overlap", "64"], "overlap 64"),
        (["--memory", "0"], "GiB above 0"),
        (["--memory", "1e-6"], "too little for a tile"),
        (["--memory", "nan"], "GiB above 0"),
        (["--input-mask", "1"], "between 0 and 1"),
        (["--input-mask", "80%"], "between 0 and 1"),
        (["--attention-mask", "yes"], "known: auto, on, off"),
        (["--mask-samples", "0"], "whole number from 1"),
        (["--device", "none"], "device"),
    ],
)
def test_wrong_options(in_process: Call, folder: Path, more: list[str], words: str) -> None:
    code, _, err = run(in_process, folder, *more)
    assert code == 2 and err.count("\n") == 1 and words in err, err
    assert not (folder.parent / "out").exists()


def test_wrong_places(in_process: Call, folder: Path) -> None:
    base = folder.parent
    (base / "empty").mkdir()
    (base / "file").write_text("")
    (base / "text.png").write_text("no image")
    model = str(base / "tiny.pth")
    for source, target, words in (
        ("none", "out", "no such file"),
        ("empty", "out", "no image in it"),
        ("text.png", "out.png", "not an image"),
        ("in", "out.png", "has to be one too"),
        ("in", "file", "has to be one too"),
        ("in", "in", "overwrite an input"),
        ("in/a.png", "in/a.png", "overwrite an input"),
        ("in/a.png", "out.jpg", ".jpg; outputs are .png"),
        ("in/a.png", "out", "no suffix"),
        ("in/a.png", "file/out.png", "file"),
    ):
        code, _, err = in_process(main, model, str(base / source), str(base / target))
        assert code == 2 and err.count("\n") == 1 and words in err, (source, target, err)
    image_io.write(folder / "d.png", ImageFile(noise(3, np.uint8)))
    code, _, err = run(in_process, folder)
    assert code == 2 and "d.jpg" in err and "d.png" in err and "both" in err
    assert not (base / "out").exists()


def test_help_is_quick() -> None:
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "from mtd import denoise\n"
        "try: denoise.main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'pyvips' not in sys.modules"
    )
    done = fresh("-c", code, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "--input-mask" in done.stdout


def test_other_formats_are_written_as_png_in_their_depth(in_process: Call, folder: Path) -> None:
    from PIL import Image

    for path in folder.iterdir():
        path.unlink()
    pixels = noise(3, np.uint8, 9, 12)
    for suffix in ("bmp", "jp2", "webp"):
        Image.fromarray(pixels).save(folder / f"{suffix}.{suffix}")
    deep = noise(1, np.uint16, 9, 12)
    (folder / "deep.pgm").write_bytes(b"P5 12 9 65535\n" + deep.astype(">u2").tobytes())
    code, _, err = run(in_process, folder)
    assert code == 0, err
    results = folder.parent / "out"
    assert sorted(p.name for p in results.iterdir()) == [
        f"{name}.png" for name in ("bmp", "deep", "jp2", "webp")
    ]
    assert image_io.read_image(results / "deep.png").pixels.shape == (9, 12, 1)
    assert image_io.read_image(results / "deep.png").depth == 16
    assert image_io.read_image(results / "bmp.png").depth == 8


def test_a_page_is_taken_and_several_are_refused(in_process: Call, folder: Path) -> None:
    from PIL import Image

    base = folder.parent
    first, second = noise(3, np.uint8, 9, 12), noise(4, np.uint8, 9, 12)[..., :3]
    pages = [Image.fromarray(pixels) for pixels in (first, second)]
    pages[0].save(base / "two.tif", save_all=True, append_images=pages[1:])
    image_io.write(base / "one.tif", ImageFile(np.ascontiguousarray(second)))
    model = str(base / "tiny.pth")
    code, _, err = in_process(main, model, str(base / "two.tif"), str(base / "two.png"))
    assert code == 2 and err.count("\n") == 1 and "2 pages; choose one with --page N" in err
    for name, more in (("two", ("--page", "2")), ("one", ())):
        arguments = (model, str(base / f"{name}.tif"), str(base / f"{name}.png"), *more)
        assert in_process(main, *arguments)[0] == 0
    got, expected = (image_io.read_image(base / f"{name}.png").pixels for name in ("two", "one"))
    assert np.array_equal(got, expected)
    code, _, err = run(in_process, folder, "--page", "2")
    assert code == 2 and err.count("\n") == 1 and "page 2: it holds 1 image; expected 1" in err


def test_what_is_skipped_is_said_once(in_process: Call, folder: Path) -> None:
    for name in ("notes.txt", "raw.CR2", "more.txt", ".hidden.png", "._a.png", "Thumbs.db"):
        (folder / name).write_bytes(b"x")
    code, _, err = run(in_process, folder)
    assert code == 0 and err.count(f"{folder}: 3 files skipped (1 .cr2, 2 .txt)\n") == 1
    code, out, err = run(in_process, folder, "--quiet", output="again")
    assert (code, out, err) == (0, "", "")


@pytest.mark.parametrize("channels, inputs", [(3, 3), (3, 1), (1, 3)])
def test_a_large_image_is_converted_band_by_band(
    monkeypatch: pytest.MonkeyPatch, channels: int, inputs: int
) -> None:
    """No more real numbers are in memory than those of a row of tiles; the result is the same."""
    torch.manual_seed(0)
    network = DnCNN(DnCNNConfig(in_chans=inputs, features=2, depth=3)).eval()
    image = ImageFile(noise(channels, np.uint8, 400, 90))
    whole, _ = image_files.restore(
        network, image, image_files.DenoiseOptions("off", None, GIB), lambda pixels: None
    )
    cut: list[int] = []
    convert = image_files.Levels.__getitem__

    def counted(levels: image_files.Levels, place: object) -> torch.Tensor:
        tracemalloc.start()
        try:
            part = convert(levels, place)
            assert tracemalloc.get_traced_memory()[1] < 10 * part.nelement() + 5000
        finally:
            tracemalloc.stop()
        cut.append(part.shape[-2] * part.shape[-1])
        return part

    monkeypatch.setattr(image_files.Levels, "__getitem__", counted)
    how = image_files.DenoiseOptions(32, 16, GIB)
    tiled, _ = image_files.restore(network, image, how, lambda pixels: None)
    assert len(cut) > 50 and max(cut) <= 32 * 32
    differences = np.abs(tiled.pixels.astype(int) - whole.pixels)  # sums of other order: ties
    assert differences.max() <= 1 and differences.mean() < 1e-3


@pytest.mark.parametrize("channels, inputs", [(3, 3), (4, 1), (1, 3)])
def test_the_result_of_a_large_image_takes_the_memory_of_its_input(
    channels: int, inputs: int
) -> None:
    torch.manual_seed(0)
    network = DnCNN(DnCNNConfig(in_chans=inputs, features=2, depth=3)).eval()
    image = ImageFile(noise(channels, np.uint8, 400, 90))
    how = image_files.DenoiseOptions(32, 16, GIB)
    apart, _ = image_files.restore(network, image, how, lambda pixels: None)
    assert not np.shares_memory(apart.pixels, image.pixels)
    same, _ = image_files.restore(network, image, how, lambda pixels: None, in_place=True)
    assert np.shares_memory(same.pixels, image.pixels)
    assert np.array_equal(same.pixels, apart.pixels)
