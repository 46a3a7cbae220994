"""The base class of synthetic noise on images in [0, 1], and noise that is keyed by image.

Every noise follows its distribution exactly; the result is then clipped to [0, 1] and rounded to
multiples of 1/255, as test sets stored in 8 bits are. `quantize=False` omits both. Random numbers
come from the generator that is passed, on its device, and from nowhere else. In training, noise may
also be clipped without rounding, `quantize="clip"`.

`mtd.noise.synthetic` has noises of one distribution each; `mtd.noise.camera_pipeline` and
`mtd.noise.mixture` the composed ones, `mtd.noise.matched` Gaussian noise as strong as another one.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from mtd.utils import seeds
from mtd.utils.errors import BadInput
from mtd.utils.lazy import LazyModule

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor
else:
    torch = LazyModule("torch")

Stream = Callable[[str], "torch.Generator"]
"""The random stream of a specification."""

Quantize = bool | Literal["clip"]
"""Whether noisy images are clipped to [0, 1] and rounded to multiples of 1/255; or only clipped."""


class NoisyImages(NamedTuple):
    """Images under a noise.

    Attributes:
        noisy: (B, C, H, W).
        target: those of a perfect denoiser, (B, C, H, W).
        sigma: (B,), float64, what noise-conditional networks are told; see `Noise.sigma_of`.
    """

    noisy: Tensor
    target: Tensor
    sigma: Tensor


class Noise(ABC):
    """A noise model; every subclass is a frozen dataclass.

    Attributes:
        level: its strength, in the unit of its kind; None for a kind without levels.
        draw: which of its draws; images with the same key have other noise in another draw.
        name: of the kind, the first word of a specification.
        options: the options of a specification, `,option=value`, and the meaning of each.
        label: what the kind is called in figures and tables; by default its name.
        level_unit: what its level is, for the axes of figures.
        short: what a single noise is called before its level; by default the label.
        symbol: of the level, as in `σ = 15`; without one its unit stands before the number.
        level_falls: whether the noise becomes weaker as the level rises.
        note: what every output that shows this kind has to say; empty if nothing.
        needs_color: whether images have to have three channels; other kinds take any number.

    A kind of noise of your own, registered as an entry point of the group `mtd.noises`:

    >>> @dataclass(frozen=True)
    ... class Quantization(Levelled):
    ...     name = "quantization"
    ...     meaning = "number of levels"
    ...     label = "coarse quantization"
    ...     level_unit = "levels"
    ...     level_falls = True
    ...
    ...     def sample(self, clean, generator):
    ...         return clean.mul(self.level - 1).round().div(self.level - 1)
    >>> Quantization(3)(torch.full((1, 1, 1, 2), 0.4), generator=torch.Generator(), quantize=False)
    tensor([[[[0.5000, 0.5000]]]])
    """

    level: float | None
    draw: int = 0

    name: ClassVar[str]
    options: ClassVar[Mapping[str, str]] = {}
    label: ClassVar[str] = ""
    level_unit: ClassVar[str] = "level"
    short: ClassVar[str] = ""
    symbol: ClassVar[str] = ""
    level_falls: ClassVar[bool] = False
    note: ClassVar[str] = ""
    needs_color: ClassVar[bool] = False

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "name" in cls.__dict__ and "label" not in cls.__dict__:
            cls.label = cls.name

    @classmethod
    @abstractmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Self:
        """The noise of a specification that has been split into parts.

        Args:
            spec: the whole text, for error messages.
            level: what follows the colon; None without one.
            options: values by name; the names are those of `options` of the class.

        Raises:
            BadInput: a level or value that is missing or out of range.
        """

    @property
    @abstractmethod
    def spec(self) -> str:
        """The canonical text that `parse` turns into this noise."""

    def written(self, before_level: str = ", ") -> str:
        """The noise as people write it, with its level, options and draw.

        Args:
            before_level: what stands between the name and the level.

        >>> from mtd.noise import parse
        >>> parse("gaussian:15").written(), parse("speckle:0.04@1").written()
        ('Gaussian, σ = 15', 'speckle, variance 0.04 (another draw)')
        """
        name = self.short or self.label
        if self.level is not None:
            unit = self.level_unit.partition(" (")[0]
            level = f"{self.symbol} =" if self.symbol else unit
            name = f"{name}{before_level}{level} {number(self.level)}"
        options = self.spec.partition(",")[2]
        more = [" = ".join(part.split("=", 1)) for part in options.split(",") if part]
        if self.draw:
            more.append("another draw" if self.draw == 1 else f"another draw, {self.draw}")
        return f"{name} ({', '.join(more)})" if more else name

    def redrawn(self, draw: int) -> Self:
        """The same noise in another draw.

        Raises:
            BadInput: its kind has no field `draw`; those that derive from `Levelled` do.

        >>> from mtd.noise import parse
        >>> parse("gaussian:15").redrawn(1).spec
        'gaussian:15@1'
        """
        if not any(field.name == "draw" for field in fields(self)):  # type: ignore[arg-type]
            raise BadInput(f"noise {self.spec}@{draw}: {self.name} has no other draws")
        return replace(self, draw=draw)  # type: ignore[type-var]

    @abstractmethod
    def sample(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        """The noisy image before clipping and rounding, (B, C, H, W)."""

    def sample_legacy(
        self,
        image: NDArray[np.floating],
        stream: np.random.RandomState,
    ) -> NDArray[np.floating]:
        """The noisy image before clipping and rounding, drawn as published scripts draw it.

        Args:
            image: (H, W, C) in [0, 1], float32.
            stream: NumPy's legacy stream, whose numbers are the same in every version of NumPy.

        Raises:
            BadInput: a kind that cannot be drawn so.
        """
        raise BadInput(
            f"noise {self.spec}: {self.name} cannot be drawn from NumPy's legacy stream; use "
            'seed_policy = "per_cell" or leave it out'
        )

    def __call__(
        self, clean: Tensor, *, generator: torch.Generator, quantize: Quantize = True
    ) -> Tensor:
        """Add noise to images.

        Args:
            clean: (B, C, H, W) in [0, 1], floating point.
            generator: the random stream, on the device of `clean`.
            quantize: clip the result to [0, 1] and round it to multiples of 1/255; "clip" does not
                round it.

        Returns:
            The noisy images, of the shape, type and device of `clean`.

        Raises:
            ValueError: `clean` is not a floating-point (B, C, H, W).

        >>> from mtd.noise import parse
        >>> clean = torch.full((1, 1, 1, 3), 0.5)
        >>> noisy = parse("gaussian:25")(clean, generator=torch.Generator().manual_seed(0))
        >>> noisy.mul(255).round()
        tensor([[[[166., 120.,  73.]]]])
        """
        check(clean)
        return quantized(self.sample(clean, generator), quantize)

    def pair(
        self, clean: Tensor, *, generator: torch.Generator, quantize: Quantize = True
    ) -> tuple[Tensor, Tensor]:
        """The noisy images and the targets of a perfect denoiser, (B, C, H, W) each.

        The target is `clean` itself, except for noises that also change the underlying image.
        Arguments, errors and noisy images are those of a call.
        """
        return self(clean, generator=generator, quantize=quantize), clean

    def noisy_image(self, image: Tensor, stream: Stream, quantize: Quantize = True) -> NoisyImages:
        """`pair` of one image, with noise from a stream of its own, and its level.

        Args:
            image: (1, C, H, W).
            stream: the random stream of a specification.
            quantize: see `Noise.__call__`.
        """
        noisy, target = self.pair(image, generator=stream(self.spec), quantize=quantize)
        return NoisyImages(noisy, target, self.sigma_of(noisy, target))

    def sigma_of(self, noisy: Tensor, target: Tensor) -> Tensor:
        """The level that noise-conditional networks are told of images, as a share of white, (B,).

        The noise's own σ if it is Gaussian, else the root mean square of noisy − target.
        """
        return mean_square(noisy, target).sqrt()

    def __str__(self) -> str:
        return self.spec


@dataclass(frozen=True)
class Levelled(Noise):
    """A noise whose specification is `kind:level`.

    Attributes:
        level: from 0 to `highest`.
        draw: see `Noise`.
        meaning: what the level is, for error messages.
        highest: the largest possible level.
        of_255: whether levels count from 0 to 255, as σ of Gaussian noise.
    """

    level: float
    draw: int = field(default=0, kw_only=True, repr=False)

    meaning: ClassVar[str]
    highest: ClassVar[float] = math.inf
    of_255: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0 <= self.level <= self.highest or math.isinf(self.level):
            top = f" to {self.highest:g}" if math.isfinite(self.highest) else " or more"
            raise BadInput(f"noise {self.spec}: {self.meaning} must be 0{top}")

    @classmethod
    def from_parts(cls, spec: str, level: str | None, options: Mapping[str, str]) -> Self:  # noqa: ARG003
        """See `Noise.from_parts`; a kind with options overrides it."""
        try:
            value = float(level or "")
        except ValueError:
            raise BadInput(
                f"noise {spec!r}: expected {cls.name}:LEVEL, LEVEL being the {cls.meaning}"
            ) from None
        return cls(value)

    @property
    def spec(self) -> str:
        """See `Noise.spec`."""
        return f"{self.name}:{number(self.level)}{at_draw(self.draw)}"


def check(clean: Tensor) -> None:
    """Check that images are a floating-point (B, C, H, W).

    Raises:
        ValueError: they are not.
    """
    if clean.ndim != 4 or not clean.is_floating_point():
        raise ValueError(
            f"clean image of shape {tuple(clean.shape)} and {clean.dtype}: "
            "expected floating-point (B, C, H, W) in [0, 1]"
        )


def to_8_bits(image: Tensor) -> Tensor:
    """An image clipped to [0, 1] and rounded to multiples of 1/255, halves to even."""
    return image.clamp(0, 1).mul(255).round().div(255)


def quantized(image: Tensor, quantize: Quantize) -> Tensor:
    """An image clipped and rounded, only clipped, or as it is.

    >>> [quantized(torch.tensor([1.25, 0.1]), how).tolist()[0] for how in (True, "clip", False)]
    [1.0, 1.0, 1.25]
    """
    if quantize == "clip":
        return image.clamp(0, 1)
    return to_8_bits(image) if quantize else image


def mean_square(noisy: Tensor, target: Tensor) -> Tensor:
    """Mean of (noisy − target)² over each image's pixels and channels, float64 (B,)."""
    return (noisy.double() - target.double()).square().mean((1, 2, 3))


