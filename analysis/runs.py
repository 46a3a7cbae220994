"""A run folder: the manifest first, then tables and figures, each written whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

import mtd
from mtd import files
from mtd.errors import BadInput

MANIFEST = "manifest.json"
PACKAGES = ("torch", "numpy", "scikit-image", "pandas", "matplotlib")


def versions() -> dict[str, str]:
    """Versions of this project, Python and the packages that results depend on."""
    found = {"mtd": mtd.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


class RunFolder:
    """Where one analysis writes.

    Args:
        path: the folder, or None for `runs/NAME-DIGEST`, the digest being that of the manifest, so
            that the same question has the same folder.
        name: of the analysis and its models.
        manifest: everything that decides the results, ready for JSON.

    Raises:
        BadInput: the folder holds another run, or cannot be written.
    """

    def __init__(self, path: str | Path | None, name: str, manifest: Mapping[str, Any]) -> None:
        text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
        digest = hashlib.sha256(_identity(manifest).encode()).hexdigest()[:8]
        plain = re.sub(r"[^\w.-]+", "_", name)[:80]
        self.path = Path(path) if path else Path("runs") / f"{plain}-{digest}"
        if self.path.exists() and not self.path.is_dir():
            raise BadInput(f"{self.path} is a file: --output-dir is a folder")
        held = self.path / MANIFEST
        if held.exists() and not _same(held, manifest):
            raise BadInput(f"{self.path} holds another run: choose another --output-dir")
        files.write(held, text)

    def table(self, name: str, frame: pd.DataFrame) -> Path:
        """Write a table as CSV, numbers in full, missing ones as `nan`."""
        path = self.path / name
        files.write(path, frame.to_csv(index=False, na_rep="nan", lineterminator="\n"))
        return path

    def figure(self, name: str, figure: Figure) -> Path:
        """Write a figure as PNG."""
        path = self.path / name
        buffer = io.BytesIO()
        # without the name of the software, the same figure is the same bytes
        figure.savefig(buffer, format="png", metadata={"Software": None}, bbox_inches="tight")
        files.write(path, buffer.getvalue())
        return path


def _identity(manifest: Mapping[str, Any]) -> str:
    """The manifest without what may differ between runs of the same question."""
    return json.dumps({k: v for k, v in manifest.items() if k != "command"}, sort_keys=True)


def _same(held: Path, manifest: Mapping[str, Any]) -> bool:
    try:
        found = json.loads(held.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    plain = json.loads(json.dumps(manifest))
    return isinstance(found, dict) and _identity(found) == _identity(plain)


def newest(analysis: str, parent: str | Path = "runs") -> Path:
    """The run folder of an analysis whose manifest was written last.

    Raises:
        BadInput: there is none.
    """
    found = list(Path(parent).glob(f"{analysis}-*/{MANIFEST}"))
    if not found:
        raise BadInput(f"{parent}: no run of analysis.{analysis} in it; run it first")
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent


def read_manifest(path: str | Path) -> dict[str, Any]:
    """The manifest of a run folder.

    Raises:
        BadInput: not a run folder.
    """
    held = Path(path) / MANIFEST
    try:
        manifest = json.loads(held.read_text(encoding="utf-8"))
    except OSError:
        raise BadInput(f"{path}: no run folder, {MANIFEST} is missing") from None
    except ValueError as error:
        raise BadInput(f"{held}: damaged ({error})") from None
    if not isinstance(manifest, dict):
        raise BadInput(f"{held}: damaged, not a JSON object")
    return manifest
