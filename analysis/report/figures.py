"""The one figure at the top of a report: two models compared, or the gain of one or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.generalization import beyond
from analysis.generalization.metrics import facts
from analysis.generalization.pairwise_tests import ALL, OUTSIDE
from analysis.plotting import model_styles
from analysis.plotting.figure_style import new_figure
from analysis.plotting.model_styles import style
from analysis.report.evidence import Evidence
from analysis.report.settings import BENCHMARK
from analysis.text.markdown import listed, number, side
from analysis.text.names import wrapped
from analysis.text.noise_names import noise_label, noise_words
from analysis.text.rows import records
from analysis.text.terminal import plural

WIDTH = 4.4
"""Inches; on a phone the text of a wider figure would be too small."""

ROW, FRAME = 0.19, 0.8
"""Height of a noise, and of what is around them, in inches."""

MOST = 6
"""Up to so many models have points of their own."""

JOINT = {OUTSIDE: "mean over unseen noise", ALL: "mean over all noises"}
"""What the mean over noises is called."""

HOLLOW = "hollow: the 95% interval includes 0"
"""What the axis says of points."""

CLEAR, UNCLEAR = "full", "none"
"""Fill of a point whose interval excludes 0, and of one whose interval does not."""


class Main(NamedTuple):
    """A figure with what a page says of it.

    Attributes:
        figure: of Matplotlib.
        alt: its description.
        csv: the table that it is drawn from.
    """

    figure: Figure
    alt: str
    csv: str


def main(folder: Path) -> Main | None:
    """The main figure of a report; None for one without a benchmark of networks."""
    evidence = Evidence.read(folder)
    if BENCHMARK not in evidence.scores or not evidence.ranked:
        return None
    return differences(evidence) if len(evidence.ranked) == 2 else gains(evidence)


def labels(tested: pd.DataFrame) -> dict[str, str]:
    """What each noise is called, with a mark on those that some model was trained on."""
    trained = tested.in_distribution.eq(True).groupby(tested.noise, sort=False).any()
    return {
        str(noise): wrapped(f"{noise_label(noise)}{' (trained)' if own else ''}", 34)
        for noise, own in trained.items()
    }


def frame_of(rows: Sequence[str], label: str, points: int = 1) -> tuple[Figure, Axes]:
    """A figure with a row for each noise, the first at the top, and a line at 0.

    Args:
        rows: names of the noises.
        label: of the horizontal axis.
        points: in each row.
    """
    size = (WIDTH, FRAME + ROW * max(3, len(rows)) * max(1.0, points / 2))
    figure = new_figure(*size)
    axes = figure.subplots()
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(label, fontsize=9)
    axes.tick_params(axis="x", labelsize=9)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color="0.5", lw=0.8)
    axes.grid(axis="x", alpha=0.25)
    for edge in ("top", "right", "left"):
        axes.spines[edge].set_visible(False)
    return figure, axes


def shade(axes: Axes, places: Sequence[int]) -> None:
    """Mark the rows of the noises trained on."""
    for place in places:
        axes.axhspan(place - 0.5, place + 0.5, color="0.5", alpha=0.15, lw=0)


def differences(evidence: Evidence) -> Main:
    """The paired difference of two models under each noise and on average, with 95% intervals.

    A point has the color of the model that is ahead; it is hollow where the interval includes 0.
    """
    first, second = (name for name in evidence.models if name in evidence.ranked)
    tests = evidence.tests[first, second]
    names = labels(evidence.tested)
    order = [*(noise for noise in JOINT if noise in tests), *(n for n in names if n in tests)]
    about = facts(evidence.metric)
    pair = (first, second) if about.higher_is_better else (second, first)
    what = f"{about.label} of {' − '.join(pair)}"
    figure, axes = frame_of(
        [JOINT.get(noise, names.get(noise, noise)) for noise in order],
        f"{wrapped(what, 52)}{f' ({about.unit})' if about.unit else ''}\n"
        f"← {wrapped(second, 20, 1)} ahead   {wrapped(first, 20, 1)} ahead →\n{HOLLOW}",
    )
    trained = evidence.tested[evidence.tested.in_distribution.eq(True)].noise
    shade(axes, [place for place, noise in enumerate(order) if noise in set(trained)])
    models = list(evidence.models)
    each, known = [], False
    for place, noise in enumerate(order):
        test = tests[noise]
        if not math.isfinite(test.value):
            continue
        ahead = first if test.value > 0 else second
        color = str(style(ahead, models)["color"])
        point(axes, place, (test.value, test.low, test.high), color)
        value = number(test.value, about.digits, signed=True)
        known |= math.isfinite(test.low)
        clear = ", the interval includes 0" if math.isfinite(test.low) and not test.side else ""
        each.append(f"{value} {about.unit} for {JOINT.get(noise) or noise_words(noise)}{clear}")
    model_styles.add(figure, models, lines=False)
    return Main(
        figure,
        f"{what}{with_intervals(evidence) * known}: {listed(each, 40)}."
        + " Filled: the interval excludes 0." * known,
        f"{BENCHMARK}/tests.csv",
    )


def with_intervals(evidence: Evidence) -> str:
    """What intervals are over."""
    return f" with 95% intervals over {plural(evidence.photographs, 'photograph')}"


def point(
    axes: Axes, place: float, found: tuple[float, float, float], color: str, marker: str = "o"
) -> None:
    """A value with its interval, hollow if the interval includes 0 or is not known."""
    value, low, high = found
    if math.isfinite(low) and math.isfinite(high):
        axes.plot([low, high], [place, place], color=color, lw=1.5, solid_capstyle="butt")
    fill = CLEAR if side(low, high) else UNCLEAR
    axes.plot([value], [place], color=color, marker=marker, ms=6, fillstyle=fill, ls="none")


def gains(evidence: Evidence) -> Main:
    """How far each model is above the noisy input under each noise, and the best reference."""
    tested, about = evidence.tested, facts(evidence.metric)
    names = labels(tested)
    models = evidence.ranked[:MOST]
    beside = beyond.over_unseen(evidence.scores, evidence.metric, beyond.BEST).reference
    references = [str(name) for name in dict.fromkeys(beside) if name in set(tested.model)][:1]
    unit = f" ({about.unit})" if about.unit else ""
    shown = [*models, *references]
    label = f"{about.label} − that of the noisy input{unit}"
    minus = f"{about.label} minus that of the noisy input"
    if not about.higher_is_better:
        label = f"{about.label} of the noisy input − that of the model{unit}"
        minus = f"{about.label} of the noisy input minus that of the model"
    figure, axes = frame_of(list(names.values()), label, len(shown))
    order = list(names)
    trained = set(tested[tested.in_distribution.eq(True)].noise)
    shade(axes, [place for place, noise in enumerate(order) if noise in trained])
    step = 0.6 / max(1, len(shown))
    drawn = [*[name for name in evidence.models if name in models], *references]
    each = []
    for offset, model in enumerate(shown):
        rows = records(tested[tested.model == model])
        look = style(model, drawn)
        for row in rows:
            place = order.index(str(row["noise"])) + step * (offset - (len(shown) - 1) / 2)
            found = (row["gain"], row["gain_low"], row["gain_high"])
            if math.isfinite(row["gain"]):
                point(axes, place, found, str(look["color"]), str(look["marker"]))
        known = [row["gain"] for row in rows if math.isfinite(row["gain"])]
        if known:
            low, high = (number(end(known), about.digits, signed=True) for end in (min, max))
            each.append(f"{model} {low} to {high} {about.unit}".strip())
    model_styles.add(figure, drawn, lines=False)
    intervals = bool(tested[tested.model.isin(shown)].gain_low.notna().any())
    few = "" if len(models) == len(evidence.ranked) else f", the best {MOST} models"
    return Main(
        figure,
        f"{minus} under {plural(len(order), 'noise')}{few}"
        f"{with_intervals(evidence) * intervals}: {listed(each, 8)}.",
        f"{BENCHMARK}/noises.csv",
    )
