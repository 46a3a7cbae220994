"""`python -m analysis.cka` as a user runs it, right and wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from analysis.cka import command as cka_command
from analysis.cka.command import ANALYSIS
from analysis.commands.command import run_arguments
from analysis.engine.layers import default_layers
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils.errors import BadInput
from tests.helpers.cka_tables import COLUMNS
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.processes import forked, fresh


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return forked("-m", "analysis.cka", *arguments, cwd=cwd)


def contents(folder: Path) -> dict[str, bytes]:
    """All files but the one of run metadata."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "run.json"}


def run(*arguments: str) -> Path:
    return run_arguments(ANALYSIS, [*arguments, "--quiet"], "test")


@pytest.fixture
def folder(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(pair)
    return pair


SMALL = ("--limit", "8", "--crop", "24", "--positions", "16")
FEW = (*SMALL, "--no-controls")


def test_files_columns_and_rows(folder):
    done = command("plain.pth", "hidden.pth", *SMALL, cwd=folder)
    assert done.returncode == 0, done.stderr
    (path,) = (folder / "runs").iterdir()
    assert path.name.startswith("cka-plain-hidden-")
    assert sorted(p.name for p in path.iterdir()) == [
        "cka.csv",
        "controls.csv",
        "cross_model.png",
        "cross_noise.png",
        "depth.csv",
        "depth.png",
        "difference.csv",
        "influence.csv",
        "last_quarter.csv",
        "layers.csv",
        "manifest.json",
        "quarter_difference.csv",
        "run.json",
        "summary.txt",
    ]
    assert (path / "cka.csv").read_text().splitlines()[0] == COLUMNS
    frame = pd.read_csv(path / "cka.csv")
    layers = default_layers(tiny_network())
    assert len(frame) == 3 * len(layers) ** 2
    assert set(frame.samples) == {128} and set(frame.crops) == {8}
    assert frame.layer_a.iloc[:: len(layers)].tolist() == layers * 3
    assert frame.index_b.tolist() == list(range(len(layers))) * (3 * len(layers))
    pairs = frame[["model_a", "noise_a", "model_b", "noise_b"]].drop_duplicates()
    assert [tuple(row) for row in pairs.to_numpy()] == [
        ("plain", "gaussian:15", "hidden", "gaussian:15"),
        ("plain", "gaussian:15", "plain", "poisson:3.5"),
        ("hidden", "gaussian:15", "hidden", "poisson:3.5"),
    ]
    manifest = json.loads((path / "manifest.json").read_text())
    (log,) = json.loads((path / "run.json").read_text())["runs"]
    assert log["command"].startswith("python -m analysis.cka plain.pth hidden.pth --limit 8")
    assert log["finished"] and log["seconds"] > 0 and "command" not in manifest
    assert manifest["models"]["hidden"]["policy"].endswith("attention mask 75% (always)")
    assert len(manifest["models"]["plain"]["sha256"]) == 64
    assert manifest["noises"] == ["gaussian:15", "poisson:3.5"] and len(manifest["crops"]) == 8
    assert {"torch", "numpy", "mtd"} <= set(manifest["versions"])
    words = " ".join(done.stdout.split())
    assert "plain and hidden Gaussian, σ = 15" in words
    assert "hidden Gaussian σ = 15 against Poisson α = 3.5" in words
    assert "noise CKA ceiling floor untrained" in words
    assert "mean over the last quarter of the blocks" in words and path.name in words
    assert "hidden: SwinIR, input mask 75-85% (pixel), attention mask 75% (always)" in done.stderr


def test_each_view_with_itself_is_1_on_the_diagonal_and_parts_are_not_mistaken_for_containers(
    folder,
):
    chosen = ("--layers", "layers.0", "--layers", "layers.0.*", "--layers", "layers.0.conv.*")
    path = run("hidden.pth", *FEW, *chosen, "--compare", "self", "--unit", "image")
    frame = pd.read_csv(path / "cka.csv")
    own = frame[frame.layer_a == frame.layer_b]
    assert np.allclose(own.cka, 1, atol=1e-12)
    # a container fires after its parts, and the last part of `conv` is what `conv` puts out
    firing = list(dict.fromkeys(frame.layer_a))
    assert firing[0] == "layers.0.residual_group" and firing[-2:] == ["layers.0.conv", "layers.0"]
    ends = frame[(frame.layer_a == "layers.0.conv.4") & (frame.layer_b == "layers.0.conv")]
    assert np.allclose(ends.cka, 1, atol=1e-12)
    others = frame[(frame.layer_a == "layers.0.conv.4") & (frame.layer_b == "layers.0.conv.0")]
    assert (others.cka < 1 - 1e-3).all()


@pytest.mark.parametrize("measure", ["procrustes", "rsa", "knn"])
def test_other_measures_compare_whole_images(folder, measure):
    path = run("plain.pth", *FEW[:4], "--measure", measure, "--layers", "conv_*")
    frame = pd.read_csv(path / f"{measure}.csv")
    assert set(frame.unit) == {"image"} and frame.estimator.isna().all()
    assert frame[measure].notna().all() and "No intervals" not in (path / "summary.txt").read_text()
    with pytest.raises(BadInput, match="3 samples"):
        run("plain.pth", "--limit", "3", *FEW[2:4], "--measure", measure)


@pytest.mark.parametrize("measure", ["cca", "procrustes"])
def test_measures_without_intervals(folder, measure):
    options = ("--measure", measure, "--layers", "conv_*", "--no-intervals")
    path = run("plain.pth", *FEW, *options)
    assert pd.read_csv(path / f"{measure}.csv").low.isna().all()
    assert json.loads((path / "manifest.json").read_text())["intervals"] is False
    assert not (path / "quarter_difference.csv").exists()
    assert "This run has no intervals" in (path / "summary.txt").read_text()


@pytest.mark.parametrize("measure", ["cosine", "cca", "svcca", "pwcca", "soft_matching"])
def test_measures_of_positions(folder, measure):
    path = run("plain.pth", *FEW, "--measure", measure, "--layers", "conv_*", "--compare", "all")
    frame = pd.read_csv(path / f"{measure}.csv")
    assert set(frame.unit) == {"position"} and frame.estimator.isna().all()
    assert (frame[measure].isna() == frame.reason.notna()).all()
    assert (frame["null"].isna() == frame.reason.notna()).all()
    if measure == "cosine":  # of layers of other numbers of channels there is none
        assert frame.reason.dropna().str.contains("features have no cosine").all()
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["symmetric"] == (measure != "pwcca") and "scaling" in manifest["invariant_to"]
    text = " ".join((path / "summary.txt").read_text().split())
    assert "means more similar features" in text and "Between different photographs" in text
    own = frame[(frame.model_a == frame.model_b) & (frame.noise_a == frame.noise_b)]
    same = own[own.layer_a == own.layer_b]
    assert same[measure].to_numpy() == pytest.approx(1, abs=1e-6)
    there = own.set_index(["noise_a", "layer_a", "layer_b"])[measure].dropna()
    back = there.index.map(lambda key: there[key[0], key[2], key[1]])
    mirrored = np.abs(there.to_numpy() - np.array(list(back))).max()
    assert (mirrored < 1e-9) == (measure != "pwcca")


def test_too_few_positions_for_cca_are_no_values_and_a_sentence(folder):
    options = ("--measure", "cca", "--layers", "conv_first", "--positions", "1", "--limit", "4")
    path = run(
        "plain.pth", *options, "--crop", "16", "--noise", "gaussian:15", "--noise", "poisson:3"
    )
    frame = pd.read_csv(path / "cca.csv")
    assert frame.cca.isna().all() and frame.reason.str.contains("raise --limit or --posit").all()
    text = " ".join((path / "summary.txt").read_text().split())
    assert "4 samples of" in text


def test_a_copy_of_a_file_gives_1_and_is_named(folder):
    shutil.copy("plain.pth", "copy.pth")
    path = run("plain.pth", "copy.pth", *SMALL)
    frame = pd.read_csv(path / "last_quarter.csv")
    between = frame[frame.model_a != frame.model_b]
    assert between.cka.to_numpy() == pytest.approx(1, abs=1e-12) and set(between.pairs) == {"same"}
    text = " ".join((path / "summary.txt").read_text().split())
    assert "plain and copy hold the same weights." in text


@pytest.mark.parametrize("names", [("10000", "NA"), ("nan", "1e3")])
@pytest.mark.drawn
def test_models_may_be_called_anything(folder, names):
    for name, source in zip(names, ("plain", "hidden"), strict=True):
        (folder / f"{source}.pth").rename(folder / f"{name}.pth")
    path = run(*(f"{name}.pth" for name in names), *FEW, "--layers", "conv_*")
    assert {p.name for p in path.glob("*.png")} == {
        "cross_model.png",
        "cross_noise.png",
        "depth.png",
    }


def test_what_does_not_belong_to_a_run_is_left_alone(folder):
    path = run("plain.pth", *FEW)
    before = contents(path)
    (path / "notes.csv").write_text("")
    (path / ".part-x.csv").write_text("half")
    run("plain.pth", *FEW, "--resume")
    assert contents(path) == before | {"notes.csv": b""}


def test_small_minibatches_have_no_intervals_and_the_run_says_so(folder):
    options = ("--unit", "image", "--batch-size", "4", "--permutations", "0")
    done = command("plain.pth", *FEW[:4], *options, "--output-dir", "run", cwd=folder)
    words = " ".join(done.stdout.split())
    said = "No intervals: leaving a photograph out of a minibatch of 4 crops changes too much"
    assert said in words
    assert pd.read_csv(folder / "run/cka.csv").low.isna().all()
    assert pd.read_csv(folder / "run/last_quarter.csv").photographs.tolist() == [0]


def test_image_unit_is_the_full_set_by_default(folder):
    path = run("plain.pth", *FEW, "--unit", "image", "--layers", "conv_first")
    manifest = json.loads((path / "manifest.json").read_text())
    frame = pd.read_csv(path / "cka.csv")
    assert manifest["batches"] == [8] and manifest["positions"] is None
    assert pd.read_csv(path / "layers.csv").features.tolist() == 2 * [12 * 24 * 24]
    assert frame.samples.tolist() == [8] and frame.unit.tolist() == ["image"]


def test_same_question_same_numbers_and_same_folder(folder):
    arguments = ("hidden.pth", *FEW)
    first = run(*arguments)
    before = contents(first)
    assert run(*arguments) == first
    assert contents(first) == before
    assert run(*arguments, "--seed", "1") != first


def test_mask_options_reach_the_networks(folder):
    values = {}
    for name, options in {
        "auto": (),
        "off": ("--attention-mask", "off"),
        "on": ("--attention-mask", "on"),
        "independent": ("--mask-draws", "independent"),
        "averaged": ("--mask-samples", "4"),
    }.items():
        path = run("hidden.pth", *FEW, *options)
        values[name] = pd.read_csv(path / "cka.csv").cka
    assert values["on"].equals(values["auto"])
    for name in ("off", "independent", "averaged"):
        assert (values[name] - values["auto"]).abs().max() > 1e-4
    plain = [run("plain.pth", *FEW, *o) for o in ((), ("--attention-mask", "on"))]
    assert pd.read_csv(plain[0] / "cka.csv").equals(pd.read_csv(plain[1] / "cka.csv"))


def test_folder_of_images_layers_and_three_noises(folder):
    photos = folder / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)).save(photos / f"{i}.png")
    noises = [
        part for spec in ("gaussian:25", "speckle:0.02", "spatial:40") for part in ("--noise", spec)
    ]
    path = run(
        "plain.pth", *FEW, "--images", "photos", *noises, "--layers", "conv_*", "--layers", "norm"
    )
    frame = pd.read_csv(path / "cka.csv")
    assert set(frame.crops) == {3}
    assert set(frame.noise_b) == {"speckle:0.02", "spatial:40"}
    assert set(frame.layer_a) == {"conv_first", "norm", "conv_after_body", "conv_last"}
    assert not (path / "cross_model.png").exists()


