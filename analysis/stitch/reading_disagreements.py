"""Where the cost of a stitch and CKA of its layers disagree, as sentences."""

from __future__ import annotations

import pandas as pd

from analysis.plotting.model_styles import short
from analysis.stats.jackknife import ENOUGH
from analysis.text import verdicts
from analysis.text.markdown import bounded, code, listed, number
from analysis.text.noise_names import noise_phrase
from analysis.text.rows import Row, records
from mtd.utils.messages import plural

SIMILAR, MATTERS = 0.9, 0.5
"""CKA and cost in dB from which on similar layers disagree with what their stitch costs."""

DISSIMILAR, HARMLESS = 0.5, 0.1
"""CKA below which layers are dissimilar, and size of a cost in dB that hardly changes the output:
where both hold, CKA and cost disagree."""

MOST = 4
"""Pairs or layers that a sentence names."""


def pair_of(row: Row) -> str:
    """The sender and receiver of a row, in words."""
    if row["kind"] == "noises":
        noises = f"{noise_phrase(row['noise_sender'])} into {noise_phrase(row['noise_receiver'])}"
        return f"{code(row['receiver'])}, {noises}"
    models = f"{code(row['sender'])} into {code(row['receiver'])}"
    return f"{models} under {noise_phrase(row['noise_receiver'])}"


def cost_of(row: Row) -> str:
    """A row's cost with its interval."""
    return bounded(row["cost"], row["low"], row["high"], 2, "dB")


def disagreements(frame: pd.DataFrame) -> list[str]:
    """Layers that CKA calls alike and whose stitch costs much, and the reverse."""
    known = frame[frame.cost.notna() & frame.cka.notna()]
    if known.empty:
        return []
    rules = (
        (f"CKA of at least {SIMILAR:g}", f"above {MATTERS:g} dB"),
        (f"CKA below {DISSIMILAR:g}", f"within {HARMLESS:g} dB of 0"),
    )
    enough = known.photographs.min() >= ENOUGH
    found = (
        (similar_but_costly(known), dissimilar_but_harmless(known))
        if enough
        else (
            known[(known.cka >= SIMILAR) & (known.cost > MATTERS)],
            known[(known.cka < DISSIMILAR) & (known.cost.abs() < HARMLESS)],
        )
    )
    text = []
    for (alike, cost), rows in zip(rules, found, strict=True):
        named = layers_of(rows, len(known))
        text.append(
            f"Layers with {alike} and a cost whose 95% interval is {cost} (not corrected for "
            f"{len(known)} stitches): {named}."
            if enough
            else f"Layers with {alike} and a mean cost {cost}: {named}; "
            f"{verdicts.in_words('too few images')}."
        )
    return [*text, *cheap_floors(found[1])]


def similar_but_costly(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows whose layers are similar by CKA, and whose cost is shown to exceed `MATTERS`."""
    shown = (frame.low > MATTERS) & (frame.photographs >= ENOUGH)
    return frame[(frame.cka >= SIMILAR) & shown]


def dissimilar_but_harmless(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows whose layers are dissimilar by CKA, the interval of the cost within ±`HARMLESS`."""
    shown = (frame.high < HARMLESS) & (frame.low > -HARMLESS) & (frame.photographs >= ENOUGH)
    return frame[(frame.cka < DISSIMILAR) & shown]


def cheap_floors(rows: pd.DataFrame) -> list[str]:
    """In how many layers of low cost a map without information about the image costs no more."""
    count = int((rows.floor_cost.abs() < HARMLESS).sum())
    if not count:
        return []
    return [
        f"In {count} of these {len(rows)}, a map fitted to other photographs (floor) also changes "
        f"the PSNR by less than {HARMLESS:g} dB on average: there the receiver hardly needs the "
        "layer's features, and a low cost does not mean that the sender's are similar."
    ]


def layers_of(rows: pd.DataFrame, whole: int) -> str:
    """How many rows there are of all, and the most expensive of them by name."""
    if rows.empty:
        return f"none of {plural(whole, 'stitch', 'es')}"
    top = rows.sort_values("cost", ascending=False, kind="stable").head(MOST)
    named = listed(
        f"{short(row['layer_receiver'])} ({pair_of(row)}; CKA {number(row['cka'], 3)}, cost "
        f"{cost_of(row)})"
        for row in records(top)
    )
    more = f"the {len(top)} with the highest cost: " if len(rows) > len(top) else ""
    return f"{len(rows)} of {plural(whole, 'stitch', 'es')}, {more}{named}"
