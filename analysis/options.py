"""What every analysis command asks for: models, images, noises, masks, where and on what to run.

Nothing heavy is imported until the options are parsed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.text.names import shortest
from mtd.loading import cli_options
from mtd.utils import cli
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analysis.engine.observer import Batch, Observer
    from analysis.engine.run import Setting
    from analysis.runs import RunFolder
    from mtd.data.crops import Crop
    from mtd.data.photographs import Photograph
    from mtd.data.recorded_noise import Recorded
    from mtd.networks.base import Denoiser
    from mtd.noise.base import Noise
    from mtd.utils.distributed import Ranks

CROPS = 64
NOISES = ("gaussian:15", "poisson:3")


def parser(
    module: str,
    description: str,
    examples: str,
    *,
    crop: int | None = 64,
    limit: int | None = CROPS,
    noises: str = ", ".join(NOISES),
    models: str = "checkpoint file, or bundled name",
) -> cli.Parser:
    """A parser with the shared options, and what they are by default.

    Args:
        module: whose command it is.
        description: what it does.
        examples: command lines.
        crop: side of a crop; None for whole images.
        limit: number of crops; None for all images, or `CROPS` if crops are asked for.
        noises: the default noises, in words.
        models: what the positional arguments are.
    """
    p = cli.Parser(module, description, examples)
    count = cli.whole_number
    p.add_argument("models", nargs="*", metavar="MODEL", help=models)
    p.add_argument(
        "--images",
        action="append",
        metavar="DIR",
        help="folder of clean photographs (repeatable; default: bundled)",
    )
    size = "whole images" if crop is None else str(crop)
    number = f"all; of crops {CROPS}" if limit is None else str(limit)
    p.add_argument(
        "--crop",
        type=count(8),
        default=crop,
        help=f"side of a crop (default {size})",
    )
    p.add_argument(
        "--crop-rule",
        choices=("grid", "centre", "random"),
        default="grid",
        help="where crops are cut: spread over each image (default), its middle, or at random",
    )
    p.add_argument(
        "--limit",
        type=count(1),
        default=limit,
        help=f"number of crops (default {number})",
    )
    p.add_argument(
        "--noise",
        action="append",
        metavar="SPEC",
        help="noise, the first being the reference; folder:DIR takes recorded noisy versions, "
        f"matched by name (repeatable; default: {noises})",
    )
    p.add_argument("--no-quantize", action="store_true", help="noise without clipping and rounding")
    p.add_argument(
        "--mask-pairing",
        choices=("shared", "independent"),
        default="shared",
        help="a crop's masks: the same under every noise (default), or drawn anew",
    )
    p.add_argument(
        "--input-mask",
        type=cli.share,
        default=0.0,
        metavar="RATIO",
        help="hide this share of the pixels from the networks, as in training with an input mask "
        "(0.8, say; default: none)",
    )
    p.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1")
    p.add_argument(
        "--autocast",
        choices=("off", "bf16", "fp16"),
        default="off",
        help="precision of the networks' forward pass (default: off, float32)",
    )
    p.add_argument("--batch-size", type=count(1), help="crops that go through a network together")
    p.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    p.add_argument("--output-dir", metavar="DIR", help="default: runs/ANALYSIS-MODELS-DIGEST")
    p.add_argument("--quiet", action="store_true", help="no bar, no messages; the table only")
    cli_options.add(p)
    return p


def like(args: argparse.Namespace, parser: cli.Parser, **more: Any) -> argparse.Namespace:
    """Another command's options, those that are shared as they are given here."""
    found = parser.parse_args(args.models)
    held = vars(found)
    held.update({name: value for name, value in vars(args).items() if name in held}, **more)
    return found


def run_folders(args: argparse.Namespace) -> list[Path]:
    """What is given as models, if it is run folders; nothing if it is checkpoints.

    Raises:
        BadInput: some of both.
    """
    folders = [Path(name) for name in args.models if Path(name).is_dir()]
    if folders and len(folders) < len(args.models) + len(args.made):
        absent = [name for name in args.models if not Path(name).exists()]
        if absent:
            raise BadInput(f"{absent[0]}: no such run folder")
        raise BadInput("checkpoints and run folders: give one or the other")
    return folders


@dataclass(frozen=True)
class Asked:
    """What the shared options name, loaded and checked.

    `repeated` is the number of crops left out because another one has the same pixels: a sample
    that is there twice puts self-similarity off the diagonal.
    """

    models: dict[str, Denoiser]
    noises: list[Noise | Recorded]
    crops: list[Crop]
    setting: Setting
    ranks: Ranks
    repeated: int


