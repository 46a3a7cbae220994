"""Figures of runs, composed but not rendered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analysis.commands.run_folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def leave_unrendered(patch: pytest.MonkeyPatch) -> None:
    """Let runs compose their figures, but write nothing for them: rendering takes longer than most
    of what tests compute."""

    def figure(folder: RunFolder, name: str, _: Figure) -> Path:
        return folder.write(name, b"not rendered")

    patch.setattr(RunFolder, "figure", figure)
