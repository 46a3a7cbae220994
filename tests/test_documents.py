"""README, CONTRIBUTING and the analyses' README: the files that they name exist."""

from __future__ import annotations

import re

import pytest

from tests.helpers.paths import ROOT

DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "analysis/README.md"),
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str):
    path = ROOT / name
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if link.startswith("http"):
            continue
        file, _, fragment = link.partition("#")
        target = (path.parent / file) if file else path
        assert target.is_file(), f"{name}: {link}"
        if fragment:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.M)
            assert fragment in map(anchor, headings), f"{name}: {link}"


def test_the_tree_names_files_that_exist():
    text = (ROOT / "README.md").read_text().partition("## Where things are")[2]
    top, folder, count = "", "", 0
    for line in text.partition("```\n")[2].partition("```")[0].splitlines():
        if match := re.match(r"(\w+)/", line):
            top = folder = match[1]
        elif match := re.match(r"  (\w+)/ ", line):
            folder = f"{top}/{match[1]}"
        elif re.match(r"  \S", line):
            folder = top
        for file in re.findall(r"\b\w+\.py\b", line):
            holders = [ROOT / folder] if "NAME" not in folder else (ROOT / top).iterdir()
            assert any((holder / file).is_file() for holder in holders), f"{folder}/{file}"
            count += 1
    assert count > 60
