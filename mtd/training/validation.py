"""How a network under training does on noises that it is, and is not, trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.inference.forward import denoise
from mtd.metrics import psnr_ssim
from mtd.networks.base import Denoiser
from mtd.noise import base as noise_base
from mtd.noise import specs as noise_specs
from mtd.noise.base import pair_keyed
from mtd.noise.synthetic import Gaussian

FOLDER = "validation"
SHOWN = 2
"""Crops in the picture of a validation."""


class Validator:
    """The same crops under the same noise at every step.

    Args:
        folders: of photographs; the bundled ones if there are none.
        noises: texts; see `mtd.noise.specs.parse`.
        count: of crops.
        crop: their side.
        seed: of the noise.

    Raises:
        BadInput: no such folder or noise, or images smaller than a crop.
    """

    def __init__(
        self, folders: Sequence[str], noises: Sequence[str], count: int, crop: int, seed: int
    ) -> None:
        crops = data_crops.crops(photographs.photographs(*folders), crop, count)
        self.clean = data_crops.to_tensor([one.pixels for one in crops])
        self.keys = [one.digest for one in crops]
        self.pairs = {}
        for made in map(noise_specs.parse, noises):
            pair = pair_keyed(made, self.clean, self.keys, seed=seed, quantize=True)
            self.pairs[made.spec] = (*pair, _level(made, *pair))

    def values(self, network: Denoiser, batch: int = 16) -> dict[str, float]:
        """Mean PSNR over crops in dB, by noise; RGB, rounded to 8 bits."""
        return {spec: float(psnr.mean()) for spec, (psnr, _) in self.run(network, batch).items()}

    def run(self, network: Denoiser, batch: int = 16) -> dict[str, tuple[Tensor, Tensor]]:
        """Each crop's PSNR, and the outputs, by noise."""
        mode, found = network.training, {}
        like = next(network.parameters())
        network.eval()
        try:
            for spec, (noisy, target, level) in self.pairs.items():
                parts = [
                    denoise(
                        network,
                        noisy[i : i + batch].to(like),
                        keys=self.keys[i : i + batch],
                        sigma=level[i : i + batch],
                    )
                    .cpu()
                    .float()
                    for i in range(0, len(noisy), batch)
                ]
                output = torch.cat(parts)
                found[spec] = psnr_ssim.psnr(output, target), output
        finally:
            network.train(mode)
        return found

    def picture(self, outputs: dict[str, Tensor]) -> Image.Image:
        """Rows of noisy, denoised and clean crops, one for each noise and shown crop."""
        rows = []
        for spec, output in outputs.items():
            noisy, target, _ = self.pairs[spec]
            for i in range(min(SHOWN, len(noisy))):
                rows.append(torch.cat([noisy[i], output[i], target[i]], 2))
        pixels = torch.cat(rows, 1).clamp(0, 1).mul(255).round().to(torch.uint8)
        return Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy()))

    def save(self, outputs: dict[str, Tensor], folder: Path, step: int) -> None:
        """Write the picture of a step."""
        place = folder / FOLDER
        place.mkdir(parents=True, exist_ok=True)
        self.picture(outputs).save(place / f"{step:06d}.png")


def _level(made: noise_base.Noise, noisy: Tensor, target: Tensor) -> Tensor:
    """What a network that is told the noise level is told, as `analysis` does with `oracle`."""
    if isinstance(made, Gaussian):
        return torch.full((len(noisy),), made.level / 255)
    return (noisy.double() - target.double()).square().mean((1, 2, 3)).sqrt().float()
