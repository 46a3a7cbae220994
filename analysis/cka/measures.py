"""Measures of similarity: what each is called, what it compares, and what does not change it.

The one place where this is declared; settings, tables, figures and sentences read it. How each is
computed is in `analysis.cka.hsic`, `analysis.cka.other_measures` (whole images) and
`analysis.cka.feature_measures` (positions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Change = Literal["translation", "scaling", "permutation", "orthogonal", "linear"]

CHANGES: dict[str, str] = {
    "translation": "shift",
    "scaling": "positive scaling",
    "permutation": "permutation",
    "orthogonal": "orthogonal map",
    "linear": "invertible linear map",
}
"""Changes of all samples of one side, with their names in sentences."""

ROTATIONS: tuple[Change, ...] = ("translation", "scaling", "permutation", "orthogonal")


@dataclass(frozen=True)
class Measure:
    """What is known of a measure of similarity.

    Attributes:
        label: for axes, tables and sentences.
        unit: what its samples are: the channels at one `position`, or a whole `image`; for CKA,
            which takes both, the one that is chosen unless a setting says otherwise.
        invariant_to: changes of either side's features alone that do not change the value:
            `translation` by a constant vector, `scaling` of all features by one factor above 0,
            `permutation` of the features, `orthogonal` and invertible `linear` maps.
        symmetric: whether exchanging the sides does not change the value.
        higher_is_more_similar: whether larger values mean more similar features.
        sides: what distinguishes the first side from the second, if not symmetric, as a clause.
        null: whether cells have the value of different photographs beside them.
    """

    label: str
    unit: Literal["position", "image"]
    invariant_to: tuple[Change, ...]
    symmetric: bool = True
    higher_is_more_similar: bool = True
    sides: str = ""
    null: bool = False


MEASURES: dict[str, Measure] = {
    "cka": Measure("CKA", "position", ROTATIONS),
    "procrustes": Measure("Procrustes similarity", "image", ROTATIONS),
    "rsa": Measure("RSA, Spearman's ρ", "image", ROTATIONS),
    "knn": Measure("shared nearest neighbors", "image", ROTATIONS),
    "cosine": Measure("mean cosine", "position", ("scaling",), null=True),
    "cca": Measure("mean squared CCA", "position", (*ROTATIONS, "linear"), null=True),
    "svcca": Measure("SVCCA", "position", ROTATIONS, null=True),
    "pwcca": Measure(
        "PWCCA",
        "position",
        ("translation", "scaling", "permutation"),
        symmetric=False,
        sides="the weights are those of the first side, the rows of its matrices",
        null=True,
    ),
    "soft_matching": Measure(
        "soft matching", "position", ("translation", "scaling", "permutation"), null=True
    ),
}
"""The measures by the name of their setting, of their column and of their table."""


def direction(name: str) -> int:
    """1 where larger values mean more similar features, else −1."""
    return 1 if MEASURES[name].higher_is_more_similar else -1


def described(name: str) -> str:
    """One sentence on what the values of a measure mean, for those who read them.

    >>> described("cosine")
    'A higher mean cosine means more similar features; a positive scaling of one side does not \
change it, and it is the same with the sides exchanged.'
    """
    of = MEASURES[name]
    *others, last = [CHANGES[change] for change in of.invariant_to]
    changes = f"{', '.join(others)} or {last}" if others else last
    more = "A higher" if of.higher_is_more_similar else "A lower"
    sides = (
        "it is the same with the sides exchanged"
        if of.symmetric
        else f"it depends on the order of the sides: {of.sides}"
    )
    return (
        f"{more} {of.label} means more similar features; a {changes} of one side does not change "
        f"it, and {sides}."
    )
