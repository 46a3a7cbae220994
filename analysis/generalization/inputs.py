"""All that a benchmark asks for, loaded and checked: noises, test sets, batches, LPIPS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.commands import inputs as commands_inputs
from analysis.commands.inputs import RunInputs
from analysis.commands.job import PIXELS
from analysis.engine.observer import Batch
from analysis.engine.run import batches
from analysis.generalization import noise_suite as suites
from analysis.generalization import observer
from analysis.generalization.noise_suite import Suite
from analysis.text import noise_labels
from analysis.text.noise_labels import NOISY
from mtd.data import image_pairs, test_sets
from mtd.data import photographs as data_photographs
from mtd.data.crops import Crop, place
from mtd.data.image_pairs import Paired
from mtd.data.photographs import Photograph
from mtd.data.recorded_noise import PREFIX, Recorded
from mtd.inference import tiling as inference_tiling
from mtd.inference.forward import GIB
from mtd.metrics.lpips import LPIPS, NoBackbone
from mtd.networks.base import Unchanged
from mtd.noise import specs as noise_specs
from mtd.utils import distributed
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from mtd.noise.base import Noise

SUITE = "quick"


@dataclass(frozen=True)
class Benchmark:
    """All that is asked, loaded and checked.

    Attributes:
        asked: models, synthetic noises and their crops; the noisy input is one of the models.
        sources: where images come from.
        groups: batches over all of them.
        trained: texts of the noises in distribution.
        suite: where noises and crops come from.
        perceptual: LPIPS, or None.
        missing: why there is no LPIPS, or nothing.
    """

    asked: RunInputs
    sources: Sources
    groups: list[Batch]
    trained: list[str]
    suite: Suite | None
    perceptual: LPIPS | None
    missing: str

    @property
    def noises(self) -> list[Noise | Recorded]:
        """Every noise, synthetic ones first."""
        return [*self.asked.noises, *(pair.recorded for pair in self.sources.paired)]


def check(args: argparse.Namespace) -> Benchmark:
    """Load and check everything before anything is computed.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """
    processes, device = distributed.start(args.device)
    with processes.raise_on_all_ranks():
        sources = find_sources(args)
        suite = settle(args, sources)
        photographs = sources.photographs if args.noise else []
        asked = with_tiles(args, commands_inputs.gather(args, device, processes, photographs))
        groups = make_batches(args, asked, sources.paired)
        specs = [n.spec for n in (*asked.noises, *(pair.recorded for pair in sources.paired))]
        if len(set(specs)) < len(specs):
            raise BadInput(f"noises {', '.join(specs)}: each name once; use --pairs NAME=NOISY")
        trained = in_distribution(args, suite, specs)
        perceptual, missing = load_lpips(args, device)
    if any(processes.gather(bool(missing))):  # all processes score alike
        perceptual = None
    return Benchmark(asked, sources, groups, trained, suite, perceptual, missing)


def settle(args: argparse.Namespace, sources: Sources) -> Suite | None:
    """The suite, whose noises and crops are filled in where no option says otherwise.

    Noises or pairs that are given stand alone; clean images that are given need noises.
    """
    if not args.suite and (args.noise or (sources.paired and not sources.asked)):
        args.noise = args.noise or []
        return None
    suite = suites.load(args.suite or SUITE)
    args.noise = [*suite.noises, *(args.noise or [])]
    args.crop = args.crop if args.crop is not None else suite.crop
    args.limit = args.limit if args.limit is not None else suite.limit
    return suite


@dataclass(frozen=True)
class Sources:
    """Where images come from.

    Attributes:
        photographs: clean ones, for synthetic noises.
        asked: the folders and test sets that they come from; none for the bundled ones.
        paired: test sets with noisy images of their own.
    """

    photographs: list[Photograph]
    asked: list[str]
    paired: list[Paired]


def find_sources(args: argparse.Namespace) -> Sources:
    """The images that the options name."""
    found: list[Photograph] = []
    asked: list[str] = []
    pairs: list[Paired] = []
    for text in args.testset:
        name, equals, folder = text.partition("=")
        if not equals:
            raise BadInput(f"--testset {text}: expected NAME=DIR, such as kodak24=Kodak24")
        opened = test_sets.open(name, folder, args.tone_map if image_pairs.linear(folder) else None)
        if isinstance(opened, list):
            found += opened
            asked.append(text)
        else:
            pairs.append(opened)
    for noisy, clean in args.pairs:
        name, equals, place = noisy.partition("=")
        if not equals or Path(noisy).exists():
            name, place = "", noisy
        tone_map = args.tone_map if image_pairs.linear(place) else None
        pairs.append(image_pairs.find(place, clean, name=name or None, tone_map=tone_map))
    if args.tone_map and args.tone_map not in {pair.tone_map for pair in pairs}:
        raise BadInput(f"--tone-map {args.tone_map}: there are no pairs of linear EXR files")
    asked += args.images or ()
    if args.images or not found:
        found += data_photographs.photographs(*args.images or ())
    names = [photo.name for photo in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise BadInput(f"two images are named {twice}; names must tell them apart")
    return Sources(found, asked, pairs)


def with_tiles(args: argparse.Namespace, asked: RunInputs) -> RunInputs:
    """What is asked, with the noisy input among the models, and large images in tiles."""
    if NOISY in asked.models:
        raise BadInput(f"a model is named {NOISY!r}; rename the file")
    models = asked.models | {NOISY: Unchanged()}
    identity = {name: commands_inputs.identity(model) for name, model in models.items()}
    setting = replace(
        asked.setting,
        tile=args.tile,
        memory=round(args.memory * GIB),
        identity=identity,
    )
    return replace(asked, models=models, setting=setting)


def on_crops(
    args: argparse.Namespace,
    asked: RunInputs,
    groups: list[Batch],
    suite: Suite | None = None,
    perceptual: LPIPS | None = None,
) -> Benchmark:
    """A benchmark on crops that are cut already; without a suite the first noise is trained on."""
    sources = Sources([], args.images or [], [])
    trained = [asked.noises[0].spec] if suite is None else list(suite.in_distribution)
    return Benchmark(with_tiles(args, asked), sources, groups, trained, suite, perceptual, "")


def make_batches(
    args: argparse.Namespace, asked: RunInputs, paired: Sequence[Paired]
) -> list[Batch]:
    """Batches of equal sizes: of the photographs, then of every paired set under its own noise."""
    parts: list[tuple[list[Crop], list[Recorded] | None]] = []
    if asked.noises:
        parts.append((asked.crops, None))
    for pair in paired:
        # random crops may fall on the same place; equal pixels elsewhere have noise of their own
        cut = {(c.image, c.top, c.left): c for c in commands_inputs.cut(args, pair.photographs)}
        parts.append((list(cut.values()), [pair.recorded]))
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
    asked, origin = args.in_distribution, "--in-distribution"
    if not asked:
        if suite is None:
            return list(specs[:1]) if args.noise else []
        asked, origin = suite.in_distribution, f"suite {suite.name}: in_distribution"
    trained = []
    for text in asked:
        spec = canonical(text, specs)
        if spec not in specs:
            raise BadInput(f"{origin} {text}: not among the noises; {nearest(spec, specs)}")
        trained.append(spec)
    return trained


def canonical(text: str, specs: Sequence[str]) -> str:
    """A noise's text in the one form that tables have."""
    if text in specs:
        return text
    return Recorded(text).spec if text.startswith(PREFIX) else noise_specs.parse(text).spec


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


