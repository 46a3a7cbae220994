"""Scores of other numbers of components and patches, against scores of the features themselves."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.engine.observer import View
from analysis.srga import robustness
from analysis.srga.fits import AllFits
from analysis.srga.observer import Deep
from analysis.srga.score import srga
from analysis.srga.settings import SRGASettings
from analysis.stats import gram_pca

NOISES = ("gaussian:15", "poisson:3", "isp")


def features(seed: int, patches: int, number: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(patches, number, generator=stream, dtype=torch.float64) * (1 + seed)


def table(of: dict[View, torch.Tensor], draws: int = 0, components: int = 7) -> pd.DataFrame:
    deep = {view: Deep(gram_pca.gram(x), x.shape[1], torch.zeros(len(x))) for view, x in of.items()}
    patches = len(next(iter(of.values())))
    fits = AllFits.of(deep, SRGASettings(components=components), np.arange(patches))
    again = View("a", "again") if draws else None
    controls = SimpleNamespace(other_draw=lambda reference: again)
    models = list(dict.fromkeys(view.model for view in of))
    inputs = SimpleNamespace(
        models=models,
        specs=list(NOISES),
        controls=SimpleNamespace(controls=controls) if draws else None,
    )
    return robustness.table(fits, inputs)


@pytest.mark.parametrize("patches, number", [(60, 70), (60, 30), (20, 30), (6, 30)])
def test_scores_are_those_of_some_patches_and_components(patches, number):
    of = {View("a", noise): features(seed, patches, number) for seed, noise in enumerate(NOISES)}
    of[View("a", "again")] = features(9, patches, number)
    found = table(of, draws=1)
    shares = [n for n in (1, 2, 4) if n == 1 or len(range(0, patches, n)) >= robustness.FEWEST]
    counts = [len(range(0, patches, n)) for n in shares]
    assert found.patches.unique().tolist() == counts and (found.model == "a").all()
    for step, count in zip(shares, counts, strict=True):
        rows = found[found.patches == count]
        wanted = {min(n, count - 1, number) for n in (5, 7, 10, 20, 50, 100, 300)}
        assert rows.components.tolist() == sorted(wanted) and (rows.noises == 2).all()
        for row in rows.itertuples():
            first, *others, again = (x[::step] for x in of.values())
            scores = [srga(first, other, row.components).srga for other in others]
            assert row.srga == pytest.approx(np.mean(scores), abs=1e-6)
            assert row.ceiling == pytest.approx(srga(first, again, row.components).srga, abs=1e-6)


def test_without_another_draw_there_is_no_ceiling():
    found = table({View("a", noise): features(i, 12, 30) for i, noise in enumerate(NOISES)})
    assert found.ceiling.isna().all() and found.srga.notna().all()


@pytest.mark.parametrize("constant", [0, 1])
def test_features_that_do_not_vary_have_no_score(constant):
    of = {View("a", noise): features(i, 12, 30) for i, noise in enumerate(NOISES)}
    of[View("a", NOISES[constant])] = torch.ones(12, 30, dtype=torch.float64)
    found = table(of)
    assert len(found) and found.srga.isna().all()
