"""Models of several trainings in the comparison of indices, against single networks and SciPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import analysis
from mtd.utils.errors import BadInput
from tests.helpers.networks import save_tiny, save_trainings

SETTINGS: dict[str, Any] = {
    "noises": ["poisson:3.5", "spatial:60"],
    "in_distribution": "gaussian:15",
    "crop": 8,
    "limit": 3,
    "references": False,
    "controls": False,
    "progress": False,
}
COLUMNS = [
    *("ood_drop", "unseen", "drop_leak", "drop_damage"),
    *("srga", "cka", "separability", "distance", "sensitivity"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    save_trainings(folder, 3)
    for k in (1, 2, 3):
        save_tiny(folder / f"other{k}.pth", seed=10 + k)
    return folder


@pytest.fixture(scope="module")
def others(folder: Path) -> dict[str, Path]:
    return {f"other{k}": folder / f"other{k}.pth" for k in (1, 2, 3)}


@pytest.fixture(scope="module")
def together(folder: Path, others: dict[str, Path]) -> Any:
    models = {"base": f"{folder}/b*/model.pth", **others}
    return analysis.compare.correlate(models, **SETTINGS)


def test_a_model_is_the_mean_of_single_networks(together, folder, others):
    files = {f"base (b{k})": folder / f"b{k}" / "model.pth" for k in (1, 2, 3)}
    apart = analysis.compare.correlate({**files, **others}, **SETTINGS).models.set_index("model")
    single = together.frames["compare_by_training"].set_index("training")
    row = together.models.set_index("model").loc["base"]
    assert list(single.index) == list(files) and set(single.model) == {"base"}
    assert row.trainings == 3
    for name in COLUMNS:
        values = apart.loc[list(files), name].to_numpy()
        assert single[name].to_list() == pytest.approx(values, abs=1e-9)
        assert row[name] == pytest.approx(values.mean(), abs=1e-9)
        ends = stats.t.interval(0.95, 2, values.mean(), stats.sem(values))
        found = (row[f"{name}_low_trainings"], row[f"{name}_high_trainings"])
        assert found == pytest.approx(ends, abs=1e-8)
    for other in others:
        expected = apart.loc[other, COLUMNS].astype(float).to_list()
        found = together.models.set_index("model").loc[other]
        assert found[COLUMNS].astype(float).to_list() == pytest.approx(expected, abs=1e-9)
        assert np.isnan(found.ood_drop_low_trainings) and found.trainings == 1


def test_a_model_is_one_point_and_one_of_the_models(together):
    assert set(together.correlations.models) == {4}
    assert [name for name in together.parts if name.startswith("cka-")] == [
        *("cka-base", "cka-other1", "cka-other2", "cka-other3")
    ]
    rho = stats.spearmanr(together.models.cka, together.models.ood_drop).statistic
    found = together.correlations.query("index == 'cka' and target == 'ood_drop'")
    assert found.spearman.item() == pytest.approx(rho)
    axes = together.plot_index("cka")
    dots = [line for line in axes.lines if line.get_marker() == "." and len(line.get_xdata())]
    assert len(dots) == 1 and len(dots[0].get_xdata()) == 3
    axes = together.plot_index("cka", target="drop_leak")
    assert "leaked noise" in axes.get_ylabel()
    assert "single trainings" in together.figures()["compare"].get_suptitle()
    text = " ".join(together.sentences())
    assert "Means over trainings, which count as one model each: `base` (3)." in text


def test_run_folders_give_the_same(together, tmp_path):
    folders = [
        str(together.parts[name].save(tmp_path / name)) for name in ("generalization", "srga")
    ]
    again = analysis.compare.correlate(folders)
    for name in ("compare", "compare_by_training"):
        for column in ("ood_drop", "unseen", "srga"):
            values = together.frames[name][column].to_list()
            assert again.frames[name][column].to_list() == pytest.approx(values, abs=1e-12)
    assert "`base` (3)" in " ".join(again.sentences())


def test_trainings_of_one_model_are_not_four_models(folder, others):
    few = {"base": f"{folder}/b*/model.pth", **dict(list(others.items())[:2])}
    with pytest.raises(BadInput, match="3 models: rank correlations need 4 or more"):
        analysis.compare.correlate(few, **SETTINGS)


def test_a_model_of_the_same_trainings_is_a_copy(folder, others):
    files = [folder / f"b{k}" / "model.pth" for k in (1, 2, 3)]
    models = {"base": files, "again": files[::-1], **others}
    with pytest.raises(BadInput, match="base and again are the same model"):
        analysis.compare.correlate(models, **SETTINGS)
