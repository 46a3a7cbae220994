"""What `python -m analysis.srga` writes: the table with intervals, its figure, and text."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from analysis.commands.inputs import RunInputs
from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.engine.observer import View
from analysis.plotting import model_styles
from analysis.plotting import model_styles as plotting_model_styles
from analysis.plotting.model_styles import CROWDED, style
from analysis.srga.observer import Deep
from analysis.srga.score import PATCHES, Fit, compare, fit
from analysis.stats import gram_pca
from analysis.stats.generalized_gaussian import Method
from analysis.text import terminal
from analysis.text.names import wrapped
from analysis.text.noise_labels import describe, preset
from mtd.utils import seeds
from mtd.utils.errors import BadInput

SUBSETS = 60
"""How many times patches are left out for an interval."""

SHARE = 5
"""One patch in so many is left out at a time."""

LEAST = 20
"""Fewest patches for an interval."""

SIMILAR = 1.0
"""dB by which two models may differ under the reference noise before a note says that their scores
are hardly comparable."""

Array = NDArray[np.float64]


def check(asked: RunInputs) -> None:
    """Refuse too few patches or noises.

    Raises:
        BadInput: fewer than 3 patches, or no noise beside the reference.
    """
    if len(asked.crops) < 3:
        raise BadInput(f"{len(asked.crops)} patches: SRGA needs 3; the field takes {PATCHES}")
    if len(asked.noises) < 2:
        raise BadInput("no noise beside the reference: give --noise")


def subsets(patches: int, seed: int) -> list[Tensor]:
    """Patches that are kept, each time another random four fifths."""
    left_out = patches // SHARE
    found = []
    for index in range(SUBSETS):
        stream = seeds.generator("left out", seed, index)
        kept = torch.randperm(patches, generator=stream)[left_out:]
        found.append(kept.sort().values)
    return found


def standard_error(values: Array, patches: int, left_out: int) -> float:
    """Delete-d jackknife: √((n − d)/d · mean (θ₍ₛ₎ − θ̄)²), θ₍ₛ₎ being the value without subset s.

    Reference: Shao and Wu 1989, Annals of Statistics 17.
    """
    spread = float(np.square(values - values.mean()).mean())
    return math.sqrt((patches - left_out) / left_out * spread)


def table(
    found: Mapping[View, Deep],
    asked: RunInputs,
    layers: Mapping[str, str],
    args: argparse.Namespace,
) -> pd.DataFrame:
    """One row for each model and noise, the reference first.

    Intervals are the score ± 1.96 standard errors over patches (see `standard_error`); the same
    patches are left out under every noise and for every model. Each subset has principal
    components of its own. They are too wide rather than too narrow: in a simulation
    (`pytest -m slow -s tests/analysis/srga/test_score.py`) 1.4 times, covering 99%.
    """
    patches = len(asked.crops)
    keep = subsets(patches, args.seed) if not args.no_intervals and patches >= LEAST else []
    kinds = describe(asked.noises).set_index("noise")
    rows = []
    for model in asked.models:
        first = View(model, asked.noises[0].spec)
        whole = {view: _fit(deep.gram, args) for view, deep in found.items() if view[0] == model}
        parts = {
            view: [_fit(gram_pca.recentered(found[view].gram, kept), args) for kept in keep]
            for view in whole
        }
        for view, fitted in whole.items():
            result = compare(whole[first], fitted)
            values = np.array(
                [compare(*pair).srga for pair in zip(parts[first], parts[view], strict=True)]
            )
            error = math.nan
            if len(values) and view != first:
                error = standard_error(values, patches, patches // SHARE)
            rows.append(
                {
                    "model": model,
                    "noise": view.noise,
                    "kind": kinds.kind[view.noise],
                    "level": kinds.level[view.noise],
                    "reference": first.noise,
                    "layer": layers[model],
                    "srga": result.srga,
                    "low": result.srga - 1.96 * error,
                    "high": result.srga + 1.96 * error,
                    "kl": result.kl,
                    "sigma": result.sigma,
                    "shape": result.shape,
                    "reference_sigma": whole[first].ggd.sigma,
                    "reference_shape": whole[first].ggd.shape,
                    "components": fitted.components,
                    "outliers": fitted.outliers,
                    "patches": patches,
                    "features": found[view].features,
                    "psnr": float(found[view].psnr.mean()),
                    "note": kinds.note[view.noise],
                }
            )
    return pd.DataFrame(rows)


def _fit(gram: Tensor, args: argparse.Namespace) -> Fit:
    method: Method = args.fit
    return fit(gram, args.components, method)


def figure(frame: pd.DataFrame) -> Figure:
    """SRGA of each model under each unseen noise, with 95% intervals (the paper's Figure 14)."""
    part = frame[frame.noise != frame.reference]
    models, noises = (list(dict.fromkeys(part[name])) for name in ("model", "noise"))
    size = (max(5.0, 1.6 + 0.9 * len(noises)), 4.4)
    drawn = Figure(figsize=size, dpi=plotting_model_styles.DPI, layout="constrained")
    axes = drawn.subplots()
    half = min(0.3, 0.06 * (len(models) - 1))
    offsets = np.linspace(-half, half, len(models))
    for offset, model in zip(offsets, models, strict=True):
        rows = part[part.model == model].set_index("noise").loc[noises]
        error = None if len(models) > CROWDED else (rows.srga - rows.low, rows.high - rows.srga)
        look = style(model, models) | {"ls": "none"}
        places = np.arange(len(noises)) + offset
        axes.errorbar(places, rows.srga, error, capsize=2, lw=1, label=model, **look)  # type: ignore[arg-type]
    names = [wrapped(str(noise), 18) for noise in noises]
    axes.set_xticks(range(len(noises)), names, fontsize=8, rotation=20)
    axes.set_ylabel("SRGA, lower is nearer", fontsize=9)
    axes.grid(alpha=0.3, axis="y")
    first = frame.iloc[0]
    bars = "; bars: 95% intervals over patches" if part.low.notna().any() else ""
    heading = (
        f"Distance of the deepest features from those under {first.reference}\n"
        f"{first.patches} patches, {first.components} components{bars}"
    )
    axes.set_title("\n".join(filter(None, (heading, preset(part)))), fontsize=9)
    model_styles.add(drawn, models, lines=False)
    return drawn


def report(folder: RunFolder) -> str:
    """Write the figure and return the text."""
    frame, manifest = read_tables(folder.path, ["srga"])["srga"], read_manifest(folder.path)
    folder.figure("srga.png", figure(frame))
    return text(frame, manifest)


def text(frame: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """The table for a reader, and what must be known of it."""
    first = frame.iloc[0]
    lines = [
        f"SRGA against {first.reference}: {terminal.plural(int(first.patches), 'patch', 'es')} of "
        f"{manifest['crop']} x {manifest['crop']}, {first.components} components, lower is nearer"
    ]
    rows = [["model", "noise", "SRGA", "KL", "sigma", "shape", "PSNR"]]
    for row in frame.to_dict("records"):
        value = f"{row['srga']:.3f}"
        if not math.isnan(row["low"]):
            value += f" [{row['low']:.3f}, {row['high']:.3f}]"
        numbers = [f"{row['kl']:.4f}", f"{row['sigma']:.4g}", f"{row['shape']:.3f}"]
        rows.append([row["model"], row["noise"], value, *numbers, f"{row['psnr']:.2f}"])
    return "\n".join([*lines, terminal.grid(rows), *notes(frame)])


def notes(frame: pd.DataFrame) -> list[str]:
    """What a reader must know of these numbers."""
    found = sorted(set(frame.note) - {""})
    patches = int(frame.patches.iloc[0])
    if patches < PATCHES:
        found.append(f"{patches} patches are few; the published code asks for {PATCHES} or more")
    own = frame[frame.noise == frame.reference].set_index("model").psnr
    if len(own) > 1 and own.max() - own.min() > SIMILAR:
        found.append(
            f"PSNR under {frame.reference.iloc[0]} differs by {own.max() - own.min():.1f} dB "
            f"between models ({own.idxmin()} {own.min():.1f}, {own.idxmax()} {own.max():.1f}): "
            "SRGA compares models of similar quality only"
        )
    return [f"note: {note}" for note in found]
