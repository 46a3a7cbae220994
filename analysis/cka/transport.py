"""The best transport between two sets of features of equal weights, for soft matching."""

from __future__ import annotations

import math

import numpy as np

COPIES = 1024
"""Most copies of features with which soft matching is an assignment; beyond it, a linear program.
"""


def transport(gain: np.ndarray) -> float:
    """The largest Σ Tᵢⱼ gainᵢⱼ over T ≥ 0 with row sums 1/p and column sums 1/q.

    With m = lcm(p, q), each row copied m/p times and each column m/q times, it is an assignment,
    since the extreme points of doubly stochastic matrices are permutations (Birkhoff); with more
    than `COPIES` copies, it is solved as a linear program.

    Args:
        gain: (p, q).

    >>> transport(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]))
    0.8333333333333334
    """
    p, q = gain.shape
    if not is_assignment(p, q):
        return _by_linear_program(gain)
    from scipy.optimize import linear_sum_assignment

    copies = math.lcm(p, q)
    large = gain.repeat(copies // p, axis=0).repeat(copies // q, axis=1)
    rows, columns = linear_sum_assignment(large, maximize=True)
    return float(large[rows, columns].mean())


def is_assignment(p: int, q: int) -> bool:
    """Whether soft matching of p and q features is an assignment of not too many copies."""
    return p == q or math.lcm(p, q) <= COPIES


def _by_linear_program(gain: np.ndarray) -> float:
    from scipy import sparse
    from scipy.optimize import linprog

    p, q = gain.shape
    rows = sparse.kron(sparse.eye_array(p), np.ones((1, q)))
    columns = sparse.kron(np.ones((1, p)), sparse.eye_array(q))
    sums = np.concatenate([np.full(p, 1 / p), np.full(q, 1 / q)])
    equal = sparse.vstack([rows, columns]).tocsr()
    solved = linprog(-gain.ravel(), A_eq=equal, b_eq=sums, method="highs")
    assert solved.success, solved.message  # it always has a solution
    return -float(solved.fun)
