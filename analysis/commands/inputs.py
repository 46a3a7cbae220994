"""The inputs that every analysis shares, loaded and checked: models, photographs, noises,
layers."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.text.names import shortest
from mtd.loading import cli_options
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.engine.forward import ForwardSettings
    from mtd.data.crops import Crop
    from mtd.data.photographs import Photograph
    from mtd.data.recorded_noise import Recorded
    from mtd.networks.base import Denoiser
    from mtd.noise.base import Noise
    from mtd.utils.distributed import Ranks


CROPS = 64


NOISES = ("gaussian:15", "poisson:3")


@dataclass(frozen=True)
class RunInputs:
    """What the shared options name, loaded and checked.

    `repeated` is the number of crops left out because another one has the same pixels: a sample
    that is there twice puts self-similarity off the diagonal.
    """

    models: dict[str, Denoiser]
    noises: list[Noise | Recorded]
    crops: list[Crop]
    setting: ForwardSettings
    ranks: Ranks
    repeated: int


def check(args: argparse.Namespace) -> RunInputs:
    """Load and check what the shared options name, before anything is computed.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """
    from mtd.utils import distributed

    processes, device = distributed.start(args.device)
    with processes.raise_on_all_ranks():
        from mtd.data import photographs as data_photographs

        return gather(args, device, processes, data_photographs.photographs(*args.images or ()))


def cut(args: argparse.Namespace, photographs: Sequence[Photograph]) -> list[Crop]:
    """The crops, or whole images, that the options ask for."""
    from mtd.data import crops as data_crops

    if args.crop is None:
        return data_crops.whole(photographs, args.limit)
    return data_crops.crops(photographs, args.crop, args.limit or CROPS, args.crop_rule, args.seed)


def gather(
    args: argparse.Namespace, device: str, ranks: Ranks, photographs: Sequence[Photograph]
) -> RunInputs:
    """What the shared options name, on given photographs; see `check`."""
    from analysis.engine.forward import ForwardSettings
    from mtd.data.recorded_noise import PREFIX, Recorded
    from mtd.noise import specs as noise_specs
    from mtd.utils.device import resolve_device

    specs = NOISES if args.noise is None else args.noise
    noises = [Recorded(s) if s.startswith(PREFIX) else noise_specs.parse(s) for s in specs]
    specs = [n.spec for n in noises]
    if len(set(specs)) < len(specs):
        raise BadInput(f"--noise {', '.join(specs)}: each noise once")
    resolved = resolve_device(device)
    models = load_models(args, device)
    found = cut(args, photographs)
    for recorded in noises:
        if isinstance(recorded, Recorded):
            used = {crop.image for crop in found}
            recorded.check([photo for photo in photographs if photo.name in used])
    crops = list({crop.digest: crop for crop in reversed(found)}.values())[::-1]
    setting = ForwardSettings(
        args.seed,
        not args.no_quantize,
        args.mask_pairing,
        resolved,
        args.autocast,
        identity={name: identity(model) for name, model in models.items()},
        input_mask=args.input_mask,
    )
    return RunInputs(models, noises, crops, setting, ranks, len(found) - len(crops))


def identity(model: Denoiser) -> list[Any]:
    """What decides a loaded network's output: file, masks, how it is called, what made it."""
    if not model.source:
        return ["unchanged", None]
    how, source = model.inference, model.source
    masks = [how.policy.attention_percent, how.samples, how.seed] if how.active else None
    made = [
        source.get(name)
        for name in ("architecture", "recognised", "factory", "arguments", "factory_sha256")
    ]
    return [source["sha256"], masks, source["usage"], *made]


def load_models(args: argparse.Namespace, device: str) -> dict[str, Denoiser]:
    """The networks, by names that are short but tell them apart.

    Raises:
        BadInput: a file that cannot be used, or an option that says nothing of any of them.
    """
    from mtd.loading.load import load

    requests = cli_options.resolve_requests(args)
    places = [Path(request.path) for request in requests]
    names = shortest(dict(enumerate((*place.parts[:-1], place.stem) for place in places)))
    if len(set(names.values())) < len(names):  # two files that differ in their ending alone
        names = dict(enumerate(map(str, places)))
    models = {
        name: load(request.path, device=device, **vars(request.options))
        for name, request in zip(names.values(), requests, strict=True)
    }
    if args.sigma and not any(model.takes_sigma for model in models.values()):
        raise BadInput(f"--sigma {args.sigma[0]}: none of the models takes a noise level")
    for request, (name, model) in zip(requests, models.items(), strict=True):
        if request.own_sigma and not model.takes_sigma:
            level = request.options.sigma
            raise BadInput(f"--sigma {name}={level}: {name} takes no noise level")
        if model.channels != 3:
            hint = (
                "; --grayscale per-channel runs it on each channel" if model.channels == 1 else ""
            )
            raise BadInput(f"{name}: takes {model.channels} channels, expected colour, 3{hint}")
    return models


def choose_layers(models: dict[str, Denoiser], patterns: list[str] | None) -> dict[str, list[str]]:
    """Layers to record, by model."""
    from analysis.engine.layers import choose

    chosen = {}
    for name, model in models.items():
        try:
            chosen[name] = choose(model, patterns)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
    return chosen


def describe(analysis: str, args: argparse.Namespace, asked: RunInputs) -> dict[str, Any]:
    """The part of a manifest that the shared options decide."""
    from analysis.commands.run_folder import versions
    from mtd.data.recorded_noise import Recorded

    return {
        "analysis": analysis,
        "versions": versions(),
        "models": {
            name: dict(m.source) | {"parameters": sum(p.numel() for p in m.parameters())}
            for name, m in asked.models.items()
            if m.source
        },
        "attention_mask": args.attention_mask,
        "mask_samples": args.mask_samples,
        "mask_pairing": args.mask_pairing,
        **({"input_mask": args.input_mask} if args.input_mask else {}),
        "noises": [noise.spec for noise in asked.noises],
        "recorded": {
            noise.spec: noise.digest(asked.crops)
            for noise in asked.noises
            if isinstance(noise, Recorded)
        },
        "quantize": not args.no_quantize,
        "seed": args.seed,
        "device": args.device,
        "autocast": args.autocast,
        "images": args.images or "bundled",
        "crop": args.crop,
        "crop_rule": args.crop_rule,
        "crops": [
            {"image": c.image, "top": c.top, "left": c.left, "sha256": c.digest}
            for c in asked.crops
        ],
    }
