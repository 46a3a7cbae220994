"""Wrong command lines: one line, before PyTorch, NumPy or pandas is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest

from analysis.commands import checks
from analysis.commands.settings import Settings
from mtd import denoise
from mtd.utils import near_paths, output_folders
from mtd.utils.errors import BadInput
from tests.helpers.processes import fresh

SCRIPT = """
import contextlib, io, json, runpy, sys
answers = []
for module, *arguments in json.loads(sys.argv[1]):
    sys.argv = [module, *arguments]
    said, code = io.StringIO(), 0
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as left:
            code = left.code
    heavy = [name for name in ("torch", "numpy", "pandas", "matplotlib") if name in sys.modules]
    answers.append([code, said.getvalue(), heavy])
print(json.dumps(answers))
"""
"""Runs command lines one after the other in a process that has imported nothing."""

CKA, REPORT, BENCHMARK = "analysis.cka", "analysis.report", "analysis.generalization"

MISTAKES = {
    "analysis.cka baselin.pth": "baselin.pth: no such file; did you mean baseline.pth?",
    "analysis.cka *.pth": "no file matches *.pth; expected checkpoints, such as baseline.pth or "
    "masked.pth (bundled)",
    "analysis.cka classical:blurr:1": "classical:blurr:1: no classical denoiser 'blurr'; did you "
    "mean blur?",
    "analysis.cka filter:baselin.pth@gaussian:15": "baselin.pth: no such file; did you mean "
    "baseline.pth?",
    "analysis.srga masked.pth baselin.pth": "baselin.pth: no such file; did you mean baseline.pth?",
    "analysis.compare baselin.pth": "baselin.pth: no such file; did you mean baseline.pth?",
    "analysis.report baselin.pth": "baselin.pth: no such file; did you mean baseline.pth?",
    "analysis.generalization baselin.pth": "baselin.pth: no such file; did you mean baseline.pth?",
    "mtd.denoise baselin.pth a b": "baselin.pth: no such file; did you mean baseline.pth?",
    "analysis.cka masked.pth --noise gaussian:0.06": "noise gaussian:0.06: levels are 0 to 255; "
    "did you mean gaussian:15 (0.06 × 255)? --no-quantize allows levels below 1",
    "analysis.cka masked.pth --noise gausian:15": "noise 'gausian:15': did you mean gaussian:15?",
    "analysis.cka masked.pth --noise gaussian=15": "noise 'gaussian=15': write gaussian:15",
    "analysis.cka masked.pth --reference gaussian15": "noise 'gaussian15': did you mean "
    "gaussian:15?",
    "analysis.error masked.pth --noise folder:photso": "photso: no such folder; did you mean "
    "photos?",
    "analysis.report masked.pth --in-distribution gaussian=15": "--in-distribution gaussian=15: "
    "noise 'gaussian=15': write gaussian:15",
    "analysis.generalization masked.pth --suite papr": "suite 'papr': no suite of the package, and "
    "no file that ends in .toml; did you mean paper?",
    "analysis.report masked.pth --suite quik": "suite 'quik': no suite of the package, and no file "
    "that ends in .toml; did you mean quick?",
    "analysis.report masked.pth --sections ckaa": "--sections ckaa: did you mean cka or causal?",
    "analysis.cka masked.pth --images photso": "photso: no such folder; did you mean photos?",
    "analysis.cka masked.pth --images *.png": "no file matches *.png",
    "analysis.generalization masked.pth --noisy photso": "photso: no such folder; did you mean "
    "photos?",
    "analysis.cka masked.pth --output-dir notes.txt": "notes.txt is a file: --output-dir is a "
    "folder",
    "analysis.report masked.pth --output-dir notes.txt/a": "--output-dir notes.txt/a: cannot "
    "be written (notes.txt is a file)",
    "analysis.cka masked.pth --device gpu": "device 'gpu': did you mean cuda?",
    "analysis.cka masked.pth --device cdua:1": "device 'cdua:1': did you mean cuda:1?",
    "analysis.cka masked.pth --noise gaussian:15 gaussian:15.0": "--noise gaussian:15: given "
    "twice; leave one out",
    "analysis.cka --config rnu.toml": "rnu.toml: no such file; did you mean run.toml?",
    "analysis.report masked.pth --format htm": "--format htm: did you mean html?",
    "analysis.report --verify rnu.toml": "rnu.toml: no such report; did you mean run.toml?; give "
    "its folder or its page, report.html",
    "analysis.figure 12 baselin.pth": "baselin.pth: no such file; did you mean baseline.pth?",
    "analysis.figure 12 masked.pth --images photso": "photso: no such folder; did you mean photos?",
    "analysis.figure 12 masked.pth --output-dir notes.txt": "notes.txt is a file: --output-dir is "
    "a folder",
    "analysis.figure 13 photso": "photso: no such file or folder; did you mean photos?; expected a "
    "folder of mtd.train (log.csv), TensorBoard events (events.out.tfevents.*), or a text log of "
    "KAIR or BasicSR",
    "analysis.curves photso": "photso: no such file or folder; did you mean photos?; expected a "
    "folder of mtd.train (log.csv), TensorBoard events (events.out.tfevents.*), or a text log of "
    "KAIR or BasicSR",
    "analysis.curves --checkpoints photso": "photso: no such folder; did you mean photos?",
    "analysis.curves photos --output-dir notes.txt": "notes.txt is a file: --output-dir is a "
    "folder",
    "analysis.report masked.pth --noise poisson:3.5 --reference poisson:3.5": "no noise beside the "
    "reference: give --noise",
    "analysis.compare masked.pth --noise gaussian:15": "no noise beside the reference: give "
    "--noise",
    "analysis.findings photso": "photso: no such folder; did you mean photos?; expected one of run "
    "folders",
    "analysis.card photso --output-dir card": "photso: no such folder; did you mean photos?; "
    "expected a run of analysis.generalization, or a report",
    "analysis.card photos --output-dir notes.txt": "notes.txt is a file: --output-dir is a folder",
    "mtd.zoo": "the following arguments are required: {list,get,verify}; see python -m mtd.zoo "
    "--help",
    "mtd.zoo lst": "argument {list,get,verify}: 'lst': did you mean list?; see python -m mtd.zoo "
    "--help",
    "analysis.cka masked.pth --style print": "argument --style: 'print': known: screen, paper; see "
    "python -m analysis.cka --help",
    "analysis.compare_cards crad": "crad: no such card; expected a folder with result.json",
    "mtd.models baselin.pth": "baselin.pth: no such file; did you mean baseline.pth?",
    "mtd.denoise masked.pth photso out": "photso: no such file or folder; did you mean photos?",
    "mtd.train smal.toml": "smal.toml: no such file, and no bundled recipe; did you mean "
    "small.toml or table2.toml or table1.toml?",
    "mtd.train small.toml --data photso": "photso: no such folder or .zip file; did you mean "
    "photos?",
    "mtd.train small.toml --output-dir notes.txt": "notes.txt is a file: --output-dir is a folder",
}
"""Command lines in a folder with `photos` and `notes.txt`, and what they are answered."""


class Answer(NamedTuple):
    """Exit status, what is on stderr, and the heavy libraries that are imported by then."""

    code: int
    said: str
    heavy: list[str]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """The answers to all mistakes, by command line."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "photos").mkdir()
    for name in ("notes.txt", "run.toml"):
        (folder / name).touch()
    cases = [line.split() for line in MISTAKES]
    done = fresh("-c", SCRIPT, json.dumps(cases), cwd=folder)
    assert done.returncode == 0, done.stderr
    found = [Answer(*answer) for answer in json.loads(done.stdout)]
    return dict(zip(MISTAKES, found, strict=True))


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_answered_before_anything_heavy_is_imported(answers, line):
    assert answers[line] == (2, f"error: {MISTAKES[line]}\n", [])


