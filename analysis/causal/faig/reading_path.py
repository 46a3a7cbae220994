"""What the path between the two networks says, and whether attributions sum up, as sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.text.markdown import bounded, code, listed, number
from analysis.text.noise_names import noise_phrase
from analysis.text.rows import records
from analysis.text.terminal import plural

DETOUR = 1.2
"""The error on the path is said to rise where it is so many times that of the worse end."""

Frames = Mapping[str, pd.DataFrame]
Manifest = Mapping[str, Any]


def detour(frames: Frames) -> list[str]:
    """Where the error on the path is far above both ends, and what that means."""
    rows = frames["faig_errors"]
    most = rows[["mse_baseline", "mse_twin"]].max(axis=1)
    high = rows[rows.highest > DETOUR * most]
    if high.empty:
        return []
    each = [
        f"{number(row['highest'], 1)} under {noise_phrase(row['noise'])} (ends: "
        f"{number(row['mse_baseline'], 1)} and {number(row['mse_twin'], 1)})"
        for row in records(high)
    ]
    ends = high[["mse_baseline", "mse_twin"]]
    mostly = bool(((high.highest - ends.max(axis=1)) > high.difference.abs()).any())
    return [
        f"On the path between the weights the error rises above both ends, to {listed(each)}, as "
        "is usual for networks that were trained separately. Attributions are then "
        f"{'mostly' if mostly else 'partly'} due to this rise and the fall after it. They rank "
        "filters by what they do on the path, which need not be what makes one network better than "
        "the other."
    ]


def as_used(frames: Frames, manifest: Manifest) -> list[str]:
    """By how much the twin's masks change the error of the baseline's weights."""
    if manifest.get("masked_alike", True):
        return []
    a, b = map(code, manifest["pair"])
    each = [
        f"{number(row['mse_as_used'], 1)} and {number(row['mse_baseline'], 1)} under "
        f"{noise_phrase(row['noise'])}"
        for row in records(frames["faig_errors"])
    ]
    return [
        f"The whole path is run in {b}, with its attention masks. Errors of {a} as it is used, and "
        f"of its weights with these masks: {listed(each)}. What the masks change is not attributed "
        "to filters; --attention-mask off leaves them out."
    ]


def complete(frames: Frames, manifest: Manifest) -> list[str]:
    """What signed attributions sum to, beside the difference of the errors."""
    each, frame = [], frames["faig_errors"]
    frame = frame[frame.rest.notna()]
    if frame.empty:
        return []
    for row in records(frame):
        total = row["filters"] + row["others"]
        each.append(
            f"{number(total, 1, True)} under {noise_phrase(row['noise'])} (filters "
            f"{number(row['filters'], 1, True)}, other parameters "
            f"{number(row['others'], 1, True)}), where L(θ̄) − L(θ) is "
            f"{bounded(row['difference'], row['low'], row['high'], 1, signed=True)}"
        )
    share = (frame.absolute_others / (frame.absolute + frame.absolute_others)).max()
    return [
        f"Signed attributions from {plural(manifest['steps'], 'step')} sum to {listed(each)}; "
        f"the numerical error of these sums is at most {number(float(frame.rest.abs().max()), 2)} "
        f"squared 8-bit levels. Up to {share:.0%} of the absolute attributions belong to "
        "parameters that are not the plain weight of a convolution or linear layer, such as "
        "biases, normalizations, position bias tables, and weights computed from others."
    ]
