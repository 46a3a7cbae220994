"""What libraries read from the folder that a command is started in, which may be anybody's.

Matplotlib takes its settings from a file `matplotlibrc` there: the looks of figures, a module that
draws them, and text for LaTeX, which can read files.
"""

from __future__ import annotations

import os
import sys
from contextlib import chdir

SETTINGS = "matplotlibrc"


def leave_settings_unread() -> None:
    """Where there is a `matplotlibrc`, import Matplotlib such that it does not read it."""
    if os.path.lexists(SETTINGS) and "matplotlib" not in sys.modules:
        with chdir(sys.prefix):
            import matplotlib  # noqa: F401  it reads its settings when it is imported
