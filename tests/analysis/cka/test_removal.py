"""Response to noise, partial CKA and removed components against their definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mtd
from analysis.cka import functional, removal, spectra
from analysis.cka.command import ANALYSIS
from analysis.cka.positions import Positions
from analysis.cka.removal import Removal
from analysis.cka.settings import CKASettings
from analysis.commands.command import run_arguments
from analysis.engine.feature_maps import lay_out
from analysis.engine.hooks import Activations
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput
from tests.helpers.noises import add_keyed

LAYER = "layers.1.residual_group.blocks.1"
FEW = ("--limit", "8", "--crop", "24", "--positions", "16", "--layers", LAYER, "--untrained", "1")


class Extracted:
    """Features of one layer at the command's own positions, taken by hand."""

    def __init__(self) -> None:
        self.crops = data_crops.crops(photographs.photographs(), 24, 8)
        self.digests = [crop.digest for crop in self.crops]
        self.clean = data_crops.to_tensor([crop.pixels for crop in self.crops])
        self.places = Positions.draw(self.digests, 16, 24, 24, 0)

    def features(self, model: str, spec: str) -> np.ndarray:
        noisy = add_keyed(noise_specs.parse(spec), self.clean, self.digests)
        network = mtd.load(f"{model}.pth")
        with torch.no_grad(), Activations(network, LAYER) as seen:
            network(noisy, self.digests)
        return self.at_positions(lay_out(LAYER, seen[LAYER].double(), 8, 24, 24))

    def at_positions(self, maps: torch.Tensor) -> np.ndarray:
        rows = [maps[i][:, self.places.rows[i], self.places.columns[i]].T for i in range(8)]
        return torch.cat(rows).double().numpy()

    def around(self) -> np.ndarray:
        """The 3 × 3 clean pixels around each position, by plain indexing."""
        image = np.pad(self.clean.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
        rows, columns = self.places.rows.numpy(), self.places.columns.numpy()
        return np.array(
            [
                image[i, :, r : r + 3, c : c + 3].ravel()
                for i in range(8)
                for r, c in zip(rows[i], columns[i], strict=True)
            ],
            dtype=float,
        )


@pytest.fixture
def extracted(pair: Path, monkeypatch: pytest.MonkeyPatch) -> Extracted:
    monkeypatch.chdir(pair)
    return Extracted()


def value(*options: str) -> float:
    path = run_arguments(ANALYSIS, ["plain.pth", *FEW, *options, "--quiet"], "test")
    return float(pd.read_csv(path / "cka.csv").cka[0])


def residual(x: np.ndarray, c: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones(len(c)), c])
    return x - design @ np.linalg.lstsq(design, x, rcond=None)[0]


def test_centering_clean_compares_responses_to_noise(extracted):
    clean = extracted.features("plain", "gaussian:0")
    sides = [extracted.features("plain", spec) - clean for spec in ("gaussian:15", "poisson:3.5")]
    assert value("--centering", "clean") == pytest.approx(functional.cka(*sides), abs=1e-4)
    assert abs(value() - value("--centering", "clean")) > 0.01


@pytest.mark.parametrize("given", ["clean", "clean-3x3"])
def test_partial_cka_given_the_clean_image(extracted, given):
    pixels = extracted.at_positions(extracted.clean)
    pixels = pixels if given == "clean" else extracted.around()
    sides = [
        residual(extracted.features("plain", spec), pixels)
        for spec in ("gaussian:15", "poisson:3.5")
    ]
    assert value("--given", given) == pytest.approx(functional.cka(*sides), abs=1e-4)


def test_first_components_are_removed(extracted):
    sides = []
    for spec in ("gaussian:15", "poisson:3.5"):
        x = extracted.features("plain", spec)
        x = x - x.mean(0)
        u, s, v = np.linalg.svd(x, full_matrices=False)
        s[:2] = 0
        sides.append(u * s @ v)
    assert value("--remove-components", "2") == pytest.approx(functional.cka(*sides), abs=1e-4)


def test_effective_rank_and_shares_of_a_layer(extracted):
    path = run_arguments(ANALYSIS, ["plain.pth", *FEW, "--quiet"], "test")
    row = pd.read_csv(path / "layers.csv").iloc[0]
    x = extracted.features("plain", "gaussian:15")
    variance = np.square(np.linalg.svd(x - x.mean(0), compute_uv=False))
    share = variance / variance.sum()
    assert row.effective_rank == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-4)
    found = (row.share_1, row.share_2, row.share_4)
    assert found == pytest.approx([share[:k].sum() for k in (1, 2, 4)], rel=1e-4)


def test_spectra_of_a_gram_matrix_are_those_of_the_features():
    x = torch.randn(9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    centered = x - x.mean(0)
    by_gram = spectra.of_gram(x @ x.mT)
    by_features = torch.linalg.eigvalsh(centered.mT @ centered)
    assert spectra.effective_rank(by_gram) == pytest.approx(spectra.effective_rank(by_features))
    assert np.isnan(spectra.effective_rank(torch.zeros(4)))
    assert spectra.of_gram(torch.full((3, 3), torch.nan)).isnan().all()


def test_nothing_linear_in_the_pixels_is_left():
    generator = torch.Generator().manual_seed(1)
    z = [torch.randn(3, 4, 7, generator=generator) for _ in range(3)]
    c = [torch.rand(3, 4, 2, generator=generator) for _ in range(3)]
    fitted = Removal.fit([lambda part=part: part for part in z], c, [3, 4], 1)
    left = torch.cat([fitted.apply(*pair) for pair in zip(z, c, strict=True)]).flatten(0, 1)
    pixels = torch.cat(c).flatten(0, 1).double()
    centered = (left.double() - left.double().mean(0)).mT @ (pixels - pixels.mean(0))
    assert centered.abs().max() < 1e-5
    assert torch.linalg.matrix_rank(left[:, :3].double(), atol=1e-4) == 2
    assert removal.first_components(torch.eye(3).double(), 5).shape == (3, 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"centering": "clean", "unit": "image"},
        {"given": "clean", "unit": "image"},
        {"remove_components": 1, "kernel": "rbf"},
        {"given": "clean", "estimator": "minibatch"},
    ],
)
def test_what_does_not_go_together(settings):
    with pytest.raises(BadInput, match="needs"):
        CKASettings(**settings)
