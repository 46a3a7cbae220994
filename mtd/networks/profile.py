"""Properties of a network: number of weights, cost, receptive field, input format.

`python -m mtd.models FILE` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from mtd.networks.base import Denoiser
from mtd.networks.normalization import Normalization
from mtd.utils.errors import BadInput

SIZE = 64
"""Default side of the image, in pixels, on which multiply-adds are counted."""

FIELD = 96
"""Default side of the image, in pixels, on which a receptive field is measured."""

PLACES = 8
"""Largest number of positions for measuring a network that is not translation-equivariant."""

LEVEL = 25 / 255
"""Noise level for measurements of a noise-conditional network."""


@dataclass(frozen=True)
class Field:
    """The receptive field of an output pixel.

    Attributes:
        reach: its radius, in pixels to each side; None if it is unknown, or reaches the border of
            the image on which it was measured.
        whole: whether it reaches that border.
        side: of that image, in pixels; 0 if it follows from the architecture.
        why: the reason why it is unknown.
    """

    reach: int | None = None
    whole: bool = False
    side: int = 0
    why: str = ""

    def __str__(self) -> str:
        if self.why:
            return f"not known ({self.why})"
        measured = f" (measured at {self.side} x {self.side})" if self.side else ""
        if self.whole:
            return f"sees the whole image{measured}"
        plural = "s" * (self.reach != 1)
        return f"sees {self.reach} pixel{plural} to each side{measured}"


def parameters(model: nn.Module) -> int:
    """Number of trainable weights; shared ones count once, buffers do not count."""
    return sum(value.numel() for value in model.parameters())


def macs_per_pixel(model: Denoiser, size: int = SIZE) -> float:
    """Multiply-adds per pixel of an image of `size` x `size`, FLOPs / 2 / size².

    Counted are convolutions (including their padding), matrix products and attention, but no sums,
    elementwise products, norms or Fourier transforms. Repeated calls count: each draw of attention
    masks, and each channel of a color image for a grayscale network. The result depends on the size
    where attention spans the whole image or images are padded to whole windows.

    Raises:
        BadInput: the network takes no image of this size.
    """
    image = _image(model, size)
    with torch.no_grad(), _plain_attention(), FlopCounterMode(display=False) as counter:
        _attempt(model, image)
    return float(counter.get_total_flops()) / 2 / size**2


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention as matrix products, which every version of PyTorch counts.

    Fused kernels are not always counted: those of transformer layers in eval mode never, that of
    scaled_dot_product_attention on the CPU only in recent versions.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def receptive_field(model: Denoiser, size: int = FIELD) -> Field:
    """The receptive field: `reach` if the architecture determines it, else measured.

    Measured is the maximum of |p − q| over rows and columns where the gradient of the output at p,
    summed over channels, with respect to the input at q is not 0. p is at the center of a noise
    image of `size` x `size`, or larger where `multiple` requires it; for a network that is not
    translation-equivariant, p takes up to 8 positions in a square of `multiple` pixels. Gradients
    pass every ReLU; those that underflow in the type of the weights are missed. For a
    network that is wrapped by `normalize`, mean and deviation of the image are kept fixed.
    """
    if model.reach is not None:
        return Field(model.reach)
    if not model.has_layers:  # the classical denoisers of unknown reach take all pixels together
        return Field(whole=True)
    cell = model.multiple
    side = max(size, model.smallest, 2 * cell)
    image = _image(model, side).requires_grad_()
    try:
        with torch.enable_grad():
            output = _attempt(model, image.clone())  # a copy, which it may change in place
        return _measure(image, output, _places((side - cell) // 2, cell))
    except (BadInput, RuntimeError) as error:
        return Field(side=side, why=_first_line(error))


class _OpenReLU(TorchDispatchMode):
    """Gradients pass every ReLU, so that they show all connections."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.threshold_backward.default:
            return args[0].clone()
        return func(*args, **(kwargs or {}))


def _places(start: int, cell: int) -> list[int]:
    """At most `PLACES` evenly spread of `cell` places from `start` on, both ends among them."""
    return sorted({start + round(i * (cell - 1) / (PLACES - 1)) for i in range(PLACES)})


