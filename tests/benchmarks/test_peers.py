"""CKA against other packages, in one process, on the same work, in alternating runs.

    pip install --no-deps pytorch-cka torch_cka ckatorch
    python -m pytest tests/benchmarks/test_peers.py -s

prints one table; about fifteen minutes on two cores, most of them ckatorch's and the full-size
networks'. Rows of packages that are missing are left out.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import mtd
from analysis.cka import command as cka_command
from analysis.cka import hsic
from analysis.commands.command import run_arguments
from analysis.engine import run as engine_run
from analysis.engine.hooks import Activations
from analysis.stats import permutation
from mtd.data import crops as data_crops
from mtd.data import photographs
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.swinir import SwinIR
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.noise import specs as noise_specs
from tests.benchmarks import peers
from tests.helpers.noises import add_keyed
from tests.helpers.paths import ROOT

LAYERS, IMAGES = 24, 64
THREADS = 2

table: list[tuple[str, str, str]] = []


@pytest.fixture(scope="module", autouse=True)
def printed() -> Iterator[None]:
    torch.set_num_threads(THREADS)
    yield
    width = max(len(row[0]) for row in table)
    print(
        "\n\n" + "\n".join(f"{what:<{width}}  {value:>24}  {bound}" for what, value, bound in table)
    )


def record(what: str, value: float, bound: float, *, least: bool = False, note: str = "") -> None:
    """A row of the table; fails if the bound is not kept."""
    sign = ">=" if least else "<="
    table.append((what, f"{value:.3g}{note}", f"{sign} {bound:g}"))
    assert value >= bound if least else value <= bound, table[-1]


def alternate(runs: int, *jobs: Callable[[], object]) -> list[float]:
    """Median seconds of each job, run in turn."""
    seconds: list[list[float]] = [[] for _ in jobs]
    for job in jobs:
        job()
    for _ in range(runs):
        for job, mine in zip(jobs, seconds, strict=True):
            start = time.perf_counter()
            job()
            mine.append(time.perf_counter() - start)
    return [statistics.median(mine) for mine in seconds]


def grams_of(model: nn.Module, layers: list[str], x: Tensor) -> list[Tensor]:
    """A pass of a network whose layers are turned into Grams in their hooks."""

    def keep(_: str, value: Tensor) -> Tensor:
        return hsic.gram(value.reshape(len(value), -1))

    with torch.no_grad(), Activations(model, layers, keep) as seen:
        model(x)
    return [value for _, value in seen.items()]


def ours(views: list[tuple[nn.Module, list[str]]], inputs: Tensor, batch: int) -> Tensor:
    """CKA of all layers of some networks with each other."""
    total = None
    for x in inputs.split(batch):
        grams = [k for model, layers in views for k in grams_of(model, layers, x)]
        sums = hsic.from_grams(torch.stack(grams))
        total = sums if total is None else total + sums
    assert total is not None
    return total.cka()


def recorded(seed: int) -> list[Tensor]:
    """Activations of two networks that are related, more so in later layers."""
    stream = torch.Generator().manual_seed(seed)
    common = torch.randn(IMAGES, 32, 32, 32, generator=torch.Generator().manual_seed(9))
    return [
        torch.randn(IMAGES, 32, 32, 32, generator=stream) + 0.05 * i * common for i in range(LAYERS)
    ]


PEERS = {
    "pytorch-cka": (peers.run_pytorch_cka, 1.05, {64: 9, 16: 9}),
    "torch_cka": (peers.run_torch_cka, 1 / 10, {64: 3, 16: 3}),
    "ckatorch": (peers.run_ckatorch, 1 / 50, {64: 1, 16: 1}),
}


@pytest.mark.parametrize("batch", [64, 16])
def test_analysis_only(batch):
    sides = recorded(0), recorded(1)
    a, b = (peers.Replay(side) for side in sides)
    index = torch.arange(IMAGES)

    def mine() -> Tensor:
        return ours([(a, a.names), (b, b.names)], index, batch)[:LAYERS, LAYERS:]

    expected = peers.oracle(*sides, batch)
    record(f"largest error, batch {batch}", abs(mine().numpy() - expected).max(), 1e-6)
    for name, (run, bound, runs) in PEERS.items():
        if name in peers.missing():
            continue

        def theirs(run=run) -> object:
            return run(a, b, a.names, b.names, index, batch)

        own, other = alternate(runs[batch], mine, theirs)
        error = abs(theirs() - expected).max()
        note = f" ({own:.3f} / {other:.3f} s)"
        record(f"analysis only, batch {batch}, time over {name}'s", own / other, bound, note=note)
        table.append((f"  {name}'s largest error", f"{error:.1g}", ""))


def smooth(count: int = IMAGES, seed: int = 3) -> Tensor:
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return F.interpolate(coarse, (32, 32), mode="bilinear")


class Under(nn.Module):
    """A network under one of several noises: its input says which image."""

    def __init__(self, model: nn.Module, noisy: Tensor) -> None:
        super().__init__()
        self.model, self.noisy = model, noisy

    def forward(self, index: Tensor) -> Tensor:
        result: Tensor = self.model(self.noisy[index.flatten().long()])
        return result


def test_six_views_all_blocks():
    if "pytorch-cka" in peers.missing():
        pytest.skip("pytorch-cka is not installed")
    stream = torch.Generator().manual_seed(0)
    networks = [peers.Convs(stream).eval() for _ in range(2)]
    clean, index = smooth(), torch.arange(IMAGES)
    noisy = [clean + s * torch.randn(clean.shape, generator=stream) for s in (0.05, 0.1, 0.2)]
    views = [Under(network, x) for network in networks for x in noisy]
    names = [f"model.{name}" for name in networks[0].names]

    def mine() -> None:
        ours([(view, names) for view in views], index, 64)

    def theirs() -> None:
        for i, a in enumerate(views):
            for b in views[i:]:
                peers.run_pytorch_cka(a, b, names, names, index, 64)

    own, other = alternate(3, mine, theirs)
    note = f" ({own:.2f} / {other:.2f} s)"
    record(
        "6 views, 21 blocks: times faster than pytorch-cka", other / own, 5, least=True, note=note
    )


def peak_of(job: str) -> float:
    """MB of memory that a job needs over what its process held before, in a process of its own."""
    command = [sys.executable, __file__, job]
    path = str(ROOT)
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": path, "HOME": "/"}
    )
    return float(done.stdout.splitlines()[-1])


def memory_job(who: str) -> None:
    """Both networks end to end at batch 64."""
    torch.set_num_threads(THREADS)
    stream = torch.Generator().manual_seed(0)
    a, b = (peers.Convs(stream).eval() for _ in range(2))
    x = smooth()
    small = smooth(8)

    def run(inputs: Tensor) -> None:
        if who == "ours":
            ours([(a, a.names), (b, b.names)], inputs, len(inputs))
        else:
            peers.run_pytorch_cka(a, b, a.names, b.names, inputs, len(inputs))

    run(small)  # so that what is loaded lazily belongs to the base
    base = peak()
    run(x)
    print(peak() - base)


def peak() -> float:
    """Most memory that this process has held, MB; Linux counts it anew for each program."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


