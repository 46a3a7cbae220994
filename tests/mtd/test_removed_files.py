"""Files and folders that are removed, or cannot grow, while a command works: one line each."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from analysis.brightness import command as brightness
from analysis.engine.cache import ActivationCache
from mtd import denoise, train
from mtd.data import image_io
from mtd.training import run as training_run
from mtd.training.trainer import Trainer
from mtd.utils.errors import BadInput, Unwritable
from tests.helpers.images import photos_in
from tests.helpers.processes import HANGS, environment
from tests.helpers.training import make

Command = Callable[..., tuple[int, str, str]]

ANALYSIS = ("plain.pth", "--images", "photos", "--crop", "16", "--batch-size", "1", "--quiet")
DENOISING = ("plain.pth", "photos", "out", "--quiet")
TABLE = "run/brightness.csv"


@pytest.fixture(autouse=True)
def photos(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photographs in the working folder, beside two checkpoints."""
    monkeypatch.chdir(pair)
    photos_in(pair / "photos")
    return Path("photos")


@contextmanager
def at_call(owner: Any, name: str, number: int, do: Callable[[], object]) -> Iterator[None]:
    """Something is done before the call of a function of this number."""
    original, calls = getattr(owner, name), 0

    def call(*given: Any, **how: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            do()
        return original(*given, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, call)
        yield


def take_away() -> None:
    shutil.move("photos/1.png", "kept")


def put_back() -> None:
    shutil.move("kept", "photos/1.png")


def test_an_image_that_vanishes_before_it_is_read(in_process: Command) -> None:
    given = (*ANALYSIS, "--output-dir", "run")
    with at_call(image_io, "read_image", 2, take_away):
        code, _, err = in_process(brightness.main, *given)
    assert (code, err) == (2, "error: photos/1.png: no such file\n") and not Path("run").exists()
    put_back()
    assert in_process(brightness.main, *given)[0] == 0


def test_images_that_vanish_once_they_are_read_change_nothing(in_process: Command) -> None:
    given = (*ANALYSIS, "--output-dir", "run")
    assert in_process(brightness.main, *given)[0] == 0
    whole = Path(TABLE).read_bytes()
    shutil.rmtree("run")
    with at_call(ActivationCache, "put", 2, take_away):
        assert in_process(brightness.main, *given)[0] == 0
    assert Path(TABLE).read_bytes() == whole


def test_an_image_that_vanishes_while_others_are_denoised(in_process: Command) -> None:
    with at_call(image_io, "read_image", 2, take_away):
        code, _, err = in_process(denoise.main, *DENOISING)
    assert code == 3 and err.splitlines() == [
        "failed: 1 of 3 images, the others are written:",
        "  photos/1.png: no such file",
    ]
    written = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    assert written.keys() == {"0.png", "2.png"}
    put_back()
    assert in_process(denoise.main, *DENOISING, "--resume")[0] == 0
    now = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    assert now.items() >= written.items() and "1.png" in now


def test_an_image_that_vanishes_during_training(photos: Path) -> None:
    plan = make(photos, "data.cache_mb=0")
    training_run.train(plan, Path("whole"), quiet=True)
    with (
        at_call(Trainer, "advance", 4, take_away),
        pytest.raises(BadInput, match=r"^photos/1\.png: no such file; --skip-bad"),
    ):
        training_run.train(plan, Path("run"), quiet=True)
    put_back()
    training_run.train(plan, Path("run"), quiet=True, resume=True)
    assert Path("run/model.pth").read_bytes() == Path("whole/model.pth").read_bytes()


# the second step logs, the third saves a state, the eighth is the last one
@pytest.mark.parametrize("step", [pytest.param(2, marks=pytest.mark.attack), 3, 8])
def test_a_folder_that_is_removed_during_training(photos: Path, step: int) -> None:
    """Nothing is written that would take the place of the run."""
    plan = make(photos)
    with (
        at_call(Trainer, "advance", step, lambda: shutil.rmtree("run")),
        pytest.raises(BadInput, match=r"^run: removed while the run went on; start it anew$"),
    ):
        training_run.train(plan, Path("run"), quiet=True)
    assert not Path("run").exists()
    training_run.train(plan, Path("run"), quiet=True)


@pytest.mark.parametrize("command", ["training", "analysis"])
def test_a_working_folder_that_is_removed(in_process: Command, command: str) -> None:
    above = Path.cwd()
    (above / "work").mkdir()
    os.chdir("work")  # the fixture returns from it
    remove = lambda: shutil.rmtree(above / "work")  # noqa: E731
    if command == "training":
        with (
            at_call(Trainer, "advance", 3, remove),
            pytest.raises(BadInput, match=r"^run: removed while the run went on; start it anew$"),
        ):
            training_run.train(make(above / "photos"), Path("run"), quiet=True)
    else:
        given = (f"{above}/plain.pth", "--images", f"{above}/photos", *ANALYSIS[3:])
        with at_call(ActivationCache, "put", 2, remove):
            code, _, err = in_process(brightness.main, *given, "--output-dir", "run")
        assert (code, err) == (2, "error: run: removed while the run went on; start it anew\n")
    assert not (above / "work").exists()


@pytest.mark.parametrize(
    "size, name",
    [
        (100, "recipe.json"),
        pytest.param(4000, "snapshot-000002.pth", marks=pytest.mark.attack),
        (30_000, "state.pt"),
    ],
)
def test_training_where_files_may_not_grow(photos: Path, size: int, name: str) -> None:
    """As under `ulimit -f`; Python ignores the signal that would end it."""
    plan = make(photos)
    training_run.train(plan, Path("whole"), quiet=True)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(Unwritable, match=rf"^run/{name}: cannot be written \(File too large"):
            training_run.train(plan, Path("run"), quiet=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(Path("run").glob(".part-*"))
    begun = Path("run/state.pt").exists() or Path("run/state-previous.pt").exists()
    if not begun:
        shutil.rmtree("run")
    training_run.train(plan, Path("run"), quiet=True, resume=begun)
    assert Path("run/model.pth").read_bytes() == Path("whole/model.pth").read_bytes()


def test_a_fifo_among_images_is_refused_before_anything_is_computed(
    in_process: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo("photos/z.png")
    monkeypatch.setattr("torch.nn.Module.__call__", lambda *_: pytest.fail("computed"))
    recipe = ("small.toml", "--set", "data.folders=['photos']", "--quiet")
    for main, given in (
        (denoise.main, DENOISING),
        (brightness.main, (*ANALYSIS, "--output-dir", "out")),
        (train.main, (*recipe, "--output-dir", "out")),
    ):
        code, _, err = in_process(main, *given)
        assert (code, err) == (2, "error: photos/z.png is a FIFO: expected a file\n")
        assert not Path("out").exists()


@pytest.mark.parametrize("module", ["mtd.denoise", "analysis.brightness"])
def test_a_working_folder_that_was_removed_before(tmp_path: Path, module: str) -> None:
    command = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m {module} a b c"
    given = {"shell": True, "cwd": tmp_path, "env": environment(), "timeout": HANGS}
    done = subprocess.run(command, check=False, capture_output=True, text=True, **given)
    expected = "error: the working folder was removed: start the command in another\n"
    assert (done.returncode, done.stderr) == (2, expected)
