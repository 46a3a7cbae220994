"""Paired differences and pictures of a benchmark for a page, for the reader to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import pandas as pd

from analysis.generalization import comparison_strips, summary
from analysis.generalization.metrics import facts
from analysis.generalization.settings import PICTURES
from analysis.generalization.summary import label, with_unit
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.markdown import interval, number
from analysis.text.noise_labels import NOISY
from analysis.text.noise_names import noise_label
from analysis.text.rows import p_values
from mtd.utils import array_files

if TYPE_CHECKING:
    from analysis.generalization.result import GeneralizationResult

PAIRED = 24
"""Up to this many models, all pairs are shown; beyond it, only those with the best one."""

FEW = 4
"""Up to so many models, means stand in the caption of a strip."""

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


def pairs(result: GeneralizationResult, metric: str) -> Displayed:
    """Paired differences of two models under every noise, for the reader to choose from."""
    tests, order = result.tests, summary.best_first(result.scores, metric)
    if len(order) < 2:
        return notebook_output.say(["One model: no differences."])
    pairs_of_models = list(combinations(order, 2))
    if len(order) > PAIRED:
        pairs_of_models = [(order[0], other) for other in order[1:]]
    part = tests[tests.metric == metric]
    panels: dict[tuple[str, str], Displayed] = {}
    for pair in pairs_of_models:
        rows = part[part.model_a.isin(pair) & part.model_b.isin(pair)]
        if len(rows):  # a and b as the table has them
            few = summary.undecidable(part, metric)
            ab = str(rows.model_a.iloc[0]), str(rows.model_b.iloc[0])
            panels[ab] = differences(rows, metric, few)
    return notebook_output.pairwise(panels, "models")


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
