"""Cards that are damaged: one line, whatever is in them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from analysis.card import images
from analysis.compare_cards import cards
from mtd.utils.errors import BadInput
from tests.analysis.compare_cards.test_compare_cards import FOREIGN

LINE: dict[str, Any] = dict.fromkeys(images.COLUMNS, "x") | {"level": 15, "value": 30.5}


@pytest.mark.parametrize(
    "text, message",
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("9" * 5000, "a number with too many digits"),
        ("[1]", "not valid by Every Eval Ever"),
        (json.dumps(FOREIGN | {"evaluation_results": 5}), "not valid by Every Eval Ever"),
        ("{", "expected JSON"),
        ("\ud800", "not UTF-8"),
        ("", "expected JSON"),
    ],
)
def test_records_end_in_one_line(tmp_path, text, message):
    path = tmp_path / "result.json"
    path.write_text(text, errors="surrogatepass")
    with pytest.raises(BadInput, match=message) as error:
        cards.read(path)
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 1000


def test_scores_beyond_all_numbers(tmp_path):
    record = json.loads(json.dumps(FOREIGN))
    record["evaluation_results"][0]["score_details"]["score"] = 10**400
    (tmp_path / "result.json").write_text(json.dumps(record))
    with pytest.raises(BadInput, match="a number in it is too large"):
        cards.read(tmp_path / "result.json")


@pytest.mark.parametrize(
    "line, message",
    [
        ("[" * 100_000, "nested too deeply"),
        ("[]", "noise"),
        ("5", "not iterable"),
        (json.dumps(LINE | {"value": [1]}), "value is no number or text"),
        (json.dumps(LINE | {"top": 10**40}), "top is above"),
        (json.dumps(LINE | {"value": "9" * 40_000 + "x"}), "could not convert string to float"),
        (f'{{"value": {"9" * 5000}}}', "too many digits"),
    ],
)
def test_values_of_images_end_in_one_line(tmp_path, line, message):
    path = tmp_path / "images.jsonl"
    path.write_text(f"{json.dumps(LINE)}\n{line}\n")
    with pytest.raises(BadInput, match=message) as error:
        images.read(path)
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 1000


def test_only_known_columns_of_images_are_kept(tmp_path):
    path = tmp_path / "images.jsonl"
    more = {f"c{number}": 1 for number in range(1000)}
    path.write_text("".join(f"{json.dumps(LINE | more)}\n" for _ in range(3)))
    assert len(images.read(path).columns) == len(images.COLUMNS) + 1
    path.write_text(json.dumps(LINE | {"value": None}))
    assert math.isnan(images.read(path).value[0])