def _measure(image: Tensor, output: Tensor, places: list[int]) -> Field:
    side, farthest = image.shape[-1], -1
    for place in places:
        with _OpenReLU():  # type: ignore[no-untyped-call]
            (gradient,) = torch.autograd.grad(
                output[0, :, place, place].sum(), image, retain_graph=place != places[-1]
            )
        reached = (gradient[0] != 0).any(0).nonzero()  # NaN counts as reached
        if not len(reached):
            continue
        if reached.min() == 0 or reached.max() == side - 1:
            return Field(whole=True, side=side)
        farthest = max(farthest, int((reached - place).abs().max()))
    if farthest < 0:
        return Field(side=side, why="its output does not depend on the image")
    return Field(farthest, side=side)


def _image(model: Denoiser, size: int) -> Tensor:
    """Noise in [0, 1], (1, C, size, size), of the type of the weights and where they are."""
    if size < model.smallest:
        raise BadInput(
            f"size {size}: a {type(model).__name__} takes images of {model.smallest} x "
            f"{model.smallest} or more"
        )
    weights = [value for value in model.parameters() if value.is_floating_point()]
    like = weights[0] if weights else torch.empty(0)
    stream = torch.Generator().manual_seed(0)
    return torch.rand(1, model.channels or 3, size, size, generator=stream).to(like)


def _attempt(model: Denoiser, image: Tensor) -> Tensor:
    """One call of a network, which may be an external one; a normalization is kept fixed."""
    fixed = Normalization.of(image.detach()) if model.normalizes else None
    try:
        output: Tensor = model(image, sigma=image.new_full((1,), LEVEL), normalization=fixed)
    except BadInput:
        raise
    except Exception as error:
        size = " x ".join(map(str, image.shape[-2:]))
        raise BadInput(f"it fails on an image of {size}: {_first_line(error)}") from None
    return output


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def describe(model: Denoiser, size: int = SIZE) -> dict[str, Any]:
    """The properties of a network and its file, as plain values ready for JSON.

    `sha256`, `recognised` and the like are missing or empty for a network that was not loaded. The
    unit of `macs_per_pixel` is multiply-adds, of `receptive_field.reach` pixels, of `noise_level`
    8-bit levels (`oracle`: that of the added noise; null: none was given).

    Args:
        model: as `mtd.load` returns it.
        size: of the image on which multiply-adds are counted.

    Raises:
        BadInput: the network takes no image of this size.
    """
    source, input_format, inference = model.source, model.input_format, model.inference
    layers, calls = model.main_layers(), model.layer_roles().calls
    names: tuple[str, ...] = (
        "sha256",
        "container",
        "prefix",
        "weights",
        "counts",
        "values",
        "left_out",
    )
    names = (*names, "recognised", "assumed")
    names = (*names, "factory", "arguments", "factory_sha256")
    macs, field = macs_per_pixel(model, size), receptive_field(model)
    return {
        "file": source.get("path", ""),
        "architecture": source.get("architecture", type(model).__name__),
        **{name: source[name] for name in names if name in source},
        "hyper_parameters": model.config.to_dict(),
        "parameters": parameters(model),
        "parameter_tensors": len(list(model.parameters())),
        "macs_per_pixel": macs,
        "macs_size": size,
        "value_range": input_format.value_range,
        "channel_order": channel_order(model),
        "residual": input_format.residual,
        "wrap": input_format.wrap,
        "takes_noise_level": model.takes_sigma,
        "noise_level": input_format.sigma,
        "receptive_field": asdict(field) | {"text": str(field)},
        "mask_policy": str(inference.policy),
        "mask_source": source.get("policy_source", ""),
        "attention_mask_drawn": inference.active,
        "layers": len(layers),
        "layer_calls": sum(calls.get(path, 1) for path in layers),
        "first_layer": layers[0] if layers else None,
        "last_layer": layers[-1] if layers else None,
        "training": source.get("training", {}),
    }


def channel_order(model: Denoiser) -> str:
    """The channels of the network's input, and their order."""
    count = model.config.in_chans
    if count == 1:
        each = ", called for each channel in turn" if model.input_format.per_channel else ""
        return f"grayscale{each}"
    if count != 3:
        return f"{count} channels{', reversed' if model.input_format.bgr else ''}"
    return "BGR" if model.input_format.bgr else "RGB"
