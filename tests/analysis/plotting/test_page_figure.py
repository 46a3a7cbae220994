"""Figures of a page: wide and narrow, light and dark, and text that can be read in each."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from analysis.plotting import dark_figure, narrow_figure, page_figure
from analysis.plotting.figure_style import MODELS, NOISES, new_figure
from analysis.plotting.page_figure import NARROW, READABLE, WIDE


def maps(rows: int = 2, columns: int = 5) -> Figure:
    """Heat maps in a grid, with labels on its edges, names of layers and a bar of colors."""
    figure = new_figure(3.8 * columns, 3.9 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    names = [f"block {k // 4}.{k % 4}" for k in range(8)]
    for row in range(rows):
        for column in range(columns):
            axes = grid[row, column]
            image = axes.imshow(np.eye(8), origin="lower")
            axes.set_title(f"model {row}")
            axes.set_xlabel(f"layer of model {row} under Gaussian, σ = {10 * column}", fontsize=9)
            axes.set_xticks(range(8), names, rotation=90, fontsize=8)
            axes.set_yticks(range(8), names if column == 0 else [""] * 8, fontsize=8)
        grid[row, 0].set_ylabel(f"rows of model {row}", fontsize=9)
    figure.colorbar(image, ax=grid, label="CKA")
    figure.suptitle("Layers\nof 3 photographs")
    return figure


def lines(count: int, width: float) -> Figure:
    figure = new_figure(width, 3)
    for number, axes in enumerate(figure.subplots(1, count, squeeze=False)[0]):
        axes.plot([1, 3, 2], color=MODELS[0], label="a")
        axes.set_title(f"noise {number}")
        axes.set_xlabel("step")
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8
    )
    return figure


def size(drawing: page_figure.Variant) -> tuple[int, int]:
    return Image.open(io.BytesIO(drawing.content)).size


@pytest.mark.parametrize("figure", [maps(), lines(6, 15)], ids=["maps", "lines"])
def test_text_is_readable_at_every_width(figure):
    made = page_figure.variants(figure)
    assert [(one.narrow, one.dark) for one in made] == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]
    # the narrow figure is what is left on the canvas, in its own size
    for drawing, column in zip(made, [WIDE, WIDE, NARROW, NARROW], strict=True):
        across = size(drawing)[0]
        assert page_figure.smallest(figure) * min(1, column / across) >= READABLE
        assert not drawing.scrolls


def test_maps_come_one_above_the_other_and_keep_their_labels():
    figure = maps()
    page_figure.variants(figure)
    shown = narrow_figure.panels(figure)
    lefts = {round(axes.get_position().x0, 3) for axes in shown}
    assert len(lefts) == 1
    tops = [axes.get_position().y1 for axes in shown]
    assert tops == sorted(tops, reverse=True)
    assert [axes.get_ylabel() for axes in shown] == ["rows of model 0"] * 5 + [
        "rows of model 1"
    ] * 5
    boxes = [axes.get_tightbbox() for axes in shown]
    assert all(above.y0 >= below.y1 for above, below in pairwise(boxes))
    for axes in shown:
        box = axes.get_window_extent()
        assert box.width == pytest.approx(box.height, rel=0.02)


def test_the_first_variant_is_png_and_the_others_are_webp_of_the_same_pixels_each_time():
    first, again = (page_figure.variants(maps()) for _ in range(2))
    assert [one.content for one in first] == [one.content for one in again]
    for one, kind in zip(first, ("png", "webp", "webp", "webp"), strict=True):
        assert one.kind == kind and Image.open(io.BytesIO(one.content)).format == kind.upper()
    few = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16), "P")
    few.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    files = [io.BytesIO(page_figure.compressed(few, kind)) for kind in ("png", "webp")]
    png, webp = (np.asarray(Image.open(file).convert("RGB")) for file in files)
    assert (png == webp).all()


def test_labels_are_measured_once_for_each_place_they_get(monkeypatch):
    measured = []
    labels = narrow_figure.labels
    monkeypatch.setattr(narrow_figure, "labels", lambda grid: measured.append(grid) or labels(grid))
    figure = maps()
    figure.draw_without_rendering()
    assert narrow_figure.arrange(figure, NARROW / page_figure.DPI)
    assert len(measured) == 2 * (narrow_figure.ROUNDS - 1) + 1


def test_rows_become_columns_where_they_fit():
    figure = maps()
    figure.draw_without_rendering()
    assert narrow_figure.arrange(figure, WIDE / page_figure.DPI)
    places = {axes.get_title()[-1]: axes.get_position().x0 for axes in narrow_figure.panels(figure)}
    assert places["0"] < places["1"]
    labels = [axes.get_ylabel() for axes in narrow_figure.panels(figure)]
    assert labels == ["rows of model 0"] * 5 + ["rows of model 1"] * 5


def test_the_title_is_the_caption():
    figure = maps()
    page_figure.variants(figure)
    assert page_figure.caption(figure) == "Layers of 3 photographs."
    assert not figure.get_suptitle()


def test_a_figure_that_fits_a_phone_has_no_other_arrangement():
    figure = new_figure(3, 2)
    figure.subplots().plot([1, 2])
    made = page_figure.variants(figure)
    assert [(one.narrow, one.dark, one.scrolls) for one in made] == [
        (False, False, False),
        (False, True, False),
    ]


def test_what_cannot_be_arranged_keeps_its_size():
    figure = lines(6, 15)
    figure.axes[2].set_title("")
    made = page_figure.variants(figure)
    assert [(one.narrow, one.scrolls) for one in made] == [(False, True)] * 2


def test_numbers_on_a_map_are_not_laid_over_each_other():
    figure = new_figure(9, 3)
    axes = figure.subplots()
    axes.imshow(np.eye(12)[:2], aspect="auto")
    for column in range(12):
        axes.text(column, 0, "31.25", ha="center", fontsize=7)
    made = page_figure.variants(figure)
    assert [(one.narrow, one.scrolls) for one in made] == [(False, True)] * 2


def test_dark_figures_are_transparent_with_light_text_and_keep_pictures():
    figure = new_figure(4, 3)
    axes = figure.subplots()
    axes.imshow(np.zeros((2, 2)), cmap="gray")
    line = figure.add_axes((0, 0, 0.1, 0.1)).plot([1, 2], color=MODELS[0])[0]
    light, dark = page_figure.variants(figure)
    assert line.get_color() == MODELS[0]
    pixels = np.asarray(Image.open(io.BytesIO(dark.content)).convert("RGBA"))
    assert pixels[0, 0, 3] == 0
    assert (pixels[pixels[..., 3] > 0][:, :3] == 0).all(1).any()  # the black picture
    assert (np.asarray(Image.open(io.BytesIO(light.content)).convert("RGB"))[0, 0] == 255).all()
    with dark_figure.dark(figure):
        colors = {to_hex(text.get_color()) for text in axes.findobj(Text)}
    assert colors == {dark_figure.INK}


def test_markers_have_their_colors_again_after_a_dark_variant():
    figure = new_figure(4, 3)
    line = figure.subplots().plot([1, 2], "o-", color=MODELS[0])[0]
    with dark_figure.dark(figure):
        assert line.get_markerfacecolor() != MODELS[0]
    colors = line.get_color(), line.get_markerfacecolor(), line.get_markeredgecolor()
    assert {to_hex(color) for color in colors} == {MODELS[0]}


@pytest.mark.parametrize("color", [*MODELS, *NOISES, "black", "0.3", "#200030"])
def test_every_color_can_be_seen_on_a_dark_page(color):
    assert dark_figure.contrast(dark_figure.on_dark(to_rgba(color))) >= dark_figure.LEAST


def test_a_panel_gets_no_label_of_another_axis():
    figure = new_figure(12, 3)
    first, second, third = figure.subplots(1, 3)
    for axes, name in ((first, "σ"), (second, "α"), (third, "")):
        axes.plot([1, 2])
        axes.set_title("level" if name else "no level")
        axes.set_xlabel(name)
    page_figure.variants(figure)
    assert [axes.get_xlabel() for axes in (first, second, third)] == ["σ", "α", ""]


def test_heads_of_columns_come_to_each_panel():
    figure = new_figure(12, 5)
    grid = figure.subplots(2, 4, sharex="row")
    for column, axes in enumerate(grid[0]):
        axes.set_title(f"noise {column}")
    for row in (0, 1):
        grid[row, 0].set_ylabel(f"model {row}")
        grid[row, 2].set_xlabel(f"feature {row}")
        for axes in grid[row]:
            axes.plot([1, 2])
    page_figure.variants(figure)
    for row, column in np.ndindex(2, 4):
        axes = grid[row, column]
        assert axes.get_title()[-1] == str(column) and axes.get_ylabel() == f"model {row}"
        if axes.get_xlabel():
            assert axes.get_xlabel()[-1] == str(row)


def test_the_common_label_of_axes_comes_to_panels():
    figure = new_figure(12, 5)
    grid = figure.subplots(2, 4, sharex=True)
    for axes in grid.flat:
        axes.plot([1, 2])
        axes.set_title("noise")
    figure.supxlabel("feature value")
    page_figure.variants(figure)
    assert not figure.get_supxlabel()
    assert grid[1, 3].get_xlabel() == "feature value"


def test_long_names_make_a_figure_wider_and_it_scrolls():
    figure = new_figure(9, 3)
    axes = figure.subplots()
    axes.barh(["a name of a model that is longer than a phone is wide, and more"], [1])
    made = page_figure.variants(figure)
    assert [one.scrolls for one in made if one.narrow] == [True, True]
    assert axes.get_window_extent().width / figure.dpi == pytest.approx(narrow_figure.LEAST)
