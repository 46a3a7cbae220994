"""Similarity over the steps of training."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.cka.figures import CONTROLS_DRAWN, MEASURES, limit, measure
from analysis.cka.over_training.tables import END, NAME
from analysis.plotting import model_styles, trainings
from analysis.plotting.figure_style import new_figure
from analysis.plotting.trainings import thin_lines
from analysis.text.noise_names import noise_words


def figure(frame: pd.DataFrame, single: pd.DataFrame | None = None) -> Figure:
    """A panel for each comparison, with a curve for each run.

    Args:
        frame: `over_training.csv`.
        single: `over_training_by_training.csv`, if runs have several trainings.
    """
    kinds = list(frame.groupby(["against", "noise_a", "noise_b"], sort=False))
    runs = list(dict.fromkeys(frame.run))
    columns = min(3, len(kinds))
    rows = -(-len(kinds) // columns)
    size = (4.6 * columns, 3.6 * rows + 0.4)
    drawn = new_figure(*size)
    grid = drawn.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(kinds) :]:
        axes.set_axis_off()
    for axes, ((against, a, b), part) in zip(grid.flat, kinds, strict=False):
        own = None
        if single is not None:
            same = (single.against == against) & (single.noise_a == a) & (single.noise_b == b)
            own = single[same].rename(columns={"run": "model"})
        draw(axes, part, runs, own)
        end = f"with the end of training, under {noise_words(a)}"
        axes.set_title(
            end if against == END else f"{noise_words(a)} against {noise_words(b)}", fontsize=10
        )
    limit(grid[0, 0])
    for axes in grid[:, 0]:
        axes.set_ylabel(f"{MEASURES[measure(frame)]}, last quarter", fontsize=9)
    both = "low_trainings" in frame and frame.low_trainings.notna().any()
    over = "photographs and trainings" if both else "photographs"
    parts = [f"bands are 95% intervals over {over}"] if frame.low.notna().any() else []
    parts += [trainings.DRAWN] if single is not None else []
    lines = ["Similarity over training", "; ".join(parts)]
    lines += [CONTROLS_DRAWN] if frame.ceiling.notna().any() else []
    drawn.suptitle("\n".join(filter(None, lines)), fontsize=10)
    model_styles.add(drawn, runs)
    return drawn


def draw(axes: Axes, part: pd.DataFrame, runs: list[str], single: pd.DataFrame | None) -> None:
    """The curves of one comparison."""
    column = measure(part)
    for run, curve in part.groupby("run", sort=False):
        look = model_styles.style(str(run), runs)
        color = str(look["color"])
        axes.plot(curve.step, curve[column], **look)  # type: ignore[arg-type]
        axes.fill_between(curve.step, curve.low, curve.high, color=color, alpha=0.2, lw=0)
        axes.plot(curve.step, curve.ceiling, color=color, ls="--", lw=0.9)
        axes.plot(curve.step, curve.floor, color=color, ls=":", lw=0.9)
        sd = curve.untrained_sd.fillna(0.0)
        low, high = curve.untrained - sd, curve.untrained + sd
        axes.fill_between(curve.step, low, high, color="0.5", alpha=0.25, lw=0)
        axes.plot(curve.step, curve.untrained, color="0.4", lw=0.9)
        thin_lines(axes, single, str(run), "step", column, color)
    axes.set_xlabel("step of training", fontsize=9)
    axes.grid(alpha=0.3)


def figures(frames: dict[str, pd.DataFrame]) -> dict[str, Figure]:
    """Every figure that can be drawn from the tables, by file name."""
    return {NAME: figure(frames[NAME], frames.get(f"{NAME}_by_training"))}
