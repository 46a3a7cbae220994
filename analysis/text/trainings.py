"""A sentence on models that were trained several times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.text.markdown import codes

NAMED = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine"}


def counts(manifest: Mapping[str, Any]) -> dict[str, int]:
    """How many trainings each loaded model of a run has; of snapshots, those of their run."""
    return {
        about.get("snapshot", {}).get("run", name): len(about.get("trainings", (name,)))
        for name, about in manifest.get("models", {}).items()
    }


def units(manifest: Mapping[str, Any]) -> list[str]:
    """What the intervals of a run with several trainings of a model speak of; else nothing.

    >>> units({"models": {"a": {"trainings": {"a (1)": {}, "a (2)": {}}}, "b": {}}})[0]
    '`a` is the mean over two trainings; they are too few for an interval over trainings (at least \
three), so its intervals are over photographs alone.'
    """
    number = counts(manifest)
    if max(number.values(), default=1) == 1:
        return []
    groups: dict[int, list[str]] = {}
    for name, count in number.items():
        groups.setdefault(count, []).append(name)
    return [sentence(count, names) for count, names in sorted(groups.items(), reverse=True)]


def sentence(count: int, names: list[str]) -> str:
    """What the intervals of models with a number of trainings speak of."""
    from analysis.stats.trainings import LEAST  # not at the top: `--help` imports no NumPy

    one = len(names) == 1
    their, is_, each = ("its", "is", "") if one else ("their", "are", " each")
    number = NAMED.get(count, str(count))
    if count == 1:
        what = "a single training" if one else "single trainings"
        return (
            f"{codes(names)} {is_} {what}: {their} intervals are over photographs alone; those of "
            f"differences from {'it' if one else 'them'} include the spread over trainings of the "
            "other model, where it has at least three, but say nothing about other trainings of "
            f"{codes(names)}."
        )
    mean = "the mean" if one else "means"
    text = f"{codes(names)} {is_} {mean} over {number} trainings{each}"
    if count < LEAST:
        return (
            f"{text}; they are too few for an interval over trainings (at least {NAMED[LEAST]}), "
            f"so {their} intervals are over photographs alone."
        )
    return f"{text}; {their} intervals are over photographs and trainings together."
