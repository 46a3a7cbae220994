"""Axes to draw on where a caller gives none."""

from __future__ import annotations

from matplotlib.axes import Axes


def new_axes(width: float = 6.4, height: float = 4.8) -> Axes:
    """The axes of a new pyplot figure, which notebooks show by themselves.

    Args:
        width: in inches.
        height: in inches.
    """
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]
