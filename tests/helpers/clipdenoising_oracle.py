"""The public protocol of CLIPDenoising, written independently of the project, as an oracle.

NumPy and SciPy draw the noise and score the outputs, plain convolutions of PyTorch run DnCNN;
nothing is imported from `mtd` or `analysis`. The protocol, read in the script
`Denoising/test_synthetic_denoising.py` of alwaysuu/CLIPDenoising at 2647bf8 and its `utils.py`:

- 8-bit RGB divided by 255 in float32; NumPy's global stream seeded with 0 before every image;
- Gaussian noise N(0, σ/255) of shape (H, W, 3); the same smoothed by a 3 × 3 mean, channel by
  channel, with the default borders of `scipy.ndimage.convolve`; Poisson noise with
  2^⌈log₂ u⌉ counts, u the number of different values, scaled by α, the only one that is clipped;
- the network's output clipped to [0, 1], not rounded; PSNR over all pixels and channels.

It pads to multiples of 32 for its own network; DnCNN needs no padding.

    python -m tests.helpers.clipdenoising_oracle CHECKPOINT IMAGES OUT.json gaussian:15 …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.ndimage import convolve

GAUSSIAN, SPATIAL, POISSON = (15, 25, 50), (40, 45, 50, 55), (2, 2.5, 3, 3.5)
NOISES = [
    *(f"gaussian:{sigma}" for sigma in GAUSSIAN),
    *(f"spatial:{sigma}" for sigma in SPATIAL),
    *(f"poisson:{alpha:g}" for alpha in POISSON),
]


def clean_image(path: Path) -> np.ndarray:
    """An 8-bit file as float32 (H, W, 3) in [0, 1]."""
    return np.asarray(Image.open(path).convert("RGB"), np.float32) / np.float32(255)


def noisy_image(clean: np.ndarray, noise: str) -> np.ndarray:
    """An image under a noise such as `poisson:2.5`, float32."""
    kind, _, text = noise.partition(":")
    level = float(text)
    np.random.seed(0)  # noqa: NPY002 (the protocol's global stream)
    if kind == "poisson":
        levels = np.clip(np.round(clean * np.float32(255)), 0, 255) / np.float32(255)
        counts = 2.0 ** np.ceil(np.log2(len(np.unique(levels))))
        drawn = np.random.poisson(levels.astype(np.float64) * counts) / counts  # noqa: NPY002
        change = (drawn.astype(np.float32) - levels) * np.float32(level)
        return np.clip(levels + change, 0, 1)
    values = np.random.normal(0, level / 255, clean.shape)  # noqa: NPY002
    if kind == "spatial":
        for channel in range(3):
            values[..., channel] = convolve(values[..., channel], np.full((3, 3), 1 / 9))
    return (clean + values).astype(np.float32)


def dncnn(weights: dict[str, torch.Tensor], noisy: np.ndarray) -> np.ndarray:
    """DnCNN with merged normalization: the input minus what its convolutions find."""
    x = features = torch.from_numpy(noisy.transpose(2, 0, 1).copy())[None]
    layers = sorted({int(key.split(".")[1]) for key in weights})
    for layer in layers:
        kernel, bias = weights[f"model.{layer}.weight"], weights[f"model.{layer}.bias"]
        features = F.conv2d(features, kernel, bias, padding=1)
        if layer != layers[-1]:
            features = F.relu(features)
    return (x - features)[0].numpy().transpose(1, 2, 0)


def psnr(clean: np.ndarray, output: np.ndarray, rounded: bool = False) -> float:
    """In dB, of an output in [0, 1] that is clipped, and rounded to 8 bits if so said."""
    a = (clean * np.float32(255)).astype(np.float64)
    b = np.clip(output, 0, 1) * np.float32(255)
    b = (np.round(b) if rounded else b).astype(np.float64)
    return float(20 * np.log10(255 / np.sqrt(np.mean((a - b) ** 2))))


@torch.no_grad()
def scores(checkpoint: Path, files: list[Path], noises: list[str]) -> dict[str, dict[str, float]]:
    """PSNR by noise and file name."""
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    found: dict[str, dict[str, float]] = {noise: {} for noise in noises}
    for path in files:
        clean = clean_image(path)
        for noise in noises:
            output = dncnn(weights, noisy_image(clean, noise))
            found[noise][path.name] = psnr(clean, output)
    return found


if __name__ == "__main__":
    checkpoint, images, out, *noises = sys.argv[1:]
    files = sorted(Path(images).glob("*.png"))
    found = {}
    for noise in noises or NOISES:
        found |= scores(Path(checkpoint), files, [noise])
        Path(out).write_text(json.dumps(found, indent=1) + "\n")
        print(noise, np.mean(list(found[noise].values())), flush=True)