def tiled(found: Benchmark) -> list[str]:
    """Models that see the whole image at once, and are shown it in tiles for lack of memory."""
    setting, names = found.asked.setting, []
    for name, model in found.asked.models.items():
        if not model.source or model.reach is not None:
            continue
        shapes = {(1, *batch.size) for batch in found.groups}
        if any(inference_tiling.plan(model, s, setting.tile, None, setting.memory) for s in shapes):
            names.append(name)
    return names


def manifest(args: argparse.Namespace, found: Benchmark) -> dict[str, Any]:
    """Everything that decides the results."""
    asked, protocol = found.asked, observer.PROTOCOLS[args.protocol]
    about = commands_inputs.describe("generalization", args, asked)
    kinds = noise_labels.describe(found.noises)
    return about | {
        "tiled": tiled(found),
        "images": found.sources.asked or "bundled" if asked.noises else None,
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
                "crops": [
                    place(crop) | {"noisy": pair.recorded.digest([crop])}
                    for batch in found.groups
                    if batch.noises == [pair.recorded]
                    for crop in batch.crops
                ],
            }
            for pair in found.sources.paired
        }
        | about["recorded"],
        "protocol": args.protocol,
        "border": protocol.border,
        "channel": args.channel,
        "lpips": found.perceptual.sha256 if found.perceptual else None,
        "lpips_asked": not args.no_lpips,
        "tile": args.tile,
        "memory": args.memory,
        "batches": [len(batch.crops) for batch in found.groups],
    }
