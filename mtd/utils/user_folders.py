"""Folders of the user that a command needs: for temporary files, and for the caches of libraries.

On a cluster the home may be read-only or missing, and so may the folder that `TMPDIR` names.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from mtd.utils import temporary
from mtd.utils.errors import BadInput

TILDE = re.compile(r"(?:^|(?<=[=:]))~[\w.-]*(?=/|$)")
"""A home where a path begins."""

MATPLOTLIB = "MPLCONFIGDIR"
"""The variable with Matplotlib's folder; without a usable one it warns whenever it is imported."""


def prepare() -> None:
    """Check that there is a place for temporary files, and give Matplotlib a folder if it has none.

    Raises:
        BadInput: no folder for temporary files can be written.
    """
    try:
        tempfile.gettempdir()
    except OSError:
        given = os.environ.get("TMPDIR")
        tried = f"TMPDIR={given}, " if given else ""
        raise BadInput(
            f"no folder for temporary files can be written ({tried}/tmp, /var/tmp, the current "
            "folder): set TMPDIR to one that can"
        ) from None
    if MATPLOTLIB not in os.environ and not all(map(writable, matplotlib_folders())):
        os.environ[MATPLOTLIB] = str(temporary.folder("matplotlib-"))


def matplotlib_folders() -> list[Path]:
    """Matplotlib's folders of settings and of caches, by its own rule on Linux."""
    named = (("XDG_CONFIG_HOME", "~/.config"), ("XDG_CACHE_HOME", "~/.cache"))
    return [Path(os.environ.get(name) or home(place)) / "matplotlib" for name, place in named]


def home(path: str) -> str:
    """A path with the home for `~`; one that cannot exist where the user has no home."""
    full = os.path.expanduser(path)  # noqa: PTH111, since pathlib's raises without a home
    return path.replace("~", os.devnull) if full.startswith("~") else full


def expanded(text: str) -> str:
    """A text with the home for the `~` that begins it, or the path in it: `folder:~/photos`.

    Shells leave it in `--images=~/photos`, and nothing replaces it in files and in Python. A file
    of that name is left alone, and so is the name of no user.

    >>> expanded("~/a.png") == expanded("x=~/a.png").removeprefix("x=") == home("~/a.png")
    True
    """
    if "~" not in text or os.path.lexists(text):
        return text
    return TILDE.sub(lambda found: os.path.expanduser(found[0]), text)  # noqa: PTH111


def writable(folder: Path) -> bool:
    """Whether a folder can be written, or be created; not where the user may not look."""
    try:
        existing = next(one for one in (folder, *folder.parents) if one.exists())
        return existing.is_dir() and os.access(existing, os.W_OK)
    except OSError:
        return False