def check(args: argparse.Namespace) -> Asked:
    """Load and check what the shared options name, before anything is computed.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """
    from mtd.utils import distributed

    processes, device = distributed.start(args.device)
    with processes.agreed():
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
) -> Asked:
    """What the shared options name, on given photographs; see `check`."""
    from analysis.engine.run import Setting
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
    setting = Setting(
        args.seed,
        not args.no_quantize,
        args.mask_pairing,
        resolved,
        args.autocast,
        identity={name: identity(model) for name, model in models.items()},
        input_mask=args.input_mask,
    )
    return Asked(models, noises, crops, setting, ranks, len(found) - len(crops))


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


def tell(asked: Asked) -> None:
    """On stderr: each model's mask policy and where it comes from, and what was left out."""
    for name, model in asked.models.items():
        if source := model.source:
            print(f"{name}: {about(source)}", file=sys.stderr)
    if asked.repeated:
        print(
            f"left out {asked.repeated} images or crops whose pixels are those of another one",
            file=sys.stderr,
        )


def about(source: Mapping[str, Any]) -> str:
    """A loaded model in a line: what it is, how it is called, and its masks."""
    called = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in source["usage"].items())
    what = source["architecture"] + (f" ({called})" if called else "")
    return f"{what}, {source['policy']} ({source['policy_source']})"


def observe(
    args: argparse.Namespace,
    asked: Asked,
    groups: Sequence[Batch],
    observers: Sequence[Observer],
    folder: RunFolder,
) -> None:
    """Show everything that is asked to the observers, with a bar.

    Raises:
        BadInput: a layer cannot be used, or a unit not be written.
    """
    from tqdm import tqdm

    from analysis.engine import run as engine_run

    ranks, talks = asked.ranks, asked.ranks.first and not args.quiet
    kept = folder.units.count()
    if kept and talks:
        print(f"found {kept} finished units; they are not computed again", file=sys.stderr)
    walk = engine_run.walk(
        asked.models,
        asked.noises,
        groups,
        observers,
        asked.setting,
        units=folder.units,
        ranks=ranks,
    )
    mine = [groups[index] for index in ranks.mine(len(groups))]
    counts = [len(engine_run.wanted(asked.models, asked.noises, b, observers)) for b in mine]
    with ranks.agreed():
        first = next(walk, None)  # shows that the layers can be used
    if talks:
        tell(asked)
    hide = None if talks else True
    with tqdm(initial=int(first is not None), total=sum(counts), unit="view", disable=hide) as bar:
        for done, _ in enumerate(walk, 2):
            bar.update()
            if done <= counts[0] and not kept:
                check_space(folder, ranks.size * sum(counts) / done)


def check_space(folder: RunFolder, share: float) -> None:
    """See that the units of a run find room on the disk.

    Args:
        folder: where some of them are.
        share: how many times as many there will be.

    Raises:
        BadInput: they will not.
    """
    here = folder.units.bytes()
    needed, free = here * (share - 1), shutil.disk_usage(folder.path).free
    if needed > 0.95 * free:
        if folder.ranks.size == 1:
            folder.units.clear()
        raise BadInput(
            f"{folder.path}: features take about {(here + needed) / 2**30:.1f} GiB while the run "
            f"goes on, {free / 2**30:.1f} are free: lower --limit or --crop, or choose another "
            "--output-dir"
        )


def load_models(args: argparse.Namespace, device: str) -> dict[str, Denoiser]:
    """The networks, by names that are short but tell them apart.

    Raises:
        BadInput: a file that cannot be used, or an option that says nothing of any of them.
    """
    from mtd.loading.load import load

    wanted = cli_options.settle(args)
    places = [Path(path) for path, _ in wanted]
    names = shortest(dict(enumerate((*place.parts[:-1], place.stem) for place in places)))
    if len(set(names.values())) < len(names):  # two files that differ in their ending alone
        names = dict(enumerate(map(str, places)))
    models = {
        name: load(path, device=device, **vars(how))
        for name, (path, how) in zip(names.values(), wanted, strict=True)
    }
    if args.sigma and not any(model.takes_sigma for model in models.values()):
        raise BadInput(f"--sigma {args.sigma[0]}: none of the models takes a noise level")
    for (path, _), (name, model) in zip(wanted, models.items(), strict=True):
        named = [
            t for t in args.sigma if t.rpartition("=")[0] in (path, Path(path).stem) and "=" in t
        ]
        if named and not model.takes_sigma:
            raise BadInput(f"--sigma {named[0]}: {name} takes no noise level")
        if model.channels != 3:
            hint = "; --grey per-channel runs it on each channel" if model.channels == 1 else ""
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


def describe(analysis: str, args: argparse.Namespace, asked: Asked) -> dict[str, Any]:
    """The part of a manifest that the shared options decide."""
    from analysis.runs import versions
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
