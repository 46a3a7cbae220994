"""Paired differences between cards that hold the values of the same images."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.card.images import KEYS
from analysis.commands.trainings import TRAINING
from analysis.compare_cards.cards import Card
from analysis.generalization import pairwise_tests
from analysis.generalization.conditions import table
from mtd.metrics import METRICS

COLUMNS = (
    *("metric", "noise", "model_a", "model_b", "difference", "low", "high", "p_holm"),
    *("photographs", "verdict"),
)


def differences(cards: Sequence[Card]) -> pd.DataFrame:
    """Every two cards of the same images: model a minus model b, by noise and over unseen noises.

    Intervals are over photographs, p-values corrected by Holm and verdicts as in a benchmark; see
    `analysis.generalization.pairwise_tests`.
    """
    rows: list[dict[str, object]] = []
    for group in of_same_images(cards):
        joined = results(group)
        trained = {
            card.name: None if card.trained is None else list(card.trained) for card in group
        }
        for metric in joined.metric.unique():
            tests = pairwise_tests.paired(table(joined, str(metric), trained))
            rows += judged(tests, str(metric))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def judged(tests: pd.DataFrame, metric: str) -> list[dict[str, object]]:
    """The rows of tests, with the verdict of each."""
    rows = []
    for row in tests.to_dict("records"):
        a, b, noise = str(row["model_a"]), str(row["model_b"]), str(row["noise"])
        of = pairwise_tests.paired_differences(tests, metric, a, b)[noise]
        given = {str(name): value for name, value in row.items()}
        rows.append({**given, "verdict": of.verdict})
    return rows


def of_same_images(cards: Sequence[Card]) -> list[list[Card]]:
    """The cards with the values of the same images under the same noises, two or more of each."""
    groups: dict[frozenset[tuple[object, ...]], list[Card]] = {}
    for card in cards:
        if card.values is not None:
            known = card.values[card.values.metric.isin(list(METRICS))]
            keys = frozenset(known[KEYS].itertuples(index=False, name=None))
            groups.setdefault(keys, []).append(card)
    return [group for group in groups.values() if len(group) > 1]


def results(cards: Sequence[Card]) -> pd.DataFrame:
    """The values of cards as the long table of a benchmark."""
    frames = []
    several = any(card.values is not None and card.values[TRAINING].any() for card in cards)
    for card in cards:
        assert card.values is not None
        known = card.values.metric.isin(list(METRICS))
        frame = card.values[known].assign(model=card.name)
        own = (card.name + " " + frame[TRAINING]).str.strip()
        frames.append(frame.assign(**{TRAINING: own}) if several else frame.drop(columns=TRAINING))
    return pd.concat(frames, ignore_index=True)
