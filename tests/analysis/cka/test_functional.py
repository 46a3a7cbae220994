"""CKA and HSIC against golden rationals, a brute-force oracle, and other packages' defects."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.cka.features import Features
from analysis.cka.functional import CKA, cka
from analysis.cka.hsic import CHUNK, gram, u_center
from analysis.cka.hsic_from_features import from_features
from mtd.utils.errors import BadInput
from tests.helpers.cka_forms import by_features, by_grams, cka_of, hsic_of, oracle

FORMS = [by_grams, by_features]

# x, y, HSIC₁ of (xy, xx, yy), unbiased CKA, biased CKA
GOLDEN = [
    (
        [[0], [1], [2], [3], [4], [5]],
        [[0], [1], [4], [9], [16], [25]],
        (Fraction(4541, 18), Fraction(21, 2), Fraction(201443, 30)),
        0.950099051088953,
        0.921375921375921,
    ),
    (
        [[-1], [-1], [0], [0], [1], [1]],
        [[-1], [1], [-1], [1], [-1], [1]],
        (Fraction(-4, 15), Fraction(3, 5), Fraction(8, 5)),
        -0.272165526975909,
        0.0,
    ),
    (
        [[1, 0], [0, 1], [2, 1], [1, 3], [4, 0]],
        [[1, 1], [0, 2], [3, 0], [1, 1], [2, 5]],
        (Fraction(-7, 5), Fraction(18, 5), Fraction(14, 5)),
        -0.440958551844098,
        0.528715450987461,
    ),
    (
        [[1, 0], [0, 1], [1, 1], [0, 0]],
        [[0], [0], [0], [1]],
        (Fraction(0), Fraction(1, 6), Fraction(0)),
        math.nan,
        math.sqrt(2) / 3,
    ),
]


def brute_force_hsic(x, y) -> Fraction:
    """HSIC₁ as the U-statistic it is: mean of K_ij (L_ij + L_qr − 2 L_iq) over different ijqr.

    Exact rationals; independent of every formula in the package.
    """
    rows_x, rows_y = ([[Fraction(v) for v in row] for row in side] for side in (x, y))

    def kernel(rows):
        return [[sum(a * b for a, b in zip(u, v, strict=True)) for v in rows] for u in rows]

    k, ell = kernel(rows_x), kernel(rows_y)
    total, count = Fraction(0), 0
    for i, j, q, r in itertools.permutations(range(len(rows_x)), 4):
        total += k[i][j] * (ell[i][j] + ell[q][r] - 2 * ell[i][q])
        count += 1
    return total / count


def tensors(*sides):
    return [torch.tensor(side, dtype=torch.float64) for side in sides]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("x, y, hsics, unbiased, biased", GOLDEN)
@pytest.mark.parametrize("constant", [0, 1000])
def test_golden_values(form, x, y, hsics, unbiased, biased, constant):
    sums = form([side + constant for side in tensors(x, y)])
    found = hsic_of(sums)
    for value, expected in zip((found[0, 1], found[0, 0], found[1, 1]), hsics, strict=True):
        assert float(value) == pytest.approx(float(expected), rel=1e-11, abs=1e-12)
    assert float(cka_of(sums)[0, 1]) == pytest.approx(unbiased, rel=1e-12, nan_ok=True)
    sums = form([side + constant for side in tensors(x, y)], "biased")
    assert float(cka_of(sums)[0, 1]) == pytest.approx(biased, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("x, y, hsics, unbiased, biased", GOLDEN)
def test_brute_force_agrees_with_golden(x, y, hsics, unbiased, biased):
    assert (brute_force_hsic(x, y), brute_force_hsic(x, x), brute_force_hsic(y, y)) == hsics


small = st.integers(-4, 4)


@st.composite
def integer_pairs(draw):
    n = draw(st.integers(4, 6))
    p, q = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rows = [st.lists(small, min_size=w, max_size=w) for w in (p, q)]
    return tuple(draw(st.lists(row, min_size=n, max_size=n)) for row in rows)


@given(integer_pairs())
def test_hsic_is_the_u_statistic(pair):
    x, y = pair
    expected = float(brute_force_hsic(x, y))
    for form in FORMS:
        sums = form(tensors(x, y))
        assert float(hsic_of(sums)[0, 1]) == pytest.approx(expected, abs=1e-9)


RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 12))
Y = np.tanh(X @ RNG.normal(size=(12, 7))) + 0.3 * RNG.normal(size=(40, 7))
estimators = pytest.mark.parametrize("estimator", ["unbiased", "biased"])


@estimators
@pytest.mark.parametrize("shape", [(40, 12, 7), (16, 300, 200), (300, 5, 9)])
def test_float32_input_is_within_1e_6_of_the_oracle_whatever_constant_is_added(estimator, shape):
    n, p, q = shape
    x = RNG.normal(size=(n, p)).astype(np.float32)
    y = (x @ RNG.normal(size=(p, q)) / p**0.5 + RNG.normal(size=(n, q))).astype(np.float32)
    for constant in (0, 10, 100, 1000):
        a, b = (side + np.float32(constant) for side in (x, y))
        assert cka(a, b, estimator) == pytest.approx(oracle(a, b, estimator), abs=1e-6)
        assert cka(a, b, estimator) == pytest.approx(cka(x, y, estimator), abs=1e-4)
    a, b = x.astype(np.float64) + 1000, y.astype(np.float64) + 1000
    assert cka(a, b, estimator) == pytest.approx(oracle(x, y, estimator), abs=1e-6)


@estimators
def test_invariances(estimator):
    value = cka(X, Y, estimator)
    rotation = np.linalg.qr(RNG.normal(size=(12, 12)))[0]
    order = RNG.permutation(40)
    for other in (
        cka(X @ rotation, Y, estimator),
        cka(X * 1e6, Y * 1e-6, estimator),
        cka(X[order], Y[order], estimator),
        cka(Y, X, estimator),
        cka(X.reshape(40, 3, 2, 2), torch.from_numpy(Y), estimator),
    ):
        assert other == pytest.approx(value, rel=1e-9)
    assert cka(X, X, estimator) == pytest.approx(1, abs=1e-12)
    assert abs(cka(X @ np.diag(np.arange(1.0, 13)), Y, estimator) - value) > 1e-3


def test_unbiased_is_centred_at_0_for_independent_data_and_biased_is_not():
    rng = np.random.default_rng(1)
    n = p = q = 64
    draws = [(rng.normal(size=(n, p)), rng.normal(size=(n, q))) for _ in range(200)]
    unbiased = np.array([cka(x, y) for x, y in draws])
    assert abs(unbiased.mean()) < 3 * unbiased.std() / len(draws) ** 0.5
    assert unbiased.min() < 0  # reported, not clamped
    biased = np.mean([cka(x, y, "biased") for x, y in draws[:20]])
    assert biased == pytest.approx(math.sqrt(p * q / ((p + n) * (q + n))), abs=0.02)


def test_u_centering_has_zero_rows_and_a_zero_diagonal():
    k = u_center(gram(torch.from_numpy(X)))
    assert k.diagonal().abs().max() == 0
    assert k.sum(0).abs().max() < 1e-10
    assert torch.allclose(k, k.mT)


def test_gram_of_more_features_than_a_chunk():
    x = torch.randn(5, 2 * CHUNK + 3, generator=torch.Generator().manual_seed(0)) + 30
    centred = x.double() - x.double().mean(0)
    assert torch.allclose(gram(x), centred @ centred.mT, rtol=1e-6)
    assert torch.allclose(gram(x.double()), centred @ centred.mT, rtol=1e-12)


@estimators
def test_features_do_not_depend_on_batches(estimator):
    x = torch.from_numpy(X) + 50 * torch.arange(40)[:, None] / 40  # the mean drifts over batches
    both = torch.cat([x, torch.from_numpy(Y)], dim=1)[:, None]
    cuts = [both[a:b] for a, b in ((0, 3), (3, 4), (4, 30), (30, 40))]
    batches = Features([lambda c=c: c for c in cuts], [len(cut) for cut in cuts])
    parts = from_features(batches, [12, 7], formula=estimator)
    whole = from_features(Features([lambda: both], [40]), [12, 7], formula=estimator)
    assert torch.allclose(hsic_of(parts), hsic_of(whole), rtol=1e-10)
    assert float(cka_of(whole)[0, 1]) == pytest.approx(oracle(x.numpy(), Y, estimator), abs=1e-10)


def test_minibatches_average_hsic_and_take_one_ratio():
    batches = [slice(0, 16), slice(16, 32), slice(32, 40)]
    similarity = CKA()
    numerator, denominators, weight = 0.0, np.zeros(2), 0
    for batch in batches:
        x, y = X[batch], Y[batch]
        similarity.update([x, y], [y])
        n = len(x)
        hsic = hsic_of(by_grams(tensors(x, y))).numpy()
        numerator += n * (n - 3) * hsic[0, 1]
        denominators += n * (n - 3) * hsic.diagonal()
        weight += n * (n - 3)
    matrix = similarity.compute()
    assert matrix.shape == (2, 1)
    assert matrix[0, 0] == pytest.approx(numerator / math.sqrt(denominators.prod()), rel=1e-10)
    assert matrix[1, 0] == pytest.approx(1, abs=1e-12)
    per_batch = np.mean([cka(X[b], Y[b]) for b in batches])
    assert abs(matrix[0, 0] - per_batch) > 1e-4  # never the mean of ratios


def test_every_batch_counts_not_only_the_last():
    similarity, last = CKA(), CKA()
    for start in (0, 20):
        similarity.update([X[start : start + 20]], [Y[start : start + 20]])
    last.update([X[20:]], [Y[20:]])
    assert abs(similarity.compute()[0, 0] - last.compute()[0, 0]) > 1e-4


def test_one_batch_is_the_full_set():
    similarity = CKA()
    similarity.update([X], [Y])
    assert similarity.compute()[0, 0] == pytest.approx(cka(X, Y), rel=1e-12)


def test_nan_names_the_side_and_the_reason():
    constant = np.ones((10, 4))
    with pytest.warns(RuntimeWarning, match="y: its activations are the same in all samples"):
        assert math.isnan(cka(X[:10], constant))
    with pytest.warns(RuntimeWarning, match="y: its self-HSIC is .*not above 0"):
        assert math.isnan(cka(*GOLDEN[3][:2]))
    broken = X.copy()
    broken[3, 2] = np.nan
    with pytest.warns(RuntimeWarning, match="x: its activations are not finite") as warned:
        assert math.isnan(cka(broken, Y))
    assert len(warned) == 1
    for form in FORMS:  # one broken layer leaves the others alone
        sums = form(tensors(X, broken, Y))
        assert float(cka_of(sums)[0, 2]) == pytest.approx(cka(X, Y), rel=1e-9)
        assert list(sums.degenerate()) == [1]
    similarity = CKA()
    similarity.update([X[:10], constant], [Y[:10]])
    with pytest.warns(RuntimeWarning, match=r"x\[1\]"):
        matrix = similarity.compute()
    assert math.isnan(matrix[1, 0]) and not math.isnan(matrix[0, 0])


def test_self_hsic_within_rounding_of_0_counts_as_0():
    x = np.array(GOLDEN[3][1], dtype=np.float64)
    for shift, scale in itertools.product((0, 0.1, 1e3), (1, 1e-3, 1e5 / 3)):
        with pytest.warns(RuntimeWarning, match="NaN"):
            assert math.isnan(cka(GOLDEN[3][0], x * scale + shift))


def test_any_array_is_taken():
    value = cka(X, Y)
    tracked = torch.tensor(X, requires_grad=True)
    backwards = X[::-1].copy()[::-1]
    others = (X.astype(">f8"), X.astype(np.longdouble), tracked, X.tolist())
    for other in (backwards, *others):
        assert cka(other, Y) == pytest.approx(value, rel=1e-12)
    with pytest.raises(BadInput, match="0 samples"):
        cka([], [])


def test_too_few_samples_and_other_misuse():
    with pytest.raises(BadInput, match="3 samples: unbiased HSIC needs at least 4"):
        cka(X[:3], Y[:3])
    assert 0 <= cka(X[:3], Y[:3], "biased") <= 1
    with pytest.raises(BadInput, match="did you mean biased or unbiased"):
        cka(X, Y, "debased")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="same samples"):
        cka(X, Y[:-1])
    with pytest.raises(BadInput, match="0 samples"):
        CKA().compute()
    similarity = CKA()
    similarity.update([X], [Y])
    with pytest.raises(ValueError, match="same samples in each"):
        similarity.update([X], [Y[:-1]])
    with pytest.raises(ValueError, match="expected 1 and 1 as before"):
        similarity.update([X, Y], [])
