"""Several noises in few words: by kind, with the levels that are meant."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from analysis.text.markdown import escaped
from analysis.text.noise_labels import kind_label

SHORT = {"spatial": "spatial", "isp": "camera", "salt_pepper": "salt-and-pepper"}
"""Names of kinds that are shorter than their labels."""


def words(noises: pd.DataFrame, chosen: Sequence[str], most: int | None = None) -> str:
    """Noises as a list, each kind once; a kind stands for all of its levels that were tested.

    Args:
        noises: all that were tested, with the columns `noise`, `kind` and `level`.
        chosen: those that are meant, the most important first.
        most: number of them that are named; an ellipsis stands for the others.

    >>> tested = pd.DataFrame(
    ...     {
    ...         "noise": ["gaussian:15", "gaussian:50", "poisson:2", "poisson:3.5"],
    ...         "kind": ["gaussian", "gaussian", "poisson", "poisson"],
    ...         "level": [15, 50, 2, 3.5],
    ...     }
    ... )
    >>> words(tested, ["poisson:2", "gaussian:50", "poisson:3.5"])
    'Poisson, Gaussian 50'
    >>> words(tested, ["poisson:2", "gaussian:50", "poisson:3.5"], 2)
    'Poisson, …'
    """
    unique = noises.drop_duplicates("noise").set_index("noise")
    parts: dict[str, list[str]] = {}
    for noise in chosen:
        parts.setdefault(str(unique.kind[noise]), []).append(noise)
    texts, left = [], len(chosen) if most is None else most
    for kind, of in parts.items():
        if left <= 0:
            break
        texts.append(group(unique, kind, of, left))
        left -= len(of)
    return ", ".join([*texts, *["…"] * (left < 0 or len(texts) < len(parts))])


def group(noises: pd.DataFrame, kind: str, chosen: Collection[str], most: int) -> str:
    """Noises of one kind: its name, and the levels unless they are all that were tested.

    Args:
        noises: all that were tested, by noise.
        kind: of the chosen ones.
        chosen: at least one.
        most: number of levels that are named.
    """
    name = escaped(SHORT.get(kind, kind_label(kind)))
    tested = noises[noises.kind == kind]
    if set(tested.index) <= set(chosen):
        return name
    meant = tested.loc[list(chosen)]
    levels = [f"{level:g}" for level in meant.level.head(most)]
    if meant.level.isna().any() or tested.level.duplicated().any():
        levels = [escaped(noise.partition(":")[2] or noise) for noise in meant.index[:most]]
    return f"{name} {' and '.join(levels) if len(levels) == 2 else ', '.join(levels)}"
