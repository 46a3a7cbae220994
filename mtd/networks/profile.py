"""What can be told of a network by looking at it: weights, cost, how far it sees, how it is called.

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
from mtd.utils.errors import BadInput

SIZE = 64
"""Side of the image, in pixels, on which multiplications are counted unless another is given."""

FIELD = 96
"""Side of the image on which a receptive field is measured unless another is given."""

PLACES = 8
"""Most places at which it is measured, in a network that does not treat all pixels alike."""

LEVEL = 25 / 255
"""Noise level that a network is told while it is measured, if no other is given."""


@dataclass(frozen=True)
class Field:
    """How far a pixel of the output sees.

    Attributes:
        reach: in pixels to each side; None if it is not known, or at least as far as the border of
            the image on which it was measured.
        whole: whether it sees that border.
        side: of that image, in pixels; 0 if it was not measured, but follows from the architecture.
        why: why it is not known.
    """

    reach: int | None = None
    whole: bool = False
    side: int = 0
    why: str = ""

    def __str__(self) -> str:
        if self.why:
            return f"not known ({self.why})"
        if self.whole:
            return f"sees the whole image (measured at {self.side} x {self.side})"
        plural = "s" * (self.reach != 1)
        measured = f" (measured at {self.side} x {self.side})" if self.side else ""
        return f"sees {self.reach} pixel{plural} to each side{measured}"


def parameters(model: nn.Module) -> int:
    """Number of weights that training changes; one that is shared counts once, buffers do not."""
    return sum(value.numel() for value in model.parameters())


def macs_per_pixel(model: Denoiser, size: int = SIZE) -> float:
    """Multiply-adds for each pixel of an image of `size` x `size`, as the network is called.

    Those of convolutions (also where they reach into the padding), matrix products and attention,
    FLOPs / 2 / size²; sums, products by element, norms and Fourier transforms are left out. What is
    called several times counts as often: each draw of attention masks, and each channel of a colour
    image that a grey network denoises. The size matters where attention spans the whole image, and
    where images are padded to whole windows.

    Raises:
        BadInput: the network takes no image of this size.
    """
    image = _image(model, size)
    with torch.no_grad(), _plain_attention(), FlopCounterMode(display=False) as counter:
        _attempt(model, image)
    return float(counter.get_total_flops()) / 2 / size**2


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Attention as matrix products, which are counted in every version of PyTorch.

    Fused kernels are not, or not in all of them: those of transformer layers in eval mode are never
    seen, and that of scaled_dot_product_attention on the CPU only of late.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def receptive_field(model: Denoiser, size: int = FIELD) -> Field:
    """How far a pixel of the output sees: `reach` where the architecture tells, or else measured.

    Measured is max |p − q| over rows and columns, where the gradient of the output at p, summed
    over channels, with respect to the input at q is not 0; p is in the middle of an image of noise
    of `size` x `size`, or larger where `multiple` asks for it. Where a network treats pixels
    unlike, p takes up to 8 places of a square of `multiple` pixels. ReLU counts as open, whatever
    this image makes of it; what is so small that it vanishes in the type of the weights is missed.
    """
    if model.reach is not None:
        return Field(model.reach)
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
    """Gradients pass ReLU as if nothing were cut off, so that they show what is connected."""

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
        seen = (gradient[0] != 0).any(0).nonzero()  # NaN counts as seen
        if not len(seen):
            continue
        if seen.min() == 0 or seen.max() == side - 1:
            return Field(whole=True, side=side)
        farthest = max(farthest, int((seen - place).abs().max()))
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
    return torch.rand(1, model.channels, size, size, generator=stream).to(like)


def _attempt(model: Denoiser, image: Tensor) -> Tensor:
    """One call of a network that may be anybody's."""
    try:
        output: Tensor = model(image, sigma=image.new_full((1,), LEVEL))
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
    """All that is known of a network and its file, as plain values ready for JSON.

    Of a network that was not loaded, `sha256`, `recognised` and the like are missing or empty. The
    unit of `macs_per_pixel` is multiply-adds (see there), of `receptive_field.reach` pixels, of
    `noise_level` 8-bit levels (`oracle`: that of the noise at hand; null: none was given).

    Args:
        model: as `mtd.load` gives it.
        size: of the image on which multiplications are counted.

    Raises:
        BadInput: the network takes no image of this size.
    """
    source, usage, inference = model.source, model.usage, model.inference
    layers = model.main_layers()
    names: tuple[str, ...] = ("sha256", "container", "recognised", "assumed")
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
        "value_range": usage.value_range,
        "channel_order": channel_order(model),
        "takes_noise_level": model.takes_sigma,
        "noise_level": usage.sigma,
        "receptive_field": asdict(field) | {"text": str(field)},
        "mask_policy": str(inference.policy),
        "mask_source": source.get("policy_source", ""),
        "attention_mask_drawn": inference.active,
        "layers": len(layers),
        "first_layer": layers[0] if layers else None,
        "last_layer": layers[-1] if layers else None,
        "training": source.get("training", {}),
    }


def channel_order(model: Denoiser) -> str:
    """What the channels of the images are, that a network's authors chose, and their order."""
    count = model.config.in_chans
    if count == 1:
        each = ", called for each channel in turn" if model.usage.per_channel else ""
        return f"grey{each}"
    if count != 3:
        return f"{count} channels{', reversed' if model.usage.bgr else ''}"
    return "BGR" if model.usage.bgr else "RGB"
