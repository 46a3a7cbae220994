"""Draw the figures of the documentation: `python docs/figures/make.py [RUNS]`.

Most are drawn from the tables of the bundled pair's page (`reports/example`) and of
`reports/bundled-pair`. Those of `FRESH` need run folders in RUNS, named as here, of these commands:

    mtd brightness baseline.pth masked.pth --limit 8 --crop 96 --output-dir RUNS/brightness
    mtd stitch baseline.pth masked.pth --limit 8 --crop 48 --output-dir RUNS/stitch
    mtd causal.faig baseline.pth masked.pth --limit 4 --crop 48 --steps 4 --output-dir RUNS/faig
    mtd generalization baseline.pth masked.pth --noisy PICTURES --output-dir RUNS/noisy_pictures

(PICTURES: the central 192 x 192 pixels of the first, fourth, seventh and tenth noisy photograph of
the test set CC, in the order of their names.)
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.commands.run_lookup import open_run
from analysis.text.noise_names import noise_label

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
EXAMPLE = ROOT / "reports" / "example"
PAIR = ROOT / "reports" / "bundled-pair"
COLORS = {"baseline": "#1f77b4", "masked": "#ff7f0e"}
GRAY = "0.55"

FRESH = ("brightness", "stitch", "faig", "noisy_pictures")
"""Figures of runs that are not stored in the repository."""


def figure(width: float = 6.4, height: float = 3.6, panels: int = 1) -> tuple[Figure, Any]:
    """A new figure, and its axes: one, or an array of several beside each other."""
    made = Figure(figsize=(width, height), dpi=110, layout="constrained")
    return made, made.subplots(1, panels)


def save(made: Figure, name: str) -> None:
    """Write a PNG with few colors, which is small."""
    from PIL import Image

    path = HERE / f"{name}.png"
    made.savefig(path, facecolor="white")
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def gains() -> Figure:
    """The README's figure: masked minus baseline by noise, with intervals over photographs."""
    frame = pd.read_csv(PAIR / "benchmark" / "tests.csv")
    pair = (frame.model_a == "baseline") & (frame.model_b == "masked")
    frame = frame[pair & (frame.metric == "psnr") & (frame.noise != "out of distribution")].copy()
    frame["gain"], below, above = -frame.difference, -frame.high, -frame.low
    frame["low"], frame["high"] = below, above
    trained = frame.noise == "gaussian:15"
    frame = pd.concat([frame[trained], frame[~trained].sort_values("gain", ascending=False)])
    made, ax = figure(7.2, 3.8)
    for place, row in enumerate(frame.itertuples()):
        color = (
            GRAY if row.low <= 0 <= row.high else COLORS["masked" if row.gain > 0 else "baseline"]
        )
        ax.barh(place, row.gain, color=color, height=0.65)
        ax.plot([row.low, row.high], [place, place], color="0.15", lw=1.2)
    names = [
        f"{noise_label(n)} (trained on)" if n == "gaussian:15" else noise_label(n)
        for n in frame.noise
    ]
    ax.set_yticks(range(len(frame)), names)
    ax.invert_yaxis()
    ax.axvline(0, color="0.15", lw=0.8)
    ax.axhline(0.5, color=GRAY, lw=0.8, ls=":")
    ax.set_xlabel("PSNR of the masked network minus the baseline's (dB)")
    ax.spines[["top", "right"]].set_visible(False)
    return made


def cka_controls() -> Figure:
    """CKA over depth between two noises, beside ceiling, floor and untrained networks."""
    frame = pd.read_csv(PAIR / "depth.csv")
    made, panels = figure(7.2, 3.4, 2)
    for ax, (model, part) in zip(panels, frame.groupby("model", sort=False), strict=True):
        x = range(len(part))
        ax.fill_between(
            x, part.untrained - part.untrained_sd, part.untrained + part.untrained_sd, color="0.8"
        )
        ax.plot(x, part.untrained, color=GRAY, label="untrained networks")
        ax.plot(x, part.ceiling, color="0.15", ls="--", label="ceiling: same noise, new draw")
        ax.plot(x, part.cka, color=COLORS[str(model)], marker="o", ms=4, label="between the noises")
        ax.plot(x, part.floor, color="0.15", ls=":", label="floor: other photographs")
        ax.set(title=model, ylim=(-0.05, 1.05), xlabel="layer, from input to output")
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel(f"CKA, {noise_label('gaussian:15')} and {noise_label('poisson:3.5')}")
    panels[1].legend(fontsize=8, loc="center right", frameon=False, bbox_to_anchor=(1, 0.42))
    return made


