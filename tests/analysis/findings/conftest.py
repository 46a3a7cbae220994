"""A study with invented numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.findings import published
from analysis.findings.claims import BEST_CELL
from analysis.findings.contrasts import TRAINED
from analysis.text.noise_labels import NOISY
from mtd.training import sweep
from tests.helpers.paths import ROOT

IMAGES = 12
NOISES = (TRAINED, "mixture:1", "mixture:3")


def manifest(folder: Path, analysis: str, **entries: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shared = {"analysis": analysis, "in_distribution": [TRAINED], "models": {}, "crops": []}
    (folder / "manifest.json").write_text(json.dumps(shared | entries))
    (folder / "run.json").write_text(json.dumps({"runs": [{"finished": "now"}]}))


def results(
    models: dict[str, float], noises: tuple[str, ...] = NOISES, seed: int = 0
) -> pd.DataFrame:
    """A benchmark's long table: a level for each model, an offset for each image, and noise.

    The noisy input has about the paper's PSNR under noises that `published.table("noisy")` has.
    """
    rng, rows = np.random.default_rng(seed), []
    offsets = rng.normal(0, 3, IMAGES)
    offsets -= offsets.mean()
    paper = published.table("noisy")
    paper = dict(zip(zip(paper.kind, paper.level, strict=True), paper.psnr, strict=True))
    for noise in noises:
        kind, _, level = noise.partition(":")
        for model, height in models.items():
            drop = 0.0 if noise == TRAINED else 2.0 + float(level or 0)
            if model == NOISY:
                drop = height - paper.get((kind, float(level or "nan")), height - drop)
            values = height - drop + offsets + rng.normal(0, 0.1, IMAGES)
            for metric, scale in (("psnr", 1.0), ("ssim", 0.02)):
                for i, value in enumerate(values):
                    rows.append(
                        (
                            *(model, noise, kind, float(level or "nan"), f"{i}.png", f"{i}.png"),
                            *(0, 0, 8, 8, f"digest{i}", metric, value * scale),
                        )
                    )
    names = ["model", "noise", "kind", "level", "image", "scene", "top", "left", "height", "width"]
    return pd.DataFrame(rows, columns=[*names, "sha256", "metric", "value"])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study with invented numbers: an ablation, brightness, curves, CKA and SRGA of a pair."""
    path = tmp_path / "study"
    cells = {
        cell.name: 26.0 for cell in sweep.load(str(ROOT / "reports/findings/ablations.toml")).cells
    }
    cells |= {"input-80-90": 29.0, "attention-only": 26.2, "input-only": 32.0, NOISY: 16.0}
    cells |= {"baseline": 25.0, "baseline-seed1": 25.3, BEST_CELL: 27.1, f"{BEST_CELL}-seed1": 27.0}
    manifest(path / "ablations", "generalization", noises=list(NOISES))
    frame = results(cells)
    frame.to_csv(path / "ablations/results.csv", index=False, na_rep="nan")
    from analysis.generalization import conditions, scoring

    scores = [conditions.table(frame, metric, [TRAINED]) for metric in ("psnr", "ssim")]
    tables = {"generalization": scoring.generalization, "noises": scoring.noises}
    for name, function in tables.items():
        table = pd.concat([function(one) for one in scores])
        table.to_csv(path / f"ablations/{name}.csv", index=False, na_rep="nan")
    manifest(path / "curves", "curves", trained={"baseline": TRAINED, "masked": TRAINED})
    curves = [
        (run, "validation", "psnr", noise, step, value + (noise == TRAINED))
        for run, values in {"baseline": (24, 26, 25, 23), "masked": (22, 23, 24, 24.5)}.items()
        for noise in (TRAINED, "poisson:3")
        for step, value in zip((100, 200, 300, 400), values, strict=True)
    ]
    columns = ["run", "source", "quantity", "noise", "step", "value"]
    pd.DataFrame(curves, columns=columns).to_csv(
        path / "curves/curves.csv", index=False, na_rep="nan"
    )
    manifest(path / "pair/generalization", "generalization")
    unseen = ("poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02", "mixture:4")
    frame = results({"baseline": 33.0, "masked": 28.0, NOISY: 16.0}, (TRAINED, *unseen))
    frame.to_csv(path / "pair/generalization/results.csv", index=False, na_rep="nan")
    manifest(path / "pair/cka", "cka")
    cka = [
        (model, "gaussian:15", model, "poisson:3", value, value - 0.05, value + 0.05, 24)
        for model, value in (("baseline", 0.4), ("masked", 0.8))
    ]
    names = ["model_a", "noise_a", "model_b", "noise_b", "cka", "low", "high", "photographs"]
    pd.DataFrame(cka, columns=names).to_csv(path / "pair/cka/last_quarter.csv", index=False)
    manifest(path / "pair/srga", "srga")
    srga = [
        ("baseline", "gaussian:15", 0.0, math.nan, math.nan),
        ("masked", "gaussian:15", 0, *2 * [math.nan]),
    ]
    srga += [("baseline", "poisson:3", 3.0, 2.5, 3.5), ("masked", "poisson:3", 2.8, 2.6, 3.0)]
    rows = pd.DataFrame(srga, columns=["model", "noise", "srga", "low", "high"])
    rows.assign(reference="gaussian:15", photographs=24).to_csv(
        path / "pair/srga/srga.csv", index=False, na_rep="nan"
    )
    manifest(path / "brightness", "brightness")
    images = [
        (model, noise, f"{i}.png", 0, 0, f"digest{i}", shift * (-1) ** i, abs(shift), 30.0, 31.0)
        for model, shift in (("input-only", 6.0), ("input-80-90", 2.0))
        for noise in (TRAINED, "mixture:3")
        for i in range(IMAGES)
    ]
    names = ["model", "noise", "image", "top", "left", "sha256", "shift", "distance"]
    frame = pd.DataFrame(images, columns=[*names, "psnr", "psnr_matched"])
    frame.to_csv(path / "brightness/images.csv", index=False, na_rep="nan")
    return path
