"""Figures of runs, composed but not rendered; strips of pictures are not even composed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis.commands.run_folder import RunFolder
from analysis.generalization import comparison_strips
from analysis.plotting import notebook_output, page_figure

VARIABLE = "MTD_TESTS_LEAVE_UNRENDERED"
"""Environment variable by which processes that tests fork do the same, kernels for their pictures
too."""


def leave_unrendered(patch: pytest.MonkeyPatch) -> None:
    """Let runs compose their figures, but write nothing for them: rendering takes longer than most
    of what tests compute. A strip, whose axes take as long, is an empty figure."""

    def figure(folder: RunFolder, name: str, _: Figure) -> Path:
        return folder.write(name, b"not rendered")

    patch.setattr(RunFolder, "figure", figure)
    patch.setattr(comparison_strips, "draw", lambda title, strips: Figure())
    patch.setenv(VARIABLE, "1")


@pytest.fixture(autouse=True)
def unrendered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """See `leave_unrendered`; for the folders of tests whose `conftest.py` imports it."""
    if request.node.get_closest_marker("drawn") is None:
        leave_unrendered(monkeypatch)


def leave_pictures_blank(patch: pytest.MonkeyPatch) -> None:
    """Let notebooks compose their figures, but show a picture of one pixel for each."""
    pixel = io.BytesIO()
    Image.new("L", (1, 1)).save(pixel, "png")
    blank = [page_figure.Variant(pixel.getvalue())]
    patch.setattr(notebook_output, "variants", lambda figure: blank)
