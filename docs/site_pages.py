"""What MkDocs makes while it builds the site: the pages of commands, and links out of `docs`.

A page for each command is made from its parser, so that it cannot differ from `--help`. Documents
of the checkout outside `docs` that pages link to (`COPIED`) become pages; a link to any other file
of the checkout becomes its name.
"""

from __future__ import annotations

import argparse
import html
import os
import re
import sys
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

    from mtd.utils.cli import Parser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

COPIED = {
    "README.md": "index.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "reports/bundled-pair/README.md": "reports/bundled-pair.md",
    "reports/small-pairs/README.md": "reports/small-pairs.md",
    "reports/findings/README.md": "reports/findings.md",
    "reports/full-size/README.md": "reports/full-size.md",
}
"""Documents outside `docs`, and where they are in the site."""

PAGES = ("reports/example/report.html", "reports/findings/findings.html")
"""Stored pages, which the site holds as they are."""


def command_parser(name: str) -> Parser:
    """The parser of a command, by its name in `mtd NAME`."""
    from analysis.commands import command
    from analysis.commands.console import commands

    module = import_module(commands()[name])
    given, sys.argv = sys.argv, [f"mtd {name}"]  # what its help and examples call it
    try:
        if callable(getattr(module, "parser", None)):
            made: Parser = module.parser()
            return made
        return command.parser(module.ANALYSIS)
    finally:
        sys.argv = given


def option_row(action: argparse.Action, formatter: argparse.HelpFormatter) -> str:
    """A row of a table: how an option is written, and its help with the default."""
    form = formatter._format_action_invocation(action)
    if action.option_strings and action.nargs != 0:
        value = form.rpartition(", ")[2].partition(" ")[2]
        form = ", ".join(action.option_strings) + f" {value}"
    text = " ".join(formatter._expand_help(action).split()) if action.help else ""
    return f"| <code>{cell(form)}</code> | {cell(text)} |"


def cell(text: str) -> str:
    """Text as it stands in a cell: no character of it is markup."""
    return re.sub(r"([\\`*_\[\]|])", lambda found: f"&#{ord(found[1])};", html.escape(text, False))


def command_page(name: str, summary: str) -> str:
    """The page of a command, as Markdown."""
    parser = command_parser(name)
    formatter = parser._get_formatter()
    given, sys.argv = sys.argv, [f"mtd {name}"]
    try:
        usage = parser.format_usage().removeprefix("usage: ").strip()
    finally:
        sys.argv = given
    lines = [f"# mtd {name}", "", f"*{cell(summary)}*", "", "```sh", usage, "```", ""]
    lines += [*(cell(parser.description or "").split("\n")), ""]
    if examples := (parser.epilog or "").removeprefix("examples:").strip("\n"):
        shown = re.sub(r"(?m)^  ", "", examples).rstrip()
        lines += ["## Examples", "", "```sh", shown, "```", ""]
    for group in parser._action_groups:
        shown = [a for a in group._group_actions if a.help is not argparse.SUPPRESS]
        if not shown:
            continue
        title = (group.title or "").replace("positional arguments", "arguments")
        lines += [f"## {title[:1].upper()}{title[1:]}", ""]
        lines += [cell(group.description), ""] if group.description else []
        lines += ["| option | |", "| --- | --- |"]
        lines += [*(option_row(action, formatter) for action in shown), ""]
    return "\n".join(lines)


def command_pages() -> dict[str, str]:
    """The Markdown of all pages of commands, by path in the site."""
    from analysis.commands.console import TASKS

    about = (
        "`mtd COMMAND` is the same as `python -m analysis.COMMAND`, or, for commands that train, "
        "denoise or get files, as `python -m mtd.COMMAND`. Each page is made from the command's "
        "own `--help`; `mtd` alone lists all commands, `mtd --version` prints the version."
    )
    pages: dict[str, str] = {}
    index = ["# Commands", "", about]
    for task, group in TASKS.items():
        index += ["", f"## {task}", "", "| | |", "| --- | --- |"]
        for name, summary in group.items():
            path = f"commands/{name}.md"
            pages[path] = command_page(name, summary)
            index.append(f"| [mtd {name}]({name}.md) | {cell(summary)} |")
    return {"commands/index.md": "\n".join([*index, ""]), **pages}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of commands and the documents outside `docs`."""
    from mkdocs.structure.files import File, InclusionLevel

    for path, text in command_pages().items():
        files.append(File.generated(config, path, content=text))
    for source, path in COPIED.items():
        if (ROOT / source).is_file():
            page = File.generated(config, path, content=(ROOT / source).read_text())
            if path != "index.md":
                page.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(page)
            for picture in (ROOT / source).parent.glob("*.png") if "/" in source else ():
                where = f"{PurePosixPath(source).parent}/{picture.name}"
                files.append(File.generated(config, where, abs_src_path=str(picture)))
    for source in PAGES:
        if (ROOT / source).is_file():
            files.append(File.generated(config, source, abs_src_path=str(ROOT / source)))
    for file in files.documentation_pages():
        if file.src_uri.startswith("commands/") and file.src_uri != "commands/index.md":
            file.inclusion = InclusionLevel.NOT_IN_NAV
    return files


LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def source_of(page: str) -> str:
    """The path in the checkout of a page of the site."""
    return next((source for source, path in COPIED.items() if path == page), f"docs/{page}")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Turn links to files of the checkout into links of the site, or into names."""
    here = page.file.src_uri
    if here.startswith("commands/"):
        return markdown
    folder = PurePosixPath(source_of(here)).parent

    def target(found: re.Match[str]) -> str:
        sign, text, link = found.groups()
        if re.match(r"[a-z]+:|#", link):
            return found[0]
        path, mark, anchor = link.partition("#")
        source = os.path.normpath(folder / path)
        site = COPIED.get(source, source.removeprefix("docs/"))
        if files.get_file_from_path(site) is None:
            return text
        relative = os.path.relpath(site, PurePosixPath(here).parent)
        return f"{sign}[{text}]({relative}{mark}{anchor})"

    parts = re.split(r"(?ms)(^```.*?^```)", markdown)  # nothing inside of code
    return "".join(p if p.startswith("```") else LINK.sub(target, p) for p in parts)
