"""Settings: everything that decides the results of an analysis, typed, checked and frozen.

Each analysis has one subclass of `Settings`. A field states its type, default, help and range once:
the command makes its options from it (`analysis.commands.parser`), and Python functions take it as
a keyword.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_type_hints

from analysis.commands.options import Option, checked, expected
from mtd.utils.cli import DEVICE
from mtd.utils.errors import BadInput, nearest

REFERENCE = "gaussian:15"
"""The noise with which others are compared unless a setting says otherwise."""

UNSEEN = ("poisson:3.5", "speckle:0.04", "spatial:60", "salt_pepper:0.02", "mixture:4")
"""The noises that are compared with the reference unless a setting says otherwise."""

UNTRAINED = 3
"""Number of untrained networks of each architecture unless a setting says otherwise."""

CROPS = 64
"""Number of crops of an analysis unless it has a default of its own."""


def option(default: Any, help: str, **more: Any) -> Any:
    """A field of settings; see `Option` for the keywords."""
    return field(default=default, metadata={"option": Option(help, **more)})


def noises_option(default: Sequence[str] | None, shown: str = "", help: str = "") -> Any:
    """The field of the noises, with an analysis' own default."""
    return option(
        None if default is None else tuple(default),
        help
        or "noise; folder:DIR takes recorded noisy versions of the images, matched by name "
        "(repeatable)",
        flag="--noise",
        metavar="SPEC",
        shown=shown or ", ".join(default or ()),
        group="noise",
    )


def reference_option(help: str = "noise that the others are compared with") -> Any:
    """The field of the reference noise."""
    return option(REFERENCE, help, metavar="SPEC", group="noise")


def in_distribution_option() -> Any:
    """The field of the noises that models were trained on; see `analysis.commands.training_noises`.

    A checkpoint's metadata may say so, too.
    """
    return option(
        (),
        "noise that the models, or MODEL, were trained on, or a range of levels as in "
        "gaussian:0..gaussian:55 (repeatable)",
        metavar="[MODEL=]SPEC[..SPEC]",
        shown="what each checkpoint says; else unknown",
        group="noise",
    )


def references_option() -> Any:
    """The field that leaves classical references out of a benchmark."""
    return option(
        True,
        "no blur, median and fixed filters beside the models in the benchmark",
        flag="--no-references",
    )


def metrics_option() -> Any:
    """The field of a benchmark's metrics beside PSNR, SSIM and LPIPS."""
    return option(
        (),
        "a metric beside PSNR, SSIM and LPIPS, such as pyiqa:dists, of the extra iqa (repeatable)",
        flag="--metric",
        metavar="NAME",
    )


def lpips_option() -> Any:
    """The field that leaves LPIPS out of a benchmark."""
    return option(True, "leave LPIPS out", flag="--no-lpips")


def lpips_weights_option() -> Any:
    """The field of the file of LPIPS' backbone; see `mtd.metrics.lpips_backbone`."""
    return option(
        None,
        "AlexNet backbone of LPIPS: torchvision's file, or its convolutions alone",
        metavar="FILE",
        shown="looked for in MTD_DATA, MTD_HOME and torch's cache, else downloaded",
    )


def lpips_channels_option() -> Any:
    """The field of the order of colors that LPIPS is given."""
    return option(
        "rgb", "order of the colors that LPIPS is given: rgb, or bgr as in the paper's script"
    )


def check_lpips(lpips: bool, weights: str | None, channels: str, metrics: Sequence[str]) -> None:
    """Check that the settings of LPIPS go together.

    Args:
        lpips: whether it is computed.
        weights: the file of its backbone.
        channels: the order of colors.
        metrics: names of metrics beside it.

    Raises:
        BadInput: they do not.
    """
    given = {
        "--lpips-weights": weights,
        "--lpips-channels": channels != "rgb",
        "--metric lpips": "lpips" in metrics,
    }
    for flag in [flag for flag, value in given.items() if value and not lpips]:
        raise BadInput(f"{flag} and --no-lpips: give one of them")
    if "lpips" in metrics and channels == "bgr":
        raise BadInput("--metric lpips and --lpips-channels bgr: give one of them")
    if "lpips_bgr" in metrics and channels != "bgr":
        raise BadInput("--metric lpips_bgr: give --lpips-channels bgr instead")


