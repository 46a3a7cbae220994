"""What `mtd` shows of itself: names, types, docstrings."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import mtd

ROOT = Path(mtd.__file__).parent


def test_dir_shows_load_and_the_subpackages() -> None:
    names = dir(mtd)
    assert {"__version__", "load", "noise", "metrics", "networks", "training"} <= set(names)
    folders = {p.parent.name for p in ROOT.glob("*/__init__.py")} | {"masking"}
    assert folders == set(names) - {"__version__", "load"}
    assert all(getattr(mtd, name) is not None for name in names)
    assert (ROOT / "py.typed").is_file()


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import mtd, sys; dir(mtd); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_everything_public_has_a_docstring() -> None:
    kinds = (ast.FunctionDef, ast.ClassDef)
    missing = []
    for path in ROOT.rglob("*.py"):
        module = ast.parse(path.read_text(encoding="utf-8"))
        public = [n for n in module.body if isinstance(n, kinds) and not n.name.startswith("_")]
        methods = [
            m
            for n in public
            if isinstance(n, ast.ClassDef)
            for m in n.body
            if isinstance(m, ast.FunctionDef) and not m.name.startswith("_")
        ]
        for node in (module, *public, *methods):
            if not ast.get_docstring(node):
                missing.append(f"{path.relative_to(ROOT)}: {getattr(node, 'name', 'module')}")
    assert not missing
