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
        Failed: a noise or a version differs, or something is pinned on one side alone.
    """
    pinned, own = json.loads(FILE.read_text()), every()
    nothing: dict[str, Any] = {"version": None, "sha256": {}}
    lines, other, changed = [], [], []
    for name in sorted({*pinned, *own}):
        expected, found = pinned.get(name, nothing), own.get(name, nothing)
        specs = dict.fromkeys([*expected["sha256"], *found["sha256"]])
        differ = [s for s in specs if expected["sha256"].get(s) != found["sha256"].get(s)]
        for spec in differ:
            pair = (spec in expected["sha256"], spec in found["sha256"])
            why = {(True, False): " (no longer in it)", (False, True): " (not pinned)"}
            other.append(f"{name} {spec}{why.get(pair, '')}")
        if name in pinned and name in own and expected["version"] != found["version"]:
            changed.append(f"{name} is version {found['version']}, not {expected['version']}")
        lines.append(f"{name}: {len(specs) - len(differ)} of {len(specs)} noises as pinned")
    found_wrong = [f"draws other noise than is pinned: {', '.join(other)}"] if other else []
    found_wrong += [f"has suites of other versions: {', '.join(changed)}"] if changed else []
    if found_wrong:
        raise Failed(
            f"this machine {' and '.join(found_wrong)}; results are not those of the versions that "
            "are pinned"
        )
    return "\n".join(lines)