def crop_option(default: int | None, shown: str = "") -> Any:
    """The field of the side of a crop, with an analysis' own default."""
    return option(
        default,
        "side of a crop in pixels",
        metavar="SIDE",
        minimum=8,
        shown=shown or str(default),
        group="images",
    )


def limit_option(default: int | None, shown: str = "") -> Any:
    """The field of the number of crops, with an analysis' own default."""
    return option(
        default,
        LIMIT,
        metavar="N",
        minimum=1,
        shown=shown or str(default),
        group="images",
    )


LIMIT = "number of crops at most, spread evenly over the photographs; whole images count as crops"
"""What `--limit` means, in every command."""


def memory_option(help: str, default: float = 2.0) -> Any:
    """The field of how much memory a step of the computation may take, in GiB."""
    return option(default, help, metavar="GIB", above=0, below=2.0**40, group="compute")


def intervals_option(what: str = "crops") -> Any:
    """The field that turns intervals off."""
    return option(True, f"no intervals: do not leave {what} out", flag="--no-intervals")


def controls_option() -> Any:
    """The field that turns the controls off; see `analysis.engine.controls`."""
    return option(
        True,
        "no controls: no other draws of the noise, other photographs or untrained networks",
        flag="--no-controls",
    )


def untrained_option() -> Any:
    """The field of the number of untrained networks."""
    return option(
        UNTRAINED,
        "untrained networks of each architecture, for the controls",
        metavar="N",
        minimum=0,
        maximum=1000,
    )


TYPES: dict[type, dict[str, Any]] = {}
"""The types of the fields of each class of settings, which are texts in the code."""


