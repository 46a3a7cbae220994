"""What a command prints of a finished run."""

from __future__ import annotations

import os
import sys

from analysis.commands import printed

TEXT = "a table\n\nThe answer.\n" + "More.\n" * 10


def test_a_sentence_can_be_seen_until_the_terminal_has_moved_on(monkeypatch, capsys):
    assert not printed.on_screen(TEXT, "The answer.")  # no terminal
    size = os.terminal_size((100, 24))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1)
    monkeypatch.setattr(os, "get_terminal_size", lambda _: size)
    assert printed.on_screen(TEXT, "The answer.")
    assert not printed.on_screen(TEXT, "Another answer.")
    assert not printed.on_screen(TEXT + "More.\n" * 10, "The answer.")
