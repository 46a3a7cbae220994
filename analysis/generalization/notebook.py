"""Paired differences and pictures of a benchmark for a page, for the reader to choose from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from analysis.generalization import comparison_strips, figures, metrics, reading, summary
from analysis.generalization.conditions import references_in
from analysis.generalization.metrics import facts
from analysis.generalization.settings import PICTURES
from analysis.generalization.summary import label, with_unit
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.markdown import interval, listed, number
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_label
from analysis.text.rows import p_values
from mtd.utils import array_files

if TYPE_CHECKING:
    from analysis.generalization.result import GeneralizationResult

PAIRED = 24
"""Up to this many models, all pairs are shown; beyond it, only those with the best one."""

FEW = 4
"""Up to so many models, means stand in the caption of a strip, and paired differences are shown by
every metric."""

STRIPS = 8
"""Maximum number of comparison strips."""


def mean_values(result: GeneralizationResult, models: Sequence[str], noise: str) -> str:
    """The mean PSNR of a few models under a noise, beside which that of one image can be read."""
    if len(models) > FEW:
        return ""
    frame = result.noises
    rows = frame[(frame.metric == "psnr") & (frame.noise == noise)].set_index("model")["mean"]
    return ", ".join(f"{m} {number(rows[m])} dB" for m in models if m in rows.index)


CLEAN = "clean (the target)"


def others(result: GeneralizationResult, metric: str) -> list[str]:
    """The metrics of a run beside one, in the order of its tables."""
    return [str(name) for name in dict.fromkeys(result.scores.metric) if name != metric]


def by_other_metrics(result: GeneralizationResult, metric: str) -> Displayed:
    """Scores by all metrics but one; folded below them curves and means by noise, and of two models
    their differences.

    A metric that was wanted and not run has an empty column.
    """
    names = others(result, metric)
    parts = [other_scores(result, metric)]
    if names:
        labels = listed([facts(name).label for name in names])
        about = summary.measured(result.results, result.manifest)
        single = result.frames.get("noises_by_training")
        curves = [
            notebook_output.figure(
                figures.curves(result.noises, name, about, single),
                reading.alt_levels(result.frames, name),
                "generalization/noises.csv",
            )
            for name in names
        ]
        means = [means_by_noise(result, name) for name in names]
        paired = []
        if len(summary.best_first(result.scores, metric)) == 2:
            for name in names:
                rows = result.tests[result.tests.metric == name]
                paired += [differences(rows, name, summary.undecidable(rows, name))]
        below = [*curves, *means, *paired]
        parts.append(notebook_output.folded(f"{labels} under each noise", below))
    return notebook_output.together(parts)


def other_scores(result: GeneralizationResult, metric: str) -> Displayed:
    """The mean of every other metric under unseen noise, or over all, with interval and rank."""
    board = summary.with_input_last(result.scores, metric)
    every = summary.shows_mean(board)
    column, noises = ("mean", "all noises") if every else ("out_of_distribution", "unseen noise")
    beside = references_in(board.reset_index())
    table = pd.DataFrame({"model": [summary.marked(str(name), beside) for name in board.index]})
    digits: dict[str, int] = {}
    for name in others(result, metric):
        about, frame = facts(name), result.scores
        rows = frame[frame.metric == name].set_index("model").reindex(board.index)
        ends = zip(rows[f"{column}_low"], rows[f"{column}_high"], strict=True)
        unit = with_unit(name)
        table[unit] = rows[column].to_numpy()
        table[f"{about.label}, 95% interval"] = [interval(*end, about.digits) for end in ends]
        table[f"{about.label}, mean rank"] = rows.mean_rank.to_numpy()
        digits |= {unit: about.digits}
    for name in metrics.absent(result.manifest, set(result.scores.metric)):
        table[metrics.label(name)] = math.nan
    lower = [facts(name) for name in others(result, metric) if not facts(name).higher_is_better]
    caption = [
        f"Mean over {noises}",
        *(f"{about.direction} for {about.label}" for about in lower),
        *metrics.lines(result.manifest),
    ]
    return notebook_output.table(table, digits, "; ".join(caption))


def means_by_noise(result: GeneralizationResult, metric: str) -> Displayed:
    """The mean of every model under every noise."""
    caption = f"Mean {summary.label(metric)}, under each noise"
    digits = facts(metric).digits
    return notebook_output.table(result.means(metric), digits, caption, "generalization/noises.csv")


def pairs(result: GeneralizationResult, metric: str) -> Displayed:
    """Paired differences of two models under every noise, for the reader to choose from.

    Of up to `FEW` models also by the other metrics; of two these stand with their scores.
    """
    tests, order = result.tests, summary.best_first(result.scores, metric)
    if len(order) < 2:
        return notebook_output.say(["One model: no differences."])
    pairs_of_models = list(combinations(order, 2))
    if len(order) > PAIRED:
        pairs_of_models = [(order[0], other) for other in order[1:]]
    shown = [metric, *(others(result, metric) if 2 < len(order) <= FEW else [])]
    of_metric = {name: tests[tests.metric == name] for name in shown}
    few = {name: summary.undecidable(part, name) for name, part in of_metric.items()}
    panels: dict[tuple[str, str], Displayed] = {}
    for pair in pairs_of_models:
        tables = {}
        for name, part in of_metric.items():
            rows = part[part.model_a.isin(pair) & part.model_b.isin(pair)]
            if len(rows):  # a and b as the table has them
                ab = str(rows.model_a.iloc[0]), str(rows.model_b.iloc[0])
                tables[name] = differences(rows, name, few[name])
        if tables:
            panels[ab] = of_pair(tables, metric)
    return notebook_output.pairwise(panels, "models")


def of_pair(tables: Mapping[str, Displayed], metric: str) -> Displayed:
    """The differences of two models by a metric, and folded below it those by others."""
    own = [table for name, table in tables.items() if name == metric]
    rest = [table for name, table in tables.items() if name != metric]
    labels = listed([facts(name).label for name in tables if name != metric])
    more = [notebook_output.folded(f"The same by {labels}", rest)] if rest else []
    return notebook_output.together([*own, *more])


def differences(rows: pd.DataFrame, metric: str, few: str = "") -> Displayed:
    """The tests of two models, as a - b; and that they cannot decide, if so."""
    a, b, about = rows.model_a.iloc[0], rows.model_b.iloc[0], facts(metric)
    ends = zip(rows.low, rows.high, strict=True)
    table = pd.DataFrame(
        {
            "noise": rows.noise,
            "difference": rows.difference,
            "95% interval": [interval(*end, about.digits, signed=True) for end in ends],
            "better (%)": 100 * rows.better,
            "p": rows.p,
            "p (Holm)": rows.p_holm,
        }
    )
    table = p_values(table, ["p", "p (Holm)"], 5)
    table = table.drop(columns=[name for name in ("p", "p (Holm)") if table[name].isna().all()])
    digits = {"difference": about.digits, "better (%)": 0, "p": 5, "p (Holm)": 5}
    what = with_unit(metric) if about.higher_is_better else label(metric)
    caption = f"{a} - {b}, {what}; better: share of photographs on which {a} is better"
    caption += f"; {few}" if few else ""
    return notebook_output.table(table, digits, caption, "generalization/tests.csv")


def comparisons(result: GeneralizationResult, metric: str) -> list[Displayed]:
    """Pictures of an image under each kind of noise: by the best models, noisy, clean.

    Of the two images of a kind, the representative one is shown.
    """
    frame, file = result.frames.get("strips"), result.attachments.get(PICTURES)
    if frame is None or frame.empty or file is None:
        return [notebook_output.say(["This run has no pictures."])]
    pictures, _ = array_files.read(file, PICTURES, "uint8", 3)
    strips = []
    models = summary.best_first(result.scores, metric)[: comparison_strips.MOST]
    frame = frame.assign(first=frame.reason != "representative")
    frame = frame.sort_values(["noise", "first", "strip"], kind="stable")
    chosen = frame.drop_duplicates("noise")["strip"].sort_values()
    for number_ in list(chosen)[:STRIPS]:
        rows = frame[frame["strip"] == number_]
        psnr, first = rows.set_index("model").psnr_square, rows.iloc[0]
        titles = comparison_strips.titles_of(rows)
        squares = {
            titles.get(name, name): (pictures[f"{number_}/{name}"], f"{number(psnr[name])} dB")
            for name in ((*models, NOISY) if len(models) > 1 else (NOISY, *models))
            if name in psnr.index
        }
        squares[CLEAN] = (pictures[f"{number_}/{comparison_strips.TARGET}"], "")
        reason = comparison_strips.REASONS.get(first.reason, f"{first.reason} image")
        caption = f"{noise_label(first.noise)}: {first.image}, {reason}"
        if means := mean_values(result, models, str(first.noise)):
            caption += f"; mean over all crops: {means}"
        strips.append(notebook_output.comparison(squares, caption))
    return strips
