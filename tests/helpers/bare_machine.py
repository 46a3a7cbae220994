"""A machine with PyTorch and little else, on which the full-size networks are trained."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from tests.helpers.paths import ROOT
from tests.helpers.processes import fresh

PACKAGES = (
    *("torch", "numpy", "scipy", "scikit-image", "pillow", "safetensors", "tqdm", "pandas"),
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
    known: set[str] = set()
    there = {package for name in PACKAGES for package in needed(name, known)}
    return sorted(
        module
        for module, packages in packages_distributions().items()
        if not there & set(map(normalized, packages)) and module not in ("mtd", "analysis")
    )


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
