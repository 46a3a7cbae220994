"""Texts of a figure that are drawn over each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

TOUCHING = 1.5
"""Pixels of two boxes that may be the same: boxes are higher than most letters."""


def shown(figure: Figure) -> list[Text]:
    """The texts of a figure that are drawn; without slanted ones, whose boxes say little."""
    outside = {label for axes in figure.axes for label in beyond(axes)}

    def texts(artist: Artist) -> Iterator[Text]:
        if not artist.get_visible() or artist in outside:
            return
        if isinstance(artist, Text):
            if artist.get_text().strip() and artist.get_rotation() % 90 == 0:
                yield artist
        else:
            for child in artist.get_children():
                yield from texts(child)

    return list(texts(figure))


def beyond(axes: Any) -> Iterator[Text]:
    """Labels of ticks outside of the axes, which are not drawn."""
    for place, axis in enumerate((axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        labels = [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)]
        yield from (label for label in labels if not low <= label.get_position()[place] <= high)


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of texts whose boxes overlap."""
    FigureCanvasAgg(figure).draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown(figure)]
    found = []
    for (a, first), (b, second) in combinations(boxes, 2):
        common = Bbox.intersection(first, second)
        if common is not None and min(common.width, common.height) > TOUCHING:
            found.append((a, b))
    return found
