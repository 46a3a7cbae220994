"""A difference in decibels is divided among the parts of the error."""

from __future__ import annotations

import numpy as np

from analysis.stats.shapley import decibel_parts


def test_two_parts_are_the_mean_of_both_orders():
    (d, v), (e, w) = (3.0, 5.0), (4.0, 50.0)
    damage = 5 * np.log10((e + v) / (d + v)) + 5 * np.log10((e + w) / (d + w))
    leak = 5 * np.log10((d + w) / (d + v)) + 5 * np.log10((e + w) / (e + v))
    assert np.allclose(decibel_parts([d, v], [e, w]), [damage, leak], rtol=1e-14)


def test_contributions_add_up_and_a_part_that_does_not_change_has_none():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 9, (2, 3, 40))
    b[1] = a[1]
    parts = decibel_parts(a, b)
    assert np.allclose(parts.sum(0), 10 * np.log10(b.sum(0) / a.sum(0)), rtol=1e-12)
    assert np.abs(parts[1]).max() < 1e-14
    assert np.allclose(decibel_parts(b, a), -parts)


def test_a_part_below_0_is_taken_as_it_is_and_a_sum_below_0_has_no_value():
    assert np.isfinite(decibel_parts([-0.1, 5.0], [0.2, 4.0])).all()
    assert np.isnan(decibel_parts([-2.0, 5.0], [0.2, 1.0])).any()
