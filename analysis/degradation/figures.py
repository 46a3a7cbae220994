"""Figures of degradation clusters, each drawn from the tables that a run folder holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.plotting import model_styles
from analysis.plotting.figure_style import legend_columns, new_figure, noise_look
from analysis.plotting.model_styles import CROWDED, short, style
from analysis.plotting.trainings import DRAWN, thin_lines
from analysis.text.controls import has_controls
from analysis.text.intervals import bands
from analysis.text.names import wrapped
from analysis.text.noise_names import noise_label

PLANES = {
    "pca": "first two components; CH by noise {:.3g} on all",
    "tsne": "t-SNE; CH by noise {:.3g} in this plane",
}
"""Titles of planes, by the kind of point in embedding.csv."""

NO_VALUE = "no value"
"""What is written of a layer whose features are not finite or do not vary."""

WHICH = {"last_features": " (last features)", "highest": " (highest CH)"}
"""What is said of a layer that is embedded, by the column that marks it."""


def depth(frame: pd.DataFrame, single: pd.DataFrame | None = None) -> Figure:
    """CH by noise and content, CH within crops and the probe, over the layers; a line per model.

    Models with the same layers share an axis of layers, others one of relative depth.

    Args:
        frame: `degradation.csv`.
        single: `degradation_by_training.csv`, if models have several trainings.
    """
    models = list(dict.fromkeys(frame.model))
    layers = int(frame.groupby("model", sort=False).size().iloc[0])
    width = max(7.5, 2.5 + 0.3 * layers) if same_layers(frame) else 8.0
    figure = new_figure(width, 9.4)
    panels = figure.subplots(3, 1, sharex=True)
    for axes, draw in zip(panels, (draw_ch, draw_ch_within, draw_probe), strict=True):
        draw(axes, frame, single)
    label_depth(panels[2], frame)
    model_styles.add(figure, models)
    first = frame.iloc[0]
    heading = (
        f"Do features sort images by noise or by content? {first.crops} crops under "
        f"{first.noises} noises, {first.components} components"
    )
    banded = frame.low.notna().any() and len(models) <= CROWDED
    about = f"bands: {bands(int(first.photographs), most_trainings(frame))}" if banded else ""
    about = "; ".join(filter(None, (about, DRAWN if most_trainings(frame) > 1 else "")))
    figure.suptitle("\n".join(filter(None, (heading, about, first.note))), fontsize=10)
    return figure


def most_trainings(frame: pd.DataFrame) -> int:
    """Trainings of the model that has most."""
    return int(frame.trainings.max()) if "trainings" in frame else 1


def same_layers(frame: pd.DataFrame) -> bool:
    """Whether all models have the same layers."""
    lists = [list(part.layer) for _, part in frame.groupby("model", sort=False)]
    return all(names == lists[0] for names in lists)


def places(part: pd.DataFrame, same: bool) -> pd.Series:
    """Where the layers of one model lie on the axis of depth."""
    index = part["index"].astype(float)
    return index if same else index / max(1, len(part) - 1)


def label_depth(axes: Axes, frame: pd.DataFrame) -> None:
    """Names of the layers along the axis of depth, or what stands there instead."""
    if same_layers(frame):
        names = frame[frame.model == frame.model.iloc[0]].layer
        axes.set_xticks(range(len(names)), [short(str(name)) for name in names], rotation=90)
    else:
        axes.set_xlabel("relative depth: 0 the first layer recorded, 1 the last", fontsize=9)
    axes.tick_params(axis="x", labelsize=8)


def draw_lines(
    axes: Axes, frame: pd.DataFrame, column: str, title: str, single: pd.DataFrame | None = None
) -> None:
    """One column over depth on given axes, a line for each model, and thin ones for trainings."""
    models, same = list(dict.fromkeys(frame.model)), same_layers(frame)
    for model, part in frame.groupby("model", sort=False):
        look: dict[str, Any] = style(str(model), models)
        axes.plot(places(part, same), part[column], lw=1.8, label=str(model), **look)
        if single is not None:
            of = single[single.model == model]
            scale = 1 if same else max(1, len(part) - 1)
            of = of.assign(place=of["index"] / scale)
            thin_lines(axes, of, str(model), "place", column, look["color"])
    axes.set_title(title, fontsize=9, loc="left")
    axes.grid(alpha=0.3)
    axes.tick_params(axis="y", labelsize=8)


def draw_ch(axes: Axes, frame: pd.DataFrame, single: pd.DataFrame | None = None) -> None:
    """CH by noise over depth with 95% intervals as bands, and its controls; dashed, by content."""
    models, same = list(dict.fromkeys(frame.model)), same_layers(frame)
    title = "Calinski-Harabasz index: variance between over within classes"
    draw_lines(axes, frame, "ch_noise", title, single)
    for model, part in frame.groupby("model", sort=False):
        color: Any = style(str(model), models)["color"]
        if len(models) <= CROWDED and part.low.notna().any():
            band = {"color": color, "alpha": 0.15, "lw": 0}
            axes.fill_between(places(part, same), part.low, part.high, **band)
        axes.plot(places(part, same), part.ch_content, lw=1, ls="--", color=color, alpha=0.8)
        if controlled(frame):
            draw_controls(axes, places(part, same), part, str(color))
    axes.set_yscale("log")
    axes.set_ylabel("CH", fontsize=9)
    level(axes, 1, "random labels")
    kinds = [
        Line2D([], [], color="0.3", lw=1.8, label="classes are noises"),
        Line2D([], [], color="0.3", lw=1, ls="--", label="classes are crops (content)"),
    ]
    if controlled(frame):
        kinds.append(Line2D([], [], color="0.3", lw=0.9, ls=":", label="draws as classes"))
        kinds.append(Line2D([], [], color="0.4", lw=0.9, label="untrained networks, ± SD"))
    low, high = axes.get_ylim()
    axes.set_ylim(top=high * (high / low) ** 0.3)  # no curve is behind the legend
    axes.legend(handles=kinds, fontsize=8, loc="upper center", ncols=2)


def controlled(frame: pd.DataFrame) -> bool:
    """Whether the index has controls, and models are few enough for them to be told apart."""
    return has_controls(frame) and frame.model.nunique() <= CROWDED


def draw_controls(axes: Axes, where: pd.Series, part: pd.DataFrame, color: str) -> None:
    """Draws of one noise as classes, and untrained networks, over the depth of one model."""
    axes.plot(where, part.ceiling, color=color, ls=":", lw=0.9)
    sd = part.untrained_sd.fillna(0.0)
    low = (part.untrained - sd).clip(lower=part.untrained / 10)  # the axis is logarithmic
    axes.fill_between(where, low, part.untrained + sd, color="0.5", alpha=0.25, lw=0)
    axes.plot(where, part.untrained, color="0.4", lw=0.9)


def draw_ch_within(axes: Axes, frame: pd.DataFrame, single: pd.DataFrame | None = None) -> None:
    """CH by noise over depth, once each crop's mean over noises is removed."""
    title = "The same by noise, once each crop's mean over noises is removed"
    draw_lines(axes, frame, "ch_within", title, single)
    axes.set_yscale("log")
    axes.set_ylabel("CH within crops", fontsize=9)
    level(axes, 1, "no common trace of noise")


