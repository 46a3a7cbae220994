"""`python -m analysis.generalization --noisy`: what it writes and says, and what it refuses."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import analysis
import mtd
from analysis.commands.command import run_arguments
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables
from analysis.engine import run as engine_run
from analysis.generalization import command as generalization_command
from analysis.generalization.noisy import features, no_reference
from analysis.generalization.noisy.command import ANALYSIS
from analysis.generalization.noisy.inputs import BLUR, RECORDED, blurred
from analysis.text.noise_labels import NOISY
from mtd.data import crops as data_crops
from mtd.data.image_io import read_rgb
from mtd.metrics import registry
from mtd.networks.ffdnet import FFDNet, FFDNetConfig
from mtd.utils.errors import BadInput
from tests.helpers import fake_pyiqa
from tests.helpers.fake_pyiqa import in_place_of_pyiqa
from tests.helpers.figures import leave_unrendered
from tests.helpers.networks import tiny_network
from tests.helpers.processes import two_processes
from tests.helpers.run_folders import contents

TWO = ("plain.pth", "hidden.pth")
COUNT = 4


@pytest.fixture(scope="session")
def noisy_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with noisy pictures, one of another size."""
    folder = tmp_path_factory.mktemp("noisy")
    stream = np.random.default_rng(0)
    for i in range(COUNT):
        shape = (44, 40, 3) if i == 2 else (40, 48, 3)
        ramp = np.add.outer(np.arange(shape[0]) * i, np.arange(shape[1]))[..., None] / 2
        pixels = (50 + ramp + stream.normal(0, 12, shape)).round().clip(0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"night {i}.png")
    return folder


