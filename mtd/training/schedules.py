"""Learning-rate schedules: warm-up, then milestones or a cosine."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["steps", "cosine"]


def factor(
    step: int,
    steps: int,
    schedule: Schedule,
    *,
    warmup: int = 0,
    milestones: tuple[int, ...] = (),
    gamma: float = 0.5,
    final: float = 0.0,
) -> float:
    """What the peak learning rate is multiplied by at a step.

    During warm-up, at t < W, it is (t + 1) / W. After that, with `steps`, it is gamma to the power
    of the number of milestones that are at most t; with `cosine`, for a run of T steps,

        final + (1 − final) · (1 + cos(π (t − W) / (T − 1 − W))) / 2,

    which is 1 at t = W and `final` at the last step, t = T − 1.

    Args:
        step: t, from 0.
        steps: T, the length of the run.
        schedule: `steps` or `cosine`.
        warmup: W, the number of steps of linear warm-up.
        milestones: of `steps`, counted from the beginning of the run.
        gamma: of `steps`.
        final: of `cosine`: the last learning rate divided by the peak.

    Reference: Loshchilov & Hutter, *SGDR*, ICLR 2017, without restarts; warm-up as in Goyal et al.,
    *Accurate, Large Minibatch SGD*, 2017.

    >>> [round(factor(t, 9, "cosine", warmup=4), 3) for t in range(9)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.854, 0.5, 0.146, 0.0]
    >>> [factor(t, 9, "steps", milestones=(3, 6)) for t in (0, 2, 3, 6)]
    [1.0, 1.0, 0.5, 0.25]
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "steps":
        return float(gamma ** sum(step >= milestone for milestone in milestones))
    share = (step - warmup) / max(1, steps - 1 - warmup)
    return final + (1 - final) * (1 + math.cos(math.pi * share)) / 2