def draw_probe(axes: Axes, frame: pd.DataFrame, single: pd.DataFrame | None = None) -> None:
    """Accuracy of the linear probe over depth."""
    title = "Linear probe: how often the noise of unseen crops is identified"
    draw_lines(axes, frame, "probe", title, single)
    axes.set_ylabel("accuracy", fontsize=9)
    axes.set_ylim(0, 1.03)
    chance = float(frame.chance.iloc[0])
    level(axes, chance, "chance")
    level(axes, (1 + chance) / 2, "halfway")


def level(axes: Axes, height: float, name: str) -> None:
    """A dotted line with its name in the margin, where no curve is."""
    axes.axhline(height, color="0.4", lw=1, ls=":")
    axes.annotate(
        wrapped(name, 14),
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=8,
        color="0.3",
        va="center",
        annotation_clip=False,
    )


def planes(points: pd.DataFrame, frame: pd.DataFrame, manifest: Mapping[str, Any]) -> Figure:
    """Crops in the plane, colored by noise: a row for each model, the last features to the left.

    To the right is the layer whose CH by noise is highest, where that is another one.
    """
    models, noises = list(dict.fromkeys(frame.model)), list(dict.fromkeys(points.noise))
    marks = ["last_features"]
    known = frame[frame.ch_noise.notna()]
    if not known.last_features.equals(known.highest):
        marks.append("highest")
    columns = 2 * len(marks)
    size = (3.7 * columns, 3.6 * len(models) + 1.2)
    figure = new_figure(*size)
    grid = figure.subplots(len(models), columns, squeeze=False)
    for line, model in zip(grid, models, strict=True):
        for place, axes in enumerate(line):
            mark, kind = marks[place // 2], tuple(PLANES)[place % 2]
            row = marked_row(frame[frame.model == model], mark)
            draw_plane(axes, points, row, kind, noises, WHICH[mark])
    drawn = next((axes for axes in grid.flat if axes.collections), grid[0, 0])
    handles, names = drawn.get_legend_handles_labels()
    if names:
        columns = legend_columns(names, figure.get_size_inches()[0], 5)
        figure.legend(handles, names, loc="outside lower center", ncols=columns, fontsize=9)
    first = frame.iloc[0]
    heading = (
        f"{first.crops} crops under {first.noises} noises: groups of one color are noises, "
        "groups of all colors are images\n"
        f"t-SNE with perplexity {manifest['perplexity']:.3g} and seed {manifest['seed']}, "
        "on which its picture depends"
    )
    one = FIRST_SHOWN if most_trainings(frame) > 1 else ""
    figure.suptitle("\n".join(filter(None, (heading, one, first.note))), fontsize=10)
    return figure


FIRST_SHOWN = "of a model with several trainings, the first one is shown"


def marked_row(rows: pd.DataFrame, mark: str) -> pd.Series:
    """The row of a model's last features, or of its layer with the highest CH by noise.

    The last features stand for a highest layer where no layer has a value.
    """
    part = rows[rows[mark].astype(bool)]
    return (rows[rows.last_features.astype(bool)] if part.empty else part).iloc[0]


def draw_plane(
    axes: Axes, points: pd.DataFrame, row: Any, kind: str, noises: Sequence[str], which: str = ""
) -> None:
    """The crops of one layer in one plane, on given axes, a color for each noise.

    Args:
        axes: where to draw.
        points: the table of points.
        row: the layer's row of the table of separability.
        kind: of plane, `pca` or `tsne`.
        noises: in the order of colors.
        which: what is said of the layer in the title.
    """
    plane = points[
        (points.model == row.model) & (points.layer == row.layer) & (points.kind == kind)
    ]
    for place, noise in enumerate(noises if len(plane) else ()):
        part = plane[plane.noise == noise]
        look: dict[str, Any] = noise_look(place) | {"s": 16, "alpha": 0.7, "lw": 0}
        axes.scatter(part.x, part.y, label=noise_label(noise), **look)
    axes.set_xticks([])
    axes.set_yticks([])
    name = model_styles.named(f"{row.model}, {short(row.layer)}") + which
    value = row.ch_tsne if kind == "tsne" else row.ch_noise
    about = PLANES[kind].format(value) if len(plane) else NO_VALUE
    axes.set_title(f"{name}\n{about}", fontsize=8)