def test_peak_memory_end_to_end():
    if "pytorch-cka" in peers.missing():
        pytest.skip("pytorch-cka is not installed")
    own, other = (statistics.median(peak_of(w) for _ in range(3)) for w in ("ours", "theirs"))
    note = f" ({own:.0f} / {other:.0f} MB)"
    record("peak memory over the base, over pytorch-cka's", own / other, 0.45, note=note)


def growth_job(limit: str) -> None:
    """The command on whole images by minibatches."""
    torch.set_num_threads(THREADS)
    command(
        *("baseline.pth", "masked.pth", "--unit", "image", "--estimator", "minibatch"),
        *("--permutations", "0", "--crop", "64", "--crop-rule", "random", "--limit", limit),
    )
    print(peak())


def command(*arguments: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        options = [*arguments, "--quiet", "--output-dir", f"{folder}/run"]
        run_arguments(cka_command.ANALYSIS, options)


def test_memory_as_images_grow():
    few, many = peak_of("64"), peak_of("1024")
    note = f" ({few:.0f}, {many:.0f} MB)"
    record("peak memory, 1,024 images over 64, minibatch", many / few, 1.1, note=note)


def test_full_size_networks_over_bare_passes(tmp_path, capsys):
    for seed, (name, policy) in enumerate(
        {"a": MaskPolicy(), "b": MaskPolicy((75, 85), "zero", 75)}.items()
    ):
        network = SwinIR(SwinIRConfig())
        network.initialize(torch.Generator().manual_seed(seed))
        path = tmp_path / f"{name}.pth"
        checkpoint_file.save(path, network.state_dict(), network=SwinIRConfig(), mask=policy)
    specs = ("gaussian:15", "poisson:3", "gaussian:50")
    files = [str(tmp_path / f"{name}.pth") for name in "ab"]
    networks = [mtd.load(file) for file in files]
    batches = engine_run.batches(data_crops.crops(photographs.photographs(), 64, 64), 16)

    def bare() -> None:
        with torch.no_grad():
            for batch in batches:
                for spec in specs:
                    noisy = add_keyed(noise_specs.parse(spec), batch.clean, batch.digests)
                    for network in networks:
                        network(noisy, batch.digests)

    def whole() -> None:
        options = [part for spec in specs for part in ("--noise", spec)]
        command(*files, *options, "--pairs", "all")

    seconds: dict[str, list[float]] = {"bare": [], "whole": []}
    for _ in range(2):
        for name, job in (("bare", bare), ("whole", whole)):
            start = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - start)
    own, other = (statistics.mean(seconds[name]) for name in ("whole", "bare"))
    note = f" ({own:.0f} / {other:.0f} s)"
    record("analysis.cka, 6 full-size views, over bare passes", own / other, 1.25, note=note)


def test_thousand_permutations():
    stream = torch.Generator().manual_seed(0)
    rows = 2 * LAYERS
    grams = torch.stack(
        [hsic.gram(torch.randn(IMAGES, 500, generator=stream)) for _ in range(rows)]
    )
    asked = torch.zeros(rows, rows, dtype=torch.bool)
    asked[:LAYERS, LAYERS:] = True
    centred = [hsic.u_center(grams)]
    start = time.perf_counter()
    permutation.p_values(centred, asked, torch.ones(rows, dtype=torch.bool), 1000)
    record("1,000 permutations of 24 x 24 at 64 images, s", time.perf_counter() - start, 5)


if __name__ == "__main__":
    jobs = argparse.ArgumentParser()
    jobs.add_argument("job")
    job = jobs.parse_args().job
    growth_job(job) if job.isdecimal() else memory_job(job)
