"""What terminals, pages and figures show of names from outside."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtd import models
from mtd.utils import cli, messages, output
from mtd.utils.errors import BadInput, Partial
from mtd.utils.printable import UNSAFE, one_line, printable, shortened
from tests.helpers.paths import ROOT

BAD = "a\x1b[2J\r\x00\x7f\x9b\u202eb\u2066\u200bc\udcff"
SHOWN = r"a\x1b[2J\r\x00\x7f\x9b\u202eb\u2066\u200bc\udcff"


def test_such_characters_are_escaped_and_others_stay():
    assert printable(BAD) == SHOWN and one_line("a\n\tb") == r"a\n\tb"
    for text in (
        "σ = 15, PSNR ≥ 30 dB, a–b\u2009c",
        "日本語",
        "فارسی\u200cها",
        "é",
        "👩\u200d💻",
        "a\tb\nc",
    ):
        assert printable(text) == text


@given(st.text(st.integers(0, 0x10FFFF).map(chr)))  # as st.characters, without its tables
def test_nothing_unsafe_is_left(text: str):
    assert not UNSAFE.search(printable(text)) and len(shortened(text * 50)) <= 200
    assert "\n" not in one_line(text)


@pytest.mark.parametrize(
    "error, line",
    (
        (BadInput(f"{BAD}\nx: no such file"), f"error: {SHOWN}\\nx: no such file"),
        (OSError(2, "No such file", f"{BAD}\n"), f"error: {SHOWN}\\n: No such file"),
        (Partial(f"two failed:\n  {BAD}"), f"failed: two failed:\n  {SHOWN}"),
    ),
)
def test_errors_are_escaped(error: Exception, line: str, in_process):
    def main() -> None:
        raise error

    assert in_process(main)[2] == f"{line}\n"


def test_what_an_error_quotes_is_bounded(in_process):
    def main() -> None:
        raise BadInput(f"a.csv: step {'9' * 10**5}; expected a whole number")

    line = in_process(main)[2]
    assert line.startswith("error: a.csv: step 99") and line.endswith("expected a whole number\n")
    assert len(line) < 2100


def test_results_and_notes_are_escaped(capsys: pytest.CaptureFixture[str]):
    output.show(BAD)
    messages.note(BAD)
    assert capsys.readouterr() == (f"{SHOWN}\n", f"{SHOWN}\n")


def test_a_file_of_such_a_name_is_described(in_process, tiny_pair: Path, tmp_path: Path):
    path = tmp_path / "a\x1b[2J\n\u202eb.pth"
    path.write_bytes((tiny_pair / "plain.pth").read_bytes())
    code, out, err = in_process(
        models.main, str(path), str(tmp_path / "none\x1b.pth"), "--no-self-test"
    )
    assert code == 2 and r"a\x1b[2J\n\u202eb.pth" in out and r"none\x1b.pth" in err
    assert not UNSAFE.search(out + err) and err.count("\n") == 1


def test_what_an_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    with pytest.raises(SystemExit) as left:
        cli.run(lambda: output.show("σ = 15"))
    assert (left.value.code, written.getvalue()) == (0, b"\\u03c3 = 15\n")


def test_styles_and_scripts_of_pages_hold_no_such_characters():
    for path in (ROOT / "analysis/pages/assets").iterdir():
        text = path.read_text(encoding="utf-8")
        assert printable(text) == text
