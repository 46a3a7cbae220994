"""Models that are no files: `classical:blur:0.9` and the like, and `filter:MODEL`.

They are recognized by these prefixes before any path is looked up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mtd.loading import zoo
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from mtd.networks.base import Denoiser
    from mtd.networks.classical import Classical, WithoutLayers
    from mtd.networks.fixed_filter import FixedFilter, FixedFilterConfig
    from mtd.networks.input_format import Wrap
    from mtd.noise.base import Noise

CLASSICAL, FILTER = "classical:", "filter:"
"""How such names begin."""

WIDEST = 100
"""Largest σ of a blur and side of a median's window, in pixels."""

EXPECTED = {
    "blur": f"classical:blur:SIGMA, in pixels above 0 and up to {WIDEST}, such as "
    "classical:blur:0.9",
    "median": "classical:median:SIZE, an odd number of pixels, such as classical:median:3",
    "nlm": "classical:nlm",
    "tv": "classical:tv",
    "wavelet": "classical:wavelet",
}
"""What each kind looks like."""

NO_FILE = ("options", "value_range", "bgr", "per_channel", "residual", "factory", "weights")
"""Fields of `LoadOptions` that are about a file's network."""


class FilterSpec(NamedTuple):
    """A model's fixed filter, `filter:MODEL` or `filter:MODEL@NOISE`.

    Attributes:
        model: whose filter it is.
        noise: the specification of the noise, or "" for what the model was trained on.
    """

    model: str
    noise: str


def is_spec(text: object) -> bool:
    """Whether a model's name is that of a classical denoiser or a filter, and no path.

    >>> is_spec("classical:blur:0.9"), is_spec("filter:masked.pth"), is_spec("masked.pth")
    (True, True, False)
    """
    return isinstance(text, str) and text.startswith((CLASSICAL, FILTER))


def stem(text: str) -> str:
    """A model's name without folder and ending; that of a model that is no file is itself.

    A model of the zoo has a label of its own.

    >>> stem("runs/a.pth"), stem("classical:blur:0.9"), stem("filter:runs/a.pth@gaussian:15")
    ('a', 'classical:blur:0.9', 'filter:a@gaussian:15')
    >>> stem("swinir/color_dn_15")
    'swinir_15'
    """
    if not is_spec(text):
        published = zoo.entry(text)
        return published.label if published else Path(text).stem
    if text.startswith(CLASSICAL):
        return text
    model, noise = filter_spec(text)
    return f"{FILTER}{stem(model)}" + (f"@{noise}" if noise else "")


def filter_spec(text: str) -> FilterSpec:
    """The parts of `filter:MODEL[@NOISE]`; an `@` that no kind of noise follows is the path's.

    >>> filter_spec("filter:a@b.pth@gaussian:15@1")
    FilterSpec(model='a@b.pth', noise='gaussian:15@1')
    """
    from mtd.noise.specs import kind_of

    rest = text.removeprefix(FILTER)
    for place in (i for i, letter in enumerate(rest) if letter == "@"):
        noise = rest[place + 1 :]
        if kind_of(noise.partition(":")[0].partition(",")[0]) is not None:
            return FilterSpec(rest[:place], noise)
    return FilterSpec(rest, "")


def check_options(text: str, options: Any) -> None:
    """Check that no option is given that is about a file's network.

    Args:
        text: the model's name.
        options: a `mtd.loading.options.LoadOptions`.

    Raises:
        BadInput: one is.
    """
    for name in NO_FILE:
        if getattr(options, name) not in (None, False):
            raise BadInput(f"{text}: {name.replace('_', ' ')} is for the networks of files")


def classical(text: str, wrap: Wrap | None = None) -> Classical:
    """The classical denoiser of a name.

    Args:
        text: its name.
        wrap: see `mtd.loading.options.LoadOptions`.

    Raises:
        BadInput: an unknown kind, a parameter that is missing or out of range, or a package that is
            not installed.

    >>> classical("classical:median:5").config.parameter
    5.0
    >>> classical("classical:median:4")
    Traceback (most recent call last):
    mtd.utils.errors.BadInput: classical:median:4: expected classical:median:SIZE, an odd number \
of pixels, such as classical:median:3
    """
    from importlib.util import find_spec

    from mtd.networks.classical import Classical, ClassicalConfig
    from mtd.networks.input_format import InputFormat

    kind, number = parameter(text)
    network = Classical(ClassicalConfig(kind=kind, parameter=number))
    if network.estimates_noise and find_spec("pywt") is None:
        raise BadInput(
            f"{text}: the noise level is estimated by PyWavelets, which is not installed: "
            "pip install PyWavelets"
        )
    network.input_format = InputFormat(wrap=wrap or "none")
    network.source = source_of(text, network, {"recognised": "a classical denoiser"})
    return network.eval()


