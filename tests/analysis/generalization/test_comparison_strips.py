"""Comparison strips: where the busiest square is, which images are chosen, what is drawn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.generalization import comparison_strips
from analysis.text.noise_labels import NOISY
from mtd.data import crops as data_crops

pytestmark = pytest.mark.drawn


@pytest.mark.parametrize("side", [1, 3, 7, 30])
def test_the_busiest_square_is_that_of_a_search(side):
    pixels = np.random.default_rng(side).integers(0, 256, (13, 17, 3), dtype=np.uint8)
    grey = pixels.astype(int).sum(2)
    rows, columns = min(side, 13), min(side, 17)
    best, found = -1, (0, 0)
    for top in range(13 - rows + 1):
        for left in range(17 - columns + 1):
            total = 0
            for y in range(top, top + rows):
                for x in range(left, left + columns):
                    total += abs(grey[y, x] - grey[y, x - 1]) if x else 0
                    total += abs(grey[y, x] - grey[y - 1, x]) if y else 0
            if total > best:
                best, found = total, (top, left)
    chosen = data_crops.busiest(pixels, side)
    assert (chosen[0].start, chosen[1].start) == found
    assert (chosen[0].stop - found[0], chosen[1].stop - found[1]) == (rows, columns)


def results() -> pd.DataFrame:
    values = {"a": [30.0, 20, 25, 27, 26], "b": [31.0, 22, 21, 29, 24], NOISY: [1.0, 2, 3, 4, 5]}
    rows = [
        {
            "model": model,
            "noise": noise,
            "kind": "poisson",
            "level": float(noise[-1]),
            "image": f"{i}.png",
            "top": 0,
            "left": 0,
            "height": 8,
            "width": 8,
            "sha256": str(i),
            "metric": "psnr",
            "value": value + shift,
        }
        for noise, shift in (("poisson:3", 0.0), ("poisson:2", 9.0))
        for model, column in values.items()
        for i, value in enumerate(column)
    ]
    return pd.DataFrame(rows)


def test_the_median_and_the_worst_image_at_the_strongest_level():
    chosen = comparison_strips.choose(results())
    # means of the models: 30.5, 21, 23, 28, 25
    assert [(c.noise, c.reason, c.crop.image) for c in chosen] == [
        ("poisson:3", "representative", "4.png"),
        ("poisson:3", "worst", "1.png"),
    ]


def test_the_strongest_level_is_where_the_noisy_input_is_worst():
    frame = results().replace({"poisson:3": "monte_carlo:16", "poisson:2": "monte_carlo:64"})
    assert {item.noise for item in comparison_strips.choose(frame)} == {"monte_carlo:16"}


def test_of_two_images_there_is_one_strip():
    frame = results()
    chosen = comparison_strips.choose(frame[frame.image.isin(["0.png", "1.png"])])
    assert [(item.reason, item.crop.image) for item in chosen] == [("worst", "1.png")]


def test_file_names_are_short_and_differ():
    names = [
        comparison_strips.file_name(f"pairs:{text}")
        for text in ("a b", "a_b", "x" * 300, "x" * 301)
    ]
    assert len(set(names)) == 4 and max(map(len, names)) < 80


def test_square_psnr_is_the_formula():
    a = np.zeros((4, 5, 3), dtype=np.uint8)
    b = a.copy()
    b[0, 0, 0] = 10
    assert comparison_strips.square_psnr(a, b) == pytest.approx(10 * np.log10(255**2 * 60 / 100))
    assert comparison_strips.square_psnr(a, a) == np.inf


@pytest.mark.parametrize("height, width, step", [(384, 100, 1), (385, 10, 2), (10, 4000, 11)])
def test_large_images_are_subsampled(height, width, step):
    assert comparison_strips.overview_step(height, width) == step


@pytest.mark.parametrize("hidden", [0.0, 0.8])
def test_hidden_pixels_are_in_the_title(hidden):
    names = (comparison_strips.WHOLE, comparison_strips.TARGET, NOISY, "a")
    pictures = {name: np.full((6, 6, 3), 90, dtype=np.uint8) for name in names}
    file = comparison_strips.to_bytes([pictures])
    row = {"strip": 0, "noise": "gaussian:15", "reason": "worst", "image": "x.png", "height": 6}
    row |= {"width": 6, "square_top": 0, "square_left": 0, "psnr_square": 20.0}
    frame = pd.DataFrame([row | {"model": name} for name in (NOISY, "a")])
    figure = comparison_strips.figures(file, frame, ["a"], hidden)["strip_gaussian_15"]
    assert ("80% of the pixels hidden" in str(figure.get_suptitle())) == bool(hidden)


def test_a_figure_shows_every_picture_with_its_psnr():
    picture = np.full((6, 6, 3), 90, dtype=np.uint8)
    pictures = [("noisy input", picture, 20.0), ("a", picture, 25.126), ("clean", picture, None)]
    row = comparison_strips.Strip(
        "x.png\nworst", np.zeros((12, 9, 3), np.uint8), (1, 2, 6, 6), pictures
    )
    figure = comparison_strips.draw("poisson:3", [row, row])
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == 2 * ["x.png\nworst", "noisy input\n20.00 dB", "a\n25.13 dB", "clean"]
    frame = figure.axes[0].patches[0]
    assert (frame.get_x(), frame.get_y(), frame.get_width()) == (0.5, 1.5, 6)
