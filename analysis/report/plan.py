"""What every section of a report looks at: models, noises, crops, and the analyses of them."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.attribution import command as attribution_command
from analysis.attribution import integrated_gradients
from analysis.commands import inputs as commands_inputs
from analysis.commands import options, subset
from analysis.commands.inputs import RunInputs
from analysis.commands.job import AnalysisJob
from analysis.commands.run_folder import MANIFEST
from analysis.commands.subset import Subset
from analysis.generalization import command as generalization_command
from analysis.generalization import inputs as generalization_inputs
from analysis.generalization import noise_suite as suites
from analysis.report import budget as sections_
from analysis.report.sections import BENCHMARK
from analysis.srga.command import NOISES
from analysis.text.noise_labels import CLEAN
from mtd.data import crops as data_crops
from mtd.data import photographs as data_photographs
from mtd.data.recorded_noise import PREFIX
from mtd.noise import specs as noise_specs
from mtd.utils import distributed
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.generalization.noise_suite import Suite
    from mtd.data.crops import Crop

OUTSIDE = {
    *("output_dir", "resume", "quiet", "sections", "format", "title", "training"),
    *("verify", "share", "help", "custom_models"),
}
"""Options that no number of a section hangs on."""


def arguments(args: argparse.Namespace) -> list[str]:
    """The command line that asks for the same numbers, in the order of the options."""
    from analysis.report.options import parser

    found = [str(model) for model in args.models]
    for action in parser()._actions:
        value = getattr(args, action.dest, None)
        if not action.option_strings or action.dest in OUTSIDE or value == action.default:
            continue
        flag = action.option_strings[-1]
        if action.nargs == 0:
            found.append(flag)
            continue
        for one in value if isinstance(value, list) else [value]:
            found += [flag, str(one)]
    for made in args.custom_models:
        found += ["--model", made.factory, "--checkpoint", made.checkpoint]
        for name, value in made.arguments.items():
            found += ["--arg", f"{name}={json.dumps(value)}"]
    return found


class Plan:
    """What every section looks at.

    Args:
        args: the command's options; noises and budgets are filled in.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.arguments = args, arguments(args)
        self.budgets = sections_.budgets(args.budget)
        shared, device = distributed.start(args.device)
        with shared.raise_on_all_ranks():
            self.suite = self._noises()
            photographs = data_photographs.photographs(*args.images or ())
            side = min((args.benchmark_crop, *(min(p.height, p.width) for p in photographs)))
            self.side = max(side, args.crop)
            self.counts = {n: self._count(n, args.crop) for n in self.budgets if n != BENCHMARK}
            args.limit, limit = max(self.counts.values()), args.limit
            self.asked = commands_inputs.gather(args, device, shared, photographs)
            args.limit = limit
            count = self._count(BENCHMARK, self.side)
            self.large = distinct(
                data_crops.crops(photographs, self.side, count, args.crop_rule, args.seed)
            )
            self._batches()
            self.perceptual, missing = generalization_inputs.load_lpips(args, device)
        if any(shared.gather(bool(missing))):  # all processes score alike
            self.perceptual = None
        if missing and shared.first:
            print(missing, file=sys.stderr)

    def _noises(self) -> Suite | None:
        """Settle which noises features and the benchmark are looked at under."""
        args = self.args
        given = [args.reference, *(args.noise or NOISES)]
        specs = [
            text if text.startswith(PREFIX) else noise_specs.parse(text).spec for text in given
        ]
        self.features = list(dict.fromkeys(specs))
        if CLEAN in self.features:
            raise BadInput(f"{CLEAN}: it changes nothing; leave it out")
        if len(self.features) < 2:
            raise BadInput("no noise beside the reference: give --noise")
        suite = None if args.noise and not args.suite else suites.load(args.suite or "quick")
        self.tested = self.features
        if suite is not None:
            named = [noise_specs.parse(text).spec for text in suite.noises]
            self.tested = list(dict.fromkeys([self.features[0], *named]))
            suite = replace(suite, in_distribution=(self.features[0],))
        args.noise = list(dict.fromkeys([CLEAN, *self.features, *self.tested]))
        return suite

    def _batches(self) -> None:
        """Batches of the crops that features are taken of, then of the benchmark's."""
        seed, size = self.args.seed, self.args.batch_size
        parts = sections_.nested(self.asked.crops, list(self.counts.values()), seed)
        features = self.looking([CLEAN, *self.features])
        groups, self.shares = sections_.shares(features, parts, self.counts, size)
        tested = self.looking(self.tested).noises
        self.large_groups = sections_.batched(self.large, size, tested, len(groups))
        self.groups = [*groups, *self.large_groups]

    def _count(self, name: str, side: int) -> int:
        count = sections_.crops_for(self.budgets[name], side)
        return min(count, self.args.limit) if self.args.limit else count

    def looking(self, specs: Sequence[str], **more: Any) -> RunInputs:
        """What is asked, under some of the noises."""
        chosen = [noise for noise in self.asked.noises if noise.spec in specs]
        chosen.sort(key=lambda noise: list(specs).index(noise.spec))
        return replace(self.asked, noises=chosen, **more)

    @property
    def whole(self) -> RunInputs:
        """All that is looked at, the noisy input among the models."""
        given = options.like(self.args, generalization_command.parser())
        return generalization_inputs.with_tiles(given, self.asked)

    def works(self, names: Sequence[str], strict: bool = True) -> list[AnalysisJob]:
        """The analyses of some sections; those that cannot be had are left out, unless `strict`.

        Raises:
            BadInput: a section that cannot be had of these models, noises or crops.
        """
        found = []
        for name in names:
            try:
                found.append(self.work(name))
            except BadInput as error:
                if strict:
                    raise BadInput(f"section {name}: {error}") from None
                if self.asked.ranks.first:
                    print(f"left out section {name}: {error}", file=sys.stderr)
        return found

    def work(
        self, name: str, models: Sequence[str] = (), noises: Sequence[str] = ()
    ) -> AnalysisJob:
        """The analysis of a section, of all models and noises or of some."""
        if name == BENCHMARK:
            return self.benchmark()
        share = self.shares[name]
        seen = [CLEAN] * (name == "sensitivity") + self.features
        asked = self.looking(noises or seen, crops=share.asked.crops)
        chosen = {m: asked.models[m] for m in models or asked.models}
        return subset.work(name, self.args, Subset(replace(asked, models=chosen), share.groups))

    def benchmark(self) -> AnalysisJob:
        """The analysis of the benchmark."""
        given = options.like(
            self.args, generalization_command.parser(), crop=self.side, noise=self.tested
        )
        asked = self.looking(self.tested, crops=self.large)
        found = generalization_inputs.on_crops(
            given, asked, self.large_groups, self.suite, self.perceptual
        )
        return generalization_command.plan(given, found)

    def maps(self, noises: Sequence[str] = ()) -> argparse.Namespace:
        """The options of attribution; its window is at most half a crop.

        Raises:
            BadInput: maps cannot be made of such crops, or at such a precision.
        """
        given = options.like(self.args, attribution_command.parser(), noise=None)
        usual = [n for n in attribution_command.NOISES if n in self.features] or self.features[:2]
        given.noise = list(noises) or usual
        given.side = min(given.side, given.crop // 2)
        attribution_command.settle(given)
        integrated_gradients.check(given.crop, given.blur)
        return given

    def attribution(
        self, folder: Path, command: str, models: Sequence[str] = (), noises: Sequence[str] = ()
    ) -> None:
        """Maps of few crops; they need gradients, and so a pass of their own."""
        given = self.maps(noises)
        given.output_dir = folder / "attribution"
        given.resume = (given.output_dir / MANIFEST).is_file()
        asked = self.looking(given.noise, crops=self.shares["attribution"].asked.crops)
        asked = replace(asked, models={m: asked.models[m] for m in models or asked.models})
        attribution_command.carry_out(given, asked, command, quiet=True)

    def manifest(self) -> dict[str, Any]:
        """What decides the report, whichever of its sections are asked for."""
        about = commands_inputs.describe("report", self.args, self.asked)
        about.pop("crops")
        return about | {
            "reference": self.features[0],
            "suite": self.suite.name if self.suite else None,
            "benchmark_noises": self.tested,
            "budgets": self.budgets,
            "limit": self.args.limit,
            "benchmark_crop": self.side,
            "intervals": not self.args.no_intervals,
            "lpips": self.perceptual.sha256 if self.perceptual else None,
            "crops_sha256": digest([*self.asked.crops, *self.large]),
            "arguments": self.arguments,
        }


def digest(crops: Sequence[Crop]) -> str:
    """SHA-256 of all crops."""
    return hashlib.sha256("\n".join(crop.digest for crop in crops).encode()).hexdigest()


def distinct(crops: Sequence[Crop]) -> list[Crop]:
    """Crops, each of its pixels once."""
    return list({crop.digest: crop for crop in reversed(crops)}.values())[::-1]
