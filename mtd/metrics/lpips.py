"""LPIPS: perceptual distance by the features of AlexNet, through the package `lpips`.

Its linear weights come with that package. The AlexNet backbone is a file of torchvision: it is
taken from torchvision's cache or downloaded; otherwise the error says where to put it.

Reference: Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric*,
CVPR 2018; version 0.1.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from mtd.metrics.psnr_ssim import Quantize, as_rgb, levels
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput
from mtd.utils.home import home
from mtd.utils.limits import AboveLimit
from mtd.utils.printable import shortened

BACKBONE = "alexnet-owt-7be5be79.pth"
URL = f"https://download.pytorch.org/models/{BACKBONE}"
DIGEST = "7be5be79"
"""The first digits of the SHA-256 of the backbone, as in its name."""

TENSORS = "195266a4c8e96483085621ac3389a6c24f1dd0963c9ac0e001705d24ece83273"
"""`digest_of` the convolutions of the backbone, by which another file with them is recognized."""

SMALLEST = 31
"""Side of the smallest image that AlexNet takes."""

PATIENCE = 20
"""Seconds to wait for the download server."""


class NoBackbone(RuntimeError):
    """The backbone is not available and cannot be downloaded; the message says where to put it."""


def in_zoo() -> Path:
    """Where `mtd zoo get lpips/alexnet` puts the backbone."""
    return home() / "zoo" / "lpips" / "alexnet.pth"


def cached() -> Path:
    """The path of the backbone in torchvision's cache."""
    return Path(torch.hub.get_dir()) / "checkpoints" / BACKBONE


class LPIPS:
    """LPIPS (AlexNet, version 0.1) of images in [0, 1]; lower is better, 0 for equal images.

    Args:
        weights: file of the backbone; by default that of torchvision's cache, downloaded if needed.
        device: of the network.

    Attributes:
        sha256: digest of the file.

    Raises:
        BadInput: `weights` is not the AlexNet backbone.
        NoBackbone: it is not given, not in the cache, and cannot be downloaded.
    """

    def __init__(
        self, weights: str | Path | None = None, device: torch.device | str = "cpu"
    ) -> None:
        path = Path(weights) if weights is not None else fetch()
        self.sha256, backbone = read(path)
        self.device = torch.device(device)
        self.network = build(backbone).to(self.device)

    @torch.no_grad()
    def __call__(self, output: Tensor, target: Tensor, quantize: Quantize = True) -> Tensor:
        """LPIPS of each image.

        Args:
            output: (B, 3, H, W) RGB in [0, 1], or (B, 1, H, W) grayscale, which is repeated; H and
                W at least 31.
            target: the same shape.
            quantize: clip and round both to 8 bits first; "clip" does not round.

        Returns:
            (B,) float64 on the CPU.

        Raises:
            ValueError: other shapes, or a target outside [0, 1].
        """
        if output.shape != target.shape or output.ndim != 4 or output.shape[1] not in (1, 3):
            raise ValueError(
                f"images of shapes {tuple(output.shape)} and {tuple(target.shape)}: expected the "
                "same (B, 3, H, W) or (B, 1, H, W) for both"
            )
        if min(output.shape[-2:]) < SMALLEST:
            raise ValueError(
                f"image {output.shape[-2]} x {output.shape[-1]}: LPIPS needs {SMALLEST} x "
                f"{SMALLEST}"
            )
        low, high = float(target.min()), float(target.max())
        if quantize and not (low >= -1e-6 and high <= 1 + 1e-6):
            raise ValueError(f"target from {low:g} to {high:g}: expected [0, 1]")
        a, b = (
            (levels(as_rgb(image), quantize) / 127.5 - 1).to(self.device, torch.float32)
            for image in (output, target)
        )
        distance: Tensor = self.network(a, b)
        return distance.flatten().cpu().double()


@cache
def _default() -> LPIPS:
    return LPIPS()