@pytest.fixture
def folder(pair: Path, noisy_pictures: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tiny pair lies, and the pictures as `photos`."""
    monkeypatch.chdir(pair)
    (pair / "photos").symlink_to(noisy_pictures)
    return pair


def start(*arguments: str) -> Path:
    return run_arguments(generalization_command.ANALYSIS, [*arguments, "--quiet"], "test")


@pytest.fixture(scope="module")
def of_two(tiny_pair: Path, noisy_pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the tiny pair, which no test changes."""
    place = tmp_path_factory.mktemp("two")
    (place / "photos").symlink_to(noisy_pictures)
    with contextlib.chdir(place), pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        return start(*(str(tiny_pair / name) for name in TWO), "--noisy", "photos").absolute()


def outputs_by_hand(name: str) -> dict[str, np.ndarray]:
    """What a network makes of every picture, in 8 bits."""
    network, made = mtd.load(f"{name}.pth"), {}
    for path in sorted(Path("photos").iterdir()):
        pixels = read_rgb(path)
        crop = data_crops.Crop(path.name, 0, 0, pixels)
        with torch.no_grad():
            output = network(data_crops.to_tensor([pixels]), [crop.digest])[0]
        levels = output.permute(1, 2, 0).double().clamp(0, 1).mul(255).round()
        made[path.name] = levels.numpy()
    return made


def test_outputs_and_quantities_are_those_of_the_networks(folder, of_two):
    path = of_two
    frames = read_tables(path, ANALYSIS.table_names)
    table = frames["no_reference"].set_index(["model", "image"])
    assert len(table) == 4 * COUNT
    outputs = {name: outputs_by_hand(name) for name in ("plain", "hidden")}
    for name, by_picture in outputs.items():
        for image, expected in by_picture.items():
            row = table.loc[(name, image)]
            assert row.output == f"outputs/{name}/{image.replace(' ', '_')}"
            with Image.open(path / row.output) as opened:
                assert opened.format == "PNG" and opened.mode == "RGB"
                written = np.asarray(opened)
            assert np.abs(written - expected).max() <= 1  # rounding of batches
            noisy = read_rgb(Path("photos") / image)
            residual = noisy.astype(float) - written
            assert row.noise_level == no_reference.noise_level(written)
            assert row.coarse_noise_level == no_reference.coarse_noise_level(written)
            assert row.residual == pytest.approx(np.sqrt(np.mean(residual**2)))
            assert row.autocorrelation == no_reference.correlated(residual)
            assert row.autocorrelation_floor == pytest.approx(
                1 / np.sqrt(residual[..., 0].size), rel=0.1
            )
            assert row.detail_correlation == no_reference.detail_correlation(residual, written)
            own = table.loc[(NOISY, image)]
            assert own.noise_level == no_reference.noise_level(noisy)
            assert np.isnan(own.residual) and own.output == ""
            control = table.loc[(BLUR, image)]
            assert control.noise_level == no_reference.noise_level(blurred(noisy))
    assert frames["no_reference"][
        frames["no_reference"].model == NOISY
    ].coarse_noise_level.mean() == (pytest.approx(12, rel=0.1))
    pairs = frames["agreement"]
    row = pairs[(pairs.model_a == "plain") & (pairs.model_b == "hidden")].set_index("image")
    a, b = (
        np.asarray(Image.open(path / table.output[name, "night 0.png"])).astype(float)
        for name in ("plain", "hidden")
    )
    assert row.difference["night 0.png"] == pytest.approx(np.sqrt(np.square(a - b).mean()))
    assert len(pairs) == 6 * COUNT
    out = (path / "summary.txt").read_text()
    assert "4 noisy whole pictures (photos); no clean image, so no PSNR" in out
    assert (
        "there is no PSNR, SSIM or LPIPS" in out
        and "The 95% intervals leave out one photograph" in out
    )

    for file in path.rglob("*.csv"):
        assert "psnr" not in file.read_text().lower()
    manifest = read_manifest(path)
    assert manifest["analysis"] == "noisy_pictures" and manifest["images"] == ["photos"]
    assert manifest["synthetic"] == [features.ESTIMATED] and len(manifest["crops"]) == COUNT


def test_what_is_written(of_two):
    path = of_two
    names = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert names == {
        *("manifest.json", "run.json", "summary.txt", "strips.safetensors"),
        *("no_reference.png", "agreement.png", "features.png"),
        *(f"{t}.csv" for t in ANALYSIS.table_names if t != "means_by_training"),
        *(f"strip_night_{i}.png" for i in range(COUNT)),
        *(f"outputs/{name}/night_{i}.png" for name in ("plain", "hidden") for i in range(COUNT)),
    }
    strips = read_tables(path, ["strips"])["strips"]
    assert len(strips) == 3 * COUNT and set(strips.model) == {"plain", "hidden", NOISY}


def test_crops_and_noises_to_compare_with(folder):
    path = start(
        "plain.pth", "--noisy", "photos", "--crop", "20", "--limit", "6", "--noise", "poisson:2"
    )
    frames = read_tables(path, ANALYSIS.table_names)
    table = frames["no_reference"]
    assert set(table.height) == {20} and len(table) == 18
    files = [file for file in table.output if file]
    assert len(set(files)) == 6 and all((path / file).is_file() for file in files)
    assert set(frames["features"].noise_a) == {"poisson:2"}
    assert set(frames["features"].noise_b) == {RECORDED, "poisson:2, another draw"}
    assert set(frames["means"].photographs) == {frames["no_reference"].scene.nunique()}
    assert frames["means"].photographs.iloc[0] < 6  # crops
    assert not (path / "matched_noises.csv").exists()


def test_sigma_of_noise_of_matched_strength_is_in_the_folder(folder):
    noise = "gaussian:=poisson:2"
    path = start("plain.pth", "--noisy", "photos", "--crop", "20", "--limit", "4", "--noise", noise)
    table = read_tables(path, ["matched_noises"])["matched_noises"]
    assert set(table.noise) == {noise, f"{noise}, another draw"} and len(table) % 2 == 0
    assert table.sigma.between(5, 35).all()


def test_pages_and_other_files_of_a_folder(folder, capsys):
    pages = [Image.open(path) for path in sorted(Path("photos").iterdir())[:2]]
    Path("mixed").mkdir()
    pages[0].save("mixed/scan.tif", save_all=True, append_images=pages[1:])
    Path("mixed/notes.txt").write_text("taken at night")
    given = ("plain.pth", "--noisy", "mixed", "--page", "2")
    path = run_arguments(generalization_command.ANALYSIS, given, "test")
    with Image.open(path / "outputs/plain/scan.png") as image:
        assert image.size == pages[1].size
    own = read_tables(path, ["no_reference"])["no_reference"].set_index("model")
    assert own.noise_level[NOISY] == no_reference.noise_level(np.asarray(pages[1]))
    assert ".txt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        (("--images", "photos"), "--images"),
        (("--paired-images", "photos", "photos"), "--paired-images"),
        (("--suite", "paper"), "--suite"),
        (("--testset", "kodak24=x"), "--testset"),
        (("--in-distribution", "gaussian:15"), "--in-distribution"),
        (("--protocol", "paper"), "--protocol"),
        (("--channel", "y"), "--channel"),
        (("--no-lpips",), "--no-lpips"),
        (("--no-quantize",), "--no-quantize"),
        (("--input-mask", "0.5"), "--input-mask"),
        (("--tone-map", "srgb"), "--tone-map"),
        (("--noise", "folder:photos"), "--noise folder:photos"),
    ],
)
def test_what_needs_clean_images_is_refused(folder, in_process, options, flag):
    code, out, err = in_process(
        generalization_command.main, "plain.pth", "--noisy", "photos", *options
    )
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert err.startswith(f"error: {flag} has no effect with --noisy, as there is no clean image")
    assert not Path("runs").exists()


