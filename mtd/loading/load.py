"""Loading a denoiser: which network a checkpoint belongs to, its weights, and how it is called.

What a file is, is asked in this order: its own metadata, the architectures of
`mtd.networks.registry` by keys and shapes, spandrel's. A network of the user's own comes from a
factory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from mtd.loading import kair_options
from mtd.loading.checkpoint_file import Checkpoint, peeled, read, unwrapped
from mtd.masking import AttentionSwitch, MaskedInference, MaskPolicy
from mtd.networks import external, registry, spandrel_adapter
from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.config import Config, Weights
from mtd.networks.external import Foreign
from mtd.networks.input_format import Sigma, Usage
from mtd.networks.swinir_layers import SwinIRConfig
from mtd.utils.device import resolve_device
from mtd.utils.errors import BadInput

UNKNOWN = "nothing recorded, so none is assumed"


@dataclass(frozen=True)
class LoadOptions:
    """How a network is to be used, as far as its checkpoint does not say.

    Attributes:
        attention_mask: `auto` follows the checkpoint's policy, `on` and `off` override it.
        mask_samples: number of mask draws to average.
        seed: part of every mask's key.
        options: a KAIR-style JSON that states the mask policy; by default the one beside the file.
        sigma: the noise level that a network which takes one is told, in 8-bit levels, or `oracle`;
            others are not told.
        value_range: white, for the network: 1 or 255; by default what weights or metadata say,
            else 1.
        bgr: channels go in and come out blue first.
        per_channel: a grey network is called for each channel.
        factory: `package.module:name` of a module to load the weights into.
        arguments: the factory's.
    """

    attention_mask: AttentionSwitch = "auto"
    mask_samples: int = 1
    seed: int = 0
    options: str | Path | None = None
    sigma: Sigma = None
    value_range: float | None = None
    bgr: bool | None = None
    per_channel: bool = False
    factory: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


def load(path_or_name: str | Path, *, device: str | torch.device = "cpu", **how: Any) -> Denoiser:
    """Load a denoiser, in eval mode, from a file or by the name of a bundled checkpoint.

    The module maps (B, C, H, W), RGB if C is 3, nominally in [0, 1], to the same shape and never
    clamps. Its `source` says where weights and mask policy come from, and how it was recognised.

    Args:
        path_or_name: `.pth`, `.pt`, `.ckpt` or `.safetensors`; else a name such as `masked.pth`.
        device: where to put the network.
        how: the fields of `LoadOptions`.

    Raises:
        BadInput: the file cannot be used; the message says why.

    Example:
        >>> network = load("baseline.pth")
        >>> network.source["architecture"], network(torch.rand(1, 3, 16, 24)).shape
        ('SwinIR', torch.Size([1, 3, 16, 24]))
    """
    wanted, checkpoint = LoadOptions(**how), read(path_or_name)
    try:
        network, about = recognise(checkpoint, wanted)
        policy, source = policy_of(network, checkpoint, wanted)
        network.usage = usage(network, checkpoint.metadata.get("network") is not None, wanted)
    except BadInput as error:
        text = " ".join(str(error).removeprefix(f"{checkpoint.path}: ").split())
        raise BadInput(f"{checkpoint.path}: {text}") from None
    bad = [name for name, value in network.named_parameters() if not value.isfinite().all()]
    bad += [name for name, value in network.named_buffers() if not value.isfinite().all()]
    if bad:
        raise BadInput(
            f"{checkpoint.path}: weights that are not finite in {bad[0]} ({len(bad)} tensors)"
        )
    network.inference = MaskedInference(
        policy, wanted.attention_mask, wanted.mask_samples, wanted.seed
    )
    network.source = {
        "path": str(path_or_name),
        "sha256": checkpoint.digest,
        "container": checkpoint.container,
        **about,
        "usage": network.usage.to_dict(),
        "policy": str(policy),
        "policy_source": source,
        "training": checkpoint.metadata.get("training", {}),
    }
    return network.eval().to(resolve_device(device))


def recognise(checkpoint: Checkpoint, how: LoadOptions) -> tuple[Denoiser, dict[str, Any]]:
    """The network of a checkpoint with its weights, its architecture, and how that was found.

    Raises:
        BadInput: no network is known that these weights belong to.
    """
    weights, whole = checkpoint.weights, checkpoint.whole
    odd = [name for name, value in whole.items() if value.is_complex()]
    if odd:
        raise BadInput(f"complex numbers in {odd[0]}; expected real weights")
    if how.factory:
        module, about = external.make(how.factory, how.arguments)
        keys = module.state_dict().keys()
        forms = list(peeled(whole))
        external.fill(module, next((form for form in forms if keys <= form.keys()), forms[-1]))
        name = type(module).__name__
        sigma = how.sigma is not None
        wrapped = module if isinstance(module, Denoiser) else external.wrap(module, sigma=sigma)
        return wrapped, {"architecture": name, "recognised": "its factory", **about}
    known = checkpoint.metadata.get("network")
    try:
        found = registry.described(known) if known is not None else None
        for form in () if known is not None else (unwrapped(whole), weights):
            if found is None:
                weights, found = form, registry.detect(form)
        if found is not None:
            entry, config = found
            config.check()
            if known is not None:
                fits(entry, config, weights)
            else:
                not_embedded(config, weights)
            network = entry.build(config)
    except BadInput:
        raise
    except Exception as error:
        what = "its metadata describes" if known is not None else "its shapes are those of"
        raise BadInput(f"{what} no network known here ({_line(error)})") from None
    if found is not None:
        if known is None:
            see_rest(entry.name, whole, weights)
        external.fill(network, weights)
        recognised = "its own metadata" if known is not None else "keys and shapes"
        about = {"architecture": entry.name, "recognised": recognised}
        if known is None and entry.assumes:
            about["assumed"] = entry.assumes
        return network, about
    other = spandrel_adapter.recognise(unwrapped(whole))
    if other is None:
        raise BadInput(unknown(checkpoint))
    return other[0], {"architecture": other[0].config.kind, "recognised": other[1]}


TRAINING = re.compile(r"loss|criter|percep|vgg|lpips|discrim|net_?d\b|ema|teacher|metric|optim")
"""What belongs to training, not to a network, is called something like this."""


def see_rest(name: str, whole: Weights, weights: Weights) -> None:
    """See that a file holds no more than a network, but for what belongs to training.

    Raises:
        BadInput: it does: the network may be a part of another one.
    """
    ends = tuple(weights)
    rest = [key for key in whole if not key.endswith(ends) and not TRAINING.search(key.lower())]
    if rest:
        raise BadInput(
            f"holds a {name} and {len(rest)} other tensors ({', '.join(rest[:3])}, …), as if it "
            "were a part of another network; with a class of your own: --model "
            "package.module:factory --checkpoint FILE"
        )


def fits(entry: Architecture, config: Config, weights: Weights) -> None:
    """See that weights are of the shapes that metadata describe, before any memory is taken.

    Raises:
        BadInput: they are not.
    """
    sizes = [v for value in vars(config).values() for v in _numbers(value)]
    if max(sizes, default=0) > max(255, sum(value.numel() for value in weights.values())):
        raise BadInput(f"its metadata describe a network larger than its weights ({max(sizes)})")
    try:
        with torch.device("meta"):
            network = entry.build(config)
    except Exception:  # one that is not built without memory
        return
    external.fill(network, {name: value.to("meta") for name, value in weights.items()})


def _numbers(value: Any) -> list[float]:
    values = value if isinstance(value, tuple) else (value,)
    return [v for v in values if isinstance(v, int | float)]


def not_embedded(config: Config, weights: Weights) -> None:
    """See that a stock SwinIR is one, and not the paper's variant put into larger kernels.

    Raises:
        BadInput: its embedding has one tap.
    """
    if isinstance(config, SwinIRConfig) and config.embed_kernel > 1:
        kernel, side = weights["conv_first.weight"], config.embed_kernel
        outside = torch.ones(side, side, dtype=torch.bool)
        outside[side // 2, side // 2] = False
        if kernel.any() and not kernel[..., outside].any():
            raise BadInput(
                f"a SwinIR with an embedding of 1 x 1 enlarged to {side} x {side}: it would be run "
                "as a stock one, which adds its input; give the weights as they were"
            )


def unknown(checkpoint: Checkpoint) -> str:
    """What can be said of weights that belong to no network known here."""
    weights = checkpoint.weights
    shown = ", ".join(" ".join(key.split())[:80] for key in list(weights)[:4])
    place = f"under {checkpoint.container!r}" if checkpoint.container else "at its top"
    return (
        f"no network known here: {len(weights)} tensors {place}, {shown}, …; {nearest(weights)}; "
        "with a class of your own: --model package.module:factory --checkpoint FILE"
    )


def nearest(weights: Weights) -> str:
    """The known architecture whose keys look most like these, and what is missing for it."""
    held = {_shape(key) for key in weights}
    best, share, missing = "", 0.0, list[str]()
    for name, entry in registry.architectures().items():
        try:
            with torch.device("meta"):
                keys = list(entry.build(entry.config()).state_dict())
        except Exception:  # another package's, that is not built without memory or as it is
            continue
        lacking = [key for key in keys if _shape(key) not in held]
        found = 1 - len({_shape(key) for key in lacking}) / len({_shape(key) for key in keys})
        if found > share:
            best, share, missing = name, found, lacking
    if share < 0.3:
        return f"none of {', '.join(registry.architectures())} is near"
    lacks = f"it lacks {', '.join(missing[:3])}" if missing else "other numbers of layers"
    return f"nearest: {best}, but {lacks}"


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__


def _shape(key: str) -> str:
    return re.sub(r"\d+", "N", key)


def usage(network: Denoiser, described: bool, how: LoadOptions) -> Usage:
    """How a network is called: what it says itself, and what was asked for.

    Raises:
        BadInput: a value range or noise level that is needed and not known, or is another one.
    """
    own = network.usage
    kind = network.config.kind if isinstance(network, Foreign) else type(network).__name__
    free = isinstance(network, Foreign) or (network.range_unknown and not described)
    value_range = how.value_range
    if value_range is None:
        if network.range_unknown and not described:
            raise BadInput(
                f"weights of a {kind} do not tell the value range: give --value-range 255 (as "
                "published) or --value-range 1"
            )
        value_range = own.value_range
    elif value_range != own.value_range and not free:
        raise BadInput(f"--value-range {value_range:g}: this {kind} takes {own.value_range:g}")
    if network.takes_sigma and how.sigma is None and own.sigma is None:
        raise BadInput(
            f"a {kind} is told the noise level: give --sigma 25, in 8-bit levels, or --sigma oracle"
        )
    sigma = how.sigma if how.sigma is not None else own.sigma
    grey = network.config.in_chans == 1
    return replace(
        own,
        value_range=value_range,
        bgr=own.bgr if how.bgr is None else how.bgr,
        per_channel=own.per_channel or (how.per_channel and grey),
        sigma=sigma if network.takes_sigma else None,
    )


def policy_of(
    network: Denoiser, checkpoint: Checkpoint, how: LoadOptions
) -> tuple[MaskPolicy, str]:
    """The mask policy of a network, and where it was found.

    Raises:
        BadInput: masks are asked for whose ratio is not known.
    """
    if not network.takes_masks:
        return MaskPolicy(), "no attention masks in this architecture"
    policy, source = mask_policy(checkpoint, how.options)
    maskable = getattr(network.config, "embed_kernel", 1) == 1  # the paper's variant of a SwinIR
    if how.attention_mask == "on" and source == UNKNOWN and maskable:
        raise BadInput("attention mask 'on', but its ratio is not recorded: give the option file")
    return policy, source


def mask_policy(checkpoint: Checkpoint, options: str | Path | None) -> tuple[MaskPolicy, str]:
    """The policy and where it was found: an option file given, metadata, a file beside, or none.

    A published file cannot tell a masked network from its baseline; without options the policy is
    'no masks', and the source says so.
    """
    if options is not None:
        return kair_options.mask_policy(Path(options)), str(options)
    if "mask" in checkpoint.metadata:
        try:
            return MaskPolicy.from_dict(checkpoint.metadata["mask"]), "the checkpoint"
        except BadInput as error:
            raise BadInput(f"{checkpoint.path}: {error}") from None
    beside = checkpoint.path.with_suffix(".json")
    if beside.is_file() and kair_options.is_option_file(beside):
        return kair_options.mask_policy(beside), str(beside)
    return MaskPolicy(), UNKNOWN
