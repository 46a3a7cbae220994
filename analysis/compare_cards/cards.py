"""Reading cards: those of `analysis.card`, and records of Every Eval Ever by other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.card import schema
from analysis.card.command import IMAGES
from analysis.card.folder import CONTENTS, RESULT, digest, listed
from analysis.card.images import read as read_images
from mtd.metrics import METRICS
from mtd.metrics.registry import remember
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput

PROTOCOL = "protocol."
"""How the names of a protocol's values begin in a card."""

LONG = 16
"""Digits from which on a text is no number of images."""

DIGITS = 4
"""Decimals of metrics that are not known here."""


@dataclass(frozen=True)
class Score:
    """One number of a card.

    Attributes:
        metric: its identity, such as `psnr`.
        of: what it is of, such as `out_of_distribution` or `noise:isp`.
        label: of the metric.
        unit: of the metric.
        lower_is_better: as the card says.
        value: the number.
        low: of its 95% interval; NaN without one.
        high: likewise.
        noise: of a single noise, or the worst one; empty else.
        photographs: that it rests on; 0 if the card does not say.
        images: of a single noise, how many; 0 if the card does not say.
        testset: of a single one; empty else.
    """

    metric: str
    of: str
    label: str
    unit: str
    lower_is_better: bool
    value: float
    low: float
    high: float
    noise: str
    photographs: int
    images: int = 0
    testset: str = ""

    @property
    def digits(self) -> int:
        """Decimals in tables."""
        return METRICS[self.metric].digits if self.metric in METRICS else DIGITS


@dataclass(frozen=True)
class Card:
    """A card.

    Attributes:
        name: of its model, unique among cards that are compared.
        path: of its record.
        suite: name.
        version: of the suite; empty if it is not stated.
        protocol: by name, as far as it is stated.
        images: digest of the images; empty if it is not stated.
        trained: the noises that the model was trained on; None if that is unknown.
        scores: by metric and what they are of.
        values: of single images; None without them.
        parameters: by metric, what decides its values beside the protocol, such as its version.
    """

    name: str
    path: Path
    suite: str
    version: str
    protocol: Mapping[str, str]
    images: str
    trained: tuple[str, ...] | None
    scores: Mapping[tuple[str, str], Score]
    values: pd.DataFrame | None
    parameters: Mapping[str, Mapping[str, Any]]


def read_all(places: Sequence[str | Path]) -> list[Card]:
    """The cards of some folders or files, each under a name of its own.

    Args:
        places: folders of cards, folders that hold such folders, or records of Every Eval Ever.

    Raises:
        BadInput: no card, or one that is not valid or was changed.
    """
    paths = [path for place in places for path in records_in(Path(place))]
    if twice := next((p for i, p in enumerate(paths) if p in paths[:i]), None):
        raise BadInput(f"{twice}: given twice")
    cards = [read(path) for path in paths]
    names = [card.name for card in cards]
    named = [
        replace(card, name=f"{card.name} ({card.path.parent})")
        if names.count(card.name) > 1
        else card
        for card in cards
    ]
    if len(cards) < 2:
        raise BadInput(f"{paths[0].parent}: one card; give two or more, or a folder of several")
    return named


def records_in(place: Path) -> list[Path]:
    """The records that a file or folder stands for.

    Raises:
        BadInput: none.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise BadInput(f"{place}: no such card; expected a folder with {RESULT}")
    if (place / RESULT).is_file():
        return [place / RESULT]
    inside = sorted(path for path in place.glob(f"*/{RESULT}") if path.is_file())
    if not inside:
        raise BadInput(f"{place}: no {RESULT} in it; `mtd card RUN --output-dir {place}` makes one")
    return inside


def read(path: Path) -> Card:
    """A card from its record.

    Raises:
        BadInput: not valid, or changed since it was made.
    """
    content = input_files.content(path, limits.JSON)
    record = input_files.parsed_json(input_files.decoded(content, path), path)
    schema.check(record, path)
    if (path.parent / CONTENTS).is_file():
        check_digest(path, content, listed(path.parent).get(path.name))
    try:
        return _card(path, record)
    except (OverflowError, RecursionError):
        raise BadInput(f"{path}: a number in it is too large") from None


def _card(path: Path, record: Mapping[str, Any]) -> Card:
    """A card from a valid record."""
    details = record["source_metadata"].get("additional_details", {})
    about = record["model_info"].get("additional_details", {})
    protocol = {
        name.removeprefix(PROTOCOL): value
        for name, value in details.items()
        if name.startswith(PROTOCOL)
    }
    configs = [result["metric_config"] for result in record["evaluation_results"]]
    parameters = {
        one["metric_id"]: one["metric_parameters"]
        for one in configs
        if one.get("metric_id") and one.get("metric_parameters")
    }
    remember(parameters)  # so that metrics of packages that are not installed here can be paired
    return Card(
        record["model_info"]["name"],
        path,
        details.get("suite") or record["evaluation_id"].partition("/")[0],
        details.get("suite_version", ""),
        protocol,
        details.get("images_sha256", ""),
        trained_on(about.get("trained_on")),
        {(one.metric, one.of): one for one in map(score, record["evaluation_results"])},
        values(path, details),
        {
            metric: {name: value for name, value in about.items() if name not in protocol}
            for metric, about in parameters.items()
        },
    )


def check_digest(path: Path, content: bytes, stated: object) -> None:
    """Check that a file is as its card says.

    Raises:
        BadInput: it was changed.
    """
    if stated is not None and digest(content) != stated:
        raise BadInput(f"{path}: was changed since the card was made; make it again by `mtd card`")


def trained_on(text: str | None) -> tuple[str, ...] | None:
    """The noises of the entry `trained_on`.

    >>> trained_on('["gaussian:15"]'), trained_on(None), trained_on("DIV2K")
    (('gaussian:15',), None, None)
    """
    try:
        found = input_files.parsed_json(text or "null", "trained_on")
    except BadInput:
        return None
    return tuple(map(str, found)) if isinstance(found, list) else None


def score(result: Mapping[str, Any]) -> Score:
    """One entry of a record."""
    metric, details = result["metric_config"], result["score_details"]
    own = metric.get("metric_id") or metric.get("metric_name") or result["evaluation_name"]
    identity = result.get("evaluation_result_id") or f"{own}/{result['evaluation_name']}"
    of = identity.partition("/")[2] or identity
    more = details.get("details", {})
    interval = details.get("uncertainty", {}).get("confidence_interval", {})
    if interval.get("confidence_level", 0.95) != 0.95:
        interval = {}
    given = [str(more.get(name, "")) for name in ("photographs", "images")]
    photographs, images = (int(n) if n.isdecimal() and len(n) < LONG else 0 for n in given)
    return Score(
        own,
        of,
        metric.get("metric_name") or own,
        metric.get("metric_unit", ""),
        metric["lower_is_better"],
        float(details["score"]),
        float(interval.get("lower", "nan")),
        float(interval.get("upper", "nan")),
        more.get("noise", ""),
        photographs,
        images,
        more.get("testset", ""),
    )


def values(path: Path, details: Mapping[str, str]) -> pd.DataFrame | None:
    """The values of single images beside a record; None without them.

    Raises:
        BadInput: they are not those of the card.
    """
    place = path.parent / Path(details.get("per_image.file", IMAGES)).name
    if not place.is_file():
        return None
    check_digest(
        place, input_files.content(place, limits.JSON_LINES), details.get("per_image.sha256")
    )
    return read_images(place)
