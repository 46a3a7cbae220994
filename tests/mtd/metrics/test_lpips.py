"""LPIPS through the package: published values, and the formula in float64."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from mtd.data.crops import to_tensor
from mtd.data.image_io import read_rgb
from mtd.metrics import lpips as metrics_lpips
from mtd.metrics import lpips_backbone
from mtd.metrics.lpips import LPIPS
from mtd.metrics.registry import METRICS
from tests.helpers import lpips_backbone as helper
from tests.helpers.paths import data_folder

pytest.importorskip("torchvision", reason="torchvision is not installed")
lpips = pytest.importorskip("lpips", reason="lpips is not installed")

GOLDEN = {"1": 0.16652445, "8": 0.19612110, "18": 0.21852401}
"""LPIPS of the noisy images of `mcm_poisson_20` against the clean ones, in RGB and float32."""

GOLDEN_BGR = {"1": 0.16556441, "8": 0.18402558, "18": 0.21058054}
"""The same with blue first."""


@pytest.fixture
def backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with random tensors, taken for the published ones."""
    tensors = helper.drawn()
    helper.admit(tensors, monkeypatch)
    path = tmp_path / "backbone.pth"
    torch.save(tensors, path)
    return path


def published() -> Path:
    """The published backbone; the test is skipped where it is missing."""
    return data_folder("weights") / "alexnet_features.safetensors"


def pair(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A noisy image of `mcm_poisson_20` and the clean one."""
    folder = data_folder("mcm_poisson_20")
    noisy, clean = (folder / "noisy" / f"{name}.png", folder / "clean" / f"{name}.tif")
    return to_tensor([read_rgb(noisy)]), to_tensor([read_rgb(clean)])


def drawn(height: int = 40, width: int = 48, count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    clean = torch.rand(count, 3, height, width, generator=stream)
    return clean + 0.1 * torch.randn(clean.shape, generator=stream), clean


def oracle(path: Path, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """`formula` with a backbone in torchvision's form."""
    return formula(torch.load(path), output, target)


def formula(
    backbone: dict[str, torch.Tensor],
    output: torch.Tensor,
    target: torch.Tensor,
    rounded: bool = True,
) -> torch.Tensor:
    """LPIPS in float64: squared differences of unit features, weighted, averaged, added."""
    state = {k: v.double() for k, v in backbone.items()}
    linear = torch.load(
        Path(lpips.__file__).parent / "weights" / "v0.1" / "alex.pth", map_location="cpu"
    )
    shift = torch.tensor([-0.030, -0.088, -0.188], dtype=torch.float64).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450], dtype=torch.float64).view(1, 3, 1, 1)

    def features(image: torch.Tensor) -> list[torch.Tensor]:
        x = image.clamp(0, 1).mul(255)
        x = ((x.round() if rounded else x).double() / 127.5 - 1 - shift) / scale
        found = []
        for i, place in enumerate((0, 3, 6, 8, 10)):
            if i in (1, 2):
                x = F.max_pool2d(x, 3, 2)
            weight, bias = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
            x = F.conv2d(x, weight, bias, 4 if i == 0 else 1, (2, 2, 1, 1, 1)[i]).relu()
            found.append(x / x.square().sum(1, keepdim=True).sqrt())
        return found

    total = torch.zeros(len(output), dtype=torch.float64)
    for i, (a, b) in enumerate(zip(features(output), features(target), strict=True)):
        weights = linear[f"lin{i}.model.1.weight"].double()
        total += ((a - b).square() * weights).sum(1).mean(dim=(1, 2))
    return total


def test_golden_values_of_photographs():
    metric = LPIPS(published())
    pairs = [pair(name) for name in GOLDEN]
    for (noisy, clean), golden in zip(pairs, GOLDEN.values(), strict=True):
        assert float(metric(noisy, clean)) == pytest.approx(golden, abs=1e-6)
        assert float(metric(clean, clean)) == 0
    stacks = torch.cat([noisy for noisy, _ in pairs]), torch.cat([clean for _, clean in pairs])
    assert metric(*stacks).tolist() == pytest.approx(list(GOLDEN.values()), abs=1e-6)
    metric.largest = 128
    assert metric(*stacks).tolist() == pytest.approx(list(GOLDEN.values()), abs=1e-6)


def test_blue_first_gives_other_values_under_another_name():
    metric, usual = LPIPS(published(), channels="bgr"), LPIPS(published())
    assert metric.name == "lpips_bgr" and METRICS[metric.name].label == "LPIPS (BGR)"
    for name, golden in GOLDEN_BGR.items():
        noisy, clean = pair(name)
        assert float(metric(noisy, clean)) == pytest.approx(golden, abs=1e-6)
        assert float(usual(noisy.flip(1), clean.flip(1))) == pytest.approx(golden, abs=1e-6)