@pytest.mark.parametrize("spec", ["gaussian:0", "speckle:0.06", "salt_pepper:0.02", "poisson:0.5"])
def test_levels_below_one_that_are_meant(spec):
    Settings(noises=(spec,)).check_names()


def test_levels_below_one_are_allowed_without_rounding():
    Settings(noises=("gaussian:0.06", "spatial:0.5@1"), quantize=False).check_names()
    with pytest.raises(BadInput, match=r"did you mean spatial:128@1 \(0.5 × 255\)\?"):
        Settings(noises=("spatial:0.5@1",)).check_names()
    with pytest.raises(BadInput, match=r"did you mean gaussian:0.26 \(0.001 × 255\)\?"):
        Settings(noises=("gaussian:0.001",)).check_names()


def test_training_noises_that_are_known_later():
    checks.trained_on(["mine=gaussian:15", "sidd", "gaussian:0..55", "toy=3"])


def test_near_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("photos/kodak/a.png", ".photos/kodak/a.png"):
        Path(name).parent.mkdir(parents=True)
        Path(name).touch()
    assert near_paths.near(Path("photo/kodak/a.png")) == [Path("photos/kodak/a.png")]
    assert near_paths.near(Path("photos/kodk/a.png")) == [Path("photos/kodak/a.png")]
    assert near_paths.near(Path("photo/kodak/b.png")) == []


def test_a_pattern_where_one_place_is_expected(tmp_path, monkeypatch):
    """In quotes, or more files than a command takes."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in ("a.png", "b.png"):
        Path("photos", name).touch()
    pattern = Path("photos/*.png")
    said = "photos/*.png: a pattern; expected one folder, such as photos"
    assert near_paths.absent(pattern, "folder") == said
    said = "photos/*.png: a pattern; expected one file, such as photos/a.png"
    assert near_paths.absent(pattern, "file") == said
    with pytest.raises(BadInput, match=r"arguments: out; expected MODEL INPUT OUTPUT; see"):
        denoise.parser().parse_args(["masked.pth", "photos/a.png", "photos/b.png", "out"])


def test_output_folders(tmp_path):
    output_folders.check(None)
    output_folders.check(tmp_path / "new" / "folder")
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="is a file: --output-dir is a folder"):
        output_folders.check(tmp_path / "file")
