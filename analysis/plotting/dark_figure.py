"""A figure in colors for dark pages: what was drawn in black on white is light on dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.spines import Spine
from matplotlib.text import Text

from analysis.plotting.figure_style import ON_DARK

GROUND, INK = "#14171b", "#e4e7eb"
"""Colors of dark pages and of their text, as their style sheet has them."""

GRAY = 0.06
"""Colors whose channels differ by less are gray."""

LEAST = 3.0
"""Contrast of lines with the page, as WCAG requires it of graphical objects."""


@contextmanager
def dark(figure: Figure) -> Iterator[None]:
    """Context in which a figure has colors for dark pages; its pictures keep theirs."""
    undo: list[tuple[Callable[[Any], object], Any]] = []

    def change(artist: Any, *names: str) -> None:
        # all are read first: the colors of markers are those of their line unless they are set
        for name, old in [(name, getattr(artist, f"get_{name}")()) for name in names]:
            change = getattr(artist, f"set_{name}")
            if isinstance(old, np.ndarray) and old.ndim == 2:
                new: Any = [on_dark(tuple(one)) for one in old.tolist()]
            elif isinstance(old, str) and old in {"none", "auto", "inherit"}:
                continue
            else:
                new = on_dark(to_rgba(old))
            undo.append((change, old))
            change(new)

    try:
        for artist in figure.findobj():
            if over_picture(artist):
                continue
            if isinstance(artist, Text):
                change(artist, "color")
            elif isinstance(artist, Line2D):
                change(artist, "color", "markerfacecolor", "markeredgecolor")
            elif isinstance(artist, Patch) or (
                isinstance(artist, Collection) and artist.get_array() is None
            ):
                change(artist, "facecolor", "edgecolor")
        yield
    finally:
        for change_back, old in reversed(undo):
            change_back(old)


def over_picture(artist: Any) -> bool:
    """Whether an artist lies on a picture, whose colors it was drawn for."""
    axes = artist.axes
    if not isinstance(axes, Axes) or not axes.images or artist is axes.patch:
        return False
    if isinstance(artist, Text):
        return artist in axes.texts
    return isinstance(artist, Patch) and not isinstance(artist, Spine)


@lru_cache(maxsize=4096)
def on_dark(color: Any) -> tuple[float, ...]:
    """What stands for a color, RGBA, on a dark page.

    >>> to_hex(on_dark(to_rgba("white"))) == GROUND, to_hex(on_dark(to_rgba("black"))) == INK
    (True, True)
    >>> to_hex(on_dark(to_rgba("#1f77b4")))
    '#5aa9e6'
    >>> contrast(on_dark(to_rgba("#200080"))) >= LEAST
    True
    """
    *rgb, alpha = color
    known = ON_DARK.get(to_hex(color[:3]))
    if known:
        return to_rgba(known, alpha)
    paper, ink = np.array(to_rgba(GROUND)[:3]), np.array(to_rgba(INK)[:3])
    if max(rgb) - min(rgb) < GRAY:
        mixed = ink + (paper - ink) * float(np.mean(rgb))
        return (*map(float, mixed), alpha)
    new = np.array(rgb)
    while contrast(tuple(new)) < LEAST:
        new = new + (1 - new) * 0.1
    return (*map(float, new), alpha)


def contrast(color: tuple[float, ...]) -> float:
    """Contrast of a color with a dark page, by WCAG's formula."""
    return (luminance(color) + 0.05) / (luminance(to_rgba(GROUND)) + 0.05)


def luminance(color: tuple[float, ...]) -> float:
    """Relative luminance of sRGB, 0 to 1."""
    channels = np.array(color[:3])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
