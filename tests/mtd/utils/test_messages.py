"""Counts agree with their nouns, and `--quiet` silences notes."""

from __future__ import annotations

import re

from mtd.utils.messages import note, plural, verb
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
