"""The observer of the benchmark: its rows are the metrics of each image, whatever the batches."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from analysis.engine import run as engine_run
from analysis.engine.forward import ForwardSettings
from analysis.engine.image_quality import ImageQuality
from analysis.engine.observer import Batch, View, Watch
from analysis.engine.protocol import PROTOCOLS, Protocol
from analysis.text import noise_labels
from analysis.text.noise_labels import NOISY
from mtd.data import crops as data_crops
from mtd.data.crops import Crop, busiest
from mtd.data.recorded_noise import Recorded
from mtd.metrics import psnr_ssim
from mtd.networks.base import Unchanged
from mtd.noise.base import pair_keyed
from mtd.noise.mixture import OURS
from mtd.noise.specs import parse
from mtd.utils.distributed import Ranks
from tests.helpers.networks import tiny_network
from tests.helpers.thread_ranks import in_threads


def crops(*sizes: tuple[int, int]) -> list[Crop]:
    rng = np.random.default_rng(0)
    return [
        Crop(f"{i}.png", 0, 0, rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        for i, size in enumerate(sizes)
    ]


MODELS: dict[str, nn.Module] = {"a": tiny_network(0), "b": tiny_network(1), NOISY: Unchanged()}
CROPS = crops((24, 20), (24, 20), (24, 20), (16, 33), (9, 9))
NOISES = [parse(text) for text in ("gaussian:25", "isp", "poisson:3")]


def groups(*sizes: int) -> list[Batch]:
    ends = np.cumsum((0, *sizes))
    return [Batch(i, CROPS[a:b]) for i, (a, b) in enumerate(itertools.pairwise(ends))]


def observed(
    *sizes: int, protocol: Protocol | None = None, ranks: Ranks | None = None
) -> ImageQuality:
    observer, settings = ImageQuality(list(MODELS), protocol, window=8), ForwardSettings(seed=5)
    watches = [Watch(observer)]
    for _ in engine_run.run_batches(
        MODELS, NOISES, groups(*sizes), watches, settings, ranks=ranks or Ranks()
    ):
        pass
    return observer


@pytest.mark.parametrize("protocol", [*PROTOCOLS.values(), Protocol("own", 2, "y", False)])
def test_rows_are_the_metrics_of_each_image(protocol):
    frame = observed(3, 1, 1, protocol=protocol).compute()
    assert set(frame.protocol) == {protocol.name} and set(frame.border) == {protocol.border}
    count = 0
    for noise in NOISES:
        for crop in CROPS:
            clean = data_crops.to_tensor([crop.pixels])
            noisy, target = pair_keyed(noise, clean, [crop.digest], seed=5)
            for name, model in MODELS.items():
                with torch.no_grad():
                    output = model(noisy, [crop.digest])
                rows = frame[(frame.model == name) & (frame.noise == noise.spec)]
                found = rows[rows.sha256 == crop.digest].set_index("metric").value
                how = protocol.border, protocol.channel, protocol.round_output or "clip"
                expected = {"psnr": psnr_ssim.psnr(output, target, *how)}
                if min(crop.pixels.shape[:2]) - 2 * protocol.border >= 11:
                    expected["ssim"] = psnr_ssim.ssim(output, target, *how)
                assert set(found.index) == set(expected)
                for metric, value in expected.items():
                    assert found[metric] == pytest.approx(float(value), abs=2e-4)
                count += len(expected)
    assert len(frame) == count


def test_isp_is_scored_against_the_processed_raw():
    frame = observed(3, 1, 1).compute()
    rows = frame[(frame.noise == "isp") & (frame.model == NOISY) & (frame.metric == "psnr")]
    crop = CROPS[0]
    clean = data_crops.to_tensor([crop.pixels])
    noisy, target = pair_keyed(parse("isp"), clean, [crop.digest], seed=5)
    value = rows.set_index("sha256").value[crop.digest]
    assert value == float(psnr_ssim.psnr(noisy, target))
    assert value != pytest.approx(float(psnr_ssim.psnr(noisy, clean)), abs=0.01)


def test_the_batch_changes_nothing():
    one, many = observed(1, 1, 1, 1, 1).compute(), observed(3, 1, 1).compute()
    keys = ["model", "noise", "sha256", "metric"]
    one, many = (frame.sort_values(keys).reset_index(drop=True) for frame in (one, many))
    assert (one[keys] == many[keys]).all(axis=None)
    assert (one.value - many.value).abs().max() < 1e-3  # a rounding at a half may differ


def test_two_processes_find_the_rows_of_one_in_its_order():
    sizes = (1, 1, 1, 1, 1)
    whole = observed(*sizes).compute()
    parts = [observed(*sizes, ranks=Ranks(rank, 2)) for rank in range(2)]
    assert [sorted(part.outputs) for part in parts] == [[0, 2, 4], [1, 3]]
    tables = in_threads(lambda ranks: engine_run.compute_result(parts[ranks.rank], ranks))
    assert all(table.equals(whole) for table in tables)


def test_squares_are_those_of_the_output():
    observer = observed(3, 1, 1)
    batch = groups(3, 1, 1)[0]
    crop = CROPS[1]
    noisy, _ = pair_keyed(NOISES[0], data_crops.to_tensor([crop.pixels]), [crop.digest], seed=5)
    rows, columns = busiest(crop.pixels, 8)
    square = observer.square(View(NOISY, "gaussian:25"), batch, crop)
    assert square is not None and square.shape == (3, 8, 8)
    assert torch.equal(square, noisy[0, :, rows, columns].mul(255).round().to(torch.uint8))
    assert observer.square(View("c", "gaussian:25"), batch, crop) is None


def test_a_batch_with_noises_of_its_own_is_seen_under_those_only():
    own = Recorded("camera:3", {"0.png": lambda: 255 - CROPS[0].pixels})
    both = [Batch(0, CROPS[:1], [own]), Batch(1, CROPS[3:4])]
    observer = ImageQuality(list(MODELS), window=8)
    seen = list(engine_run.run_batches(MODELS, NOISES, both, [Watch(observer)]))
    assert [view.noise for view in seen] == 3 * ["camera:3"] + [
        noise.spec for noise in NOISES for _ in MODELS
    ]
    frame = observer.compute()
    rows = frame[(frame.noise == "camera:3") & (frame.model == NOISY) & (frame.metric == "psnr")]
    a, b = (data_crops.to_tensor([p]) for p in (255 - CROPS[0].pixels, CROPS[0].pixels))
    assert rows.value.tolist() == [float(psnr_ssim.psnr(a, b))]


def test_outputs_that_are_no_numbers_give_nan_and_a_picture():
    class Broken(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * math.nan

    observer = ImageQuality(["broken"], window=8)
    batches = [Batch(0, CROPS[:1])]
    list(engine_run.run_batches({"broken": Broken()}, NOISES[:1], batches, [Watch(observer)]))
    assert observer.compute().value.isna().all()


def test_the_key_holds_what_decides_the_values():
    plain = ImageQuality(["a"]).key
    assert json.loads(json.dumps(plain)) == plain
    others = [ImageQuality(["a"], PROTOCOLS["paper"]), ImageQuality(["a"], Protocol(channel="y"))]
    others += [ImageQuality(["a"], window=8), ImageQuality(["a"], Protocol(round_output=False))]
    assert all(other.key != plain for other in others)


def test_kinds_levels_and_whose_preset_the_mixture_is():
    noises = [parse("mixture:2"), parse("isp"), Recorded("monte_carlo:64", {"a": lambda: None})]
    frame = noise_labels.describe(noises).set_index("noise")
    assert frame.kind.tolist() == ["mixture", "isp", "monte_carlo"]
    assert frame.level["mixture:2"] == 2 and frame.level["monte_carlo:64"] == 64
    assert math.isnan(frame.level["isp"])
    assert frame.note.tolist() == [OURS, "", ""]
