"""All that a benchmark asks for, loaded and checked: noises, test sets, batches, LPIPS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import options, ranks, scores
from analysis import suite as suites
from analysis.engine import Batch, batches
from analysis.options import Asked
from analysis.ranking import NOISY
from analysis.suite import Suite
from mtd import images, noise, paired, testsets
from mtd.denoiser import Unchanged
from mtd.errors import BadInput, nearest
from mtd.images import Crop, Photograph
from mtd.paired import Paired
from mtd.perceptual import LPIPS, NoBackbone

if TYPE_CHECKING:
    from mtd.noise import Noise
    from mtd.recorded import Recorded

SUITE = "quick"

PIXELS = 2**16
"""Pixels that go through a network together unless --batch-size says otherwise. Activations of more
make the C library return memory to the system and ask for it again at every layer: measured on two
cores, the bundled networks take three times longer at four times as many."""


@dataclass(frozen=True)
class Benchmark:
    """All that is asked, loaded and checked.

    Attributes:
        asked: models, synthetic noises and their crops; the noisy input is one of the models.
        paired: test sets with noisy images of their own, and their batches' crops.
        groups: batches over all of them.
        trained: texts of the noises in distribution.
        suite: where noises and crops come from.
        perceptual: LPIPS, or None.
        missing: why there is no LPIPS, or nothing.
    """

    asked: Asked
    paired: list[Paired]
    groups: list[Batch]
    trained: list[str]
    suite: Suite | None
    perceptual: LPIPS | None
    missing: str

    @property
    def noises(self) -> list[Noise | Recorded]:
        """Every noise, synthetic ones first."""
        return [*self.asked.noises, *(pair.recorded for pair in self.paired)]


def check(args: argparse.Namespace) -> Benchmark:
    """Load and check everything before anything is computed.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """
    processes, device = ranks.start(args.device)
    with processes.agreed():
        photographs, paired = sources(args)
        suite = settle(args, paired)
        photographs = photographs if args.noise else []
        asked = with_tiles(args, options.gather(args, device, processes, photographs))
        groups = make_batches(args, asked, paired)
        specs = [n.spec for n in (*asked.noises, *(pair.recorded for pair in paired))]
        trained = in_distribution(args, suite, specs)
        perceptual, missing = load_lpips(args, device)
    if any(processes.gather(bool(missing))):  # all processes score alike
        perceptual = None
    return Benchmark(asked, paired, groups, trained, suite, perceptual, missing)


def settle(args: argparse.Namespace, paired: Sequence[Paired]) -> Suite | None:
    """The suite, whose noises and crops are filled in where no option says otherwise."""
    if not args.suite and (args.noise or paired):
        args.noise = args.noise or []
        return None
    suite = suites.load(args.suite or SUITE)
    args.noise = [*suite.noises, *(args.noise or [])]
    args.crop = args.crop if args.crop is not None else suite.crop
    args.limit = args.limit if args.limit is not None else suite.limit
    return suite


def sources(args: argparse.Namespace) -> tuple[list[Photograph], list[Paired]]:
    """Clean photographs for synthetic noises, and test sets with noisy images of their own."""
    found: list[Photograph] = []
    pairs: list[Paired] = []
    for text in args.testset:
        name, equals, folder = text.partition("=")
        if not equals:
            raise BadInput(f"--testset {text}: expected NAME=DIR, such as kodak24=Kodak24")
        opened = testsets.open(name, folder)
        if isinstance(opened, list):
            found += opened
        else:
            pairs.append(opened)
    for noisy, clean in args.pairs:
        name, equals, place = noisy.partition("=")
        if not equals or Path(noisy).exists():
            name, place = "", noisy
        pairs.append(paired.find(place, clean, name=name or None, tone_map=args.tone_map))
    if args.tone_map and not pairs:
        raise BadInput(f"--tone-map {args.tone_map}: there are no --pairs")
    specs = [pair.recorded.spec for pair in pairs]
    if len(set(specs)) < len(specs):
        raise BadInput(f"pairs {', '.join(specs)}: each name once; use NAME=NOISY")
    if args.images or not found:
        found += images.photographs(*args.images or ())
    names = [photo.name for photo in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadInput(f"two images are named {twice}; names must tell them apart")
    return found, pairs


def with_tiles(args: argparse.Namespace, asked: Asked) -> Asked:
    """What is asked, with the noisy input among the models, and large images in tiles."""
    if not args.memory > 0:
        raise BadInput(f"--memory {args.memory:g}: expected GiB above 0")
    if NOISY in asked.models:
        raise BadInput(f"a model is named {NOISY!r}; rename the file")
    models = asked.models | {NOISY: Unchanged()}
    identity = {name: options.identity(model) for name, model in models.items()}
    setting = replace(
        asked.setting,
        tile=args.tile,
        memory=int(args.memory * 2**30),
        identity=identity,
    )
    return replace(asked, models=models, setting=setting)


def make_batches(args: argparse.Namespace, asked: Asked, paired: Sequence[Paired]) -> list[Batch]:
    """Batches of equal sizes: of the photographs, then of every paired set under its own noise."""
    parts: list[tuple[list[Crop], list[Recorded] | None]] = []
    if asked.noises:
        parts.append((asked.crops, None))
    parts += [(options.cut(args, pair.photographs), [pair.recorded]) for pair in paired]
    if not parts:
        raise BadInput("no noise: give --noise, --suite or --pairs")
    groups: list[Batch] = []
    for crops, noises in parts:
        sizes = dict.fromkeys(crop.pixels.shape for crop in crops)
        for shape in sizes:
            same = [crop for crop in crops if crop.pixels.shape == shape]
            most = args.batch_size or max(1, PIXELS // (shape[0] * shape[1]))
            for batch in batches(same, most):
                groups.append(replace(batch, index=len(groups), noises=noises))
    return groups


def in_distribution(
    args: argparse.Namespace, suite: Suite | None, specs: Sequence[str]
) -> list[str]:
    """The noises that count as trained on."""
    if args.in_distribution:
        trained = []
        for text in args.in_distribution:
            spec = text if text in specs else noise.parse(text).spec
            if spec not in specs:
                raise BadInput(
                    f"--in-distribution {text}: not among the noises; {nearest(spec, specs)}"
                )
            trained.append(spec)
        return trained
    if suite is not None:
        found = [noise.parse(text).spec for text in suite.in_distribution]
        return [spec for spec in found if spec in specs]
    return list(specs[:1]) if args.noise else []


def load_lpips(args: argparse.Namespace, device: str) -> tuple[LPIPS | None, str]:
    """LPIPS, or None and why it cannot be had."""
    if args.no_lpips:
        if args.lpips_weights:
            raise BadInput("--lpips-weights and --no-lpips: give one of them")
        return None, ""
    try:
        return LPIPS(args.lpips_weights, device), ""
    except NoBackbone as error:
        return None, str(error)


def manifest(args: argparse.Namespace, found: Benchmark) -> dict[str, Any]:
    """Everything that decides the results."""
    asked, protocol = found.asked, scores.PROTOCOLS[args.protocol]
    about = options.describe("generalization", args, asked)
    kinds = scores.describe(found.noises)
    return about | {
        "images": args.images or (None if args.testset or not asked.noises else "bundled"),
        "suite": found.suite.name if found.suite else None,
        "testsets": args.testset,
        "noises": [noise.spec for noise in found.noises],
        "notes": sorted(set(kinds.note) - {""}),
        "in_distribution": found.trained,
        "recorded": {
            pair.recorded.spec: {
                "source": pair.source,
                "tone_map": pair.tone_map,
                "images": len(pair.photographs),
                "sha256": [
                    pair.recorded.digest(batch.crops)
                    for batch in found.groups
                    if batch.noises == [pair.recorded]
                ],
            }
            for pair in found.paired
        }
        | about["recorded"],
        "protocol": args.protocol,
        "border": protocol.border,
        "channel": args.channel,
        "lpips": found.perceptual.sha256 if found.perceptual else None,
        "tile": args.tile,
        "memory": args.memory,
        "batches": [len(batch.crops) for batch in found.groups],
    }
