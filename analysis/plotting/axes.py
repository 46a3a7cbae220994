"""Axes to draw on where a caller gives none."""

from __future__ import annotations

from matplotlib.axes import Axes

from analysis.plotting.figure_style import size_of


def new_axes(width: float = 6.4, height: float = 4.8) -> Axes:
    """The axes of a new pyplot figure in the current style, which notebooks show by themselves.

    Args:
        width: on a screen, in inches.
        height: on a screen, in inches.
    """
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size_of(width, height), layout="constrained")[1]
