"""`python -m analysis.compare`: rank correlations, and models matched by their files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import compare
from analysis.compare import gather, run, spearman
from mtd.errors import BadInput


def test_spearman_is_scipys_and_its_p_value_that_of_all_orders():
    rng = np.random.default_rng(0)
    for n in (4, 6, 7, 20):
        x, y = rng.normal(size=(2, n))
        found = spearman(x, y)
        assert found.value == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert found.low < found.value < found.high and 0 < found.p <= 1
    x = [1.0, 2, 3, 4, 5]
    assert spearman(x, x).p == pytest.approx(2 / math.factorial(5))
    assert spearman(x, x)[:3] == (1, 1, 1)
    assert all(math.isnan(v) for v in spearman(x, 5 * [1.0]))
    tied = spearman([1, 1, 2, 3], [1, 2, 2, 4])
    assert tied.value == pytest.approx(stats.spearmanr([1, 1, 2, 3], [1, 2, 2, 4]).statistic)


def test_intervals_cover_the_true_correlation():
    rng, hits = np.random.default_rng(1), 0
    truth = 6 / math.pi * math.asin(0.6 / 2)  # Spearman's of a Gaussian pair with rho 0.6
    for _ in range(400):
        x = rng.normal(size=25)
        y = 0.6 * x + 0.8 * rng.normal(size=25)
        found = spearman(x, y)
        hits += found.low <= truth <= found.high
    assert 360 <= hits <= 396


NAMES = list("abcde")
GAPS = [1.0, 2, 3, 4, 5]


def folder(path: str, analysis: str, names: list[str], **tables: pd.DataFrame) -> Path:
    place = Path(path)
    place.mkdir()
    models = {name: {"sha256": f"digest {i}"} for i, name in enumerate(names)}
    (place / "manifest.json").write_text(json.dumps({"analysis": analysis, "models": models}))
    for name, frame in tables.items():
        frame.to_csv(place / f"{name}.csv", index=False, na_rep="nan")
    return place


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    scores = pd.DataFrame(
        {
            "model": NAMES,
            "metric": "psnr",
            "gap": GAPS,
            "out_of_distribution": [30.0, 27, 29, 26, 28],
        }
    )
    others = [f"{name}.other" for name in NAMES]  # the same files under other names
    srga = pd.DataFrame(
        [
            {"model": m, "noise": n, "reference": "gaussian:15", "srga": v}
            for i, m in enumerate(others)
            for n, v in (("gaussian:15", 0.0), ("isp", 1.0 + i), ("poisson:3", 2.0 + i))
        ]
    )
    deep = pd.DataFrame(
        [
            {"model_a": a, "noise_a": "gaussian:15", "model_b": b, "noise_b": n, "cka": v}
            for i, a in enumerate(NAMES)
            for b, n, v in ((a, "isp", 0.9 - 0.1 * i), ("a", "gaussian:15", 0.5))
        ]
    )
    return [
        folder("g", "generalization", NAMES, generalization=scores),
        folder("s", "srga", others, srga=srga),
        folder("c", "cka", NAMES, deep=deep),
    ]


def test_indices_are_means_over_unseen_noises_of_the_same_files(runs):
    frame = gather(runs).set_index("model")
    assert frame.gap.tolist() == GAPS and frame.srga.tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert frame.cka.tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5])


def test_what_is_written_and_said(runs, capsys):
    path = run(compare.parser().parse_args([*map(str, runs), "--output-dir", "out"]), "test")
    found = pd.read_csv(path / "correlations.csv").set_index(["index", "target"])
    assert found.spearman["srga", "gap"] == 1 and found.spearman["cka", "gap"] == -1
    expected = stats.spearmanr(GAPS, [30.0, 27, 29, 26, 28]).statistic
    assert found.spearman["srga", "unseen"] == pytest.approx(expected)
    assert len(pd.read_csv(path / "compare.csv")) == 5 and (path / "compare.png").is_file()
    out = capsys.readouterr().out
    assert "Spearman's rank correlation" in out and "note: 5 models" in out


def test_what_cannot_be_compared(runs, in_process):
    generalization, srga, cka = runs
    with pytest.raises(BadInput, match="no index: give a run of"):
        gather([generalization])
    with pytest.raises(BadInput, match="what is to be predicted"):
        gather([srga, cka])
    with pytest.raises(BadInput, match="a second run of srga, after s"):
        gather([generalization, srga, srga])
    with pytest.raises(BadInput, match="a run of other; expected one of cka"):
        gather([folder("o", "other", NAMES)])
    (srga / "srga.csv").unlink()
    with pytest.raises(BadInput, match=r"srga\.csv is missing; run it to its end"):
        gather([generalization, srga])
    with pytest.raises(BadInput, match="3 models: ranks are compared from 4 on"):
        compare.correlations(gather([generalization, cka]).head(3))
    code, _, err = in_process(compare.main, "absent")
    assert code == 2 and "no run folder" in err
