"""Permutation p-values: against CKA computed anew, uniform without relation, error rates."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group

from analysis.cka import hsic
from analysis.cka.functional import CKA
from analysis.cka.hsic_from_grams import from_grams
from analysis.stats.permutation import PValues, p_values
from mtd.utils import seeds

CENTER = {"unbiased": hsic.u_center, "biased": hsic.center}


def layers(n: int, count: int, strength: float = 0, seed: int = 3) -> list[torch.Tensor]:
    """Representations of n samples that share a dimension, the more so the larger `strength`."""
    rng = np.random.default_rng([n, seed])
    common = strength * rng.normal(size=(n, 1))
    return [torch.from_numpy(common + rng.normal(size=(n, 2 + i % 4))) for i in range(count)]


def tried(batches, asked=None, formula="unbiased", **options) -> PValues:
    grams = [CENTER[formula](torch.stack([hsic.gram(x) for x in sides])) for sides in batches]
    size = len(batches[0])
    asked = torch.ones(size, size, dtype=torch.bool) if asked is None else asked
    parts = [
        from_grams(torch.stack([hsic.gram(x) for x in sides]), formula=formula) for sides in batches
    ]
    defined = ~sum(parts[1:], parts[0]).zero()
    return p_values(grams, asked, defined, **options)


def block(rows: int, columns: int) -> torch.Tensor:
    """The first layers against the others."""
    asked = torch.zeros(rows + columns, rows + columns, dtype=torch.bool)
    asked[:rows, rows:] = True
    return asked


@pytest.mark.parametrize("formula", CENTER)
@pytest.mark.parametrize("sizes", [(9,), (5, 8, 12)])
def test_agrees_with_cka_computed_anew_from_permuted_samples(formula, sizes):
    batches = [layers(n, 4, 0.4, seed=5) for n in sizes]
    asked = torch.ones(4, 4, dtype=torch.bool)
    asked[0, 2] = asked[3] = False
    found = tried(batches, asked, formula, count=80, seed=5)

    def cka(orders) -> np.ndarray:
        similarity = CKA(formula)
        for sides, order in zip(batches, orders, strict=True):
            similarity.update(sides, [side[order] for side in sides])
        return similarity.compute()

    observed = cka([torch.arange(n) for n in sizes]) - 1e-9
    stream = seeds.generator("permutation", 5)
    permuted = np.array(
        [cka([torch.randperm(n, generator=stream) for n in sizes]) for _ in range(80)]
    )
    most = np.where(asked.numpy(), permuted, -np.inf).max((1, 2))
    alone = (1 + (permuted >= observed).sum(0)) / 81
    corrected = (1 + (most[:, None, None] >= observed).sum(0)) / 81
    assert len(np.unique(alone)) > 5  # or the comparison would say little
    assert np.allclose(found.alone[asked], alone[asked.numpy()])
    assert np.allclose(found.corrected[asked], corrected[asked.numpy()])
    assert torch.equal(found.alone.isnan(), ~asked)
    assert torch.equal(found.corrected.isnan(), ~asked)


def test_without_relation_p_is_uniform():
    pairs, count, found = 50, 99, []
    asked = torch.eye(2 * pairs, dtype=torch.bool).roll(pairs, 1) & block(pairs, pairs)
    for seed in range(20):
        p = tried([layers(10, 2 * pairs, seed=seed)], asked, count=count, seed=seed).alone
        found.append(p[asked])
    p = torch.cat(found)
    assert len(p) == 1000 and p.min() >= 1 / (count + 1) and p.max() <= 1
    for level in (0.05, 0.1, 0.25, 0.5, 0.75, 0.9):
        error = math.sqrt(level * (1 - level) / len(p))
        assert abs(float((p <= level + 1e-9).double().mean()) - level) < 4 * error


def test_one_false_finding_among_all_pairs_is_as_rare_as_promised():
    runs, level, asked = 300, 0.1, block(6, 6)
    alone = corrected = 0
    for seed in range(runs):
        p = tried([layers(12, 12, seed=seed)], asked, count=39, seed=seed)
        alone += bool((p.alone[asked] <= level + 1e-9).any())
        corrected += bool((p.corrected[asked] <= level + 1e-9).any())
    assert abs(corrected / runs - level) < 4 * math.sqrt(level * (1 - level) / runs)
    assert alone / runs > 0.5


def test_the_same_up_to_rotation_has_the_smallest_p_there_is():
    (x,) = layers(16, 1)
    turned = 3 * x @ torch.from_numpy(ortho_group.rvs(x.shape[1], random_state=1)) + 5
    found = tried([[x, turned, *layers(16, 1, seed=4)]], count=200)
    for p in found:
        assert torch.allclose(p[:2, :2], torch.tensor(1 / 201, dtype=torch.float64))
    assert found.alone[0, 2] > 1 / 201


def test_corrected_is_never_below_alone_and_is_alone_for_a_single_pair():
    sides = layers(10, 6, 0.5)
    every = tried([sides], count=60)
    assert (every.corrected >= every.alone).all()
    one = torch.zeros(6, 6, dtype=torch.bool)
    one[4, 1] = True
    single = tried([sides], one, count=60)
    assert single.corrected[4, 1] == single.alone[4, 1] == every.alone[4, 1]
    assert int(single.alone.isnan().sum()) == 35


def test_depends_on_the_seed_and_on_nothing_else():
    sides = layers(10, 4, 0.3)
    first, again, other = (tried([sides], count=60, seed=seed).alone for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("broken", ["constant", "nan"])
def test_layers_without_cka_have_no_p_and_leave_the_others_alone(broken):
    sides = layers(12, 4, 0.5)
    left = tried([[sides[0], sides[2], sides[3]]], count=40)
    sides[1] = torch.full((12, 3), 0.1 if broken == "constant" else torch.nan)
    found = tried([sides], count=40)
    kept = torch.tensor([0, 2, 3])
    for p, expected in zip(found, left, strict=True):
        assert p[1].isnan().all() and p[:, 1].isnan().all()
        assert torch.equal(p[kept][:, kept], expected)
    nothing = tried([[sides[1], sides[1]]], count=10)
    assert nothing.alone.isnan().all() and nothing.corrected.isnan().all()


@pytest.mark.parametrize("n", [6, 8, 16])
def test_a_self_hsic_that_is_0_but_for_rounding_gives_no_p(n):
    """Samples that are all equally far apart: U-centring leaves nothing of their Gram."""
    missing = torch.tensor([[True, True], [True, False]])
    for scale in (0.3, 1, 2.7):
        sides = [scale * torch.eye(n, dtype=torch.float64), *layers(n, 1)]
        sums = from_grams(torch.stack([hsic.gram(side) for side in sides]))
        assert torch.equal(sums.block(0).value.isnan(), missing)
        for p in tried([sides], count=19):
            assert torch.equal(p.isnan(), missing)


def test_a_permutation_that_changes_nothing_counts_as_reaching_the_value():
    """Two groups of equal samples: every order that keeps the groups gives the value itself."""
    x = torch.tensor([0.1, 0.1, 0.7, 0.7], dtype=torch.float64)[:, None]
    found = tried([[x, 3 * x]], formula="biased", count=900).alone[0, 1]
    # 8 of the 24 orders keep the groups or exchange them
    assert abs(float(found) - 1 / 3) < 4 * math.sqrt(2 / 9 / 900)
