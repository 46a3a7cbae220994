"""A command of this project that ends itself, or reports how often it could have.

`python end_at.py COUNTER PLAN -m MODULE ...`, where PLAN is `count`, which writes the number of
renames into COUNTER, or `SIGNAL:SIDE:NUMBER`, which sends the signal to this process on one side
(`before` or `after`) of that rename, from 1. Everything in a run folder gets its name by one.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtd.utils import replaced

RENAMES = ("replace", "rename")
SERVED = "SERVED"
"""The variable with the address of a server of a test set's files."""


def ends_at_renames(counter: Path, plan: str) -> None:
    """Patch renames: pathlib and shutil call those of os as well."""
    count = 0
    signal, side, number = ("", "", "") if plan == "count" else plan.split(":")

    def patched(real: Callable[..., Any]) -> Callable[..., Any]:
        def rename(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            here = count
            if plan == "count":
                counter.write_text(str(count))
            if str(here) == number and side == "before":
                os.kill(os.getpid(), int(signal))
            done = real(*args, **kwargs)
            if str(here) == number and side == "after":
                os.kill(os.getpid(), int(signal))
            return done

        return rename

    for name in RENAMES:
        setattr(os, name, patched(getattr(os, name)))
    replaced.exchanged = patched(replaced.exchanged)


def serve(address: str, names: list[str]) -> None:
    """Let the test set kodak24 be these files of a server."""
    from mtd.data import test_set_downloads as sets
    from mtd.data import test_sets

    recipe = test_sets.RECIPES["kodak24"]
    forms = tuple(replace(form, count=len(names)) for form in recipe.forms)
    test_sets.RECIPES["kodak24"] = replace(recipe, forms=forms)
    served = sets.Download("free", base=address, files=dict.fromkeys(names, "unknown"))
    sets.table = lambda: {"kodak24": served}


def main() -> None:
    """See the module."""
    counter, plan, _, module, *arguments = sys.argv[1:]
    if module.startswith("analysis"):
        from tests.helpers.figures import leave_unrendered

        leave_unrendered(pytest.MonkeyPatch())
    if SERVED in os.environ:
        address, *names = os.environ[SERVED].split()
        serve(address, names)
    sys.argv = [module, *arguments]
    ends_at_renames(Path(counter), plan)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
