"""LPIPS through the package, on a backbone made up here: the real one is a download."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from mtd.data.crops import to_tensor
from mtd.data.image_io import read_rgb
from mtd.metrics import lpips as metrics_lpips
from mtd.metrics.lpips import LPIPS, NoBackbone
from mtd.utils.errors import BadInput
from tests.helpers.file_server import serving
from tests.helpers.lpips_backbone import SHAPES
from tests.helpers.paths import data_folder

pytest.importorskip("torchvision", reason="torchvision is not installed")
lpips = pytest.importorskip("lpips", reason="lpips is not installed")


@pytest.fixture
def backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file in torchvision's form, with its digest taken for the right one."""
    stream = torch.Generator().manual_seed(5)
    state = {}
    for place, (out, into, side) in SHAPES.items():
        spread = (into * side * side) ** -0.5
        shape = (out, into, side, side)
        state[f"features.{place}.weight"] = spread * torch.randn(shape, generator=stream)
        state[f"features.{place}.bias"] = 0.1 * torch.randn(out, generator=stream)
    path = tmp_path / "backbone.pth"
    torch.save(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(metrics_lpips, "DIGEST", digest[:8])
    return path


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    clean = torch.rand(3, 3, 40, 48, generator=stream)
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
        for i, place in enumerate(SHAPES):
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


def test_values_are_those_of_the_formula_in_float64(backbone):
    output, clean = drawn()
    metric = LPIPS(backbone)
    found = metric(output, clean)
    assert found.dtype == torch.float64 and found.shape == (3,)
    assert (found - oracle(backbone, output, clean)).abs().max() < 1e-6
    assert metric(clean, clean).abs().max() == 0
    assert torch.allclose(found[1:2], metric(output[1:2], clean[1:2]), atol=1e-6)


def test_images_may_be_clipped_without_rounding(backbone):
    output, clean = drawn()
    found = LPIPS(backbone)(output, clean, "clip")
    assert (found - formula(torch.load(backbone), output, clean, False)).abs().max() < 1e-6
    assert (found - LPIPS(backbone)(output, clean)).abs().min() > 1e-6


def test_the_digest_is_kept_and_global_randomness_is_left_alone(backbone):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    metric = LPIPS(backbone)
    assert torch.equal(before, torch.get_rng_state())
    assert metric.sha256 == hashlib.sha256(backbone.read_bytes()).hexdigest()


def test_the_cache_is_used_without_a_download(backbone, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    place = metrics_lpips.cached()
    place.parent.mkdir(parents=True)
    backbone.rename(place)
    output, clean = drawn()
    assert LPIPS()(output, clean).shape == (3,)


@pytest.mark.parametrize("sound", [True, False])
def test_a_download_may_be_redirected_and_its_digest_is_checked(
    backbone, tmp_path, monkeypatch, sound
):
    from torchvision.models import AlexNet_Weights

    name = f"alexnet-owt-{metrics_lpips.DIGEST}.pth"
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(metrics_lpips, "BACKBONE", name)
    content = backbone.read_bytes() if sound else backbone.read_bytes()[:-1] + b"x"
    with serving(held=content) as server:
        server.redirects = {name: "elsewhere", "elsewhere": "held"}
        weights = AlexNet_Weights.IMAGENET1K_V1.value
        monkeypatch.setattr(weights, "url", server.address + name)
        if sound:
            place = metrics_lpips.fetch()
            assert place == metrics_lpips.cached() and place.read_bytes() == content
            assert metrics_lpips.read(place)[0].startswith(metrics_lpips.DIGEST)
        else:
            with pytest.raises(NoBackbone, match=r"could not be downloaded \(invalid hash value"):
                metrics_lpips.fetch()
            assert not metrics_lpips.cached().exists()
    assert [asked for asked, _ in server.requests] == [name, "elsewhere", "held"]


def test_without_the_file_and_a_connection_the_way_out_is_named(tmp_path, monkeypatch):
    from torchvision.models import AlexNet_Weights

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(AlexNet_Weights, "get_state_dict", unreachable)
    message = r"alexnet-owt-7be5be79\.pth could not be downloaded \(Name.*put it at .*hub.*--lpips"
    with pytest.raises(NoBackbone, match=message):
        LPIPS()


def test_a_reason_of_several_lines_is_one_line(tmp_path, monkeypatch):
    from torchvision.models import AlexNet_Weights

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def endless(*_: object, **__: object) -> None:
        said = f"{urllib.request.HTTPRedirectHandler.inf_msg}Found"
        raise urllib.error.HTTPError("https://x.org", 302, said, Message(), None)

    monkeypatch.setattr(AlexNet_Weights, "get_state_dict", endless)
    with pytest.raises(NoBackbone, match="infinite loop") as refused:
        LPIPS()
    assert "\n" not in str(refused.value)


def test_another_file_is_refused(backbone, tmp_path):
    backbone.write_bytes(backbone.read_bytes() + b"x")
    with pytest.raises(BadInput, match=r"not alexnet.*begins with \w{8}; get https"):
        LPIPS(backbone)
    backbone.rename(tmp_path / metrics_lpips.BACKBONE)
    with pytest.raises(BadInput, match=r"not alexnet.*a broken download"):
        LPIPS(tmp_path / metrics_lpips.BACKBONE)
    with pytest.raises(BadInput, match=r"absent\.pth: no such file; get alexnet.* from https"):
        LPIPS(tmp_path / "absent.pth")


def test_a_fifo_is_no_backbone(tmp_path):
    os.mkfifo(tmp_path / "a.pth")
    with pytest.raises(BadInput, match=r"a\.pth is a FIFO: expected a file; get alexnet"):
        metrics_lpips.read(tmp_path / "a.pth")


def test_a_safetensors_file_of_the_same_convolutions_is_the_backbone(
    backbone, tmp_path, monkeypatch
):
    output, clean = drawn()
    tensors = torch.load(backbone)
    path = tmp_path / "backbone.safetensors"
    save_file(tensors | {"classifier.1.bias": torch.zeros(2)}, path)
    with pytest.raises(BadInput, match="not the convolutions of alexnet"):
        LPIPS(path)
    monkeypatch.setattr(metrics_lpips, "TENSORS", metrics_lpips.digest_of(tensors))
    metric = LPIPS(path)
    assert torch.equal(metric(output, clean), LPIPS(backbone)(output, clean))
    assert metric.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match="damaged"):
        LPIPS(path)


def test_the_published_backbone_gives_the_formula_in_float64():
    path = data_folder("weights") / "alexnet_features.safetensors"
    clean = to_tensor([read_rgb(data_folder("kodak24") / "kodim01.png")[:96, :96]])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    tensors = load_file(path)
    metric, found = LPIPS(path), []
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


def test_what_a_damaged_backbone_says_is_one_short_line(tmp_path):
    header = b'{"features.0.weight":{"dtype":"a\\nb' + b"x" * 5000 + b'","shape":[]}}'
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BadInput, match=r"damaged \(") as error:
        metrics_lpips.read(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
