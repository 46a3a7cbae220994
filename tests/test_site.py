"""The documentation's site: pages of commands from their parsers, links that leave `docs`."""

from __future__ import annotations

import argparse
import html
import importlib.util
import re
from types import ModuleType

import pytest

from analysis.commands.console import commands
from tests.helpers.paths import ROOT


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_has_a_page_with_all_its_options_and_defaults(site):
    pages = site.command_pages()
    for name in commands():
        text = html.unescape(pages[f"commands/{name}.md"])
        assert f"[mtd {name}]({name}.md)" in pages["commands/index.md"]
        assert f"mtd {name}" in text and "## Examples" in text
        for action in site.command_parser(name)._actions:
            if action.help is not argparse.SUPPRESS:
                missing = [option for option in action.option_strings if option not in text]
                assert not missing, f"{name}: {missing}"
    assert re.search(r"--limit N?.*default: ", html.unescape(pages["commands/cka.md"]))


def test_markup_in_help_is_text(site):
    assert site.cell("a|b *c* <d>") == "a&#124;b &#42;c&#42; &lt;d&gt;"
