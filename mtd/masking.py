"""Input mask and attention mask: the policy that a checkpoint records, and random masks.

Masks are boolean, True where a pixel or token is kept. The input mask hides whole pixels from the
network. The attention mask zeroes normalized tokens of a window before queries, keys and values are
computed, so that a masked token still takes part in the softmax with the biases alone, and the
kept ones are not rescaled.

Reference: Chen et al., *Masked Image Training for Generalizable Deep Image Denoising*, CVPR 2023,
section 3. The published code fixes what the paper leaves open; see `MaskPolicy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor

from mtd.utils import counter_random, seeds
from mtd.utils.counter_random import BatchStream
from mtd.utils.errors import BadInput, one_of
from mtd.utils.messages import plural

Fill = Literal["pixel", "zero", "learnable"]
Active = Literal["train", "always"]
AttentionSwitch = Literal["auto", "on", "off"]

PIXEL_FILL = -0.1
"""Value of a masked pixel in [0, 1] units, as in the published training code."""


@dataclass(frozen=True)
class MaskPolicy:
    """What is masked, how much of it, and when.

    Attributes:
        input_percent: lowest and highest share of masked pixels in whole percent; each image draws
            one value uniformly, both ends included, and masks each pixel with that probability.
            (0, 0) is no input mask. The input mask is for training only.
        fill: what replaces a masked pixel. `pixel`: the value -0.1 in every channel (the published
            code; with a 1 x 1 embedding this is one constant, non-zero token). `zero`: the embedded
            token becomes 0 (the paper). `learnable`: the embedded token becomes a trained parameter
            that starts at 0 (the paper's variant).
        attention_percent: share of masked attention tokens, in whole percent; 0 is no attention
            mask.
        active: when the attention mask is on. `always`: in training and at inference (the
            published code). `train`: in training only.

    Raises:
        BadInput: percentages that are no whole numbers from 0 to 100, or an unknown word.

    >>> str(MaskPolicy(input_percent=(75, 85), attention_percent=75))
    'input mask 75-85% (pixel), attention mask 75% (always)'
    >>> MaskPolicy().masks_input
    False
    """

    input_percent: tuple[int, int] = (0, 0)
    fill: Fill = "pixel"
    attention_percent: int = 0
    active: Active = "always"

    def __post_init__(self) -> None:
        for value in (*self.input_percent, self.attention_percent):
            if isinstance(value, bool) or not isinstance(value, int):
                raise BadInput(f"mask policy: {value!r}: expected a whole percentage such as 75")
        if len(self.input_percent) != 2:
            raise BadInput(f"input mask {list(self.input_percent)}: expected [low, high]")
        low, high = self.input_percent
        if not 0 <= low <= high <= 100:
            raise BadInput(
                f"input mask {list(self.input_percent)}: expected two percentages, "
                "0 <= low <= high <= 100"
            )
        if not 0 <= self.attention_percent <= 100:
            raise BadInput(f"attention mask {self.attention_percent}: expected 0 to 100 percent")
        for name, word, known in (
            ("fill", self.fill, get_args(Fill)),
            ("active", self.active, get_args(Active)),
        ):
            one_of(f"mask policy {name} =", word, known)

    @property
    def masks_input(self) -> bool:
        """Whether pixels are masked in training."""
        return self.input_percent[1] > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON or TOML."""
        return asdict(self) | {"input_percent": list(self.input_percent)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MaskPolicy:
        """The policy that `to_dict` wrote.

        Raises:
            BadInput: unknown names, or values out of range.

        >>> policy = MaskPolicy((75, 85), attention_percent=75)
        >>> MaskPolicy.from_dict(policy.to_dict()) == policy
        True
        """
        known = list(cls.__dataclass_fields__)
        if not isinstance(values, dict):
            raise BadInput(f"mask policy {values!r}: expected names and values")
        for name in values:
            one_of("mask policy has no", name, known)
        percent = values.get("input_percent", [0, 0])
        if not isinstance(percent, list | tuple):
            raise BadInput(f"input mask {percent!r}: expected [low, high]")
        return cls(**(values | {"input_percent": tuple(percent)}))

    def __str__(self) -> str:
        low, high = self.input_percent
        pixels = f"input mask {low}-{high}% ({self.fill})" if self.masks_input else "no input mask"
        if not self.attention_percent:
            return f"{pixels}, no attention mask"
        return f"{pixels}, attention mask {self.attention_percent}% ({self.active})"


def draw_input_mask(
    height: int, width: int, percent: tuple[int, int], stream: BatchStream
) -> Tensor:
    """Random input masks for training.

    Each image draws its ratio p from the whole percentages `percent[0]..percent[1]`, then each
    pixel is masked with probability p, independently.

    Args:
        height: of the images.
        width: of the images.
        percent: lowest and highest share of masked pixels, in whole percent.
        stream: of these images.

    Returns:
        Boolean (images, 1, height, width), True where a pixel is kept, on the stream's device.

    >>> stream = BatchStream.of(seeds.derive("masks", 0, 0), 0, 2)
    >>> mask = draw_input_mask(64, 64, (75, 85), stream)
    >>> mask.shape, bool(0.13 < mask.double().mean() < 0.27)
    (torch.Size([2, 1, 64, 64]), True)
    """
    drawn = stream.integers(*percent, counter_random.INPUT_RATIO, 0, 1, 1, 1)
    return stream.kept(drawn, counter_random.INPUT_MASK, 0, 1, height, width)


def keyed_input_mask(
    height: int, width: int, ratio: float, seed: int, keys: Sequence[seeds.Key]
) -> Tensor:
    """Random input masks for inference; each depends on (seed, the image's key) only.

    Each pixel is masked with probability `ratio`, independently. Masks are drawn on the CPU, so
    that neither the batch nor the device changes them.

    Args:
        height: of the images.
        width: of the images.
        ratio: from 0 to 1.
        seed: of the masks.
        keys: one per image.

    Returns:
        Boolean (images, 1, height, width), True where a pixel is kept.

    >>> both = keyed_input_mask(8, 8, 0.5, 0, ["a", "b"])
    >>> torch.equal(both[1:], keyed_input_mask(8, 8, 0.5, 0, ["b"]))
    True
    """
    streams = [seeds.generator("input mask", seed, key) for key in keys]
    drawn = [torch.rand(1, height, width, generator=stream) for stream in streams]
    return torch.stack(drawn) >= ratio


class AttentionMasks(Protocol):
    """A source of attention masks, called once by each attention block, in order."""

    def __call__(self, block: int, batch: int, windows: int, tokens: int) -> Tensor:
        """Boolean (batch, windows, tokens), True kept; windows of one image in raster order."""
        ...


@dataclass
class DrawnMasks:
    """Attention masks for training, from one stream, on its device.

    Attributes:
        percent: share of masked tokens, in percent.
        stream: of these images.
    """

    percent: int
    stream: BatchStream

    def __call__(self, block: int, batch: int, windows: int, tokens: int) -> Tensor:
        """One Bernoulli draw per token; see `AttentionMasks`."""
        attention = counter_random.ATTENTION_MASK
        return self.stream.kept(self.percent, attention, block, windows, tokens)


@dataclass
class KeyedMasks:
    """Attention masks for inference; an image's depend on (seed, its key, block, draw) only.

    They are drawn on the CPU, one stream per image and block, so that neither the batch, its order,
    the number of processes nor the device changes them.

    Attributes:
        percent: share of masked tokens, in percent.
        seed: of the masks.
        keys: one per image.
        draw: index of the averaged mask draw.

    >>> masks = KeyedMasks(75, 0, ["a", "b"])
    >>> masks(block=0, batch=2, windows=4, tokens=64).shape
    torch.Size([2, 4, 64])
    """

    percent: int
    seed: int
    keys: Sequence[seeds.Key]
    draw: int = 0

    def __call__(self, block: int, batch: int, windows: int, tokens: int) -> Tensor:
        """The masks of block `block`; see `AttentionMasks`.

        Raises:
            BadInput: a batch of another size than the number of keys.
        """
        if batch != len(self.keys):
            raise BadInput(
                f"{plural(len(self.keys), 'mask key')} for a batch of {plural(batch, 'image')}: "
                "give one each"
            )
        streams = (seeds.generator("mask", self.seed, k, block, self.draw) for k in self.keys)
        uniform = torch.stack([torch.rand(windows, tokens, generator=g) for g in streams])
        return uniform >= self.percent / 100


@dataclass
class MaskedInference:
    """How a loaded network uses its attention mask at inference.

    Attributes:
        policy: what the checkpoint records.
        switch: `auto` follows the policy, `on` and `off` override it; `on` has no effect where the
            policy has no attention mask.
        samples: K, the number of mask draws whose outputs are averaged.
        seed: part of every mask's key.

    Raises:
        BadInput: an unknown switch, or fewer than one draw.

    >>> inference = MaskedInference(MaskPolicy(attention_percent=75), samples=4)
    >>> inference.active, len(inference.draws(keys=[0]))
    (True, 4)
    """

    policy: MaskPolicy = field(default_factory=MaskPolicy)
    switch: AttentionSwitch = "auto"
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("attention mask", self.switch, get_args(AttentionSwitch))
        if not isinstance(self.samples, int) or self.samples < 1:
            raise BadInput(f"mask samples {self.samples!r}: expected a whole number, 1 or more")
        if not isinstance(self.seed, int):
            raise BadInput(f"seed {self.seed!r}: expected a whole number")

    @property
    def active(self) -> bool:
        """Whether attention masks are drawn at inference."""
        if self.switch == "off" or not self.policy.attention_percent:
            return False
        return self.switch == "on" or self.policy.active == "always"

    def draws(self, keys: Sequence[seeds.Key]) -> list[KeyedMasks | None]:
        """One source of masks for each forward pass that is averaged; None is unmasked."""
        if not self.active:
            return [None]
        percent = self.policy.attention_percent
        return [KeyedMasks(percent, self.seed, keys, draw) for draw in range(self.samples)]
