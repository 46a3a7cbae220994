"""Code that no importer reads, in strings, notebooks and documents, names what there is."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

IMPORT = re.compile(r"\bfrom ((?:mtd|analysis)(?:\.\w+)*) import (\w+(?: as \w+)?(?:, \w+)*)")
SUFFIXES = (".py", ".md", ".sh", ".ipynb", ".toml")
FOLDERS = ("analysis", "mtd", "notebooks", "reports", "tests")


def files() -> list[Path]:
    inside = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found = [path for path in [*ROOT.glob("*"), *inside] if path.suffix in SUFFIXES]
    return [path for path in found if path.name != "CHANGELOG.md"]  # which tells of older names


def exists(module: str, name: str) -> bool:
    try:
        return hasattr(import_module(module), name) or bool(import_module(f"{module}.{name}"))
    except ImportError:
        return False


def imports(text: str) -> set[tuple[str, str]]:
    """Modules and the names that are imported from them, but for those that types alone need."""
    text = re.sub(r"(?m)^if TYPE_CHECKING:\n(?:[ \t].*\n|\n)+", "", text)
    return {
        (module, name.partition(" ")[0])
        for module, names in IMPORT.findall(text)
        for name in names.split(", ")
    }


def test_every_import_of_the_project_finds_its_name():
    cited = {entry: path for path in files() for entry in imports(path.read_text("utf-8"))}
    assert len(cited) > 300
    missing = [f"{path.name}: {m}.{n}" for (m, n), path in cited.items() if not exists(m, n)]
    assert not missing


@pytest.mark.parametrize("module, name", [("mtd", "tiles"), ("mtd.tiling", "layout")])
def test_a_name_that_there_is_not_is_seen(module, name):
    assert imports(f"code = 'from {module} import {name}'") == {(module, name)}
    assert not exists(module, name)
