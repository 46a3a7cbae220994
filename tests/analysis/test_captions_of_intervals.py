"""Captions speak of intervals where intervals are drawn, and nowhere else."""

from __future__ import annotations

import re

import pytest
from matplotlib.figure import Figure

import analysis
from analysis.commands.registry import analysis as registered
from tests.helpers.paths import ROOT

EXAMPLE = ROOT / "reports/example"

BOUND = re.compile(r"(^|_)(low|high)(_|$)")

DRAWN = ["causal", "cka", "degradation", "error", "generalization", "linear", "sensitivity", "srga"]
"""The analyses whose figures have intervals."""


def captions(figures: dict[str, Figure]) -> str:
    """The titles of all figures and their axes."""
    return "\n".join(
        text
        for figure in figures.values()
        for text in (figure.get_suptitle(), *(axes.get_title() for axes in figure.axes))
    )


@pytest.mark.parametrize("name", DRAWN)
def test_figures_speak_of_the_intervals_that_they_show(name):
    run = analysis.open_run(EXAMPLE / name, name)
    of, frames = registered(name), dict(run.frames)
    assert "95% intervals" in captions(of.figures(frames, run.manifest))
    without = {
        title: frame.assign(**{column: float("nan") for column in frame if BOUND.search(column)})
        for title, frame in frames.items()
    }
    assert "interval" not in captions(of.figures(without, run.manifest))


def test_bands_and_bars_are_named_where_there_are_some():
    from analysis.generalization.figures import curves

    frame = analysis.open_run(EXAMPLE / "generalization", "generalization").frames["noises"]
    assert "; bands and bars: " in curves(frame, "psnr").get_suptitle()
    assert "; bands: " in curves(frame[frame.kind == "gaussian"], "psnr").get_suptitle()
    assert "; bars: " in curves(frame[frame.kind == "isp"], "psnr").get_suptitle()