def test_other_bad_input(folder, in_process):
    torch.save(FFDNet(FFDNetConfig(depth=3, features=8)).state_dict(), "ffdnet.pth")
    Path("empty").mkdir()
    (folder / "noisy input.pth").write_bytes(Path("plain.pth").read_bytes())
    for given, message in (
        (("plain.pth", "--noisy", "missing"), "missing"),
        (("plain.pth", "--noisy", "empty"), "empty"),
        (("plain.pth", "--noisy", "photos", "--noise", "gausian:3"), "gaussian"),
        (("plain.pth", "--noisy", "photos", "--crop", "64"), "smaller than the crop"),
        (("ffdnet.pth", "--noisy", "photos", "--sigma", "oracle"), "level of the noise"),
        (("noisy input.pth", "--noisy", "photos"), "rename the file"),
    ):
        code, _, err = in_process(generalization_command.main, *given)
        assert code == 2 and message in err and len(err.splitlines()) == 1, err


def test_an_interrupted_run_ends_with_the_same_files(folder, monkeypatch):
    given = ("plain.pth", "--noisy", "photos", "--limit", "2", "--batch-size", "1")
    reference = contents(start(*given, "--output-dir", "whole"))
    original, calls = engine_run.run_network, []

    def counted(*args, **kwargs):
        calls.append(1)
        if len(calls) in (2, 5):  # in the pass over the pictures, in that over the patches
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    monkeypatch.setattr(engine_run, "run_network", counted)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        start(*given, "--output-dir", "cut")
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        start(*given, "--output-dir", "cut", "--resume")
    start(*given, "--output-dir", "cut", "--resume")
    assert contents(folder / "cut") == reference
    before = len(calls)
    start(*given, "--output-dir", "cut", "--resume")
    assert len(calls) == before and contents(folder / "cut") == reference


@pytest.mark.slow
@pytest.mark.drawn
def test_two_processes_write_what_one_does(folder):
    given = (*TWO, "--noisy", "photos", "--batch-size", "1", "--quiet")
    start(*given[:-1], "--output-dir", "one")
    done = two_processes("-m", "analysis.generalization", *given, "--output-dir", "two", cwd=folder)
    assert done.returncode == 0, done.stderr
    one, two = contents(folder / "one"), contents(folder / "two")
    assert one.keys() == two.keys()
    # sums of CKA over two processes are rounded otherwise
    rounded = ("features.csv", "depth.csv", "features.png", "summary.txt")
    assert {k: v for k, v in one.items() if k not in rounded} == {
        k: v for k, v in two.items() if k not in rounded
    }
    pd.testing.assert_frame_equal(
        *(pd.read_csv(folder / name / "features.csv") for name in ("one", "two")), atol=1e-6
    )


def test_the_python_function_gives_the_same_and_reads_its_folder(folder):
    path = start("plain.pth", "--noisy", "photos", "--limit", "2")
    result = analysis.generalization.noisy_pictures("plain.pth", "photos", limit=2, progress=False)
    stored = analysis.open_run(path, "noisy_pictures")
    assert type(stored) is type(result) is analysis.generalization.NoisyResult
    for name in ("no_reference", "means", "agreement", "features", "depth", "strips"):
        pd.testing.assert_frame_equal(getattr(result, name), getattr(stored, name))
    assert result.sentences() == stored.sentences()
    assert contents(result.save("saved")).keys() == contents(path).keys()
    file = result.no_reference.set_index(["model", "image"]).output["plain", "night 1.png"]
    with Image.open(path / file) as image:
        np.testing.assert_array_equal(result.output("plain", "night 1.png"), np.asarray(image))
    with pytest.raises(BadInput, match="files of the run folder"):
        stored.output("plain", "night 1.png")
    with pytest.raises(BadInput, match="plain"):
        result.output("plan", "night 1.png")
    assert result.plot_quantity().get_ylabel() == "8-bit levels"
    assert "apart" in result.plot_agreement().get_title()
    with pytest.raises(BadInput, match="instead"):
        analysis.generalization.benchmark("plain.pth", noisy="photos")
    with pytest.raises(BadInput, match="--suite has no effect with --noisy"):
        analysis.generalization.noisy_pictures("plain.pth", "photos", suite="quick")
    with pytest.raises(BadInput, match="a run of noisy_pictures"):
        analysis.open_run(path, "generalization")


