"""The benchmark: how denoisers do on noise they were trained on, and on noise they were not.

`python -m analysis.generalization a.pth b.pth` is the command.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis import options
from mtd import cli
from mtd.errors import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from analysis.engine import Batch
    from analysis.options import Asked
    from analysis.ranks import Ranks
    from analysis.runs import RunFolder
    from analysis.scores import Scores
    from analysis.suite import Suite
    from mtd.images import Crop, Photograph
    from mtd.noise import Noise
    from mtd.paired import Paired
    from mtd.perceptual import LPIPS
    from mtd.recorded import Recorded

EXAMPLES = """\
  python -m analysis.generalization baseline.pth masked.pth
  python -m analysis.generalization mine.pth theirs.pth --suite paper --testset kodak24=Kodak24
  python -m analysis.generalization mine.pth theirs.pth --images photos --noise gaussian:15 \\
      --noise poisson:2 --noise poisson:3.5 --protocol paper
  python -m analysis.generalization mine.pth --pairs 'cc/*_real.png' 'cc/*_mean.png'
  python -m analysis.generalization mine.pth --pairs monte_carlo:64=render/64spp render/clean
  torchrun --nproc-per-node 4 -m analysis.generalization mine.pth theirs.pth --device cuda
"""

SUITE = "quick"
PIXELS = 2**18
"""Pixels that go through a network together unless --batch-size says otherwise."""


def parser() -> cli.Parser:
    """The command's options."""
    p = options.parser(
        "analysis.generalization",
        "Benchmark denoisers on noises they were and were not trained on: PSNR, SSIM and LPIPS of "
        "every image, scores with 95% intervals, paired tests, level curves, comparison strips.",
        EXAMPLES,
        whole=True,
    )
    p.add_argument(
        "--suite",
        metavar="NAME",
        help="noises, levels and crops under one name: quick (default, 64 crops of 128), paper, or "
        "a .toml file; --noise adds to a suite that is given, and stands alone otherwise",
    )
    p.add_argument(
        "--in-distribution",
        action="append",
        metavar="SPEC",
        help="noise that counts as trained on (repeatable; default: the suite's, else the first)",
    )
    p.add_argument(
        "--testset",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a published test set, checked: python -m mtd.testsets lists them (repeatable)",
    )
    p.add_argument(
        "--pairs",
        action="append",
        nargs=2,
        default=[],
        metavar=("[NAME=]NOISY", "CLEAN"),
        help="noisy images and their clean ones: two folders, two patterns with one *, or SIDD's "
        "two .mat files (repeatable); NAME such as monte_carlo:64 names the noise and its level",
    )
    p.add_argument(
        "--tone-map",
        metavar="NAME",
        help="for linear EXR pairs: srgb (default), gamma2.2, reinhard",
    )
    p.add_argument(
        "--protocol",
        choices=("default", "paper"),
        default="default",
        help="default: whole images, RGB; paper: 1 pixel left out at every side, RGB",
    )
    p.add_argument("--channel", choices=("rgb", "y"), default="rgb", help="of PSNR and SSIM")
    p.add_argument("--lpips-weights", metavar="FILE", help="AlexNet backbone of LPIPS")
    p.add_argument("--no-lpips", action="store_true", help="leave LPIPS out")
    p.add_argument(
        "--tile",
        type=tile,
        default="auto",
        help="large images: auto (default), off, or the tile's side",
    )
    p.add_argument(
        "--memory", type=float, default=2.0, help="GiB that --tile auto keeps to (default 2)"
    )
    return p


def tile(text: str) -> int | str:
    """An argparse type: `auto`, `off`, or the side of a tile."""
    return text if text in ("auto", "off") else cli.whole_number(8)(text)


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


def main() -> None:
    """Check everything, denoise, score, write the run folder, print the table."""
    run(parser().parse_args(), cli.command("analysis.generalization"))


def check(args: argparse.Namespace) -> Benchmark:
    """Load and check everything before anything is computed.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """
    from analysis import ranks

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
    from analysis import suite as suites

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
    from mtd import images, paired, testsets

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
    from analysis.ranking import NOISY
    from mtd.denoiser import Unchanged

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
    from analysis.engine import batches

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
    from mtd import noise
    from mtd.errors import nearest

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
    from mtd.perceptual import LPIPS, NoBackbone

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
    from analysis import scores

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


def run(args: argparse.Namespace, command: str = "") -> Path:
    """The command on parsed arguments; returns the run folder.

    Raises:
        BadInput: see `mtd.errors`.
    """
    args.testset_pairs = args.testset
    found = check(args)
    from analysis import scores, standings
    from analysis.runs import RunFolder

    asked, ranks = found.asked, found.asked.ranks
    if found.missing and ranks.first:
        print(found.missing, file=sys.stderr)
    protocol = replace(scores.PROTOCOLS[args.protocol], channel=args.channel)
    observer = scores.Scores(list(asked.models), protocol, found.perceptual)
    names = [name for name, model in asked.models.items() if model.source]
    folder = RunFolder(
        args.output_dir,
        f"generalization-{'-'.join(names)}",
        manifest(args, found),
        resume=args.resume,
        command=command,
        ranks=ranks,
    )
    with folder.resumable():
        done = args.resume and folder.complete("results.csv", "strips.csv")
        if not ranks.gather(done)[0]:
            options.observe(args, asked, found.groups, [observer], folder)
            write(folder, observer, found, ranks)
        if ranks.first:
            standings.report(folder)
            folder.finish()
    ranks.leave()
    return folder.path


def identified(results: pd.DataFrame, asked: Asked) -> pd.DataFrame:
    """The long table with what else decides a value: checkpoint, its masks, seed, rounding."""
    digests = {name: model.source.get("sha256", "") for name, model in asked.models.items()}
    masks = {}
    for name, model in asked.models.items():
        how = model.inference
        percent = how.policy.attention_percent
        masks[name] = f"{percent}% x {how.samples}, {asked.setting.pairing}" if how.active else ""
    return results.assign(
        checkpoint=results.model.map(digests),
        masks=results.model.map(masks),
        seed=asked.setting.seed,
        quantize=asked.setting.quantize,
    )


def write(folder: RunFolder, observer: Scores, found: Benchmark, ranks: Ranks) -> None:
    """The tables of a run, and the pixels of its strips."""
    import pandas as pd

    from analysis import ranking, scores, significance, strips
    from mtd.metrics import METRICS

    kinds = scores.describe(found.noises)
    results = observer.compute(ranks).merge(kinds, on="noise", how="left", sort=False)
    results = identified(results, found.asked)[list(scores.COLUMNS)]
    order = [noise.spec for noise in found.noises]
    results = results.sort_values("noise", key=lambda c: c.map(order.index), kind="stable")
    chosen = strips.choose(results)
    pictures = strips.collect(observer, found.groups, found.asked, chosen, ranks)
    if not ranks.first:
        return
    tables = [
        ranking.table(results, metric, found.trained)
        for metric in METRICS
        if metric in set(results.metric)
    ]
    folder.table("noises.csv", pd.concat([ranking.noises(table) for table in tables]))
    folder.table("tests.csv", pd.concat([significance.paired(table) for table in tables]))
    folder.table(
        "generalization.csv", pd.concat([ranking.generalization(table) for table in tables])
    )
    frame = strips.table(chosen, pictures, found.groups, results, observer.window)
    strips.save(folder, pictures, frame)
    folder.table("results.csv", results)


if __name__ == "__main__":
    cli.run(main)
