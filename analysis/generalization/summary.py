"""The scores of a benchmark in short: what was measured, the order of models, plain-text grids."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import pandas as pd

from analysis.commands import training_noises
from analysis.generalization import beyond, metrics
from analysis.generalization.conditions import contestants, references_in
from analysis.generalization.metrics import facts
from analysis.generalization.pairwise_tests import ALL, OUTSIDE, paired_differences, too_few
from analysis.text.markdown import interval
from analysis.text.names import wrapped
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_label, noise_words
from analysis.text.terminal import grid, number, plural
from mtd.loading.classical import CLASSICAL, FILTER

WIDTH = 100
"""Columns of a terminal that grids are kept to, if possible."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


EVERY = "(trained on)"
"""The mark of a noise that every model was trained on."""

UNQUANTIZED = (
    "noise that networks are given is neither clipped nor rounded; outputs, and the noisy input, "
    "are scored in 8 bits"
)
"""What `--no-quantize` does."""

ORDERS = ("out_of_distribution", "in_distribution", "mean")
"""Scores by which models are ordered, the first one that some have."""


def label(metric: str) -> str:
    """A metric's name with its unit, and which way is better."""
    return f"{with_unit(metric)}, {facts(metric).direction}"


def directed(metric: str) -> str:
    """A metric's name, and if less is better, that it is.

    >>> directed("psnr"), directed("lpips")
    ('PSNR', 'LPIPS (lower is better)')
    """
    about = facts(metric)
    return about.label if about.higher_is_better else f"{about.label} ({about.direction})"


def with_unit(metric: str) -> str:
    """A metric's name with its unit, if it has one."""
    about = facts(metric)
    return f"{about.label} ({about.unit})" if about.unit else about.label


def drop_label(metric: str) -> str:
    """What the column `ood_drop` is: quality falls as PSNR drops, or as LPIPS rises."""
    about = facts(metric)
    return f"{about.label} {'drop' if about.higher_is_better else 'increase'}"


def best_first(frame: pd.DataFrame, metric: str) -> list[str]:
    """Models from the best to the worst out of distribution, or in it if there is no other noise.

    Over all noises if it is not known what any was trained on; where it is not known of some, these
    come last.

    Args:
        frame: see `analysis.generalization.scoring.generalization`.
        metric: of its column `metric`.
    """
    part = contestants(frame[frame.metric == metric])
    orders = [name for name in ORDERS if name in part and part[name].notna().any()]
    if not orders:
        return [str(name) for name in part.model]
    column = orders[0]
    ascending = not facts(metric).higher_is_better
    return [
        str(name) for name in part.sort_values(column, ascending=ascending, kind="stable").model
    ]


def scores_of_models(frames: Frames, metric: str) -> pd.DataFrame:
    """The scores of the models, best first, by name; without references and the noisy input."""
    frame = frames["generalization"]
    part = contestants(frame[frame.metric == metric])
    return part.set_index("model", drop=False).loc[best_first(frame, metric)]


def leaderboard(frames: Frames, metric: str) -> pd.DataFrame:
    """Scores with headings to read, the best models under unseen noise first, then references,
    which have no rank, and the noisy input.

    Args:
        frames: of a benchmark.
        metric: which one.
    """
    part = with_input_last(frames["generalization"], metric).reset_index()
    beside = references_in(part)
    further = {
        heading: [by_model.get(name, "") for name in part.model]
        for heading, by_model in beyond.columns(frames, metric).items()
    }
    ends = zip(part.out_of_distribution_low, part.out_of_distribution_high, strict=True)
    digits = facts(metric).digits
    return pd.DataFrame(
        {
            "model": [marked(name, beside) for name in part.model],
            "in distribution": part.in_distribution,
            "out of distribution": part.out_of_distribution,
            "95% interval": [interval(low, high, digits) for low, high in ends],
            "worst": part.worst,
            "worst noise": part.worst_noise.replace("nan", "–").fillna("–"),
            drop_label(metric): part.ood_drop,
            "mean rank": part.mean_rank,
            **further,
        }
        | ({"all noises": part["mean"]} if shows_mean(part) else {})
    )


def caption(metric: str, manifest: Manifest) -> str:
    """Below the leaderboard of a page: the unit, and metrics that were not run."""
    lower = not facts(metric).higher_is_better
    about = [
        label(metric) if lower else with_unit(metric),
        "out of distribution: mean over kinds of unseen noise",
        *["beyond: positive where the model is better"] * lower,
    ]
    return "; ".join([*about, *metrics.lines(manifest)])


def shows_mean(part: pd.DataFrame) -> bool:
    """Whether means over all noises are shown: it is not known what some model was trained on.

    Args:
        part: scores of one metric.
    """
    own = contestants(part if "model" in part else part.reset_index())
    split = own[["in_distribution", "out_of_distribution"]]
    return "mean" in own and bool((split.isna().all(axis=1) & own["mean"].notna()).any())