def test_option_file_for_one_of_two_models(folder):
    torch.save(tiny_network(3).state_dict(), folder / "bare.pth")
    (folder / "masks.json").write_text(
        '{"netG": {"use_mask": true, "mask_ratio1": 60}, "datasets": {"train": {"if_mask": false}}}'
    )
    path = run("plain.pth", "bare.pth", *FEW, "--options", "bare.pth=masks.json")
    models = json.loads((path / "manifest.json").read_text())["models"]
    assert models["bare"]["policy"] == "no input mask, attention mask 60% (always)"
    assert models["bare"]["policy_source"] == "masks.json"


def test_models_of_different_depth_and_one_stem(folder):
    deeper = SwinIRConfig(**(TINY.to_dict() | {"depths": (3, 2), "num_heads": (2, 2)}))
    (folder / "other").mkdir()
    checkpoint_file.save(
        folder / "other/plain.pth",
        tiny_network(config=deeper).state_dict(),
        network=deeper,
        mask=MaskPolicy(),
    )
    path = run("plain.pth", "other/plain.pth", *FEW)
    assert path.parent == Path("runs")
    assert path.name.startswith("cka-plain-other_plain-")
    frame = pd.read_csv(path / "cka.csv")
    across = frame[frame.model_a != frame.model_b]
    assert set(across.model_a) == {"plain"} and set(across.model_b) == {"other/plain"}
    assert (across.index_a.max(), across.index_b.max()) == (6, 7)


