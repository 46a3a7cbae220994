"""Colors and markers of models, the same in all figures, and the legend."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from analysis.engine.layers import INPUT
from analysis.plotting.figure_style import MODELS, legend_columns
from analysis.text.markdown import listed
from analysis.text.names import wrapped
from analysis.text.noise_labels import NOISY
from mtd.loading.classical import is_spec
from mtd.networks import block_names

COLORS = MODELS
"""Of models; noises have others, see `analysis.plotting.figure_style`."""

MARKERS = "osD^vP*X<>"

REFERENCE_MARKERS = "x+1234"
"""Of classical references, all of them gray."""

CROWDED = 5
"""With more models no bands are drawn."""

NAME = 28
"""Characters in a line of a name."""

LINE = 0.17
"""Height of a line in inches."""


def style(model: str, models: Sequence[str]) -> dict[str, object]:
    """Color and marker of a model, by its place among all; the noisy input and references are gray.

    >>> style("classical:median:3", ["a", "classical:blur:0.8", "classical:median:3"])["marker"]
    '+'
    """
    if model == NOISY:
        return {"color": "0.45", "ls": "--", "marker": ".", "ms": 5}
    if is_spec(model):
        beside = [name for name in models if is_spec(name)]
        marker = REFERENCE_MARKERS[beside.index(model) % len(REFERENCE_MARKERS)]
        return {"color": "0.6", "ls": (0, (4, 2)), "marker": marker, "ms": 5}
    place = list(models).index(model)
    color = COLORS[place % len(COLORS)]
    return {"color": color, "marker": MARKERS[place // len(COLORS) % len(MARKERS)], "ms": 4}


def crowded(models: Sequence[str]) -> bool:
    """Whether models are too many for bands; classical references, which have none, do not count.

    >>> crowded(["a", "b", "c", "d", "noisy input", "classical:blur:0.8"])
    False
    """
    return sum(not is_spec(name) for name in models) > CROWDED


def named(name: str) -> str:
    """A name as a label: wrapped, and a space first where matplotlib would leave it out.

    Formulas are left to `analysis.plotting.literal_text`.

    >>> named("_a_$x$")
    '\\u2009_a_$x$'
    """
    text = wrapped(name, NAME)
    return f"\u2009{text}" if text.startswith("_") else text


def add(figure: Figure, models: Sequence[str], marked: bool = True, lines: bool = True) -> None:
    """A legend of models under a figure, which grows by its height.

    Args:
        figure: with a constrained layout.
        models: in the order of all figures.
        marked: whether the curves have markers.
        lines: whether the curves have lines.
    """
    handles = []
    for model in models:
        options = style(model, models) | ({} if marked else {"marker": None})
        options |= {} if lines else {"ls": "none"}
        handles.append(Line2D([], [], lw=1.6, label=named(model), **options))  # type: ignore[arg-type]
    texts = [str(handle.get_label()) for handle in handles]
    width, height = figure.get_size_inches()
    fit = legend_columns(texts, width)
    tallest = max(text.count("\n") + 1 for text in texts)
    figure.set_size_inches(width, height + LINE * tallest * (-(-len(texts) // fit) - 1))
    figure.legend(handles=handles, loc="outside lower center", ncols=fit, fontsize=8)


LAST = "conv_last"
"""Name of the last convolution in the networks that have a name for it."""


def short(layer: str) -> str:
    """A layer's label: a block by its place, anything else in full; see `block_names.label`.

    >>> short("layers.1.residual_group.blocks.3")
    'block 1.3'
    """
    return block_names.label(layer)


def located(layer: str) -> str:
    """Where in a network features were recorded, in words.

    >>> located("input:conv_last"), located("input:model.4"), located("conv_first")
    ('before the last convolution', 'before model.4', 'conv_first')
    """
    if not layer.startswith(INPUT):
        return short(layer)
    name = short(layer.removeprefix(INPUT))
    return f"before {'the last convolution' if name == LAST else name}"


def features(layers: Iterable[str]) -> str:
    """Features of recorded layers, in words; `input:LAYER` is what goes into a layer.

    >>> features(["input:conv_last", "layers.1.residual_group.blocks.3"])
    'features before the last convolution and of block 1.3'
    """
    places = [
        located(layer) if layer.startswith(INPUT) else f"of {short(layer)}"
        for layer in dict.fromkeys(layers)
    ]
    return f"features {listed(places, 3)}"
