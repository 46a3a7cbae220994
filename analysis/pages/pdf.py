"""A page as PDF, printed by an installed Chromium.

nbconvert's `WebPDFExporter` would do it too, but starts only the Chromium that playwright
downloads, which a cluster's nodes often cannot.
"""

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

BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "msedge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",  # macOS puts none on the PATH
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)

SECONDS = 180
"""Time limit of printing."""


def find() -> str | None:
    """The browser, or None if there is none."""
    names = (os.environ.get(VARIABLE, ""), *BROWSERS)
    return next(filter(None, map(shutil.which, names)), None)


def arguments() -> list[str]:
    """Options to start it with; it refuses to run as root in a sandbox."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    return [*(["--no-sandbox"] if root else []), "--disable-gpu", "--disable-background-networking"]


def pdf(page: Path, out: Path) -> None:
    """Print an HTML file.

    Raises:
        BadInput: there is no browser, or it printed no PDF.
    """
    program = find()
    if program is None:
        raise BadInput(
            f"{out}: a PDF is printed by Chromium or Chrome, and neither was found: install one or "
            f"name it in {VARIABLE}"
        )
    # with the profile of a running browser, the page would be opened there
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        printed = Path(folder) / "page.pdf"
        command = [program, "--headless", *arguments(), f"--user-data-dir={folder}/profile"]
        command += ["--no-pdf-header-footer", f"--print-to-pdf={printed}", page.absolute().as_uri()]
        try:
            process = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                timeout=SECONDS,
                encoding="utf-8",
                errors="replace",
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BadInput(f"{out}: {program} could not print it ({error})") from None
        if not printed.is_file():
            last = (process.stderr.strip().splitlines() or [f"status {process.returncode}"])[-1]
            raise BadInput(f"{out}: {program} printed nothing ({last})")
        atomic_write.write(out, printed.read_bytes())
