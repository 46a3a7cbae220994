"""How the output of a layer holds positions and channels, and samples of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from analysis.engine.feature_maps import channels_first, lay_out
from analysis.engine.observer import NoisyBatch
from analysis.engine.recorded_run import RecordedRun
from mtd.utils.errors import BadInput

SEVERAL = "it does not return a single tensor"
WINDOWS = "it works inside attention windows"
PLACES = "it has no positions in the image"


@dataclass(frozen=True)
class Recording:
    """What the layers of a network returned in one run.

    Attributes:
        run: as it was recorded.
        windowed: layers that work inside attention windows.
    """

    run: RecordedRun
    windowed: frozenset[str]

    def calls(self, layer: str) -> Sequence[Tensor]:
        """What each call of a layer returned; empty if that is no single tensor."""
        return self.run.values.get((layer, "output"), ())


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
    calls, windowed = recording.calls(layer), layer in recording.windowed
    if not calls:
        return None, SEVERAL
    try:
        return layout(layer, calls[0], noisy, windowed), ""
    except BadInput:
        return None, WINDOWS if windowed else PLACES
