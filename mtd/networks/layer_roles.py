"""What the layers of a network hold: features, or its output.

The last layers of a denoiser hold the image, or the noise that is subtracted from its input, not
features: under two noises the predicted noises are as independent as the noises themselves. They
are determined by running the network once, and again with the outputs of its last layers changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from mtd.networks.compiled import eager

if TYPE_CHECKING:
    from mtd.networks.base import Denoiser

Prediction = Literal["image", "noise", ""]

PROBE = 64
"""Least side, in pixels, of the image on which a network is tried."""

LEVEL = 0.1
"""Noise level for which a noise-conditional network is tried, in [0, 1] units."""

STEP = 3.0
"""Size of a change of a layer's output, in its standard deviations: beyond the kinks of a ReLU."""

STRAIGHT = 1e-3
"""Largest second difference of an affine function, as a share of its first difference."""

SMALL = 0.02
"""Standard deviation of a change of the input, in [0, 1] units."""

SAME = 0.05
"""Largest share of a change of the input by which two changes of the output are alike."""

KINDS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
"""Layers with weights that are tried."""

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LayerRoles:
    """The roles of a network's layers.

    Attributes:
        outputs: paths of the last layers that hold the output: an image, or anything of which the
            output is an affine function.
        image_layer: path of the first of them whose output is an image; what goes into it are the
            last features. Empty without one.
        predicts: `noise` if the network adds its input to what its last layers hold, `image` if it
            does not; empty if neither fits.
        calls: how often each layer with weights is called in a forward pass, by path, in the order
            of the last calls.
        strides: the image's side as a multiple of that of a layer's feature maps, by path, where
            it is known.
    """

    outputs: frozenset[str]
    image_layer: str
    predicts: Prediction
    calls: Mapping[str, int] = field(default_factory=dict)
    strides: Mapping[str, float] = field(default_factory=dict)


@torch.no_grad()
def determine(network: Denoiser) -> LayerRoles:
    """The roles of a network's layers, found by running it on a random image.

    From its last layer backwards, in the order of the forward pass, a layer v belongs to the output
    - if v has the shape of the image, or as many numbers (before a pixel shuffle), or fewer
      channels at the same size; or
    - if the network's output f is affine in v, all else equal: |f(v + d) − 2 f(v) + f(v − d)| is at
      most `STRAIGHT` · |f(v + d) − f(v − d)| for a random d of `STEP` standard deviations of v.
    The first layer that is neither ends the search.
    """
    if network not in _KNOWN:
        _KNOWN[network] = _determine(network)
    return _KNOWN[network]


_KNOWN: WeakKeyDictionary[nn.Module, LayerRoles] = WeakKeyDictionary()


def _determine(network: Denoiser) -> LayerRoles:
    probe = Probe(network)
    base, calls = probe.run(), probe.calls
    outputs: list[str] = []
    images: list[str] = []
    for path in reversed(calls):
        if probe.is_image(calls[path].value):
            images.append(path)
        elif not probe.is_affine(path, base):
            break
        outputs.append(path)
    first = images[-1] if images else ""
    predicts = probe.predicts(images, base)
    counts = {path: call.count for path, call in calls.items()}
    return LayerRoles(frozenset(outputs), first, predicts, counts, probe.strides())


@dataclass
class Call:
    """The calls of a layer in one forward pass.

    Attributes:
        count: their number.
        value: the output of the last one.
    """

    count: int
    value: Tensor


