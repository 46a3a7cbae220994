"""Counts agree with their nouns, and `--quiet` silences notes."""

from __future__ import annotations

import re
import sys
from importlib import import_module

import pytest

from mtd.utils.messages import importing, note, plural, verb
from tests.helpers.paths import ROOT

SPEAKERS = ("mtd/utils/messages.py", "mtd/utils/cli.py", "mtd/models.py", "mtd/train.py")
"""What may print on stderr: the helper of notes, and errors."""


def test_counts_agree():
    assert [plural(n, "more pair") for n in (0, 1, 2)] == [
        "0 more pairs",
        "1 more pair",
        "2 more pairs",
    ]
    assert [verb(n, "holds", "hold") for n in (0, 1, 2)] == ["hold", "holds", "hold"]


def test_a_note_is_on_stderr_unless_quiet(capsys):
    note("said")
    note("not said", quiet=True)
    assert capsys.readouterr() == ("", "said\n")


def test_nothing_else_prints_notes():
    """Every module says what it has to say on stderr by `note`, which knows `--quiet`."""
    found = []
    for path in [*ROOT.glob("mtd/**/*.py"), *ROOT.glob("analysis/**/*.py")]:
        name = path.relative_to(ROOT).as_posix()
        if name not in SPEAKERS and re.search(r"file=sys\.stderr", path.read_text()):
            found.append(name)
    assert found == []


def test_the_first_line_is_said_before_pytorch_is_imported(capsys, monkeypatch):
    importing()
    assert capsys.readouterr().err == "", "it is there already"
    monkeypatch.delitem(sys.modules, "torch")
    importing(quiet=True)
    assert capsys.readouterr().err == ""
    importing()  # stderr is no terminal here
    assert capsys.readouterr().err == "loading PyTorch …\n"
    monkeypatch.setenv("RANK", "1")
    importing()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "module, given",
    [
        ("analysis.cka.command", ("baselin.pth",)),
        ("analysis.report.command", ("baseline.pth", "--noise", "gaussian:0.06")),
        ("mtd.denoise", ("masked.pth", ".", "out", "--sigma", "oracle")),
        ("mtd.train", ("plain.toml",)),
    ],
)
def test_bad_input_that_is_found_before_is_one_line(
    in_process, monkeypatch, tmp_path, module, given
):
    monkeypatch.chdir(tmp_path)
    main = import_module(module).main
    monkeypatch.delitem(sys.modules, "torch")
    code, _, err = in_process(main, *given)
    assert code == 2 and len(err.splitlines()) == 1 and "loading" not in err