def with_input_last(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Rows of a metric by model: as `best_first` has them, references, the noisy input."""
    part = frame[frame.metric == metric]
    beside = beside_in_order(part, references_in(part))
    last = [NOISY] if NOISY in set(part.model) else []
    return part.set_index("model").loc[[*best_first(frame, metric), *beside, *last]]


FILTERS = 2
"""Up to this many models, their fixed filters are in figures."""


def drawn_beside(part: pd.DataFrame) -> list[str]:
    """The references in figures beside models: without fixed filters where models are many.

    Args:
        part: a table of a benchmark.
    """
    few = contestants(part).model.nunique() <= FILTERS
    names = beside_in_order(part, references_in(part))
    return [name for name in names if few or not name.startswith(FILTER)]


def beside_in_order(part: pd.DataFrame, references: Collection[str]) -> list[str]:
    """The references among a table's models, in its order."""
    return [str(name) for name in dict.fromkeys(part.model) if name in references]


def marked(name: str, references: Collection[str]) -> str:
    """A model's name in a table, where references are marked as such."""
    return f"{name} (reference)" if name in references else name


def means_by_noise(noises: pd.DataFrame, frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The mean of every model under every noise, a column for each; rows as in `leaderboard`.

    Args:
        noises: see `analysis.generalization.scoring.noises`.
        frame: see `leaderboard`.
        metric: of both.
    """
    part = noises[noises.metric == metric]
    order = [name for name in with_input_last(frame, metric).index if name in set(part.model)]
    names = list(dict.fromkeys(part.noise))
    wide = part.pivot(index="model", columns="noise", values="mean").loc[order, names]
    marks = trained_marks(part)
    wide.index = pd.Index([marked(name, references_in(part)) for name in wide.index])
    wide.columns = pd.Index([f"{n} {marks[n]}".strip() for n in names])
    return wide.rename_axis("model").reset_index()


def trained_marks(noises: pd.DataFrame) -> dict[str, str]:
    """By noise, which models were trained on it, in parentheses; empty where none is known to be.

    Args:
        noises: see `analysis.generalization.scoring.noises`.
    """
    part = contestants(noises)
    marks = {}
    for noise, rows in part.groupby("noise", sort=False):
        trained = list(dict.fromkeys(rows[rows.in_distribution.eq(True)].model))
        every = len(trained) == rows.model.nunique()
        whose = "" if every else f" by {', '.join(map(str, trained))}"
        marks[str(noise)] = f"(trained on{whose})" if trained else ""
    return marks


def measured(results: pd.DataFrame, manifest: Manifest) -> str:
    """Which images were measured, in words."""
    crops = results.drop_duplicates(["image", "top", "left", "sha256"])
    sizes = sorted({f"{h} x {w}" for h, w in zip(crops.height, crops.width, strict=True)})
    listed_sizes = ", ".join(sizes[:3]) + (
        f" and {plural(len(sizes) - 3, 'other size')}" if len(sizes) > 3 else ""
    )
    what = "whole image" if manifest["crop"] is None else "crop"
    clean = manifest["images"] or []
    sources = [clean] if isinstance(clean, str) else list(clean)
    sources += list(manifest["recorded"])
    images = plural(crops.image.nunique(), "image")
    from_ = f" from {images}" if manifest["crop"] is not None else ""
    return f"{plural(len(crops), what)} of {listed_sizes}{from_} ({', '.join(sources)})"


def photographs(noises: pd.DataFrame) -> int:
    """Number of photographs that intervals rest on, or are too few for; the least under any noise.

    Args:
        noises: see `analysis.generalization.scoring.noises`.
    """
    known = noises[noises.low.notna()].photographs
    return int(noises.photographs.max() if known.empty else known.min())


def heading(results: pd.DataFrame, manifest: Manifest) -> str:
    """What was measured on what, and how."""
    suite = f"suite {named(manifest)}; " if manifest["suite"] else ""
    pixels = plural(manifest["border"], "pixel")
    border = f"{pixels} left out at every side, " if manifest["border"] else ""
    channel = {"gray": "grayscale", "y": "luma"}.get(manifest["channel"], "RGB")
    differs, missing = manifest.get("deviations"), manifest.get("testsets_missing")
    return (
        f"{suite}{measured(results, manifest)}\n"
        f"protocol {manifest['protocol']}: {border}{channel}{of_whole(results, manifest)}, "
        f"{stored(manifest)}; "
        f"in distribution: {training_noises.in_words(manifest['in_distribution'])}"
        + (f"\ntest sets that are not here: {', '.join(missing)}" if missing else "")
        + (f"\nthis run deviates from its suite: {'; '.join(differs)}" if differs else "")
    )


def of_whole(results: pd.DataFrame, manifest: Manifest) -> str:
    """In parentheses, for which metrics the border or the luma of the protocol do not hold."""
    if not manifest["border"] and manifest["channel"] != "y":
        return ""
    labels = [facts(name).label for name in results.metric.unique() if name not in OF_PROTOCOL]
    color = "whole" if manifest["channel"] == "gray" else "whole, RGB"
    return f" ({', '.join(labels)}: {color})" if labels else ""


def named(manifest: Manifest) -> str:
    """A run's suite, with its version if that is not the first."""
    version = manifest.get("suite_version") or 1
    return f"{manifest['suite']}, version {version}" if version > 1 else str(manifest["suite"])


def stored(manifest: Manifest) -> str:
    """How noisy images are drawn and stored, and how outputs are rounded."""
    how = manifest.get("evaluation", {})
    clip, rounds = how.get("clip_noisy"), how.get("round_output", True)
    legacy = how.get("seed_policy") == "legacy_per_image"
    if rounds and not legacy and clip in (None, manifest["quantize"]):
        return "8 bits" if manifest["quantize"] else UNQUANTIZED
    clipped = {True: "clipped, not rounded", False: "neither clipped nor rounded"}
    kinds = (
        f"clipped under {', '.join(map(noise_words, clip))} alone, not rounded"
        if isinstance(clip, list)
        else ""
    )
    noisy = "in 8 bits" if manifest["quantize"] else kinds or clipped[bool(clip)]
    stream = ", drawn from NumPy's legacy stream anew for each image" if legacy else ""
    outputs = "scored in 8 bits" if rounds else "clipped, not rounded"
    return f"noisy images {noisy}{stream}; outputs {outputs}"


def scores(frame: pd.DataFrame, metric: str) -> str:
    """Scores of the models, best first, with the 95% interval of the one they are ordered by."""
    part, about = frame[frame.metric == metric].set_index("model"), facts(metric)
    drop = "drop" if about.higher_is_better else "increase"
    rows = [
        ["model", *SPLIT, "worst", drop, "mean over levels", "mean rank"],
    ]
    with_mean, beside = shows_mean(part), references_in(part.reset_index())
    rows[0] += ["all noises"] * with_mean
    for model in with_input_last(frame, metric).index:
        row: dict[str, Any] = part.loc[model].to_dict()
        unseen = number(row["out_of_distribution"], about.digits)
        ends = (row["out_of_distribution_low"], row["out_of_distribution_high"])
        if not math.isnan(ends[0]):
            unseen += f" [{', '.join(number(end, about.digits) for end in ends)}]"
        worst = number(row["worst"], about.digits)
        if worst != "-":
            worst += f" {wrapped(noise_words(row['worst_noise']), 27, 1)}"
        rest = [number(row[name], about.digits) for name in ("ood_drop", "mean_over_levels")]
        trained = number(row["in_distribution"], about.digits)
        name = marked(str(model), beside)
        rows.append([name, trained, unseen, worst, *rest, number(row["mean_rank"], 2)])
        rows[-1] += [number(row["mean"], about.digits)] if with_mean else []
    return f"{label(metric)}\n{grid(rows)}"


OF_PROTOCOL = ("psnr", "ssim")
"""Metrics that leave out a border and take a luma where the protocol says so."""

SPLIT = ("in distribution", "out of distribution")
"""Headings of the means over noises that models were, and were not, trained on."""

EXPLAINED = """\
in distribution: the noise that models were trained on; out of distribution: unseen noise, which
none was trained on, mean over its kinds with 95% interval; drop, increase: from in to out of
distribution; mean over levels: mean height of the level curves; mean rank: out of distribution,
among the models of known training"""


def worse_than_input(noises: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows that are worse than the noisy input, as far as printed digits show it.

    Args:
        noises: see `analysis.generalization.scoring.noises`.
        metric: of its column `metric`.
    """
    digits, rows = facts(metric).digits, noises[noises.metric == metric]
    inputs = rows[rows.model == NOISY].set_index("noise")["mean"].round(digits)
    shown = rows["mean"].round(digits) != rows.noise.map(inputs)
    below = rows[(rows.model != NOISY) & (rows.gain.round(digits) < 0) & shown]
    return contestants(below)


def by_noise(noises: pd.DataFrame, frame: pd.DataFrame, metric: str) -> str:
    """The mean under every noise, with marks.

    A + marks noise that some model was trained on, a ! what is worse than the noisy input.
    Models, and references but fixed filters, stand in columns, as many beside one another as the
    width admits, under numbers if their names are too long.
    """
    part, about = noises[noises.metric == metric], facts(metric)
    beside = references_in(frame)
    shown = [name for name in beside_in_order(part, beside) if not name.startswith(FILTER)]
    models, grids = [*best_first(frame, metric), *shown], []
    worse = worse_than_input(noises, metric)
    below = set(zip(worse.noise, worse.model, strict=True))
    trained_by = trained_marks(part)
    names = [wrapped(noise_label(noise), 30, 1) for noise in dict.fromkeys(part.noise)]
    room = WIDTH - max(len(f"{about.label} by noise"), *(len(name) + 2 for name in names))
    heads = {model: model.removeprefix(CLASSICAL) for model in models}
    most = len(models)
    if sum(max(len(heads[model]), 6) + 2 for model in models) + len(NOISY) + 2 > room:
        heads = {model: f"[{i}]" for i, model in enumerate(models, 1)}
        most = max(1, (room - len(NOISY) - 2) // 9)
    for start in range(0, len(models), most):
        columns = models[start : start + most]
        rows = [[f"{about.label} by noise", *(heads[m] + " " for m in columns), f"{NOISY} "]]
        for noise, values in part.groupby("noise", sort=False):
            by_model = values.set_index("model")
            trained = " +" if trained_by[str(noise)] else ""
            cells = [
                number(by_model["mean"][m], about.digits) + ("!" if (noise, m) in below else " ")
                for m in (*columns, NOISY)
            ]
            rows.append([f"{wrapped(noise_label(noise), 30, 1)}{trained}", *cells])
        grids.append(grid(rows))
    key = [f"{head} {model}" for model, head in heads.items() if head.startswith("[")]
    key += [
        f"{noise_label(noise)}: {mark[1:-1]}"
        for noise, mark in trained_by.items()
        if mark not in ("", EVERY)
    ]
    marks = [f"+ {SPLIT[0]}"] * any(trained_by.values())
    marks += ["! worse than the noisy input"] * bool(below)
    return "\n".join(["\n\n".join(grids), *key, *([", ".join(marks)] if marks else [])])


def by_testset(frames: Frames, metric: str) -> str | None:
    """The mean of every model on every test set, where a noise has several of them."""
    sets = frames.get("testsets")
    if sets is None or sets.groupby("noise").testset.nunique().max() < 2:
        return None
    part, about = sets[sets.metric == metric], facts(metric)
    models = [*best_first(frames["generalization"], metric), NOISY]
    rows = [[f"{about.label} by test set", "images", *models]]
    for (testset, noise), values in part.groupby(["testset", "noise"], sort=False):
        mean = values.set_index("model")["mean"]
        cells = [number(mean[model], about.digits) for model in models]
        rows.append([f"{testset}, {noise_words(noise)}", str(values.crops.iloc[0]), *cells])
    return grid(rows)


def beyond_references(frames: Frames, metric: str) -> str | None:
    """How far models are beyond their fixed filters and the best classical reference."""
    found = beyond.columns(frames, metric)
    if not found:
        return None
    about, order = facts(metric), best_first(frames["generalization"], metric)
    rows = [[SPLIT[1], *(f"{name} ({about.unit or about.label})" for name in found)]]
    rows += [[name, *(by_model.get(name, "-") for by_model in found.values())] for name in order]
    return grid(rows)


def differences(tests: pd.DataFrame, frame: pd.DataFrame, metric: str) -> str | None:
    """The best model against every other over all unseen noises, or all, with p-values."""
    part = tests[(tests.metric == metric) & tests.noise.isin([OUTSIDE, ALL])]
    if part.empty:
        return None
    about, best = facts(metric), best_first(frame, metric)[0]
    noises, unit = str(part.noise.iloc[0]), about.unit or about.label
    rows = [[noises, f"difference in {unit}", "p", "p (Holm)"]]
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
        p = ["-" if math.isnan(row[name]) else f"{row[name]:.2g}" for name in ("p", "p_holm")]
        rows.append([f"{names[0]} - {names[1]}", change, *p])
    more = len(part) - len(rows) + 1
    lines = [grid(rows)]
    if few := undecidable(tests, metric, noises):
        lines.append(few)
    if more:
        lines.append(f"{plural(more, 'more pair')} of models: see tests.csv")
    return "\n".join(lines)


def undecidable(tests: pd.DataFrame, metric: str, *noises: str) -> str:
    """That tests under some noises, or all, cannot decide; empty where all of them can.

    Args:
        tests: see `analysis.generalization.pairwise_tests.paired`.
        metric: of its column `metric`.
        noises: of its column `noise`.
    """
    part = tests[tests.metric == metric]
    found = [
        test
        for a, b in dict.fromkeys(zip(part.model_a, part.model_b, strict=True))
        for noise, test in paired_differences(tests, metric, a, b).items()
        if (noise in noises or not noises) and test.undecidable
    ]
    return too_few(found) if found else ""