class Probe:
    """A network that is run on a random image, with changes of its layers' outputs.

    Attributes:
        image: (1, C, H, W), in [0.25, 0.75], away from where outputs may be clamped.
        calls: the layers that fired in the unchanged pass, in the order of their last calls.
    """

    def __init__(self, network: Denoiser) -> None:
        self.network = network
        self.calls: dict[str, Call] = {}
        self._stream = torch.Generator().manual_seed(0)
        side = max(PROBE, network.smallest)
        like = next(network.parameters(), torch.empty(0))
        random = torch.rand(1, network.config.in_chans, side, side, generator=self._stream)
        self.image = (0.25 + random / 2).to(like)

    def run(self, image: Tensor | None = None) -> Tensor:
        """The output for the image or another one; without changes, the calls are recorded."""
        record = not self.calls
        with self._hooked(self._record) if record else _nothing():
            return self._forward(self.image if image is None else image)

    def changed(self, changes: Mapping[str, Change], image: Tensor | None = None) -> Tensor:
        """The output if the last calls of some layers return something else."""
        seen = dict.fromkeys(changes, 0)

        def replace(path: str, value: Tensor) -> Tensor | None:
            if path not in changes:
                return None
            seen[path] += 1
            return changes[path](value) if seen[path] == self.calls[path].count else None

        with self._hooked(replace, list(changes)):
            return self._forward(self.image if image is None else image)

    def strides(self) -> dict[str, float]:
        """The image's height as a multiple of each layer's; see `LayerRoles`."""
        maps = {path: call.value for path, call in self.calls.items() if call.value.ndim == 4}
        shapes = {path: value.shape[-2:] for path, value in maps.items()}
        height, width = self.image.shape[-2:]
        return {p: round(height / h, 2) for p, (h, w) in shapes.items() if h * width == w * height}

    def is_image(self, value: Tensor) -> bool:
        """Whether a layer's output is an image, whole or before a pixel shuffle."""
        if value.numel() == self.image.numel():
            return True
        smaller = value.ndim == 4 and value.shape[1] <= self.image.shape[1]
        return smaller and value.shape[2:] == self.image.shape[2:]

    def is_affine(self, path: str, base: Tensor) -> bool:
        """Whether the network's output is an affine function of a layer's output; see above."""
        value = self.calls[path].value
        size = STEP * float(value.float().std(correction=0)) or 1.0
        change = size * torch.randn(value.shape, generator=self._stream).to(value)
        above = self.changed({path: lambda v: v + change})
        below = self.changed({path: lambda v: v - change})
        slope = (above - below).abs().max()
        return bool(slope > 0 and (above + below - 2 * base).abs().max() <= STRAIGHT * slope)

    def predicts(self, images: Sequence[str], base: Tensor) -> Prediction:
        """What the image layers hold: how the output follows the input if they stay the same."""
        if not images:
            return ""
        fixed = {path: self._last_value(path) for path in images}
        change = SMALL * torch.randn(self.image.shape, generator=self._stream).to(self.image)
        moved = self.changed(fixed, self.image + change) - base
        if float((moved - change).norm() / change.norm()) < SAME:
            return "noise"
        return "image" if float(moved.norm() / change.norm()) < SAME else ""

    def _last_value(self, path: str) -> Change:
        return lambda _: self.calls[path].value.clone()

    def _record(self, path: str, value: Tensor) -> None:
        call = self.calls.pop(path, Call(0, value))
        self.calls[path] = Call(call.count + 1, value.clone())

    def _forward(self, image: Tensor) -> Tensor:
        network = self.network
        level = torch.full((1, 1, 1, 1), LEVEL).to(image) * network.input_format.value_range
        white = network.input_format.value_range
        options: dict[str, Any] = {"sigma": level} if network.takes_sigma else {}
        return network.restore(image * white, **options) / white

    @contextmanager
    def _hooked(
        self, hook: Callable[[str, Tensor], Tensor | None], paths: Sequence[str] | None = None
    ) -> Iterator[None]:
        """`hook` is called with the path and output of each layer; what it returns replaces it."""

        def of(path: str) -> Callable[[nn.Module, Any, Any], Tensor | None]:
            return lambda _, __, output: hook(path, output) if torch.is_tensor(output) else None

        modules = dict(self.network.named_modules())
        chosen = paths or [path for path, part in modules.items() if isinstance(part, KINDS)]
        handles = [modules[path].register_forward_hook(of(path)) for path in chosen]
        try:
            with eager(self.network):
                yield
        finally:
            for handle in handles:
                handle.remove()


@contextmanager
def _nothing() -> Iterator[None]:
    yield