def test_crops_with_the_same_pixels_count_once(folder):
    photos = folder / "photos"
    photos.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (48, 48, 3), dtype=np.uint8)
    for name in "abc":
        Image.fromarray(pixels).save(photos / f"{name}.png")
    done = command("plain.pth", "--images", "photos", *FEW[2:], cwd=folder)
    assert "left out 8 images or crops with the same pixels as another one" in done.stderr
    assert "64 positions of 4 crops" in done.stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "required: MODEL"),
        (["absent.pth"], "absent.pth: no such file"),
        (["."], "is a folder"),
        (["plain.pth", "plain.pth"], "given twice"),
        (["empty.pth"], "damaged or not a PyTorch checkpoint"),
        (["plain.pth", "--noise", "gausian:15"], "did you mean gaussian"),
        (["plain.pth", "--noise", "gaussian:15", "--noise", "gaussian:15.0"], "given twice"),
        (
            ["plain.pth", "--layers", "conv_frist"],
            "plain: layer 'conv_frist' matches no module; did you mean",
        ),
        (["plain.pth", "--layers", "**.attn"], "no positions in the image"),
        (["plain.pth", "--layers", "**.attn", "--crop", "8", "--positions", "9"], "no positions"),
        (["plain.pth", "--layers", "type:SwinBlok"], "did you mean SwinBlock"),
        (["plain.pth", "--noise", "gaussian:15"], "give a second model, or a second --noise"),
        (["plain.pth", "grey.pth"], "grey takes 1 channel, plain 3"),
        (["plain.pth", "--device", "meta"], "device 'meta'"),
        (["x" * 300 + ".pth"], "too long"),
        (["plain.pth", "--images", "x" * 300], "too long"),
        (["plain.pth", "--output-dir", "x" * 300], "too long"),
        (["plain.pth", "--images", "absent"], "absent: no such folder"),
        (["plain.pth", "--images", "plain.pth"], "plain.pth: not an image that can be read"),
        (["plain.pth", "--images", "nothing"], "no image in it"),
        (["plain.pth", "--images", "broken"], "not an image"),
        (["plain.pth", "--crop", "400"], "smaller than the crop 400"),
        (["plain.pth", "--crop", "7"], "from 8 up"),
        (["plain.pth", "--crop", "8", "--positions", "65"], "a crop of 8 x 8 has 64"),
        (["plain.pth", "--limit", "3", "--unit", "image"], "3 samples"),
        (["plain.pth", "--device", "cuda:42"], "device 'cuda:42'"),
        (["plain.pth", "--output-dir", "plain.pth"], "is a file"),
        (["plain.pth", "--output-dir", "plain.pth/x"], "cannot be written"),
        (["plain.pth", "--output-dir", "held"], "holds another run"),
        (["plain.pth", "hidden.pth", "--options", "x.json"], "say which: MODEL=x.json"),
        (["plain.pth", "--unit", "pixel"], "expected position or image"),
        (["plain.pth", "--sed", "1"], "unrecognized arguments"),
        (["plain.pth", "--pairs", "cross-model"], "give a second model"),
        (["plain.pth", "--compare", "models"], "expected reference, cross-model"),
        (["plain.pth", "--measure", "rsa", "--unit", "position"], "use --unit image"),
        (["plain.pth", "--measure", "rsa", "--estimator", "biased"], "rsa has none"),
        (["plain.pth", "--measure", "cca", "--unit", "image"], "use --unit position"),
        (["plain.pth", "--measure", "cca", "--kernel", "rbf"], "cca has none; leave it out"),
        (["plain.pth", "--measure", "cosin"], "svcca, pwcca or soft_matching"),
        (["plain.pth", "--permutations", "9"], "needs cka with --unit image"),
        (["plain.pth", "--bandwidth", "0"], "argument --bandwidth: '0': expected a number above 0"),
        (["plain.pth", "--bandwidth", "nan"], "expected a number above 0"),
        (["plain.pth", "--kernel", "rbf", "--estimator", "unbiased"], "needs minibatch"),
        (
            ["plain.pth", "--unit", "image", "--estimator", "unbiased", "--batch-size", "5"],
            "are compared in one batch",
        ),
        (["plain.pth", "--noise", "folder:absent"], "absent: no such folder"),
        (["plain.pth", "--resume"], "no run to resume"),
        (["plain.pth", "--crop-rule", "corner"], "expected grid, center or random"),
        (
            ["plain.pth", "--unit", "image", "--layers", "**.attn", "--centering", "image"],
            "windows",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(folder, in_process, arguments, message):
    (folder / "empty.pth").write_bytes(b"")
    grey = SwinIRConfig(**(TINY.to_dict() | {"in_chans": 1, "depths": (2,), "num_heads": (2,)}))
    torch.save(SwinIR(grey).state_dict(), folder / "grey.pth")
    for name in ("nothing", "broken", "held"):
        (folder / name).mkdir()
    (folder / "broken/a.png").write_bytes(b"no image")
    (folder / "held/manifest.json").write_text("{}")
    before = sorted(folder.rglob("*"))
    code, out, err = in_process(cka_command.main, *arguments)
    assert code == 2, out + err
    assert message in err
    assert len(err.splitlines()) == 1 and not out
    assert sorted(folder.rglob("*")) == before


def test_bad_input_from_the_shell(folder):
    done = fresh("-m", "analysis.cka", "absent.pth", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr.startswith("error: absent.pth: no such file") and done.stderr.count("\n") == 1
    )
