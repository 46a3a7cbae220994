"""Pairs of views: what each word names, in which order, and what is refused."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, combinations_with_replacement, product

import pytest

from analysis.cka.view_pairs import choose, kind
from analysis.engine.observer import View
from analysis.text.terminal import plural
from mtd.utils.errors import BadInput

MODELS, NOISES = ["m", "n"], ["x", "y", "z"]
VIEWS = [View(*names) for names in product(MODELS, NOISES)]


def texts(*arguments) -> list[str]:
    """Pairs in short: `mx-ny` is model m under x against model n under y."""
    return ["-".join("".join(view) for view in pair) for pair in choose(*arguments)]


@pytest.mark.parametrize(
    "which, expected",
    [
        ("reference", "mx-nx mx-my mx-mz nx-ny nx-nz"),
        ("cross-model", "mx-nx my-ny mz-nz"),
        ("cross-noise", "mx-my mx-mz my-mz nx-ny nx-nz ny-nz"),
        ("self", "mx-mx my-my mz-mz nx-nx ny-ny nz-nz"),
    ],
)
def test_each_word_names_its_pairs_in_order(which, expected):
    assert texts(MODELS, NOISES, which) == expected.split()


def test_all_is_every_two_views_and_each_with_itself():
    found = choose(MODELS, NOISES, "all")
    assert found == list(combinations_with_replacement(VIEWS, 2)) and len(found) == 21
    kinds = Counter(map(kind, found))
    assert kinds == {"self": 6, "cross_noise": 6, "cross_model": 3, "cross_both": 6}


def test_reference_is_the_default_and_takes_every_two_models():
    assert texts("abc", "xy") == ["ax-bx", "ax-cx", "bx-cx", "ax-ay", "bx-by", "cx-cy"]
    assert texts("cba", "yx") == ["cy-by", "cy-ay", "by-ay", "cy-cx", "by-bx", "ay-ax"]


@pytest.mark.parametrize("models", [1, 2, 4])
@pytest.mark.parametrize("noises", [1, 2, 3])
def test_counts_and_no_pair_twice(models, noises):
    names = [f"m{i}" for i in range(models)], [f"n{i}" for i in range(noises)]
    two_models, two_noises = models * (models - 1) // 2, noises * (noises - 1) // 2
    views = models * noises
    expected = {
        "reference": two_models + models * (noises - 1),
        "cross-model": two_models * noises,
        "cross-noise": two_noises * models,
        "self": views,
        "all": views * (views + 1) // 2,
    }
    for which, count in expected.items():
        if count:
            found = choose(*names, which)
            assert len(found) == count == len({frozenset(pair) for pair in found})
            assert all(isinstance(view, View) for pair in found for view in pair)
        else:
            with pytest.raises(BadInput):
                choose(*names, which)


def test_kinds():
    for a, b in combinations(VIEWS, 2):
        differ = [part for part, u, v in zip(("model", "noise"), a, b, strict=True) if u != v]
        expected = "cross_both" if len(differ) == 2 else f"cross_{differ[0]}"
        assert kind((a, b)) == kind((b, a)) == expected
    assert kind((VIEWS[0], VIEWS[0])) == "self"


@pytest.mark.parametrize(
    "models, noises, which",
    [("m", "x", "reference"), ("m", "xy", "cross-model"), ("mn", "x", "cross-noise")],
)
def test_a_word_that_names_no_pair_here(models, noises, which):
    counts = f"{plural(len(models), 'model')} under {plural(len(noises), 'noise')}"
    message = rf"{counts}, --compare {which}: nothing to compare"
    with pytest.raises(BadInput, match=message):
        choose(models, noises, which)


@pytest.mark.parametrize("word", ["cross_model", "cross-both", "everything", ""])
def test_unknown_words_are_refused(word):
    with pytest.raises(BadInput, match=f"compare '{word}'"):
        choose(MODELS, NOISES, word)  # type: ignore[arg-type]
