"""Methods that draw on axes, in a style, with names as they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.plotting import figure_style
from analysis.plotting.literal_text import literal

Given = ParamSpec("Given")


def styled(draw: Callable[Given, Axes]) -> Callable[Given, Axes]:
    """A method that draws in the style that its argument `style` names, and returns axes.

    In its figure no name is taken for a formula. Of a figure of the caller's, only the axes get the
    style.
    """

    known = inspect.signature(draw)

    @wraps(draw)
    def drawn(*given: Given.args, **options: Given.kwargs) -> Axes:
        style = figure_style.named_style(str(options.get("style", "screen")))
        own = known.bind(*given, **options).arguments.get("ax") is None
        with figure_style.using(style):
            axes = draw(*given, **options)
            if isinstance(figure := axes.get_figure(root=True), Figure):
                if own:
                    figure_style.fitted(figure)
                else:
                    figure_style.fit(axes)
                literal(figure)
        return axes

    return drawn