def _types(settings: type) -> dict[str, Any]:
    if settings not in TYPES:
        TYPES[settings] = get_type_hints(settings)
    return TYPES[settings]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Typed, checked and frozen fields, each declared by `option`."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            BadInput: a value of another type, or out of range.
        """
        kinds = _types(type(self))
        for item in fields(self):
            value = getattr(self, item.name)
            if checked(item.name, kinds[item.name], item.metadata["option"], value) != value:
                raise BadInput(f"{item.name} {value!r}: {expected(kinds[item.name])}")

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Settings from Python values; lists, single strings and paths are converted.

        Raises:
            BadInput: an unknown setting, or a value that cannot be used.
        """
        known = {item.name: item for item in fields(cls)}
        kinds = _types(cls)
        converted = {}
        for name, value in values.items():
            if name not in known:
                raise BadInput(f"no setting {name!r} in {cls.__name__}; {nearest(name, known)}")
            converted[name] = checked(name, kinds[name], known[name].metadata["option"], value)
        return cls(**converted)

    def to_dict(self) -> dict[str, Any]:
        """All fields by name, ready for JSON; `of` makes equal settings of it."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """The settings that every analysis shares.

    Attributes:
        images: folders of clean photographs; none for the bundled ones.
        page: of every image file, for files with several pages or frames, from 1; None for files
            with one.
        crop: side of a crop in pixels; None for whole images.
        crop_rule: where crops are cut, see `mtd.data.crops.crops`.
        limit: number of crops; None for all images.
        noises: specifications of noises, see `mtd.noise.parse`; None for those that follow from
            other settings.
        quantize: clip and round the noisy images that networks are given to 8 bits.
        mask_draws: whether a crop has the same attention masks under every noise (`shared`), or
            different ones (`independent`).
        input_mask: share of the pixels that is hidden from the networks.
        attention_mask: `auto` follows a checkpoint's policy, `on` and `off` override it.
        mask_samples: number of attention-mask draws that are averaged.
        seed: of everything random.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`; see `mtd.utils.device.chosen`.
        autocast: precision of the forward pass.
        batch_size: crops of a batch; None to choose it by their size.
    """

    images: tuple[str, ...] = option(
        (),
        "folder of clean photographs (repeatable)",
        metavar="DIR",
        shown="bundled",
        group="images",
    )
    page: int | None = option(
        None,
        "page or frame of every image file; without it, files with several are refused",
        metavar="N",
        minimum=1,
        group="images",
    )
    crop: int | None = crop_option(64)
    crop_rule: Literal["grid", "center", "random"] = option(
        "grid",
        "where crops are cut: a grid over each image, its center, or at random",
        synonyms={"centre": "center"},
        group="images",
    )
    limit: int | None = limit_option(CROPS)
    noises: tuple[str, ...] | None = noises_option((REFERENCE, UNSEEN[0]))
    quantize: bool = option(
        True,
        "networks are given noisy images that are neither clipped nor rounded to 8 bits",
        flag="--no-quantize",
        group="noise",
    )
    mask_draws: Literal["shared", "independent"] = option(
        "shared",
        "whether a crop has the same random attention masks under every noise (shared), or "
        "different ones under each (independent)",
        aliases=("--mask-pairing",),
        group="masks",
    )
    input_mask: float = option(
        0.0,
        "hide this share of the pixels from the networks, as in training with an input mask "
        "(0.8, say)",
        metavar="RATIO",
        minimum=0,
        below=1,
        shown="none",
        group="masks",
    )
    attention_mask: Literal["auto", "on", "off"] = option("auto", "", listed=False)
    mask_samples: int = option(1, "", minimum=1, listed=False)
    seed: int = option(0, "", minimum=0, listed=False)
    device: str = option("auto", DEVICE, group="compute")
    autocast: Literal["off", "bf16", "fp16"] = option(
        "off", "precision of the networks' forward pass; off is float32", group="compute"
    )
    batch_size: int | None = option(
        None,
        "crops that go through a network together",
        metavar="N",
        minimum=1,
        shown="by the size of the crops",
        group="compute",
    )

    @classmethod
    def sharing(cls, other: Settings, **values: Any) -> Self:
        """Settings of this analysis with another's values where both have a field.

        `noises` are not taken over: what they mean differs between analyses.
        """
        names = {item.name for item in fields(cls)} & {item.name for item in fields(other)}
        shared = {name: getattr(other, name) for name in names - {"noises"}}
        return cls(**(shared | values))

    @classmethod
    def under(cls, other: Settings, reference: str, unseen: Sequence[str], **values: Any) -> Self:
        """Settings as by `sharing`, for a reference noise and unseen ones.

        An analysis without a reference of its own takes it as the first of its noises.
        """
        if "reference" in {item.name for item in fields(cls)}:
            return cls.sharing(other, reference=reference, noises=tuple(unseen), **values)
        return cls.sharing(other, noises=(reference, *unseen), **values)

    def check_names(self) -> None:
        """Check names, noises, files and folders, before PyTorch is imported.

        Raises:
            BadInput: one that cannot be used; see `analysis.commands.checks`.
        """
        from analysis.commands import checks

        own = getattr(self, "reference", None)
        checks.noises([own] if own else [], self.quantize)
        checks.noises(self.specs, self.quantize)
        if self.noises and set(self.noises) == {own}:
            raise BadInput("no noise beside the reference: give --noise")
        checks.images(self.images)
        checks.trained_on(getattr(self, "in_distribution", ()))
        checks.device(self.device)

    @property
    def specs(self) -> tuple[str, ...]:
        """The noises of the pass in their order, the reference first."""
        return self.noises or ()


@dataclass(frozen=True, kw_only=True)
class ReferenceFirst(Settings):
    """Settings whose first noise is the reference.

    Attributes:
        reference: the noise with which the others are compared. It becomes the first of `noises`,
            instead of the default one where no noises are given; None for the first of `noises`.
    """

    reference: str | None = option(
        None,
        "noise that the others are compared with",
        metavar="SPEC",
        shown="the first of --noise",
        group="noise",
    )

    def __post_init__(self) -> None:
        """Put the reference before the other noises, and check every field.

        Raises:
            BadInput: a value that cannot be used.
        """
        if isinstance(self.reference, str):
            object.__setattr__(self, "noises", reference_first(self.reference, self.noises or ()))
            object.__setattr__(self, "reference", None)
        super().__post_init__()

    @classmethod
    def of(cls, **values: Any) -> Self:
        """See `Options.of`."""
        if values.get("reference") is not None and values.get("noises") is None:
            default = {item.name: item.default for item in fields(cls)}["noises"]
            values["noises"] = default[1:]  # type: ignore[index]
        return super().of(**values)


def reference_first(reference: str, noises: Sequence[str]) -> tuple[str, ...]:
    """A reference noise, then the others, which may repeat it."""
    return (reference, *(spec for spec in noises if spec != reference))
