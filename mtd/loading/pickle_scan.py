"""The code that a pickle would run, found without running it; for error messages only."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path


def code_in(path: Path) -> str | None:
    """The first function or class outside torch that unpickling would call; None without one."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                entry = next(name for name in archive.namelist() if name.endswith("data.pkl"))
                content = archive.read(entry)
        else:
            content = path.read_bytes()
        return _first_call(content)
    except Exception:  # a damaged file has no answer
        return None


def _first_call(content: bytes) -> str | None:
    strings: list[str] = []
    for code, argument, _ in pickletools.genops(content):
        if "UNICODE" in code.name or "STRING" in code.name:
            strings.append(str(argument))
        elif code.name in ("GLOBAL", "INST", "STACK_GLOBAL"):
            named = strings[-2:] if code.name == "STACK_GLOBAL" else str(argument).split(" ")
            name = ".".join(named)
            if not name.startswith(("torch._utils._rebuild", "torch.Float", "collections.Ordered")):
                return name
    return None