class Broken(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / 0


class Dead(torch.nn.Module):
    """A residual network whose last features are 0 everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.last = torch.nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.last((self.first(x) * 0 - 1).relu())


def test_features_that_do_not_vary_have_no_score(folder):
    models = {"plain": mtd.load("plain.pth"), "dead": Dead()}
    result = analysis.generalization.noisy_pictures(models, "photos", limit=2, progress=False)
    frame = result.frames["features"].query("quantity == 'SRGA'").set_index("model")
    assert frame.value["dead"].isna().all() and frame.value["plain"].notna().all()
    assert set(frame.reason["dead"]) == {"its features do not vary"}
    text = " ".join(result.sentences())
    assert "No value for input:last of `dead` under" in text and "no value for `dead`" in text
    result.figures()


def test_an_output_that_is_not_finite_is_refused(folder):
    with pytest.raises(BadInput, match="broken: its output for image 0 is not finite"):
        analysis.generalization.noisy_pictures(
            {"broken": Broken()}, [np.full((20, 20, 3), 9, np.uint8)], progress=False
        )


def test_patches_are_smaller_where_pictures_give_too_few(folder):
    pictures = [
        np.random.default_rng(i).integers(0, 256, (70, 70, 3), dtype=np.uint8) for i in range(2)
    ]
    models = {"plain": tiny_network(0)}
    result = analysis.generalization.noisy_pictures(models, pictures, progress=False)
    assert set(result.features.quantity) == {"CKA", "SRGA"} and (result.features.patches == 8).all()
    assert "left out" not in "\n".join(result.sentences())
    narrow = [pictures[0][:20, :40]]
    result = analysis.generalization.noisy_pictures(models, narrow, progress=False)
    few = "the pictures give 2 different patches of 16 x 16 pixels, it needs 4"
    assert f"CKA was left out: {few}" in "\n".join(result.sentences())


def test_the_identity_and_tiny_pictures(folder):
    pictures = [
        np.random.default_rng(i).integers(0, 256, (9, 8, 3), dtype=np.uint8) for i in (0, 1)
    ]
    result = analysis.generalization.noisy_pictures(
        {"same": torch.nn.Identity()}, pictures, progress=False
    )
    rows = result.no_reference[result.no_reference.model == "same"]
    assert (rows.residual == 0).all() and rows.autocorrelation.isna().all()
    np.testing.assert_array_equal(result.output("same", "image 1"), pictures[1])
    text = "\n".join(result.sentences())
    assert "2 photographs are too few for intervals" in text
    few = "the pictures give 0 different patches of 16 x 16 pixels, it needs 4"
    assert f"CKA was left out: {few}" in text
    assert "One model" in text and result.text() and result.figures()


def test_metrics_without_reference_are_columns_with_means(folder, tmp_path, monkeypatch, capsys):
    with in_place_of_pyiqa(tmp_path, monkeypatch):
        monkeypatch.setattr(registry, "_described", {})
        path = start(
            *("plain.pth", "--noisy", "photos", "--limit", "3", "--metric", "pyiqa:brightness"),
            *("--metric", "pyiqa:heavy"),
        )
        with pytest.raises(BadInput, match=r"--metric pyiqa:mae: compares with a clean image"):
            start("plain.pth", "--noisy", "photos", "--metric", "pyiqa:mae")
        with pytest.raises(BadInput, match=r"--metric psnr: compares with a clean image"):
            start("plain.pth", "--noisy", "photos", "--metric", "psnr")
    frames = read_tables(path, ANALYSIS.table_names)
    table = frames["no_reference"].set_index(["model", "image"])["pyiqa:brightness"]
    expected = outputs_by_hand("plain")
    assert len(table["plain"]) == 3
    for image, value in table["plain"].items():
        assert value == pytest.approx(expected[image].mean() / 255, abs=1e-6)
    means = frames["means"].set_index(["quantity", "model"])["mean"]
    assert means["pyiqa:brightness", NOISY] == pytest.approx(table[NOISY].mean())
    manifest = read_manifest(path)
    assert not manifest["metrics"]["pyiqa:brightness"]["full_reference"]
    assert manifest["not_run"] == {
        "pyiqa:heavy": f"not run: weights missing ({fake_pyiqa.ADDRESS})"
    }
    said = " ".join(capsys.readouterr().out.split())
    mean = f"{means['pyiqa:brightness', 'plain']:.4f}"
    assert "BRIGHTNESS (pyiqa)" in said and said.count(mean) == 2  # in table and sentence
    assert "BRIGHTNESS (pyiqa), higher is better: " in said
    assert "HEAVY (pyiqa) not run: weights missing" in said
    title = analysis.open_run(path, "noisy_pictures").plot_quantity("pyiqa:brightness").get_title()
    assert title == "BRIGHTNESS (pyiqa), higher is better"