def test_another_order_is_refused(backbone):
    with pytest.raises(ValueError, match="'grb': expected rgb or bgr"):
        LPIPS(backbone, channels="grb")  # type: ignore[arg-type]


@pytest.mark.parametrize("largest", [-16, 0, 40])
def test_parts_have_sides_that_are_multiples_of_the_stride(backbone, largest):
    with pytest.raises(ValueError, match=f"largest {largest}: expected a multiple of 16"):
        LPIPS(backbone, largest=largest)


def test_values_are_those_of_the_formula_in_float64(backbone):
    output, clean = drawn()
    metric = LPIPS(backbone)
    found = metric(output, clean)
    assert found.dtype == torch.float64 and found.shape == (3,)
    assert (found - oracle(backbone, output, clean)).abs().max() < 1e-6
    assert metric(clean, clean).abs().max() == 0
    assert torch.allclose(found[1:2], metric(output[1:2], clean[1:2]), atol=1e-6)


@pytest.mark.parametrize("height, width", [(31, 300), (97, 130), (128, 257), (271, 143)])
def test_large_images_in_parts_have_the_value_of_the_whole(backbone, height, width):
    output, clean = drawn(height, width, 2)
    metric = LPIPS(backbone)
    whole = metric(output, clean)
    for metric.largest in (48, 112):
        assert (metric(output, clean) - whole).abs().max() < 1e-6
    assert (whole - oracle(backbone, output, clean)).abs().max() < 1e-6


def test_images_may_be_clipped_without_rounding(backbone):
    output, clean = drawn()
    found = LPIPS(backbone)(output, clean, "clip")
    assert (found - formula(torch.load(backbone), output, clean, False)).abs().max() < 1e-6
    assert (found - LPIPS(backbone)(output, clean)).abs().min() > 1e-6


def test_the_digest_is_of_the_tensors_and_global_randomness_is_left_alone(backbone):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    metric = LPIPS(backbone)
    assert torch.equal(before, torch.get_rng_state())
    assert metric.sha256 == lpips_backbone.digest_of(helper.drawn())


def test_the_cache_is_used_without_a_download(backbone, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    place = lpips_backbone.cached()
    place.parent.mkdir(parents=True)
    backbone.rename(place)
    output, clean = drawn()
    metrics_lpips._default.cache_clear()
    assert LPIPS()(output, clean).equal(METRICS["lpips"].function(output, clean))
    reverse = METRICS["lpips_bgr"].function(output, clean)
    assert LPIPS()(output.flip(1), clean.flip(1)).equal(reverse)
    metrics_lpips._default.cache_clear()


def test_the_published_backbone_gives_the_formula_in_float64():
    clean = to_tensor([read_rgb(data_folder("kodak24") / "kodim01.png")[:96, :96]])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    tensors = load_file(published())
    metric, found = LPIPS(published()), []
    for sigma in (5, 50):
        output = clean + sigma / 255 * noise
        found.append(float(metric(output, clean)))
        assert found[-1] == pytest.approx(float(formula(tensors, output, clean)), abs=1e-6)
    assert 0 < found[0] < found[1]


def test_grayscale_is_repeated(backbone):
    output, clean = (image[:, :1] for image in drawn())
    repeated = [image.repeat(1, 3, 1, 1) for image in (output, clean)]
    metric = LPIPS(backbone)
    assert torch.equal(metric(output, clean), metric(*repeated))
    torch.testing.assert_close(
        metric(output, clean), oracle(backbone, *repeated), rtol=1e-4, atol=1e-6
    )


def test_what_cannot_be_compared(backbone):
    metric = LPIPS(backbone)
    a = torch.rand(1, 3, 32, 32)
    with pytest.raises(ValueError, match=r"expected the same \(B, 3, H, W\)"):
        metric(a[:, :2], a[:, :2])
    with pytest.raises(ValueError, match="30 x 32: LPIPS needs 31 x 31"):
        metric(a[:, :, :30], a[:, :, :30])
    with pytest.raises(ValueError, match=r"expected \[0, 1\]"):
        metric(a * 255, a * 255)
    for other in (a[..., :-1], a[:, :1], torch.rand(2, 3, 32, 32)):
        for sides in ((a, other), (other, a)):
            with pytest.raises(ValueError, match=r"expected the same \(B, 3, H, W\)"):
                metric(*sides)
    with pytest.raises(ValueError, match=r"expected \[0, 1\]"):
        metric(a, 1.9 * a / a.max())
