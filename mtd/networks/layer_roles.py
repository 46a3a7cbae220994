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

Change = Callable[[int, Tensor], Tensor]


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
    - if v has the size of the image, and no more channels; or, of the very last layer, as many
      numbers as the image, as before a pixel shuffle; or
    - if the network's output f is affine in v, all else equal: |f(v + d) − 2 f(v) + f(v − d)| is at
      most `STRAIGHT` · |f(v + d) − f(v − d)| for a random d of `STEP` standard deviations of v. It
      is an image too if it has as many numbers.
    The first layer that is neither ends the search; weights of channels, which have one position,
    are passed over.
    """
    if network not in _KNOWN:
        _KNOWN[network] = _determine(network)
    return _KNOWN[network]


_KNOWN: WeakKeyDictionary[nn.Module, LayerRoles] = WeakKeyDictionary()


def _determine(network: Denoiser) -> LayerRoles:
    with evaluated(network):
        probe = Probe(network)
        base, calls = probe.run(), probe.calls
        outputs: list[str] = []
        images: list[str] = []
        for path in reversed(calls):
            shape = calls[path].shape
            if shape.numel() == shape[:2].numel():
                continue
            as_many, is_image = shape.numel() == probe.image.numel(), probe.is_image(shape)
            if not (is_image or (as_many and not outputs) or probe.is_affine(path, base)):
                break
            outputs.append(path)
            images += [path] * (as_many or is_image)
        first = images[-1] if images else ""
        predicts = probe.predicts(images, base)
        counts = {path: len(call.values) for path, call in calls.items()}
        return LayerRoles(frozenset(outputs), first, predicts, counts, probe.strides())


@contextmanager
def evaluated(network: nn.Module) -> Iterator[None]:
    """A network in eval mode, so that running it changes nothing in it; then in its own modes."""
    whole = getattr(network, "whole", network)  # of an `ExternalNetwork`
    modes = {part: part.training for part in (*network.modules(), *whole.modules())}
    network.eval()
    try:
        yield
    finally:
        for part, mode in modes.items():
            part.training = mode


@dataclass(frozen=True)
class Calls:
    """The calls of a layer in one forward pass.

    Attributes:
        shape: of the last output.
        spread: standard deviation of the last output.
        values: the outputs; None for those that are larger than the image.
    """

    shape: torch.Size
    spread: float
    values: list[Tensor | None]


class Probe:
    """A network that is run on a random image, with changes of its layers' outputs.

    Attributes:
        image: (1, C, H, W), in [0.25, 0.75], away from where outputs may be clamped.
        calls: the layers that fired in the unchanged pass, in the order of their last calls.
    """

    def __init__(self, network: Denoiser) -> None:
        self.network = network
        self.calls: dict[str, Calls] = {}
        self._stream = torch.Generator().manual_seed(0)
        side = max(PROBE, network.smallest)
        like = next(network.parameters(), torch.empty(0))
        random = torch.rand(1, network.config.in_chans, side, side, generator=self._stream)
        self.image = (0.25 + random / 2).to(like)

    def run(self) -> Tensor:
        """The output for the image; the calls are recorded."""
        self.calls.clear()
        with self._hooked(self._record):
            return self._forward(self.image)

    def changed(self, changes: Mapping[str, Change], image: Tensor | None = None) -> Tensor:
        """The output for the image, or another one, if some layers return something else.

        Args:
            changes: by path, from the index of a call and its output to what is returned.
            image: another image.
        """
        seen = dict.fromkeys(changes, 0)

        def change(path: str, value: Tensor) -> Tensor:
            seen[path] += 1
            return changes[path](seen[path] - 1, value)

        with self._hooked(change, list(changes)):
            return self._forward(self.image if image is None else image)

    def strides(self) -> dict[str, float]:
        """The image's height as a multiple of each layer's; see `LayerRoles`."""
        shapes = {p: calls.shape[-2:] for p, calls in self.calls.items() if len(calls.shape) == 4}
        height, width = self.image.shape[-2:]
        return {p: round(height / h, 2) for p, (h, w) in shapes.items() if h * width == w * height}

    def is_image(self, shape: torch.Size) -> bool:
        """Whether a layer's output has the size of the image, and no more channels."""
        same = len(shape) == 4 and shape[2:] == self.image.shape[2:]
        return same and shape[1] <= self.image.shape[1]

    def is_affine(self, path: str, base: Tensor) -> bool:
        """Whether the output is an affine function of a layer's last output; see `determine`."""
        calls = self.calls[path]
        last, size = len(calls.values) - 1, STEP * calls.spread or 1.0
        change = size * torch.randn(calls.shape, generator=self._stream).to(self.image)
        above = self.changed({path: lambda call, v: v + change if call == last else v})
        below = self.changed({path: lambda call, v: v - change if call == last else v})
        slope = (above - below).abs().max()
        return bool(slope > 0 and (above + below - 2 * base).abs().max() <= STRAIGHT * slope)

    def predicts(self, images: Sequence[str], base: Tensor) -> Prediction:
        """How the output follows the input if all layers that hold images stay as they are."""
        if not images:
            return ""
        held = dict.fromkeys(images) | {
            path: None for path, calls in self.calls.items() if self.is_image(calls.shape)
        }
        fixed = {path: self._as_before(path) for path in held}
        change = SMALL * torch.randn(self.image.shape, generator=self._stream).to(self.image)
        moved = self.changed(fixed, self.image + change) - base
        if float((moved - change).norm() / change.norm()) < SAME:
            return "noise"
        return "image" if float(moved.norm() / change.norm()) < SAME else ""

    def _as_before(self, path: str) -> Change:
        def before(call: int, value: Tensor) -> Tensor:
            kept = self.calls[path].values[call]
            return value if kept is None else kept.clone()

        return before

    def _record(self, path: str, value: Tensor) -> None:
        values = self.calls.pop(path).values if path in self.calls else []
        values.append(value.clone() if value.numel() <= self.image.numel() else None)
        spread = float(value.float().std(correction=0))
        self.calls[path] = Calls(value.shape, spread, values)

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
