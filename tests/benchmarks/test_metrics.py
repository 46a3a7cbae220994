"""What metrics cost: `python -m pytest FILE -s`; those of pyiqa and LPIPS where they are there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import mtd
from analysis.engine import run
from analysis.engine.image_quality import ImageQuality
from analysis.engine.observer import NoisyBatch
from mtd.data.crops import crops, to_tensor
from mtd.data.photographs import photographs
from mtd.metrics import psnr, pyiqa_metrics, ssim
from mtd.metrics.lpips import LPIPS
from mtd.noise import specs
from tests.helpers.noises import add_keyed
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


def test_lpips_in_the_benchmark_over_the_package_alone() -> None:
    """A pass of the bundled network and its scores, 16 crops of 128 x 128 in batches of 4.

    What LPIPS adds to the pass and its PSNR and SSIM, over what the package `lpips` takes for the
    same images; the fastest of twelve rounds, in turn.
    """
    if not BACKBONE.is_file():
        pytest.skip("the backbone of LPIPS is not there")
    noise, network, metric = specs.parse("poisson:3"), mtd.load("masked.pth"), LPIPS(BACKBONE)
    batches = run.batches(crops(photographs(), 128, 16), 4)
    given: list[tuple[NoisyBatch, Tensor]] = []
    start = time.perf_counter()
    for batch in batches:
        clean = batch.clean
        noisy = add_keyed(noise, clean, batch.digests)
        with torch.no_grad():
            output = network(noisy, batch.digests)
        given.append((NoisyBatch(batch, noise, noisy, clean, torch.zeros(len(clean))), output))
    bare = time.perf_counter() - start

    def scored(perceptual: LPIPS | None) -> None:
        observer = ImageQuality(["masked"], perceptual=perceptual)
        for noisy, output in given:
            observer.extract("", output, noisy)

    def package() -> None:
        with torch.no_grad():
            for noisy, output in given:
                metric.network(output * 2 - 1, noisy.target * 2 - 1)

    jobs = {"without": lambda: scored(None), "with": lambda: scored(metric), "package": package}
    fastest = dict.fromkeys(jobs, float("inf"))
    for turn in range(13):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if turn:  # the first one warms up
                fastest[name] = min(fastest[name], time.perf_counter() - start)
    added = fastest["with"] - fastest["without"]
    print(
        f"\nLPIPS adds {added:.2f} s to a pass of {bare:.2f} s: {added / fastest['package']:.2f} "
        f"x the package's {fastest['package']:.2f} s"
    )
    assert added < 1.5 * fastest["package"]
