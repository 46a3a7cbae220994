"""Loading a denoiser: the architecture of a checkpoint, its weights, its input format and masks.

A checkpoint is recognized by its own metadata; else by keys and shapes, as one of the architectures
of `mtd.networks.registry`; else by spandrel. A network of the user's own comes from a factory.
"""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from mtd.loading import classical, kair_options, metadata, published_files, zoo
from mtd.loading.checkpoint_file import Checkpoint, read
from mtd.loading.options import LoadOptions
from mtd.loading.recognition import METADATA, recognize
from mtd.masking import MaskedInference, MaskPolicy
from mtd.networks.base import Denoiser
from mtd.networks.external import ExternalNetwork
from mtd.networks.input_format import InputFormat
from mtd.networks.weights import weights_digest
from mtd.noise.specs import parse
from mtd.utils import errors, messages, user_folders
from mtd.utils.device import resolve_device
from mtd.utils.errors import BadInput
from mtd.utils.messages import plural

UNKNOWN = "nothing recorded, so none is assumed"


def load(
    path_or_name: str | Path, *, device: str | torch.device = "cpu", **options: Any
) -> Denoiser:
    """Load a denoiser, in eval mode, from a file or by the name of a bundled or published one.

    The network maps (B, C, H, W), RGB if C is 3, nominally in [0, 1], to the same shape and never
    clamps. Its `source` holds the origin of weights and mask policy, and how it was recognized.

    Args:
        path_or_name: `.pth`, `.pt`, `.ckpt` or `.safetensors`; else a name such as `masked.pth`;
            or of the zoo, `kair/dncnn_color_blind`, or of Hugging Face, `hf://ORG/REPO/FILE`;
            or a model that is no file: `classical:blur:0.9` (σ in pixels), `classical:median:3`,
            `classical:nlm`, `classical:tv`, `classical:wavelet`, see
            `mtd.networks.classical.Classical`; `filter:MODEL`, the fixed linear filter with the
            content gain of MODEL under the noise that it was trained on, or, as
            `filter:MODEL@gaussian:15`, under another one, see `mtd.loading.content_gain`.
        device: of the network; see `mtd.utils.device.resolve_device`.
        options: the fields of `LoadOptions`.

    Raises:
        BadInput: the file or an option cannot be used; the message says why.

    Example:
        >>> network = load("baseline.pth")
        >>> network.source["architecture"], network(torch.rand(1, 3, 16, 24)).shape
        ('SwinIR', torch.Size([1, 3, 16, 24]))
        >>> load("baseline.pth", wrap="normalize").source["usage"]
        {'wrap': 'normalize'}
        >>> load("filter:classical:blur:0.9@gaussian:15").source["filter"]["noise"]
        ['gaussian:15']
    """
    known = [option.name for option in fields(LoadOptions)]
    for name in options:
        if name not in known:
            raise BadInput(f"no option {name!r} of load; {errors.nearest(name, known)}")
    request, text = LoadOptions(**options), user_folders.expanded(str(path_or_name))
    if text.startswith(classical.FILTER):
        model, noise = classical.filter_spec(text)
        if not model:
            raise BadInput(f"{text}: expected filter:MODEL, such as filter:masked.pth")
        network = load(model, device=device, **options)
        return classical.filter_of(text, network, [parse(noise)] if noise else [])
    if text.startswith(classical.CLASSICAL):
        classical.check_options(text, request)
        return classical.classical(text, request.wrap)
    return from_file(text, request).to(resolve_device(device))


def from_file(path_or_name: str | Path, request: LoadOptions) -> Denoiser:
    """The network of a checkpoint file, in eval mode; see `load`."""
    named = zoo.entry(path_or_name)
    checkpoint = read(published_files.fetch(named, LoadOptions()) if named else path_or_name)
    published = zoo.of(path_or_name, checkpoint.digest)
    as_published = None if request.factory else published  # not through a class of the user's
    if as_published is not None:
        request = as_published.applied(request)
    try:
        network, about = recognize(checkpoint, request)
        if as_published is not None:
            as_published.check(about["architecture"], network.config.in_chans)
        policy, source = policy_of(network, checkpoint, request, published)
        described = about["recognised"] == METADATA
        network.input_format = input_format(network, described, request)
        if not described and (open_ := assumed(network, about.get("assumed", ""), request)):
            about["assumed"] = open_
    except BadInput as error:
        text = " ".join(str(error).removeprefix(f"{checkpoint.path}: ").split())
        raise BadInput(f"{checkpoint.path}: {text}") from None
    bad = [name for name, value in network.named_parameters() if not value.isfinite().all()]
    bad += [name for name, value in network.named_buffers() if not value.isfinite().all()]
    if bad:
        raise BadInput(
            f"{checkpoint.path}: weights that are not finite in {bad[0]} "
            f"({plural(len(bad), 'tensor')})"
        )
    if checkpoint.warning:
        messages.once(f"{checkpoint.path}: {checkpoint.warning}")
    facts, odd = metadata.training(checkpoint.metadata.get("training"))
    if odd:
        messages.once(
            f"{checkpoint.path}: read without what it says of its training under "
            f"{', '.join(odd[:5])}{', …' * (len(odd) > 5)}, which has another type than expected"
        )
    network.inference = MaskedInference(
        policy, request.attention_mask, request.mask_samples, request.seed
    )
    network.source = {
        "path": str(path_or_name),
        "sha256": checkpoint.digest,
        "weights_sha256": weights_digest(network.state_dict()),
        **about,
        **({"left_out": checkpoint.left_out} if checkpoint.left_out else {}),
        "usage": network.input_format.to_dict(),
        "policy": str(policy),
        "policy_source": source,
        "training": facts or (published.training() if published else {}),
    }
    return network.eval()