def lpips(output: Tensor, target: Tensor) -> Tensor:
    """LPIPS of each image with torchvision's cached or downloaded backbone, on the CPU.

    Args:
        output: (B, 3, H, W) RGB in [0, 1], or (B, 1, H, W) grayscale; H and W at least 31.
        target: the same shape.

    Returns:
        (B,) float64 on the CPU; lower is better, 0 for equal images.

    Raises:
        NoBackbone: the backbone is not in the cache and cannot be downloaded.
        ValueError: other shapes, or a target outside [0, 1].
    """
    return _default()(output, target)


def fetch() -> Path:
    """The backbone in torchvision's cache or in the zoo, downloaded into the former otherwise.

    Raises:
        NoBackbone: it cannot be downloaded.
    """
    path = cached()
    for known in (path, in_zoo()):
        if known.is_file():
            return known
    from torchvision.models import AlexNet_Weights

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        silent = io.StringIO()  # torch prints the URL, as the error does; where depends on it
        with contextlib.redirect_stderr(silent), contextlib.redirect_stdout(silent):
            AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
    except Exception as error:
        said = " ".join(str(getattr(error, "reason", error)).split())
        reason = shortened(said) or type(error).__name__
        raise NoBackbone(
            f"no LPIPS: its backbone {BACKBONE} could not be downloaded ({reason}); get {URL}, "
            f"put it at {path}, or name it by --lpips-weights"
        ) from None
    finally:
        socket.setdefaulttimeout(before)
    return path


def read(path: Path) -> tuple[str, dict[str, Tensor]]:
    """SHA-256 and tensors of a backbone file; nothing in it is executed.

    Args:
        path: of torchvision's file, or of a safetensors file with the same convolutions under their
            names there, `features.0.weight` to `features.10.bias`.

    Raises:
        BadInput: the file is missing, too large, or not the AlexNet backbone.
    """
    try:
        content = input_files.content(path, limits.CHECKPOINT)
    except AboveLimit:
        raise
    except BadInput as error:
        raise BadInput(f"{error}; get {BACKBONE} from {URL}") from None
    digest = hashlib.sha256(content).hexdigest()
    if path.suffix == SAFETENSORS:
        return digest, convolutions(path, content)
    if not digest.startswith(DIGEST):
        broken = " (a broken download?)" if path.name == BACKBONE else ""
        raise BadInput(
            f"{path}: not {BACKBONE}, its SHA-256 begins with {digest[:8]}{broken}; get {URL}"
        )
    weights: dict[str, Tensor] = torch.load(
        io.BytesIO(content), map_location="cpu", weights_only=True
    )
    return digest, weights


SAFETENSORS = ".safetensors"


def convolutions(path: Path, content: bytes) -> dict[str, Tensor]:
    """The convolutions of the backbone from the content of a safetensors file.

    Raises:
        BadInput: it is no such file, or holds other tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
    except SafetensorError as error:
        raise BadInput(
            f"{path}: damaged ({shortened(str(error))}); expected {BACKBONE} from {URL}"
        ) from None
    return check_convolutions(path, tensors)


def check_convolutions(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolutions among the tensors of a file.

    Raises:
        BadInput: they are not those of the backbone.
    """
    found = {name: value for name, value in tensors.items() if name.startswith("features.")}
    if digest_of(found) != TENSORS:
        raise BadInput(
            f"{path}: not the convolutions of {BACKBONE}; get {URL}, or a safetensors file of its "
            "tensors features.0.weight to features.10.bias"
        )
    return found


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors in float32 with their names and shapes, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].float().contiguous()
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def build(backbone: dict[str, Tensor]) -> torch.nn.Module:
    """The published LPIPS network with torchvision's AlexNet weights, in eval mode."""
    import lpips

    with (
        warnings.catch_warnings(),
        torch.random.fork_rng(devices=[]),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")  # about torchvision's older arguments, and torch.load's
        network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    state = network.net.state_dict()  # slice1.0.weight is torchvision's features.0.weight
    filled = {key: backbone[f"features.{key.partition('.')[2]}"] for key in state}
    network.net.load_state_dict(filled)
    evaluated: torch.nn.Module = network.eval()
    return evaluated