def number(value: float) -> str:
    """The shortest text that reads back as the same number, as specifications write it.

    >>> number(15.0), number(2e-3), number(1 / 3)
    ('15', '0.002', '0.3333333333333333')
    """
    short = f"{value + 0.0:.12g}"  # + 0.0: no sign on a zero
    return short if float(short) == value else repr(value)


def at_draw(draw: int) -> str:
    """What a specification has after the level for a draw other than 0.

    >>> at_draw(0), at_draw(1)
    ('', '@1')
    """
    return f"@{draw}" if draw else ""


def stream_of(key: seeds.Key, seed: int = 0) -> Stream:
    """The random streams of an image by specification; see `noisy_images`."""
    return lambda spec: seeds.generator("noise", seed, key, spec)


def noisy_images(
    noise: Noise,
    clean: Tensor,
    keys: Sequence[seeds.Key],
    *,
    seed: int = 0,
    quantize: Quantize = True,
) -> NoisyImages:
    """Images under a noise, where image i depends on (seed, keys[i], the noise) only.

    One stream per image, drawn on the CPU whatever the device: a crop gets the same noise whatever
    the batch size, order, device or number of processes.

    Args:
        noise: the noise.
        clean: (B, C, H, W) in [0, 1].
        keys: one per image, such as the digest of a crop.
        seed: of the noise.
        quantize: see `Noise.__call__`.

    Returns:
        Noisy images, targets and levels, on the device of `clean`.
    """
    images = [
        noise.noisy_image(image[None].cpu(), stream_of(key, seed), quantize)
        for image, key in zip(clean, keys, strict=True)
    ]
    return NoisyImages(*(torch.cat(part).to(clean.device) for part in zip(*images, strict=True)))


def pair_keyed(
    noise: Noise,
    clean: Tensor,
    keys: Sequence[seeds.Key],
    *,
    seed: int = 0,
    quantize: Quantize = True,
) -> tuple[Tensor, Tensor]:
    """Noisy images and targets of `noisy_images`."""
    made = noisy_images(noise, clean, keys, seed=seed, quantize=quantize)
    return made.noisy, made.target