def input_format(network: Denoiser, described: bool, options: LoadOptions) -> InputFormat:
    """The input format of a network: its own, changed by the options.

    Raises:
        BadInput: a value range or noise level that is required and missing, or a value range that
            is not the network's.
    """
    own = network.input_format
    kind = network.config.kind if isinstance(network, ExternalNetwork) else type(network).__name__
    free = isinstance(network, ExternalNetwork) or not (described or network.range_in_weights)
    value_range = options.value_range
    if value_range is None:
        if network.range_unknown and not described:
            raise BadInput(
                f"the weights of a {kind} do not determine the value range: give --value-range 255 "
                "(as published) or --value-range 1"
            )
        value_range = own.value_range
    elif value_range != own.value_range and not free:
        raise BadInput(f"--value-range {value_range:g}: this {kind} takes {own.value_range:g}")
    if network.takes_sigma and options.sigma is None and own.sigma is None:
        raise BadInput(
            f"a {kind} is noise-conditional: give --sigma 25, in 8-bit levels, or --sigma oracle "
            "(in Python, mtd.load(path, sigma=25))"
        )
    sigma = options.sigma if options.sigma is not None else own.sigma
    grayscale = network.config.in_chans == 1
    return replace(
        own,
        value_range=value_range,
        bgr=own.bgr if options.bgr is None else options.bgr,
        per_channel=own.per_channel or (options.per_channel and grayscale),
        sigma=sigma if network.takes_sigma else None,
        residual=own.residual if options.residual is None else options.residual,
        wrap=own.wrap if options.wrap is None else options.wrap,
    )


def assumed(network: Denoiser, by_architecture: str, options: LoadOptions) -> str:
    """What a file without metadata and the options leave open, and is assumed."""
    parts = [by_architecture]
    if options.value_range is None and not network.range_in_weights:
        parts.append(f"values from 0 to {network.input_format.value_range:g}")
    if options.bgr is None and network.config.in_chans == 3:
        parts.append("RGB")
    return ", ".join(filter(None, parts))


def policy_of(
    network: Denoiser,
    checkpoint: Checkpoint,
    options: LoadOptions,
    published: zoo.Entry | None = None,
) -> tuple[MaskPolicy, str]:
    """The mask policy of a network, and its source.

    Raises:
        BadInput: attention masks are switched on, but their ratio is unknown.
    """
    if not network.takes_masks:
        return MaskPolicy(), "no attention masks in this architecture"
    policy, source = mask_policy(checkpoint, options.options)
    if source == UNKNOWN and published is not None and published.mask:
        policy, source = MaskPolicy.from_dict(dict(published.mask)), f"the zoo, {published.name}"
    maskable = getattr(network.config, "embed_kernel", 1) == 1  # the paper's variant of a SwinIR
    if options.attention_mask == "on" and source == UNKNOWN and maskable:
        raise BadInput("attention mask 'on', but its ratio is not recorded: give the option file")
    return policy, source


def mask_policy(checkpoint: Checkpoint, options: str | Path | None) -> tuple[MaskPolicy, str]:
    """The mask policy and its source: the given option file, metadata, or the file next to it.

    A published checkpoint does not show whether it was trained with masks; without options the
    policy is 'no masks', and the source says so.

    Raises:
        BadInput: an option file or metadata that cannot be read.
    """
    if options is not None:
        return kair_options.mask_policy(Path(options)), str(options)
    if "mask" in checkpoint.metadata:
        try:
            return MaskPolicy.from_dict(checkpoint.metadata["mask"]), "the checkpoint"
        except BadInput as error:
            raise BadInput(f"{checkpoint.path}: {error}") from None
    option_file = checkpoint.path.with_suffix(".json")
    if option_file.is_file() and kair_options.is_option_file(option_file):
        return kair_options.mask_policy(option_file), str(option_file)
    return MaskPolicy(), UNKNOWN
