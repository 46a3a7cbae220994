"""What a benchmark says on stdout, and its figures, from the tables of its run folder alone."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from analysis.commands.run_folder import RunFolder, read_manifest, read_tables
from analysis.generalization import comparison_strips, figures
from analysis.generalization.pairwise_tests import OUTSIDE
from analysis.text.names import wrapped
from analysis.text.noise_labels import NOISY
from analysis.text.terminal import grid, number, plural
from mtd.metrics import METRICS

NAMES = ("results", "generalization", "noises", "tests", "strips")
WIDTH = 100
"""Columns of a terminal that tables are kept to, if that can be."""


def report(folder: RunFolder) -> str:
    """Write the figures and return the text."""
    frames, manifest = read_tables(folder.path, NAMES), read_manifest(folder.path)
    about = measured(frames["results"], manifest)
    order = ordered(frames["generalization"], "psnr")
    for metric in frames["noises"].metric.unique():
        figure = figures.curves(frames["noises"], str(metric), about)
        if figure is not None:
            folder.figure(f"levels_{metric}.png", figure)
    ranked = figures.rank_map(frames["noises"], order)
    if ranked is not None:
        folder.figure("ranks.png", ranked)
    hidden = float(manifest.get("input_mask", 0))
    for name, strip in comparison_strips.figures(
        folder.path, frames["strips"], order, hidden
    ).items():
        folder.figure(f"{name}.png", strip)
    return text(frames, manifest)


def ordered(frame: pd.DataFrame, metric: str) -> list[str]:
    """Models from the best out of distribution (else in it) to the worst."""
    part = frame[(frame.metric == metric) & (frame.model != NOISY)]
    column = next(
        (c for c in ("out_of_distribution", "in_distribution") if part[c].notna().any()), None
    )
    if column is None:
        return [str(name) for name in part.model]
    best_first = not METRICS[metric].higher_is_better
    ranked = part.sort_values(column, ascending=best_first, kind="stable")
    return [str(name) for name in ranked.model]


def text(frames: dict[str, pd.DataFrame], manifest: dict[str, Any]) -> str:
    """The tables for a reader."""
    noises = frames["noises"]
    parts = [heading(frames["results"], manifest)]
    for metric in noises.metric.unique():
        parts += ["", scores(frames["generalization"], str(metric))]
    parts += [EXPLAINED, "", by_noise(noises, frames["generalization"], "psnr")]
    if (found := differences(frames["tests"], frames["generalization"], "psnr")) is not None:
        parts += ["", found]
    parts += ["", *notes(frames, manifest)]
    return "\n".join(parts).rstrip()


def measured(results: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """Over which images."""
    crops = results.drop_duplicates(["image", "top", "left", "sha256"])
    sizes = sorted({f"{h} x {w}" for h, w in zip(crops.height, crops.width, strict=True)})
    shown = ", ".join(sizes[:3]) + (f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else "")
    what = "whole image" if manifest["crop"] is None else "crop"
    clean = manifest["images"] or []
    sources = [clean] if isinstance(clean, str) else list(clean)
    sources += list(manifest["recorded"])
    images = plural(crops.image.nunique(), "image")
    from_ = f" from {images}" if manifest["crop"] is not None else ""
    return f"{plural(len(crops), what)} of {shown}{from_} ({', '.join(sources)})"


def heading(results: pd.DataFrame, manifest: dict[str, Any]) -> str:
    """What was measured on what, and how."""
    suite = f"suite {manifest['suite']}; " if manifest["suite"] else ""
    border = f"{manifest['border']} pixels left out at every side, " if manifest["border"] else ""
    quantized = "8 bits" if manifest["quantize"] else "8 bits, noise neither clipped nor rounded"
    return (
        f"{suite}{measured(results, manifest)}\n"
        f"protocol {manifest['protocol']}: {border}{manifest['channel'].upper()}, {quantized}; "
        f"in distribution: {', '.join(manifest['in_distribution']) or 'none of the noises'}"
    )


def scores(frame: pd.DataFrame, metric: str) -> str:
    """Scores of the models, best first, with the 95% interval of the one they are ranked by."""
    part, about = frame[frame.metric == metric].set_index("model"), METRICS[metric]
    rows = [["model", "trained on", "unseen noise", "worst", "gap", "area", "mean rank"]]
    for model in [*ordered(frame, metric), *([NOISY] if NOISY in part.index else [])]:
        row: dict[str, Any] = part.loc[model].to_dict()  # type: ignore[assignment]
        unseen = number(row["out_of_distribution"], about.digits)
        ends = (row["out_of_distribution_low"], row["out_of_distribution_high"])
        if not math.isnan(ends[0]):
            unseen += f" [{', '.join(number(end, about.digits) for end in ends)}]"
        worst = number(row["worst"], about.digits)
        if worst != "-":
            worst += f" {wrapped(str(row['worst_noise']), 17, 1)}"
        rest = [number(row[name], about.digits) for name in ("gap", "area")]
        trained = number(row["in_distribution"], about.digits)
        rows.append([str(model), trained, unseen, worst, *rest, number(row["mean_rank"], 2)])
    return f"{figures.label(metric)}\n{grid(rows)}"


EXPLAINED = """\
unseen noise: mean over kinds of noise, with its 95% interval; gap: trained on minus unseen;
area: mean height of the level curves; mean rank: under unseen noise, among the models"""


def by_noise(noises: pd.DataFrame, frame: pd.DataFrame, metric: str) -> str:
    """The mean under every noise; + marks noise that was trained on, ! worse than the noisy input.

    Models stand in columns, as many beside one another as the width admits, under numbers if their
    names are too long.
    """
    part, about = noises[noises.metric == metric], METRICS[metric]
    models, found = ordered(frame, metric), []
    names = [wrapped(str(noise), 30, 1) for noise in dict.fromkeys(part.noise)]
    room = WIDTH - max(len(f"{about.label} by noise"), *(len(name) + 2 for name in names))
    heads = {model: model for model in models}
    if sum(max(len(model), 6) + 2 for model in models) + len(NOISY) + 2 > room:
        heads = {model: f"[{i}]" for i, model in enumerate(models, 1)}
    most = len(models)
    if heads[models[0]] != models[0]:
        most = max(1, (room - len(NOISY) - 2) // 9)
    for start in range(0, len(models), most):
        shown = models[start : start + most]
        rows = [[f"{about.label} by noise", *(heads[m] + " " for m in shown), f"{NOISY} "]]
        for noise, values in part.groupby("noise", sort=False):
            held = values.set_index("model")
            trained = " +" if values.in_distribution.any() else ""
            cells = [
                number(held["mean"][m], about.digits) + ("!" if held.gain[m] < 0 else " ")
                for m in (*shown, NOISY)
            ]
            rows.append([f"{wrapped(str(noise), 30, 1)}{trained}", *cells])
        found.append(grid(rows))
    key = [f"{heads[model]} {model}" for model in models if heads[model] != model]
    worse = part[part.model != NOISY].gain < 0
    marks = ["+ trained on"] * bool(part.in_distribution.any())
    marks += ["! worse than the noisy input"] * bool(worse.any())
    return "\n".join(["\n\n".join(found), *key, *([", ".join(marks)] if marks else [])])


def differences(tests: pd.DataFrame, frame: pd.DataFrame, metric: str) -> str | None:
    """The best model against every other over all unseen noises, with p-values."""
    part = tests[(tests.metric == metric) & (tests.noise == OUTSIDE)]
    if part.empty:
        return None
    about, best = METRICS[metric], ordered(frame, metric)[0]
    rows = [["out of distribution", f"difference in {about.unit or about.label}", "p", "p (Holm)"]]
    for row in part.to_dict("records"):
        names, sign = [row["model_a"], row["model_b"]], 1
        if best not in names:
            continue
        if names[0] != best:
            names, sign = names[::-1], -1
        low, high = sorted((sign * row["low"], sign * row["high"]))
        change = f"{sign * row['difference']:+.{about.digits}f}"
        if not math.isnan(row["low"]):
            change += f" [{low:+.{about.digits}f}, {high:+.{about.digits}f}]"
        p = [f"{row[name]:.2g}" for name in ("p", "p_holm")]
        rows.append([f"{names[0]} - {names[1]}", change, *p])
    more = len(part) - len(rows) + 1
    return grid(rows) + (f"\n{plural(more, 'more pair')} of models: see tests.csv" if more else "")


def notes(frames: dict[str, pd.DataFrame], manifest: dict[str, Any]) -> list[str]:
    """What a reader must know of these numbers."""
    found = [*manifest["notes"]]
    for name, about in manifest["models"].items():
        if (sigma := about.get("usage", {}).get("sigma")) is not None:
            what = "that of each noise" if sigma == "oracle" else f"{sigma:g}, whatever the noise"
            found.append(f"{name} was told the noise level ({what}); the others, if not named, not")
    if tiled := manifest.get("tiled"):
        found.append(
            f"{', '.join(tiled)}: images in tiles, for lack of memory; a network that sees the "
            "whole image gives another result then: raise --memory, or --tile off"
        )
    if "crop" in set(frames["noises"].draw):
        found.append(
            "fewer than 10 photographs: intervals and tests are about other crops of these "
            "photographs, not about other photographs"
        )
    psnr = frames["results"].query("metric == 'psnr'")
    for model, values in psnr.groupby("model", sort=False).value:
        if missing := int(values.isna().sum()):
            found.append(f"{model} gave values that are no numbers {plural(missing, 'time')}")
        if equal := int((values == math.inf).sum()):
            found.append(
                f"{model}: {plural(equal, 'image')} equal to the clean one, so that the mean PSNR "
                "is infinite"
            )
    if manifest["lpips_asked"] and not manifest["lpips"]:
        found.append("no LPIPS: its backbone could not be had")
    return [f"note: {note}" for note in found]
