"""What libraries read from the folder that a command is started in, which may be anybody's.

Matplotlib takes its settings from a file `matplotlibrc` there: the looks of figures, a module that
draws them, and text for LaTeX, which can read files.
"""

from __future__ import annotations

from pathlib import Path

SETTINGS = "matplotlibrc"


def unread_settings() -> bool:
    """Undo the settings of a `matplotlibrc` in the working folder; whether there is one."""
    if not Path(SETTINGS).exists():
        return False
    import matplotlib  # which reads the file when it is first imported

    matplotlib.rcdefaults()
    matplotlib.rcParams["backend"] = "agg"  # which `rcdefaults` leaves as it is
    return True
