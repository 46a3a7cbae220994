"""What the benchmark costs over its networks' bare passes: `python -m pytest FILE -s`."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch

import mtd
from analysis.commands.command import run_arguments
from analysis.engine import run as engine_run
from analysis.generalization import command as generalization_command
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.base import Denoiser
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.noise import specs as noise_specs
from tests.helpers.noises import add_keyed

NOISES = ("gaussian:15", "poisson:3", "isp")


def test_the_command_over_bare_passes(tmp_path: Path):
    """The bundled pair and a DnCNN of the published size, 16 crops of 128 x 128, PSNR and SSIM."""
    torch.manual_seed(0)
    network = DnCNN(DnCNNConfig())
    torch.save(network.state_dict(), tmp_path / "dncnn.pth")
    files = ["baseline.pth", "masked.pth", str(tmp_path / "dncnn.pth")]
    networks: list[Denoiser] = [mtd.load(file) for file in files]
    groups = engine_run.batches(data_crops.crops(photographs.photographs(), 128, 16), 4)

    def bare() -> None:
        with torch.no_grad():
            for batch in groups:
                for spec in NOISES:
                    noisy = add_keyed(noise_specs.parse(spec), batch.clean, batch.digests)
                    for network in networks:
                        network(noisy, batch.digests)

    def whole(turn: int) -> None:
        options = [part for spec in NOISES for part in ("--noise", spec)]
        crops = ["--crop", "128", "--limit", "16", "--no-lpips", "--quiet"]
        arguments = [*files, *options, *crops, "--output-dir", str(tmp_path / f"run{turn}")]
        run_arguments(generalization_command.ANALYSIS, arguments)

    seconds: dict[str, list[float]] = {"bare": [], "whole": []}
    for turn in range(3):
        for name, job in (("bare", bare), ("whole", lambda turn=turn: whole(turn))):
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    own, other = (statistics.median(seconds[name]) for name in ("whole", "bare"))
    print(
        f"\nanalysis.generalization over bare passes: {own / other:.2f} ({own:.0f} / {other:.0f} s)"
    )
    assert own / other < 2
