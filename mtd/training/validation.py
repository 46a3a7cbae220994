"""Validation in training: PSNR on the training noise and on other noises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mtd.data import crops as data_crops
from mtd.data import photograph_archives, photographs
from mtd.data.grayscale import of_channels
from mtd.inference.forward import denoise
from mtd.metrics import psnr_ssim
from mtd.networks.base import Denoiser
from mtd.noise import specs as noise_specs
from mtd.noise.base import noisy_images
from mtd.noise.matched import MatchedGaussian

FOLDER = "validation"
PICTURED = 2
"""Number of crops in the picture of a validation."""


class Validator:
    """PSNR on fixed crops with fixed noise.

    Args:
        folders: of photographs, or archives; the bundled ones if there are none.
        noises: specifications; see `mtd.noise.specs.parse`.
        count: number of crops.
        crop: side of a crop in pixels.
        seed: of the noise.
        page: of every file, for files with several pages or frames, from 1.
        channels: of the crops, 3, or 1, of grayscale.

    Attributes:
        sigmas: of noises of matched strength, σ of every crop in 8-bit levels, a row for each.

    Raises:
        BadInput: no such folder or noise, or images smaller than a crop.
    """

    def __init__(
        self,
        folders: Sequence[str],
        noises: Sequence[str],
        count: int,
        crop: int,
        seed: int,
        page: int | None = None,
        channels: int = 3,
    ) -> None:
        opened = photograph_archives.opened(folders)
        photos = photographs.photographs(*opened, page=page)
        crops = data_crops.crops([of_channels(photo, channels) for photo in photos], crop, count)
        self.clean = data_crops.to_tensor([one.pixels for one in crops])
        self.keys = [one.digest for one in crops]
        self.pairs = {}
        self.sigmas = []
        for noise in map(noise_specs.parse, noises):
            pair = noisy_images(noise, self.clean, self.keys, seed=seed)
            self.pairs[noise.spec] = pair
            if isinstance(noise, MatchedGaussian):
                self.sigmas += [
                    {"noise": noise.spec, **data_crops.place(one), "sigma": 255 * float(sigma)}
                    for one, sigma in zip(crops, pair.sigma, strict=True)
                ]

    def run(self, network: Denoiser, batch: int = 16) -> dict[str, tuple[Tensor, Tensor]]:
        """PSNR in dB, (crops,), and outputs, (crops, C, H, W), by noise.

        The network is in eval mode meanwhile.
        """
        results = {}
        with _evaluating(network):
            for spec, (noisy, target, _) in self.pairs.items():
                firsts = range(0, len(noisy), batch)
                output = torch.cat([self._denoised(network, spec, i, batch) for i in firsts])
                results[spec] = psnr_ssim.psnr(output, target), output
        return results

    @property
    def count(self) -> int:
        """How many crops `run` denoises."""
        return len(self.pairs) * len(self.clean)

    def probe(self, network: Denoiser) -> None:
        """Denoise a single crop, to see how long it takes."""
        with _evaluating(network):
            self._denoised(network, next(iter(self.pairs)), 0, 1)

    def _denoised(self, network: Denoiser, spec: str, first: int, count: int) -> Tensor:
        """Float32 outputs, on the CPU, for some of the crops under a noise."""
        noisy, _, level = self.pairs[spec]
        part = slice(first, first + count)
        output = denoise(
            network,
            noisy[part].to(next(network.parameters())),
            keys=self.keys[part],
            sigma=level[part].float(),
        )
        return output.cpu().float()

    def noisy_psnr(self) -> dict[str, float]:
        """Mean PSNR of the noisy input in dB, by noise."""
        return {
            spec: float(psnr_ssim.psnr(noisy.float(), target).mean())
            for spec, (noisy, target, _) in self.pairs.items()
        }

    def picture(self, outputs: dict[str, Tensor]) -> Image.Image:
        """A row of noisy, denoised and clean crop for each noise and each of the first crops."""
        rows = []
        for spec, output in outputs.items():
            noisy, target, _ = self.pairs[spec]
            for i in range(min(PICTURED, len(noisy))):
                rows.append(torch.cat([noisy[i], output[i], target[i]], 2))
        pixels = torch.cat(rows, 1).clamp(0, 1).mul(255).round().to(torch.uint8)
        values = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
        return Image.fromarray(np.ascontiguousarray(values.numpy()))

    def save(self, outputs: dict[str, Tensor], folder: Path, step: int) -> None:
        """Write the picture of a step into the folder of a run."""
        pictures = folder / FOLDER
        pictures.mkdir(parents=True, exist_ok=True)
        self.picture(outputs).save(pictures / f"{step:06d}.png")


@contextmanager
def _evaluating(network: Denoiser) -> Iterator[None]:
    """Context in which a network is in eval mode."""
    mode = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(mode)
