"""A Chromium that is on this machine, which prints pages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from mtd.utils import atomic_write
from mtd.utils.errors import BadInput

VARIABLE = "MTD_CHROMIUM"
"""Names a browser that is not on the PATH."""

NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "msedge"),
)

APPLICATIONS = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
"""Where macOS keeps them, which puts none on the PATH."""

SECONDS = 180
"""After which printing is given up."""


def find() -> Path | None:
    """The program, or None where there is none."""
    for name in (os.environ.get(VARIABLE, ""), *NAMES, *APPLICATIONS):
        if name and (found := shutil.which(name)):
            return Path(found)
    return None


def arguments() -> list[str]:
    """How it is started: without a window or a network; root is refused a sandbox."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    quiet = ["--disable-gpu", "--disable-background-networking", "--no-first-run"]
    return [*(["--no-sandbox"] if root else []), *quiet]


def pdf(page: Path, out: Path) -> None:
    """Print an HTML file.

    Raises:
        BadInput: there is no browser, or it made no PDF.
    """
    program = find()
    if program is None:
        raise BadInput(
            f"{out}: a PDF is printed by Chromium or Chrome, and none was found; install one, or "
            f"name it in {VARIABLE}"
        )
    if not page.is_file():
        raise BadInput(f"{page}: no such page to print")
    # a profile of its own: with that of a running browser, the page would be opened there
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "page.pdf"
        command = [
            *(str(program), "--headless", *arguments(), f"--user-data-dir={folder}/profile"),
            *("--no-pdf-header-footer", f"--print-to-pdf={made}", page.resolve().as_uri()),
        ]
        try:
            ended = subprocess.run(command, capture_output=True, timeout=SECONDS, text=True)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BadInput(f"{out}: {program} could not print it ({error})") from None
        if not made.is_file():
            last = (ended.stderr.strip().splitlines() or [f"status {ended.returncode}"])[-1]
            raise BadInput(f"{out}: {program} printed nothing ({last})")
        atomic_write.write(out, made.read_bytes())
