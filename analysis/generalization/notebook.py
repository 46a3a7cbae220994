"""Tables and pictures of a benchmark for a page: leaderboard, values by noise, pairs, strips."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import pandas as pd

from analysis.generalization import comparison_strips
from analysis.generalization.scoring import facts
from analysis.generalization.settings import PICTURES
from analysis.generalization.summary import Frames, drop_label, scores_of_models, with_unit
from analysis.plotting import notebook_output
from analysis.plotting.notebook_output import Displayed
from analysis.text.markdown import interval, number
from analysis.text.noise_labels import NOISY
from analysis.text.rows import p_values

PAIRED = 24
"""Up to so many models, all pairs of them are shown; of more, those of the best one."""

STRIPS = 8
"""Comparisons of pictures."""

CLEAN = "clean (the target)"


def leaderboard(frames: Frames, metric: str) -> Displayed:
    """Scores of the models, best first under unseen noise, the noisy input last."""
    frame, about = frames["generalization"], facts(metric)
    order = [*scores_of_models(frames, metric).model]
    part = frame[frame.metric == metric].set_index("model")
    part = part.loc[[*order, *([NOISY] if NOISY in part.index else [])]].reset_index()
    ends = zip(part.out_of_distribution_low, part.out_of_distribution_high, strict=True)
    shown = pd.DataFrame(
        {
            "model": part.model,
            "in distribution": part.in_distribution,
            "out of distribution": part.out_of_distribution,
            "95% interval": [interval(low, high, about.digits) for low, high in ends],
            "worst": part.worst,
            "worst noise": part.worst_noise.replace("nan", "–"),
            drop_label(metric): part.ood_drop,
            "mean rank": part.mean_rank,
        }
    )
    digits = dict.fromkeys(map(str, shown), about.digits) | {"mean rank": 2}
    caption = f"{with_unit(metric)}; out of distribution: mean over kinds of unseen noise"
    return notebook_output.table(shown, digits, caption, "generalization/generalization.csv")


def by_noise(frames: Frames, metric: str) -> Displayed:
    """The mean of every model under every noise, a column for each noise."""
    frame, about = frames["noises"], facts(metric)
    part = frame[frame.metric == metric]
    order = [*scores_of_models(frames, metric).model]
    order += [NOISY] if NOISY in set(part.model) else []
    noises = list(dict.fromkeys(part.noise))
    wide = part.pivot(index="model", columns="noise", values="mean").loc[order, noises]
    inside = set(part[part.in_distribution].noise)
    wide.columns = pd.Index([f"{n} (trained on)" if n in inside else str(n) for n in noises])
    shown = wide.rename_axis("model").reset_index()
    caption = f"Mean {with_unit(metric)} under each noise"
    return notebook_output.table(shown, about.digits, caption, "generalization/noises.csv")


def pairs(frames: Frames, metric: str) -> Displayed:
    """Paired differences of two models under every noise, for the reader to choose from."""
    tests, order = frames["tests"], list(scores_of_models(frames, metric).model)
    if len(order) < 2:
        return notebook_output.say(["One model: no differences."])
    wanted = list(combinations(order, 2))
    if len(order) > PAIRED:
        wanted = [(order[0], other) for other in order[1:]]
    part = tests[tests.metric == metric]
    panels: dict[tuple[str, str], Displayed] = {}
    for pair in wanted:
        rows = part[part.model_a.isin(pair) & part.model_b.isin(pair)]
        if len(rows):  # a and b as the table has them
            panels[str(rows.model_a.iloc[0]), str(rows.model_b.iloc[0])] = differences(rows, metric)
    return notebook_output.pairwise(panels, "models")


def differences(rows: pd.DataFrame, metric: str) -> Displayed:
    """The tests of two models, as a - b."""
    a, b, about = rows.model_a.iloc[0], rows.model_b.iloc[0], facts(metric)
    ends = zip(rows.low, rows.high, strict=True)
    shown = pd.DataFrame(
        {
            "noise": rows.noise,
            "difference": rows.difference,
            "95% interval": [interval(*end, about.digits, signed=True) for end in ends],
            "better (%)": 100 * rows.better,
            "p": rows.p,
            "p (Holm)": rows.p_holm,
        }
    )
    shown = p_values(shown, ["p", "p (Holm)"], 5)
    digits = {"difference": about.digits, "better (%)": 0, "p": 5, "p (Holm)": 5}
    of = "crops" if "crop" in set(rows.draw) else "photographs"
    caption = f"{a} - {b}, {with_unit(metric)}; better: share of {of} on which {a} is better"
    return notebook_output.table(shown, digits, caption, "generalization/tests.csv")


def comparisons(
    frames: Frames, attachments: Mapping[str, bytes], order: list[str]
) -> list[Displayed]:
    """Pictures of an image under each kind of noise: by the first models, noisy, clean.

    Of a kind's two images it is the representative one.
    """
    from safetensors.numpy import load

    frame, file = frames.get("strips"), attachments.get(PICTURES)
    if frame is None or frame.empty or file is None:
        return [notebook_output.say(["This run has no pictures."])]
    pictures, shown_images = load(file), []
    models = order[: comparison_strips.MOST]
    frame = frame.assign(first=frame.reason != "representative")
    frame = frame.sort_values(["noise", "first", "strip"], kind="stable")
    chosen = frame.drop_duplicates("noise")["strip"].sort_values()
    for number_ in list(chosen)[:STRIPS]:
        rows = frame[frame["strip"] == number_]
        psnr, first = rows.set_index("model").psnr_square, rows.iloc[0]
        shown = {
            name: (pictures[f"{number_}/{name}"], f"{number(psnr[name])} dB")
            for name in ((*models, NOISY) if len(models) > 1 else (NOISY, *models))
            if name in psnr.index
        }
        shown[CLEAN] = (pictures[f"{number_}/{comparison_strips.TARGET}"], "")
        caption = f"{first.noise}: {first.image}, {first.reason} image"
        shown_images.append(notebook_output.comparison(shown, caption))
    return shown_images
