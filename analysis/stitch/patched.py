"""Recording the layers of a network, and running it with the output of one layer replaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from analysis.engine import forward
from analysis.engine.feature_maps import channels_first, lay_out
from analysis.engine.forward import ForwardSettings
from analysis.engine.layers import windowed_layers
from analysis.engine.observer import NoisyBatch
from analysis.stats.arrays import full_precision
from mtd.inference.forward import denoise
from mtd.networks.compiled import check_not_scripted, eager, original
from mtd.utils.errors import BadInput

SEVERAL = "it returns no single tensor"


@dataclass
class Recording:
    """What the layers of a network returned in one pass.

    A layer that is called several times, as in a network that is called for each color channel, has
    the output of each call.

    Attributes:
        output: (B, 3, H, W), the denoised images, neither clamped nor rounded.
        calls: by layer, copies of what its calls returned.
        first: by layer, the place in time at which its first call began.
        last: by layer, the place in time at which its last call ended.
        refused: layers whose output is no single tensor.
        windowed: layers that work inside attention windows.
    """

    output: Tensor = field(default_factory=lambda: torch.zeros(0))
    calls: dict[str, list[Tensor]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    windowed: frozenset[str] = frozenset()

    @property
    def bytes(self) -> int:
        """The memory of its tensors."""
        return sum(value.nbytes for calls in self.calls.values() for value in calls)

    def before(self, layer: str) -> list[str]:
        """The layers that have returned for the last time before another one is first called."""
        start = self.first[layer]
        return [name for name, end in self.last.items() if end < start and name in self.calls]


def run(model: nn.Module, noisy: NoisyBatch, settings: ForwardSettings) -> Tensor:
    """A network's output (B, 3, H, W) with masks, input mask and noise level of the settings."""
    with full_precision(), eager(model):
        return denoise(
            model,
            noisy.noisy,
            keys=forward.mask_keys(noisy, settings),
            input_mask=forward.input_mask(noisy, settings),
            tile="off",
            sigma=forward.noise_level(model, noisy),
        )


def record(
    model: nn.Module, layers: Sequence[str], noisy: NoisyBatch, settings: ForwardSettings
) -> Recording:
    """Run a network on a noisy batch, and record what its layers return.

    Raises:
        BadInput: a layer that is never called, or a scripted network.
    """
    check_not_scripted(model)
    found = Recording(windowed=windowed_layers(original(model), layers))
    modules, time = dict(original(model).named_modules()), [0]

    def tick() -> int:
        time[0] += 1
        return time[0]

    def begins(name: str) -> Any:
        return lambda *_: found.first.setdefault(name, tick()) and None

    def ends(name: str) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            found.last[name] = tick()
            if isinstance(output, Tensor):
                found.calls.setdefault(name, []).append(output.detach().clone())
            else:
                found.refused.add(name)

        return hook

    with ExitStack() as stack:
        for name in layers:
            stack.callback(modules[name].register_forward_pre_hook(begins(name)).remove)
            stack.callback(modules[name].register_forward_hook(ends(name)).remove)
        found.output = run(model, noisy, settings)
    for name in layers:
        if name not in found.last:
            raise BadInput(f"layer {name!r} is never called in the forward pass: leave it out")
    for name in found.refused:
        found.calls.pop(name, None)
    return found


@contextmanager
def returning(module: nn.Module, values: Sequence[Tensor]) -> Iterator[list[int]]:
    """A module that returns given values, call by call, instead of computing anything.

    Yields:
        A list with one entry for each call.
    """
    calls: list[int] = []

    def replaced(*_: Any, **__: Any) -> Tensor:
        calls.append(1)
        return values[(len(calls) - 1) % len(values)].clone()

    own = module.__dict__.get("forward")
    module.forward = replaced
    try:
        yield calls
    finally:
        del module.forward
        if own is not None:
            module.forward = own


def run_with(
    model: nn.Module,
    layer: str,
    values: Sequence[Tensor],
    noisy: NoisyBatch,
    settings: ForwardSettings,
    recording: Recording | None = None,
) -> Tensor:
    """The output of a network whose layer returns other values.

    All that does not pass through the layer, such as a global skip connection, is of the network's
    own input.

    Args:
        model: the network.
        layer: path of the module.
        values: what it returns, call by call.
        noisy: the network's own input.
        settings: how it is run.
        recording: of the same pass as it is: layers before this one return what they returned
            there, so that only the rest of the network is computed.

    Raises:
        BadInput: the layer is not called as often as there are values.
    """
    modules = dict(original(model).named_modules())
    with ExitStack() as stack:
        if recording is not None:
            for name in recording.before(layer):
                stack.enter_context(returning(modules[name], recording.calls[name]))
        calls = stack.enter_context(returning(modules[layer], values))
        output = run(model, noisy, settings)
    if len(calls) != len(values):
        raise BadInput(
            f"layer {layer!r} was called {len(calls)} times with its output replaced, expected "
            f"{len(values)}: leave it out"
        )
    return output


@dataclass(frozen=True)
class Layout:
    """How a layer's output holds its positions and channels.

    Attributes:
        size: height and width of the feature maps.
        last: whether channels are the last axis.
    """

    size: tuple[int, int]
    last: bool


def layout(layer: str, value: Tensor, noisy: NoisyBatch, windowed: bool) -> Layout:
    """The layout of a layer's output for a batch.

    Raises:
        BadInput: it has no positions in the image.
    """
    batch, (height, width) = len(noisy.noisy), noisy.batch.size
    maps = lay_out(layer, value, batch, height, width, windowed)
    last = value.ndim == 3 or channels_first(value, height, width) is not value
    return Layout((maps.shape[2], maps.shape[3]), last)


def samples(value: Tensor, of: Layout) -> Tensor:
    """A layer's output (B, …) as samples (B, positions, C)."""
    if not of.last:
        return value.flatten(2).mT
    return value if value.ndim == 3 else value.flatten(1, 2)


def as_output(values: Tensor, like: Tensor, of: Layout) -> Tensor:
    """Samples (B, positions, C) in the layout and precision of a layer's output."""
    values = values.to(like.dtype)
    if of.last:
        return values.reshape(like.shape).contiguous()
    return values.mT.reshape(like.shape).contiguous()


def refusal(layer: str, recording: Recording, noisy: NoisyBatch) -> tuple[Layout | None, str]:
    """The layout of a layer, or why it has none."""
    if layer not in recording.calls:
        return None, SEVERAL
    try:
        value = recording.calls[layer][0]
        return layout(layer, value, noisy, layer in recording.windowed), ""
    except BadInput:
        windowed = layer in recording.windowed
        return None, "it works inside windows" if windowed else "it has no positions in the image"


Layers = Mapping[str, Sequence[str]]
"""Paths of the layers of each network, in order of depth."""