def cka_matrices() -> Figure:
    """Layer against layer under two noises, of each network."""
    result = open_run(PAIR, "cka")
    made, panels = figure(8.8, 4.6, 2)
    for ax, model in zip(panels, ("baseline", "masked"), strict=True):
        result.plot_matrix(ax, models=model, noises=("gaussian:15", "poisson:3.5"))
        ax.set_title(model, fontsize=10)
    made.colorbar(panels[0].images[0], ax=list(panels), label="CKA", shrink=0.8)
    return made


def cka_size() -> Figure:
    """What biased CKA of unrelated Gaussian data tends to, and unbiased CKA."""
    import numpy as np

    from analysis.cka import cka

    made, ax = figure(5.4, 3.2)
    features, rng = [4, 16, 64, 256, 1024], np.random.default_rng(0)
    for estimator, color in (("biased", COLORS["baseline"]), ("unbiased", COLORS["masked"])):
        values = [
            cka(rng.normal(size=(64, p)), rng.normal(size=(64, p)), estimator=estimator)  # type: ignore[arg-type]
            for p in features
        ]
        ax.plot(features, values, marker="o", color=color, label=f"{estimator} estimate")
    ax.plot(features, [p / (p + 64) for p in features], color="0.15", ls=":", label="p / (p + n)")
    ax.set(xscale="log", xlabel="features p of each side; n = 64 samples", ylabel="CKA")
    ax.set_ylim(-0.1, 1.05)
    ax.legend(frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return made


def plotted(name: str, method: str, runs: Path = EXAMPLE) -> Callable[[], Figure]:
    """One plot method of the result in a run folder; captions say what a title would."""

    def draw() -> Figure:
        result = open_run(runs / name, name)
        made, ax = figure(5.6, 4.0)
        drawn: Axes = getattr(result, method)(ax=ax)
        drawn.tick_params(labelsize=8)
        for place in ("left", "center"):
            drawn.set_title("", loc=place)
        return made

    return draw


def of_each_model(name: str, method: str, **options: Any) -> Callable[[], Figure]:
    """A figure with a panel for each network."""

    def draw() -> Figure:
        result = open_run(EXAMPLE / name, name)
        made, panels = figure(9.0, 3.6, 2)
        for ax, model in zip(panels, ("baseline", "masked"), strict=True):
            getattr(result, method)(ax=ax, model=model, **options)
            ax.set_title(model, fontsize=10)
        return made

    return draw


def of_two_noises(name: str, method: str, unseen: str = "poisson:3.5") -> Callable[[], Figure]:
    """A figure with a panel for the noise trained on and one for an unseen noise."""

    def draw() -> Figure:
        result = open_run(EXAMPLE / name, name)
        made, panels = figure(8.6, 3.8, 2)
        for ax, noise in zip(panels, ("gaussian:15", unseen), strict=True):
            getattr(result, method)(ax=ax, noise=noise)
        return made

    return draw


def drawings(runs: Path | None) -> dict[str, Callable[[], Figure]]:
    """How each figure is drawn, by file name."""
    known: dict[str, Callable[[], Figure]] = {
        "gains": gains,
        "cka_controls": cka_controls,
        "cka_matrices": cka_matrices,
        "cka_size": cka_size,
        "generalization": plotted("generalization", "plot_ranks"),
        "srga": plotted("srga", "plot_scores"),
        "distributions": of_each_model("distributions", "plot_histogram", noise="poisson:3.5"),
        "degradation": plotted("degradation", "plot_ch"),
        "sensitivity": plotted("sensitivity", "plot_gain"),
        "error": of_two_noises("error", "plot_parts"),
        "linear": plotted("linear", "plot_levels"),
        "causal": plotted("causal", "plot_recovery"),
        "attribution": of_each_model("attribution", "plot_map", noise="gaussian:15"),
        "curves": of_two_noises("curves", "plot_psnr", "gaussian:50"),
    }
    if runs is not None:
        known |= {
            "brightness": plotted("brightness", "plot_histograms", runs=runs),
            "stitch": plotted("stitch", "plot_cost", runs=runs),
            "faig": plotted("faig", "plot_reverting", runs=runs),
            "noisy_pictures": plotted("noisy_pictures", "plot_agreement", runs=runs),
        }
    return known


def main() -> None:
    """Draw all figures, those of FRESH if their run folders are given."""
    runs = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    for name, draw in drawings(runs).items():
        save(draw(), name)


if __name__ == "__main__":
    main()
