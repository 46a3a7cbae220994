"""A comparison of cards: its tables, and what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.card.scores import AGGREGATES, GAP, IN, NOISE, OUT, WORST
from analysis.compare_cards.cards import Card, Score
from analysis.generalization.metrics import facts
from analysis.generalization.pairwise_tests import ALL, OUTSIDE
from analysis.generalization.summary import WIDTH, directed
from analysis.text.markdown import bounded
from analysis.text.noise_names import noise_label, noise_words
from analysis.text.terminal import filled, grid
from analysis.text.verdicts import in_words

SHOWN = {IN: "in", OUT: "out, mean", WORST: "out, worst", GAP: "gap", "mean": "all, mean"}
"""Columns of the table of scores: names of `AGGREGATES` with their headings."""


@dataclass(frozen=True)
class Comparison:
    """Cards beside one another.

    Attributes:
        cards: in the order in which they were given.
        differences: see `analysis.compare_cards.paired.differences`.
        warnings: what makes the comparison weaker.
    """

    cards: list[Card]
    differences: pd.DataFrame
    warnings: list[str]

    @property
    def scores(self) -> pd.DataFrame:
        """A row for each card, metric and score."""
        rows = [
            {
                "model": card.name,
                "metric": one.metric,
                "of": one.of,
                "value": one.value,
                "low": one.low,
                "high": one.high,
                "noise": one.noise,
                "testset": one.testset,
                "photographs": one.photographs,
            }
            for card in self.cards
            for one in card.scores.values()
        ]
        return pd.DataFrame(rows)

    def text(self) -> str:
        """The tables of every metric, and the sentences, as the terminal shows them."""
        metrics = dict.fromkeys(metric for card in self.cards for metric, _ in card.scores)
        parts = [part for metric in metrics for part in self.of_metric(metric)]
        lines = [filled(text, WIDTH) for text in self.sentences()]
        return "\n\n".join([*parts, *(["\n".join(lines)] if lines else [])])

    def of_metric(self, metric: str) -> list[str]:
        """Scores, means by noise and by test set, and paired differences of one metric."""
        own = [one for card in self.cards for one in card.scores.values() if one.metric == metric]
        names = list(dict.fromkeys(one.of for one in own))
        example = next((one for one in own if one.of != GAP), own[0])  # a gap has its own direction
        columns = [of for of in SHOWN if of in names]
        sets = self.by_testset(metric)
        others = [o.of for o in own if o.of not in AGGREGATES and not o.testset]
        others = list(dict.fromkeys(others))
        label = f"{example.label} ({example.unit})" if example.unit else example.label
        better = f"{label}, {'lower' if example.lower_is_better else 'higher'} is better"
        head = [better, *(SHOWN[of] for of in columns)]
        rows = [
            [card.name, *(cell(card.scores.get((metric, of)), of == WORST) for of in columns)]
            for card in self.cards
        ]
        by_noise = [
            [
                noise_label(of.removeprefix(NOISE)),
                *(cell(c.scores.get((metric, of))) for c in self.cards),
            ]
            for of in others
        ]
        models = [card.name for card in self.cards]
        by_set = [
            [one, *(cell(c.scores.get((metric, of))) for c in self.cards)]
            for of, one in sets.items()
        ]
        return [
            *([grid([head, *rows])] if columns else []),
            *([grid([[f"{better}, by noise", *models], *by_noise])] if others else []),
            *([grid([[f"{better}, by test set", *models], *by_set])] if sets else []),
            *self.paired(metric),
        ]

    def by_testset(self, metric: str) -> dict[str, str]:
        """The means on a test set that two cards or more have, and what tables call them.

        Those that are the mean under the noise in every card are left out.
        """
        found: dict[str, list[tuple[Card, Score]]] = {}
        for card in self.cards:
            for one in card.scores.values():
                if one.metric == metric and one.testset:
                    found.setdefault(one.of, []).append((card, one))
        return {
            of: f"{each[0][1].testset}, {noise_words(each[0][1].noise)}"
            for of, each in found.items()
            if len(each) > 1 and not all(is_whole(card, one) for card, one in each)
        }

    def paired(self, metric: str) -> list[str]:
        """The paired differences of one metric; none if there are no cards of the same images."""
        part = self.differences[self.differences.metric == metric]
        if part.empty:
            return []
        digits, pairs = facts(metric).digits, part.drop_duplicates(["model_a", "model_b"])
        grids = []
        for a, b in zip(pairs.model_a, pairs.model_b, strict=True):
            rows = part[(part.model_a == a) & (part.model_b == b)].to_dict("records")
            lines = [
                [
                    ", ".join(filter(None, (row["testset"], noise_words(row["noise"])))),
                    bounded(row["difference"], row["low"], row["high"], digits, signed=True),
                    str(row["verdict"]),
                ]
                for row in rows
            ]
            grids.append(grid([[f"{a} - {b}, image by image", directed(metric), ""], *lines]))
        return grids

    def sentences(self) -> list[str]:
        """The paired differences over all unseen noises, or all, with their verdicts."""
        part = self.differences
        joint = part[part.noise.isin([OUTSIDE, ALL])]
        return [sentence(row) for row in joint.to_dict("records")]


def sentence(row: Mapping[Any, Any]) -> str:
    """A paired difference over several noises."""
    about = facts(str(row["metric"]))
    value, low, high = (float(row[name]) for name in ("difference", "low", "high"))
    noises = "all unseen noises" if row["noise"] == OUTSIDE else "all noises"
    noises += f" on {row['testset']}" if row["testset"] else ""
    pair = f"{row['model_a']} minus {row['model_b']}"
    number = bounded(value, low, high, about.digits, about.unit, signed=True)
    return (
        f"{pair} over {noises}, image by image, in {directed(about.name)}: {number}: "
        f"{in_words(row['verdict'])}."
    )


def is_whole(card: Card, one: Score) -> bool:
    """Whether a mean on a test set is over all images that the card has under that noise."""
    whole = card.scores.get((one.metric, f"{NOISE}{one.noise}"))
    return whole is not None and whole.images == one.images


def cell(score: Score | None, names_noise: bool = False) -> str:
    """A score in a table."""
    if score is None or math.isnan(score.value):
        return "-"
    text = bounded(score.value, score.low, score.high, score.digits)
    return f"{text} {noise_words(score.noise)}" if names_noise and score.noise else text


def of(cards: Sequence[Card]) -> Comparison:
    """The comparison of cards.

    Raises:
        BadInput: cards of different suites, versions or protocols.
    """
    from analysis.compare_cards import agreement, paired

    agreement.check(cards)
    return Comparison(list(cards), paired.differences(cards), agreement.warnings(cards))
