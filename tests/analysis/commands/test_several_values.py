"""Several values after one option, and models anywhere on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

import mtd
from analysis.cka.command import ANALYSIS as CKA
from analysis.commands import several_values
from analysis.commands.command import parser
from analysis.generalization.command import ANALYSIS as BENCHMARK
from mtd.utils.errors import BadInput

G, P = "gaussian:15", "poisson:3.5"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A working folder with images, and a run."""
    monkeypatch.chdir(tmp_path)
    for name in ("photos/a.png", "more/b.png", "run/manifest.json", "c.png", "d.JPG", "speckle"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()


@pytest.mark.parametrize(
    "line, expected",
    [
        (f"--noise {G} {P} a.pth b.pth", {"noises": [G, P], "models": ["a.pth", "b.pth"]}),
        (f"a.pth b.pth --noise {G} {P}", {"noises": [G, P], "models": ["a.pth", "b.pth"]}),
        (f"a.pth --noise {G} isp --crop 32 b.pth", {"noises": [G, "isp"], "crop": 32}),
        (f"a.pth --noise {G} --crop 32 b.pth", {"noises": [G], "models": ["a.pth", "b.pth"]}),
        (f"--noise {G} --noise {P} a.pth", {"noises": [G, P], "models": ["a.pth"]}),
        (f"--noise={G} {P}", {"noises": [G], "models": [P]}),
        (f"--noise {G} poison:3 masked.pth", {"noises": [G, "poison:3"], "models": ["masked.pth"]}),
        (f"--noise {G} gaussian:=isp@1 x", {"noises": [G, "gaussian:=isp@1"], "models": ["x"]}),
        (f"--noise {G} folder:more x.pth", {"noises": [G, "folder:more"], "models": ["x.pth"]}),
        (f"--noise {G} kair/dncnn_25 b.pth", {"models": ["kair/dncnn_25", "b.pth"]}),
        (f"--noise {G} classical:nlm", {"noises": [G], "models": ["classical:nlm"]}),
        (f"--noise {G} gaussian=runs/*/model.pth", {"models": ["gaussian=runs/*/model.pth"]}),
        (f"--noise {G} ./speckle a.pth", {"models": ["./speckle", "a.pth"]}),
        ("--images photos more a.pth", {"images": ["photos", "more"], "models": ["a.pth"]}),
        ("--images photos run", {"images": ["photos"], "models": ["run"]}),
        ("--images c.png d.JPG a.pth", {"images": ["c.png", "d.JPG"], "models": ["a.pth"]}),
        ("--images c.png absent.png absent/ a.pth", {"images": ["c.png", "absent.png", "absent/"]}),
        ("--images *.png a.pth", {"images": ["*.png"], "models": ["a.pth"]}),
        ("--images=photos more", {"images": ["photos"], "models": ["more"]}),
        ("--layers a b", {"layers": ["a"], "models": ["b"]}),
    ],
)
def test_values_and_models_are_told_apart(line, expected):
    parsed = vars(parser(CKA).parse_args(line.split()))
    assert {name: parsed[name] for name in expected} == expected


def test_noises_that_models_were_trained_on():
    line = f"--in-distribution a={G} b=gaussian:0..55 gaussian:={P} a.pth b.pth --noisy photos more"
    parsed = parser(BENCHMARK).parse_args(line.split())
    assert parsed.in_distribution == [f"a={G}", "b=gaussian:0..55", f"gaussian:={P}"]
    assert parsed.models == ["a.pth", "b.pth"] and parsed.noisy == ["photos", "more"]


def test_a_noise_that_is_a_file_too():
    with pytest.raises(BadInput, match=r"give --noise=speckle, or \./speckle"):
        several_values.is_noise("speckle")


def test_an_option_that_is_close_to_one():
    with pytest.raises(
        BadInput, match=r"arguments: --nois gaussian:15; did you mean --noise\?; see"
    ):
        parser(CKA).parse_args(["a.pth", "--nois", G])


def test_an_option_that_is_close_to_none():
    with pytest.raises(BadInput, match=r"arguments: --bogus; see"):  # not --figures: `--` is in all
        parser(CKA).parse_args(["a.pth", "--bogus"])


def test_every_command_has_a_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        parser(CKA).parse_args(["--version"])
    assert capsys.readouterr().out == f"mtd {mtd.__version__}\n"
