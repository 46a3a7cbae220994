"""Names of models that are no file: what they may have meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtd.loading import locations
from mtd.utils.errors import BadInput


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A working folder with checkpoints in it and in its folders."""
    monkeypatch.chdir(tmp_path)
    for name in ("mine.pth", "runs/m1/model.pth", "runs/m1/notes.txt", "empty/a.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


@pytest.mark.parametrize(
    "name, message",
    [
        ("baselin.pth", "baselin.pth: no such file; did you mean baseline.pth?"),
        ("Baseline.pth", "Baseline.pth: no such file; did you mean baseline.pth?"),
        ("baseline", "baseline: no such file; did you mean baseline.pth?"),
        ("mnie.pth", "mnie.pth: no such file; did you mean mine.pth?"),
        ("./mine.pt", "mine.pt: no such file; did you mean mine.pth?"),
        (
            "runs/m1/modle.pth",
            "runs/m1/modle.pth: no such file; did you mean runs/m1/model.pth?",
        ),
        ("runz/m1/model.pth", "runz/m1/model.pth: no such file; did you mean runs/m1/model.pth?"),
        (
            "kair/dncnn_52",
            "kair/dncnn_52: no such file; did you mean kair/dncnn_50 or kair/dncnn_25 or "
            "kair/dncnn_15?",
        ),
        (
            "absent.pth",
            "absent.pth: no such file, and no bundled checkpoint of that name (baseline.pth, "
            "masked.pth)",
        ),
        ("runs/m1", "runs/m1 is a folder: expected a checkpoint file, such as runs/m1/model.pth"),
        ("empty", "empty is a folder: expected a checkpoint file"),
        (
            "runs/m1/notes.txt",
            "runs/m1/notes.txt: expected a checkpoint ending in .pth, .pt, .ckpt, .safetensors",
        ),
        (
            "runs/*.pth",
            "no file matches runs/*.pth; expected checkpoints, such as baseline.pth or "
            "masked.pth (bundled)",
        ),
        (
            "runs/*/*.pth",
            "runs/*/*.pth: a pattern in quotes stands for the trainings of one model, "
            "NAME=runs/*/*.pth; for a model of each file, leave out the quotes",
        ),
        (
            "hf://org/a.pth",
            "hf://org/a.pth: expected hf://ORG/REPO/FILE or hf://ORG/REPO@REVISION/FILE",
        ),
    ],
)
def test_what_a_misspelt_name_means(runs, name, message):
    with pytest.raises(BadInput) as error:
        locations.check(name)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "name", ["mine.pth", "masked.pth", "kair/dncnn_25", "hf://org/repo/a.pth", "runs/m1/model.pth"]
)
def test_names_that_are_known_or_published_are_not_fetched(runs, name):
    locations.check(name)