def parameter(text: str) -> tuple[str, float]:
    """The kind of a classical denoiser and its parameter, 0 if it has none.

    Args:
        text: its name.

    Raises:
        BadInput: an unknown kind, or a parameter that is missing or out of range.

    >>> parameter("classical:blur:0.9"), parameter("classical:nlm")
    (('blur', 0.9), ('nlm', 0.0))
    """
    kind, colon, value = text.removeprefix(CLASSICAL).partition(":")
    if kind not in EXPECTED:
        hint = nearest(kind, EXPECTED)
        raise BadInput(f"{text}: no classical denoiser {kind!r}; {hint}")
    try:
        number = float(value) if colon else 0.0
    except ValueError:
        number = float("nan")
    fits = {
        "blur": 0 < number <= WIDEST,
        "median": 3 <= number <= WIDEST and number % 2 == 1,
    }
    if not fits.get(kind, not colon):
        raise BadInput(f"{text}: expected {EXPECTED[kind]}")
    return kind, number


def filter_of(text: str, network: Denoiser, noises: Sequence[Noise] = ()) -> FixedFilter:
    """The fixed linear filter with the mean content gain of a network.

    Args:
        text: its name.
        network: whose gain is measured, on the bundled photographs, see
            `mtd.loading.content_gain`.
        noises: under which it is; by default the noise that the network was trained on.

    Raises:
        BadInput: that noise is not recorded, or no single one.
    """
    from mtd.data.photographs import BUNDLED
    from mtd.loading import content_gain
    from mtd.networks.fixed_filter import FixedFilter

    noises = noises or [training_noise(text, network)]
    config = _measured(network, noises)
    about = {
        "recognised": f"the fixed linear filter of {network.source.get('path', 'a network')}",
        "filter": {
            "model": {
                name: network.source.get(name)
                for name in ("path", "sha256", "weights_sha256", "usage", "policy")
            },
            "noise": [noise.spec for noise in noises],
            "photographs": list(BUNDLED),
            "crops": content_gain.COUNT,
            "crop": content_gain.SIDE,
            "frequencies": list(config.frequencies),
            "gains": list(config.gains),
        },
    }
    made = FixedFilter(text, config)
    made.source = source_of(text, made, about)
    return made.eval()


_gains: dict[str, FixedFilterConfig] = {}
"""Of the networks that were measured in this process, by all that decides them."""


def _measured(network: Denoiser, noises: Sequence[Noise]) -> FixedFilterConfig:
    from mtd.loading.content_gain import content_gain

    origin, masks = network.source, network.inference
    how = [str(masks.policy), masks.active, masks.samples, masks.seed]
    decides = [origin.get("sha256"), origin.get("weights_sha256"), origin.get("usage"), how]
    key = json.dumps([*decides, [noise.spec for noise in noises]], default=str)
    if not origin or key not in _gains:
        _gains[key] = content_gain(network, noises)
    return _gains[key]


def training_noise(text: str, network: Denoiser) -> Noise:
    """The noise that a network was trained on, as its checkpoint says.

    Raises:
        BadInput: it does not, or names no single noise that can be drawn.
    """
    from mtd.noise.specs import parse

    said = (network.source.get("training") or {}).get("noise")
    give = f"give it, as in {text}@gaussian:15"
    if not isinstance(said, str):
        raise BadInput(f"{text}: what the model was trained on is not recorded; {give}")
    try:
        return parse(said)
    except BadInput:
        raise BadInput(f"{text}: trained on {said}, which is no single noise; {give}") from None


def source_of(text: str, network: WithoutLayers, about: Mapping[str, Any]) -> dict[str, Any]:
    """The origin of a model that is no file; its digest is of all that decides its output."""
    from mtd.networks.weights import weights_digest

    weights, versions = weights_digest(network.state_dict()), network.versions
    decides = json.dumps([text, weights, versions, about], sort_keys=True)
    return {
        "path": text,
        "sha256": hashlib.sha256(decides.encode()).hexdigest(),
        "weights_sha256": weights,
        "container": "",
        "architecture": type(network).__name__,
        **about,
        "versions": versions,
        "usage": network.input_format.to_dict(),
        "policy": str(network.inference.policy),
        "policy_source": "no masks",
        "training": {},
    }
