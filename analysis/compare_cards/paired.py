"""Paired differences between cards that hold the values of the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.card.images import KEYS
from analysis.commands.trainings import TRAINING
from analysis.compare_cards.cards import Card
from analysis.generalization import pairwise_tests
from analysis.generalization.conditions import table
from analysis.stats.paired_tests import holm
from mtd.metrics import METRICS

COLUMNS = (
    *("metric", "testset", "noise", "model_a", "model_b", "difference", "low", "high", "p_holm"),
    *("photographs", "verdict"),
)


def differences(cards: Sequence[Card]) -> pd.DataFrame:
    """Every two cards of the same images: model a minus model b, by noise and over unseen noises.

    Then the same by test set, where a noise has images beside a set's; `testset` is empty else.

    Intervals are over photographs, p-values corrected by Holm and verdicts as in a benchmark; see
    `analysis.generalization.pairwise_tests`.
    """
    rows: list[dict[str, object]] = []
    values = [card.values for card in cards if card.values is not None]
    metrics = [str(m) for m in dict.fromkeys(m for own in values for m in own.metric)]
    known = [metric for metric in metrics if metric in METRICS]
    for metric in known:
        for group in of_same_images(cards, metric):
            tests = pairwise_tests.paired(table(results(group), metric, trained_on(group)))
            rows += judged(tests, metric)
    for metric in known:
        for group in of_same_images(cards, metric, [*KEYS, "testset"]):
            rows += by_testset(results(group), metric, trained_on(group))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def trained_on(cards: Sequence[Card]) -> dict[str, list[str] | None]:
    """By card, the noises that its model was trained on; None where that is unknown."""
    return {card.name: None if card.trained is None else list(card.trained) for card in cards}


def by_testset(
    joined: pd.DataFrame, metric: str, trained: Mapping[str, list[str] | None]
) -> list[dict[str, object]]:
    """The rows of tests on the test sets, whose p-values are corrected for all of them together."""
    own = joined[joined.metric == metric]
    sizes = own.groupby("noise").sha256.transform("size")
    parts = own[own.groupby(["noise", "testset"]).sha256.transform("size") < sizes]
    tests: list[pd.DataFrame] = []
    labels: dict[str, tuple[str, str]] = {}
    for name in [one for one in dict.fromkeys(parts.testset) if one]:
        one = pairwise_tests.paired(table(parts[parts.testset == name], metric, trained))
        label = [f"{name}/{noise}" for noise in one.noise]  # the key of a test among all
        labels |= {key: (name, noise) for key, noise in zip(label, one.noise, strict=True)}
        tests.append(one.assign(noise=label))
    if not tests:
        return []
    every = pd.concat(tests, ignore_index=True)
    rows = judged(every.assign(p_holm=holm(list(every.p))), metric)
    for row in rows:
        row["testset"], row["noise"] = labels[str(row["noise"])]
    return rows


def judged(tests: pd.DataFrame, metric: str) -> list[dict[str, object]]:
    """The rows of tests, with the verdict of each."""
    rows = []
    for row in tests.to_dict("records"):
        a, b, noise = str(row["model_a"]), str(row["model_b"]), str(row["noise"])
        of = pairwise_tests.paired_differences(tests, metric, a, b)[noise]
        given = {str(name): value for name, value in row.items()}
        rows.append({"testset": "", **given, "verdict": of.verdict})
    return rows


def of_same_images(
    cards: Sequence[Card], metric: str, columns: Sequence[str] = tuple(KEYS)
) -> list[list[Card]]:
    """The cards with values of a metric of the same images and noises, two or more of each."""
    groups: dict[frozenset[tuple[object, ...]], list[Card]] = {}
    for card in cards:
        if card.values is not None:
            own = card.values[card.values.metric == metric]
            keys = frozenset(own[list(columns)].itertuples(index=False, name=None))
            groups.setdefault(keys, []).append(card)
    groups.pop(frozenset(), None)  # of cards without the metric
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
