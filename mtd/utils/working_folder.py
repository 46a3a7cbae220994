"""What libraries read from the folder that a command is started in, which may be anybody's.

Matplotlib takes its settings from a file `matplotlibrc` there: the looks of figures, a module that
draws them, and text for LaTeX, which can read files.
"""

from __future__ import annotations

import os
import sys
from contextlib import chdir

SETTINGS = "matplotlibrc"


def unread_settings() -> bool:
    """Import Matplotlib such that it reads no `matplotlibrc` of the working folder.

    Returns:
        whether there is one; else nothing is imported.
    """
    if not os.path.lexists(SETTINGS) or "matplotlib" in sys.modules:
        return os.path.lexists(SETTINGS)
    with chdir(sys.prefix):
        import matplotlib  # noqa: F401  it reads the file when it is imported
    return True
