"""One vocabulary in all commands: groups of options, defaults, spellings."""

from __future__ import annotations

import argparse
import sys

import pytest

from analysis.commands import console
from analysis.commands.parser import ConfiguredParser
from mtd.utils import cli

MEANING = {
    "--seed": "compute",
    "--device": "compute",
    "--batch-size": "compute",
    "--output-dir": "output",
    "--quiet": "output",
    "--resume": "output",
    "--json": "output",
    "--version": "output",
    "--images": "images",
    "--limit": "images",
    "--noise": "noise",
    "--reference": "noise",
    "--input-mask": "masks",
}
"""The group of options that several commands have."""


class Found(Exception):
    """Carries a command's parser out of the command."""


def parser_of(name: str, monkeypatch: pytest.MonkeyPatch) -> cli.Parser:
    def found(self, *_):
        raise Found(self)

    monkeypatch.setattr(sys, "argv", ["mtd", name])
    for kind in (cli.Parser, ConfiguredParser):
        monkeypatch.setattr(kind, "parse_args", found)
    with pytest.raises(Found) as carried:
        console.dispatch()
    return carried.value.args[0]


def shown(parser: cli.Parser) -> dict[str, argparse.Action]:
    """The options that `--help` shows, by their names."""
    return {
        name: action
        for action in parser._actions
        for name in action.option_strings
        if action.help != argparse.SUPPRESS
    }


@pytest.mark.parametrize("name", console.commands())
def test_options_are_in_groups_and_say_their_defaults(name, monkeypatch):
    parser = parser_of(name, monkeypatch)
    text = parser.format_help()
    usage, *_ = text.splitlines()
    assert usage.startswith(f"usage: mtd {name} [options]") and len(usage) < 80
    assert f"  mtd {name}" in text and "positional arguments:" not in text
    titles = [group.title for group in parser._action_groups if group._group_actions]
    order = [parser.measure if group == cli.OWN else group for group in cli.GROUPS]
    assert titles == [title for title in order if title in titles]
    assert all(f"\n{title}:\n" in text for title in titles)
    formatter = parser._get_formatter()
    for option, action in shown(parser).items():
        said = formatter._get_help_string(action)  # type: ignore[attr-defined]
        says = "default: " in said or "(required)" in said
        assert says is (action.nargs != 0), f"{option}: {said}"
        assert "(default)" not in said and "(default " not in said, f"{option}: {said}"


@pytest.mark.parametrize("name", console.commands())
def test_an_option_means_the_same_in_all_commands(name, monkeypatch):
    parser = parser_of(name, monkeypatch)
    options = shown(parser)
    groups = {id(a): title for title, group in parser.groups.items() for a in group._group_actions}
    for option, group in MEANING.items():
        if option in options:
            assert groups[id(options[option])] == group, option
    assert {"--json", "--quiet", "--version"} <= set(options)
    for option, words in (("--seed", cli.SEED), ("--device", cli.DEVICE)):
        if option in options:
            assert (options[option].help or "").startswith(words)


def test_usage_is_that_of_the_command_that_was_called(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/lib/analysis/cka/__main__.py"])
    parser = cli.Parser("analysis.cka", "It.", "  python -m analysis.cka a.pth\n")
    assert parser.format_help().startswith("usage: python -m analysis.cka [options]\n")
    monkeypatch.setattr(sys, "argv", ["mtd compare-cards"])
    parser = cli.Parser("analysis.compare_cards", "It.", "  python -m analysis.compare_cards a\n")
    parser.group("models").add_argument("cards", nargs="+", metavar="CARD")
    assert "usage: mtd compare-cards [options] CARD [CARD ...]\n" in parser.format_help()
    assert "\n  mtd compare-cards a\n" in parser.format_help()
