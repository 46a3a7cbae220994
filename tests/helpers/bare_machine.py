"""A machine with PyTorch and little else, on which the full-size networks are trained."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, requires
from inspect import getmodulename
from pathlib import Path

from tests.helpers.paths import ROOT
from tests.helpers.processes import fresh

PACKAGES = (
    *("torch", "numpy", "scipy", "scikit-image", "pillow", "safetensors", "pandas"),
    *("matplotlib", "pytest"),
)
"""What such a machine has, beside what these need."""

HIDE = """\
import sys
from importlib.machinery import PathFinder

HIDDEN = {hidden}


class Bare(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        return super().find_spec(name, path, target)


sys.meta_path[:] = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
"""


def needed(name: str, known: set[str]) -> Iterator[str]:
    """A package and all that it needs, by normalized name."""
    name = normalized(name)
    if name in known:
        return
    known.add(name)
    yield name
    try:
        needs = requires(name) or []
    except PackageNotFoundError:  # such as those for other systems
        return
    for need in needs:
        if "extra ==" not in need:
            yield from needed(re.match(r"[\w.-]+", need)[0], known)  # type: ignore[index]


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def hidden() -> list[str]:
    """The modules of this environment that the machine lacks."""
    return sorted(
        module
        for module, packages in modules().items()
        if not there() & packages and module not in ("mtd", "analysis")
    )


@cache
def there() -> set[str]:
    """The packages that the machine has, by normalized name."""
    known: set[str] = set()
    return {package for name in PACKAGES for package in needed(name, known)}


@cache
def modules() -> dict[str, set[str]]:
    """The packages of this environment that hold a module, by its name, compiled ones included."""
    found: dict[str, set[str]] = {}
    for package in distributions():
        holder = normalized(package.name)
        for line in (package.read_text("RECORD") or "").splitlines():
            first, slash, _ = line.partition(",")[0].partition("/")
            name = first if slash else getmodulename(first)
            if name and name.isidentifier() and name != "__pycache__":
                found.setdefault(name, set()).add(holder)
    return found


def on_a_bare_machine(
    *arguments: str, folder: Path, cwd: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Python in the checkout, without the packages that a bare machine lacks.

    To it and all that it starts they are absent, as if they were not installed.

    Args:
        arguments: of Python.
        folder: an empty one, for the module by which they are hidden.
        cwd: the working folder.
        variables: of its environment.
    """
    (folder / "sitecustomize.py").write_text(HIDE.format(hidden=set(hidden())))
    path = f"{folder}:{ROOT}"
    return fresh(
        *arguments, cwd=cwd, PYTHONPATH=path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **variables
    )
