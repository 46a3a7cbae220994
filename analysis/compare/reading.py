"""What the rank correlations say: does any index predict what models lose on unseen noise?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.compare.predictors import INDICES, TARGETS
from analysis.stats.rank_correlation import EXACT
from analysis.text.markdown import escaped, interval, listed, number, probability

TABLES = ("compare", "correlations")

LEVEL = 0.05

LABELS = {index.name: index.label for index in INDICES}

Frames = Mapping[str, pd.DataFrame]


def sentences(frames: Frames) -> list[str]:
    """All that follows from the tables."""
    found = frames["correlations"]
    return [
        *main(frames),
        *target(found, "unseen"),
        *least(found),
        "Models are taken as drawn independently, which snapshots or siblings of one training "
        "are not. Intervals are not corrected for the number of indices, p-values are.",
    ]


def main(frames: Frames) -> list[str]:
    """Which indices go along with what is lost."""
    return target(frames["correlations"], "gap")


def indices(count: int) -> str:
    """A count of indices."""
    return "1 index" if count == 1 else f"{count} indices"


def told(row: Any) -> str:
    """A correlation with its interval and p-value."""
    span = interval(row.low, row.high)
    value = " ".join(filter(None, (number(row.spearman), span)))
    return f"{LABELS.get(row.index_, row.index_)}, ρ = {value}, {probability(row.p_corrected)}"


def target(found: pd.DataFrame, name: str) -> list[str]:
    """Indices with a corrected p-value below 0.05 against one target, and the strongest else."""
    part = found[found.target == name].rename(columns={"index": "index_"})
    known = part[part.spearman.notna()]
    what = TARGETS.get(name, name)
    if known.empty:
        return [f"{what}: no index can be correlated with it."]
    order = known.spearman.abs().sort_values(ascending=False, kind="stable").index
    known = known.loc[order]
    firm, count = known[known.p_corrected < LEVEL], indices(len(known))
    if firm.empty:
        top = told(next(known.itertuples()))
        return [
            f"{what}: none of {count} is told from no correlation (p corrected by Holm); the "
            f"strongest is {top}."
        ]
    each = [told(row) for row in firm.itertuples()]
    rest = [LABELS.get(name, name) for name in known[~known.index.isin(firm.index)].index_]
    end = f" Undecided: {listed(rest)}." if rest else ""
    return [f"{what}: with a p corrected by Holm below {LEVEL:g}, {'; '.join(each)}.{end}"]


def least(found: pd.DataFrame) -> list[str]:
    """The smallest p-value that so few models allow at all."""
    models, tests = int(found.models.max()), int((found.target == "gap").sum())
    if models > EXACT or models < 2:
        return []
    smallest = min(1.0, tests * 2 / math.factorial(models))
    if smallest < LEVEL / 5:
        return []
    text = f"With {models} models and {indices(tests)} even perfect agreement has a "
    text += f"corrected p of {smallest:.2g}"
    end = ": too few models for any index to be told from chance" if smallest >= LEVEL else ""
    return [f"{text}{end}."]


def groups(manifest: Mapping[str, Any]) -> list[str]:
    """A warning where few mask policies, rather than many models, may make a correlation."""
    held = [manifest, *(manifest.get("runs") or {}).values()]
    models: Mapping[str, Any] = next((m["models"] for m in held if m.get("models")), {})
    policies = Counter(about.get("policy", "") for about in models.values())
    if not 1 < len(policies) < len(models):
        return []
    each = [f"{count} with {escaped(name)}" for name, count in policies.items()]
    return [
        f"These models are of {len(policies)} kinds ({'; '.join(each)}). A correlation may be a "
        "difference between the kinds alone, with none within them: see the figure."
    ]


def alt(frames: Frames) -> str:
    """Of the scatter plots: every correlation."""
    found = frames["correlations"]
    part = found[found.target == "gap"]
    each = [f"{LABELS.get(r['index'], r['index'])} {number(r['spearman'])}" for r in
            part.to_dict("records")]  # fmt: skip
    return (
        f"PSNR lost from trained to unseen noise against each index, {len(frames['compare'])} "
        f"models. Spearman's rank correlations: {listed(each, 8)}."
    )
