"""What metrics cost beside PSNR: `python -m pytest FILE -s`; those of pyiqa where it is there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from mtd.data.crops import crops, to_tensor
from mtd.data.photographs import photographs
from mtd.metrics import psnr, pyiqa_metrics, ssim
from mtd.metrics.lpips import LPIPS
from tests.helpers.paths import DATA

BACKBONE = DATA / "weights" / "alexnet_features.safetensors"

WITHOUT_WEIGHTS = ("gmsd", "piqe", "nlpd", "vsi", "vif", "ms_ssim", "fsim")


def test_metrics_over_psnr() -> None:
    """Four crops of 256 x 256 with noise of σ = 25; the median of five rounds, metrics in turn."""
    clean = to_tensor([crop.pixels for crop in crops(photographs(), 256, 4)])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    output = clean + 25 / 255 * noise
    functions: dict[str, Callable[..., Tensor]] = {"PSNR": psnr, "SSIM": ssim}
    if BACKBONE.is_file():
        functions["LPIPS"] = LPIPS(BACKBONE)
    if pyiqa_metrics.installed():
        found = [pyiqa_metrics.load(f"pyiqa:{name}") for name in WITHOUT_WEIGHTS]
        functions |= {metric.label: metric.function for metric in found}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(6):
        for name, function in functions.items():
            start = time.perf_counter()
            function(output, clean)
            if turn:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(each) / len(clean) for name, each in seconds.items()}
    print()
    for name, each in medians.items():
        print(f"{name:16} {each / medians['PSNR']:6.1f} x PSNR  {1000 * each:7.1f} ms an image")
    assert all(each > 0 for each in medians.values())
