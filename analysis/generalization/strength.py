"""How the difference of two models changes from weak to strong noise of the same kind.

Under strong noise it counts more what a model lets through, under weak noise what it loses: which
of two models is better may depend on the level alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from analysis.generalization.pairwise_tests import paired_differences
from analysis.text.markdown import code, number
from analysis.text.noise_names import NOISY

Frames = Mapping[str, pd.DataFrame]


class Change(NamedTuple):
    """The change of a difference from the weakest to the strongest level of one kind of noise.

    Attributes:
        kind: of the noise.
        weak, strong: noises, the one whose noisy input has the highest PSNR, and the lowest.
        value: PSNR of model a - model b under the strong noise minus that under the weak one; dB.
    """

    kind: str
    weak: str
    strong: str
    value: float


def changes(frames: Frames, a: str, b: str) -> list[Change]:
    """The change of the difference of two models for each kind with several levels.

    Args:
        frames: tables of a benchmark.
        a, b: two of its networks.
    """
    tests = paired_differences(frames["tests"], "psnr", a, b)
    differences = {noise: test.value for noise, test in tests.items()}
    noises = frames["noises"]
    noisy = noises[(noises.metric == "psnr") & (noises.model == NOISY)]
    found = []
    for kind, rows in noisy[noisy.level.notna()].groupby("kind", sort=False):
        means = rows.set_index("noise")["mean"].sort_values(kind="stable")
        known = [str(n) for n in means.index if math.isfinite(differences.get(str(n), math.nan))]
        if len(known) > 1 and means[known[0]] < means[known[-1]]:
            strong, weak = known[0], known[-1]
            change = differences[strong] - differences[weak]
            found.append(Change(str(kind), weak, strong, change))
    return found


def towards(frames: Frames, a: str, b: str) -> str:
    """The model that the difference moves towards, if it is the same for all of several kinds."""
    found = changes(frames, a, b)
    signs = {(change.value > 0) - (change.value < 0) for change in found}
    return {1: a, -1: b}.get(signs.pop(), "") if len(found) > 1 and len(signs) == 1 else ""


def sentence(frames: Frames, a: str, b: str) -> str:
    """Towards which of two models their difference moves as noise gets stronger.

    Empty unless there are several kinds with levels, and it is the same model for all of them.
    """
    found = changes(frames, a, b)
    model = towards(frames, a, b)
    if not model:
        return ""
    least, most = (number(end(abs(c.value) for c in found), 1) for end in (min, max))
    span = least if least == most else f"{least} to {most}"
    kinds = "both kinds" if len(found) == 2 else f"all {len(found)} kinds"
    return (
        f"From the weakest to the strongest level of {kinds} of noise with several levels, the "
        f"difference in PSNR moves towards {code(model)} (by {span} dB; "
        "differences of means, without intervals)."
    )
