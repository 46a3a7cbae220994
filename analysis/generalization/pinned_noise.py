"""Digests of what every suite draws on one synthetic image, so that no change goes unnoticed.

`digests.json` beside the suites holds them; `--suite check` compares them with what this machine
draws. Noise from NumPy's legacy stream is pinned as float32, bit for bit. Other noise comes from
PyTorch, whose normal numbers differ in their last bits between processors: it is pinned as 8-bit
levels, clipped and rounded.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

from analysis.generalization.noise_suite import FOLDER, Suite, load, names
from mtd.data.crops import Crop, to_tensor
from mtd.data.image_io import Pixels
from mtd.metrics.psnr_ssim import levels
from mtd.noise.specs import parse
from mtd.utils.errors import Failed

FILE = FOLDER / "digests.json"

HEIGHT, WIDTH = 24, 32


def synthetic_image() -> Pixels:
    """(24, 32, 3) in 8 bits: (7 i² + 13 i j + 5 j + 31 c (i + 1)) mod 256 in row i, column j.

    >>> synthetic_image()[1, :3, 0].tolist()
    [7, 25, 43]
    """
    i, j, c = np.indices((HEIGHT, WIDTH, 3))
    return np.asarray((7 * i * i + 13 * i * j + 5 * j + 31 * c * (i + 1)) % 256, np.uint8)


def digests(suite: Suite) -> dict[str, str]:
    """SHA-256 of the noisy image in the order (H, W, C) by noise, under seed 0.

    A noise that depends on files has none.
    """
    crop = Crop("synthetic", 0, 0, synthetic_image())
    clean, drawing, found = to_tensor([crop.pixels]), suite.protocol.drawing, {}
    for text in suite.noises:
        if text.startswith("folder:"):
            continue
        noise = parse(text)
        noisy = drawing.noisy_images(noise, clean, [crop.digest]).noisy
        if drawing.seed_policy == "legacy_per_image":
            values = noisy[0].permute(1, 2, 0).numpy().astype("<f4")
        else:
            values = levels(noisy)[0].permute(1, 2, 0).numpy().astype(np.uint8)
        found[noise.spec] = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return found


def every() -> dict[str, Any]:
    """The digests of every suite of the package, with its version, ready for JSON."""
    suites = {name: load(name) for name in names()}
    return {
        name: {"version": suite.version, "sha256": digests(suite)}
        for name, suite in suites.items()
        if suite.noises
    }


def checked() -> str:
    """What this machine draws, compared with what is pinned: a line for each suite.

    Raises:
        Failed: some noise differs.
    """
    pinned, own = json.loads(FILE.read_text()), every()
    lines, other = [], []
    for name, entry in pinned.items():
        drawn = own[name]["sha256"]
        differ = [spec for spec, digest in entry["sha256"].items() if drawn.get(spec) != digest]
        other += [f"{name} {spec}" for spec in differ]
        lines.append(f"{name}: {len(drawn) - len(differ)} of {len(drawn)} noises as pinned")
    if other:
        raise Failed(
            f"this machine draws other noise than is pinned: {', '.join(other)}; results are not "
            "those of the suite's version"
        )
    return "\n".join(lines)
