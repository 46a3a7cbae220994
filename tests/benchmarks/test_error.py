"""What four draws cost over one bare pass of each network: `python -m pytest FILE -s`."""

from __future__ import annotations

import statistics
import time

import torch

import mtd
from analysis.engine import run as engine_run
from analysis.error import decompose
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.networks.base import Denoiser
from mtd.networks.dncnn import DnCNN, DnCNNConfig
from mtd.noise import specs as noise_specs
from tests.helpers.noises import add_keyed

NOISES = ("gaussian:15", "poisson:3.5")


def test_four_draws_over_a_bare_pass() -> None:
    """The bundled baseline and a DnCNN of the published size, 16 crops of 64 x 64.

    The bare pass is each network once on each noise; four draws are four of them, with spectra,
    sums and intervals. Seconds are those of the processor, of all threads.
    """
    torch.manual_seed(0)
    networks: dict[str, Denoiser] = {
        "baseline": mtd.load("baseline.pth"),
        "dncnn": DnCNN(DnCNNConfig()).eval(),
    }
    groups = engine_run.batches(data_crops.crops(photographs.photographs(), 64, 16), 8)

    def bare() -> None:
        with torch.no_grad():
            for batch in groups:
                for spec in NOISES:
                    noisy = add_keyed(noise_specs.parse(spec), batch.clean, batch.digests)
                    for network in networks.values():
                        network(noisy, batch.digests)

    def whole() -> None:
        given = {"noises": NOISES, "crop": 64, "limit": 16, "batch_size": 8, "progress": False}
        decompose(networks, draws=4, **given)

    bare()
    seconds: dict[str, list[float]] = {"bare": [], "whole": []}
    for _ in range(3):
        for name, job in (("bare", bare), ("whole", whole)):
            start = time.process_time()
            job()
            seconds[name].append(time.process_time() - start)
    own, other = (statistics.median(seconds[name]) for name in ("whole", "bare"))
    print(
        f"\nanalysis.error, 4 draws over a bare pass: {own / other:.2f} ({own:.1f} / {other:.1f} s)"
    )
    assert own / other < 4.3
