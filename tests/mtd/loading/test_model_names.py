"""Values of options for all models or for one, which is named before an equals sign."""

from __future__ import annotations

import pytest

from mtd.loading.model_names import numbers_of_equals, prefixed, spellings, values_by_model
from mtd.utils.errors import BadInput

PATHS = ["a.pth", "lr=1/b.pth"]


def values(*texts: str) -> list[str | None]:
    return values_by_model("--options", texts, PATHS, spellings(PATHS, [{}, {}]))


def test_a_prefix_counts_only_if_it_names_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x=1").mkdir()
    (tmp_path / "x=1" / "masks.json").touch()
    assert values("x=1/masks.json") == ["x=1/masks.json"] * 2
    assert values("b=x=1/masks.json") == [None, "x=1/masks.json"]
    assert values("lr=1/b.pth=x=1/masks.json", "a.json") == ["a.json", "x=1/masks.json"]
    with pytest.raises(
        BadInput, match=r"^--options lr=2/b\.pth=y\.json: no such model; did you mean"
    ):
        values("lr=2/b.pth=y.json")
    with pytest.raises(BadInput, match=r"^--options =y\.json: no such model"):
        values("=y.json")


def test_the_longest_name_counts():
    assert prefixed("a=b=c", ["a", "a=b"]) == ("a=b", "c")
    assert prefixed("c=a=b", ["a", "a=b"]) == ("", "c=a=b")


def test_equal_values_are_numbered_in_steps_that_grow_with_their_number():
    compared = 0

    class Value:
        def __hash__(self) -> int:
            return id(self)

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return self is other

    shared = Value()
    values = [shared if i % 2 else Value() for i in range(2000)]
    expected = [(i + 1) // 2 if i % 2 else None for i in range(2000)]
    assert numbers_of_equals(values) == expected and compared < 10 * len(values)
