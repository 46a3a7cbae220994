"""Colors of models and of noises: two palettes that share none, and no figure that mixes them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb, to_rgba_array
from matplotlib.figure import Figure
from skimage.color import deltaE_ciede2000, rgb2lab

import analysis
from analysis.causal.faig import figures as faig
from analysis.plotting import figure_style
from analysis.plotting.figure_style import MODELS, NOISES

EXAMPLE = Path("reports/example")
SECTIONS = sorted(path.parent.name for path in EXAMPLE.glob("*/run.json"))

# Machado, Oliveira and Fernandes 2009, severity 1, of linear RGB
BLIND = {
    "none": np.eye(3),
    "red": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "green": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def distance(a: str, b: str, seen: np.ndarray) -> float:
    """CIEDE2000 between two colors as somebody sees them whose receptors `seen` describes."""
    return float(deltaE_ciede2000(as_lab(a, seen), as_lab(b, seen)))


def as_lab(color: str, seen: np.ndarray) -> np.ndarray:
    encoded = np.array(to_rgb(color))
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light = np.clip(seen @ linear, 0, 1)
    shown = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return rgb2lab(shown[None, None])[0, 0]


def colors(figure: Figure) -> set[str]:
    """The colors of all lines, bars, points and areas of a figure, without those of pictures."""
    found: set[str] = set()
    for artist in figure.findobj():
        for name in ("get_color", "get_facecolor", "get_edgecolor", "get_markerfacecolor"):
            if not hasattr(artist, name):
                continue
            value = getattr(artist, name)()
            several = [value] if isinstance(value, str) else np.atleast_2d(np.asarray(value, float))
            seen = to_rgba_array([one for one in several if len(one)])
            found |= {to_hex(one) for one in seen if one[3]}
    return found


def test_no_color_of_a_noise_is_like_one_of_a_model():
    assert min(distance(a, b, BLIND["none"]) for a in NOISES for b in MODELS) > 15
    pairs = list(combinations(NOISES, 2))
    assert min(distance(*pair, seen) for seen in BLIND.values() for pair in pairs) > 18


@pytest.mark.parametrize("section", SECTIONS)
def test_models_and_noises_never_share_a_color(section: str):
    result = analysis.open_run(EXAMPLE / section, section)
    figures = result.figures()
    assert figures
    noises = {name for name, figure in figures.items() if colors(figure) & set(NOISES)}
    models = {name for name, figure in figures.items() if colors(figure) & set(MODELS)}
    assert not noises & models
    assert noises == {"distributions": {"distributions"}, "degradation": {"embedding"}}.get(
        section, set()
    )


def test_a_path_between_networks_has_the_colors_of_noises():
    frame = pd.DataFrame(
        {
            "noise": ["gaussian:15"] * 2 + ["poisson:3.5"] * 2,
            "alpha": [0.0, 1.0] * 2,
            "mse": [1.0, 2.0] * 2,
            "low": np.nan,
            "high": np.nan,
            "photographs": 3,
        }
    )
    drawn = colors(faig.path(frame, ["a", "b"]))
    assert set(NOISES[:2]) <= drawn and not drawn & set(MODELS)


def test_colors_of_a_dark_ground_stand_for_colors_of_the_palettes():
    assert set(figure_style.ON_DARK) <= {*MODELS, *NOISES}
