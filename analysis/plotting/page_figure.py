"""A figure as a page shows it: wide and narrow, for light and for dark pages."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from analysis.plotting import narrow_figure
from analysis.plotting.captions import sentence
from analysis.plotting.dark_figure import GROUND, dark
from analysis.plotting.figure_style import take_out_titles, titles
from analysis.plotting.literal_text import literal

DPI = 110
"""Of figures on a page."""

READABLE = 9
"""Pixels of the smallest text, as shown."""

WIDE, NARROW = 770, 356
"""Pixels that a page's column has at least: from 900 on, and on a phone."""

COLORS = 255
"""Of a picture; one more is transparent."""


@dataclass(frozen=True)
class Variant:
    """A figure as PNG or, where no notebook or file shows it, as WebP, which is smaller.

    Attributes:
        content: the file.
        dark: for dark pages.
        narrow: for narrow windows.
        scrolls: where the column is narrower, it is not made smaller: its text would be unreadable.
    """

    content: bytes
    dark: bool = False
    narrow: bool = False
    scrolls: bool = False

    @property
    def kind(self) -> str:
        """Its format, `png` or `webp`."""
        return "webp" if self.dark or self.narrow else "png"


def caption(figure: Figure) -> str:
    """The title of a figure in sentences."""
    return " ".join(map(sentence, titles(figure)))


def variants(figure: Figure) -> list[Variant]:
    """A figure without its title: wide, and narrow where the wide one does not fit a phone.

    Each of them is for light pages, and then for dark ones. The figure may be arranged in fewer
    columns afterwards.
    """
    FigureCanvasAgg(figure)  # measures text with one renderer
    literal(figure)
    take_out_titles(figure)
    figure.set_dpi(DPI)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    if least_width(figure) > WIDE:
        narrow_figure.arrange(figure, WIDE / DPI)
    least = least_width(figure)
    wide = both(figure, narrow=False, scrolls=least > NARROW)
    if least <= NARROW or not narrow_figure.arrange(figure, NARROW / DPI):
        return wide
    narrow = both(figure, narrow=True, scrolls=least_width(figure) > NARROW)
    return [replace(one, scrolls=least > WIDE) for one in wide] + narrow


def least_width(figure: Figure) -> float:
    """Pixels of width down to which all text of a figure is readable."""
    return float(figure.get_size_inches()[0]) * DPI * READABLE / smallest(figure)


def smallest(figure: Figure) -> float:
    """Size of the smallest text of a figure that has been laid out, in pixels."""
    sizes = [
        float(text.get_fontsize())
        for text in figure.findobj(Text)
        if isinstance(text, Text) and text.get_visible() and text.get_text().strip()
        if text.axes is None or (text.axes.get_visible() and text.axes.axison)
    ]
    return min(sizes, default=10.0) * DPI / 72


def both(figure: Figure, narrow: bool, scrolls: bool) -> list[Variant]:
    """A figure that has been laid out, for light and for dark pages; see `Variant`."""
    figure.set_layout_engine(None)
    box = figure.get_tightbbox().padded(0.04)
    options: dict[str, Any] = {
        "format": "png",
        "dpi": DPI,
        "metadata": {"Software": None},
        "pil_kwargs": {"compress_level": 0},  # it is compressed once, in `compressed`
        "bbox_inches": box,
    }
    light, on_dark = io.BytesIO(), io.BytesIO()
    figure.savefig(light, **options)
    with dark(figure):
        figure.savefig(on_dark, facecolor=GROUND, **options)
    made = (
        (Variant(light.getvalue(), False, narrow, scrolls), None),
        (Variant(on_dark.getvalue(), True, narrow, scrolls), GROUND),
    )
    return [
        replace(one, content=compressed(reduced(one.content, ground), one.kind))
        for one, ground in made
    ]


def reduced(content: bytes, ground: str | None = None) -> Image.Image:
    """A PNG in 256 colors, with which its file is a third as large.

    Args:
        content: a PNG.
        ground: a color that becomes transparent.
    """
    image = Image.open(io.BytesIO(content)).convert("RGB")
    if ground is None:
        return image.quantize(256, dither=Image.Dither.NONE)
    color = np.rint(np.array(to_rgb(ground)) * 255).astype(np.uint8)
    clear = (np.asarray(image) == color).all(2)
    few = image.quantize(COLORS, dither=Image.Dither.NONE)
    palette = (few.getpalette() or [])[: 3 * COLORS]
    indices = np.where(clear, COLORS, np.asarray(few)).astype(np.uint8)
    new = Image.fromarray(indices, "P")
    new.putpalette([*palette, *[0] * (3 * COLORS - len(palette)), *color.tolist()])
    new.info["transparency"] = COLORS
    return new


def compressed(image: Image.Image, kind: str) -> bytes:
    """A picture as PNG or as WebP, with the same pixels."""
    content = io.BytesIO()
    if kind == "png":
        image.save(content, "png", optimize=True)
    else:
        shown = image.convert("RGBA" if "transparency" in image.info else "RGB")
        shown.save(content, "webp", lossless=True, exact=True, method=3, quality=60)
    return content.getvalue()
