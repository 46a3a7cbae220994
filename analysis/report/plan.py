"""The plan of a report: models, noises, crops, and the job of each section."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analysis.commands import controls, repeated_draws
from analysis.commands.inputs import (
    RunInputs,
    canonical,
    clean_photographs,
    gather,
    manifest_of,
)
from analysis.commands.job import AnalysisJob, plan
from analysis.commands.parser import arguments_of
from analysis.commands.registry import analysis
from analysis.commands.settings import UNSEEN
from analysis.generalization import inputs as benchmark_inputs
from analysis.generalization import metrics as benchmark_metrics
from analysis.generalization import noise_suite
from analysis.generalization.metrics import Chosen
from analysis.generalization.references import References
from analysis.generalization.settings import GeneralizationSettings
from analysis.report import crop_plan, requests
from analysis.report.settings import BENCHMARK, ReportSettings
from analysis.text.markdown import listed
from analysis.text.noise_labels import CLEAN
from mtd.data import crops as data_crops
from mtd.data.grayscale import of_channels
from mtd.utils import distributed
from mtd.utils.device import chosen
from mtd.utils.errors import BadInput
from mtd.utils.messages import note

if TYPE_CHECKING:
    from analysis.commands.settings import Settings
    from analysis.engine.observer import Batch
    from analysis.generalization.noise_suite import Suite
    from mtd.data.crops import Crop
    from mtd.loading.cli_options import ModelRequest
    from mtd.noise.base import Noise


@dataclass(frozen=True)
class Noises:
    """The noises of a report, by their specifications.

    Attributes:
        features: noises under which layers are recorded, the reference first.
        benchmark: noises of the benchmark.
        suite: source of the benchmark's noises; None if they are given.
    """

    features: tuple[str, ...]
    benchmark: tuple[str, ...]
    suite: Suite | None

    @property
    def all(self) -> tuple[str, ...]:
        """Every noise once, the clean images first."""
        return tuple(dict.fromkeys((CLEAN, *self.features, *self.benchmark)))

    @property
    def of_suite(self) -> list[str]:
        """Those that the suite alone names."""
        return [spec for spec in self.benchmark if spec not in self.features]

    def possible(self, specs: Collection[str]) -> Noises:
        """The same without those of the suite that are not among some specifications."""
        known = frozenset(specs)
        benchmark = tuple(spec for spec in self.benchmark if spec in known)
        return replace(self, benchmark=benchmark, suite=self.suite and self.suite.of(specs))


def noises_of(settings: ReportSettings) -> Noises:
    """The noises that the settings of a report name.

    Raises:
        BadInput: an unknown noise or suite, or none beside the reference.
    """
    specs = (settings.reference, *(settings.noises or UNSEEN))
    features = tuple(dict.fromkeys(canonical(spec) for spec in specs))
    if CLEAN in features:
        raise BadInput(f"{CLEAN}: it changes nothing; leave it out")
    if len(features) < 2:
        raise BadInput("no noise beside the reference: give --noise")
    if settings.noises and not settings.suite:
        return Noises(features, features, None)
    suite = noise_suite.load(settings.suite or "quick")
    if not suite.noises:
        raise BadInput(
            f"suite {suite.name}: its noise is in its test sets; run python -m "
            f"analysis.generalization --suite {suite.name}"
        )
    named = (canonical(spec) for spec in suite.noises)
    benchmark = tuple(dict.fromkeys((features[0], *named)))
    return Noises(features, benchmark, suite)


@dataclass(frozen=True)
class ReportPlan:
    """Everything that the sections of a report are computed from.

    Attributes:
        settings: of the report.
        models: their requests.
        noises: of the features and the benchmark.
        counts: maximum number of crops of each section.
        inputs: all models, noises and crops.
        shares: crops and batches of each section, by name; of the benchmark, its own.
        batches: all of them.
        side: of the benchmark's crops.
        metrics: LPIPS and those of other packages.
    """

    settings: ReportSettings
    models: Sequence[ModelRequest]
    noises: Noises
    counts: dict[str, int]
    inputs: RunInputs
    shares: dict[str, crop_plan.Share]
    batches: list[Batch]
    side: int
    metrics: Chosen

    def named(self, names: Mapping[str, str]) -> ReportPlan:
        """The same with other names of the networks, given by their own."""
        models = {names[name]: network for name, network in self.inputs.models.items()}
        named = replace(self.inputs, models=models, controls=None).with_models({})
        return replace(self, inputs=controls.add(named, self.settings))

    @cached_property
    def references(self) -> References:
        """The classical references of the benchmark."""
        suite, specs = self.noises.suite, self.noises.benchmark
        bundled = self.inputs.images == "bundled"
        return benchmark_inputs.references_of(
            self.inputs, self.benchmark_settings, suite, specs, bundled
        )

    def whole(self, jobs: Sequence[AnalysisJob]) -> RunInputs:
        """All inputs of the pass of some jobs, with what the benchmark adds to the models."""
        benchmark = any(job.analysis.name == BENCHMARK for job in jobs)
        beside = self.references if benchmark else None
        return benchmark_inputs.with_noisy_input(self.benchmark_settings, self.inputs, beside)

    @property
    def benchmark_settings(self) -> GeneralizationSettings:
        """The settings of the benchmark."""
        return GeneralizationSettings.sharing(
            self.settings, crop=self.side, noises=self.noises.benchmark, suite=None
        )

    @property
    def networks(self) -> list[str]:
        """The models of the sections that need layers: all but classical ones, if there are any."""
        models, trainings = self.inputs.models, self.inputs.trainings
        found = [name for name, (first, *_) in trainings.items() if models[first].has_layers]
        return found or list(trainings)

    def job(
        self, name: str, models: Sequence[str] | None = None, noises: Sequence[str] | None = None
    ) -> AnalysisJob:
        """The job of a section, with all or some of its models and noises.

        Raises:
            BadInput: it cannot be computed from these models, noises or crops.
        """
        record, share = analysis(name), self.shares[name]
        if name == BENCHMARK:
            settings = self.benchmark_settings
            chosen = self.inputs.subset(noises=self.noises.benchmark, crops=share.crops)
            suite = self.noises.suite
            inputs = benchmark_inputs.on_crops(
                settings, chosen, share.batches, suite, self.metrics, self.references
            )
            return plan(record, inputs, settings, share.batches)
        section = section_settings(record.settings, self.settings, noises or self.noises.features)
        if record.report_settings is not None:
            section = record.report_settings(section)
        crops = share.crops
        if record.compute is not None and section.crop is not None:
            crops = [crop_plan.center(crop, section.crop) for crop in crops]
        every = self.networks if record.needs_layers else list(self.inputs.trainings)
        chosen_models = every if models is None else models
        subset = self.inputs.subset(models=chosen_models, noises=section.specs, crops=crops)
        return plan(record, subset, section, share.batches)

    def jobs(
        self, names: Sequence[str], named: Collection[str] = (), quiet: bool = False
    ) -> list[AnalysisJob]:
        """The jobs of some sections; impossible ones are skipped with a note.

        Args:
            names: of the sections.
            named: those of them that must be possible.
            quiet: no notes.

        Raises:
            BadInput: one of these cannot be computed from these models, noises or crops.
        """
        planned = []
        without = [name for name in self.inputs.trainings if name not in self.networks]
        others = [name for name in names if not analysis(name).needs_layers]
        if without and set(names) - set(others):
            where = listed(analysis(name).title for name in others)
            what = f"in {where} alone" if where else "left out"
            note(f"{', '.join(without)}: without layers, {what}", quiet=quiet)
        for name in names:
            try:
                planned.append(self.job(name))
            except BadInput as error:
                if name in named:
                    raise BadInput(f"section {name}: {error}") from None
                note(f"skipped section {name}: {error}", quiet=quiet)
        return planned

    def manifest(self) -> dict[str, Any]:
        """Everything that decides the report, independent of which sections are computed."""
        about = manifest_of("report", self.settings, self.inputs)
        about.pop("crops")
        crops = [crop for name, share in self.shares.items() for crop in share.crops]
        distinct = list({crop.digest: crop for crop in crops}.values())
        return about | {
            "reference": self.noises.features[0],
            "suite": self.noises.suite.name if self.noises.suite else None,
            "benchmark_noises": list(self.noises.benchmark),
            "max_crops": self.counts,
            "benchmark_crop": self.side,
            "intervals": self.settings.intervals,
            "crops_sha256": digest(distinct),
            "settings": self.settings.to_dict(),
            "requests": requests.to_json(self.models),
            "arguments": [*requests.arguments(self.models), *arguments_of(self.settings)],
        }


def section_settings(kind: type[Any], report: ReportSettings, features: Sequence[str]) -> Settings:
    """The settings of a section: those of the report that it shares, under some noises."""
    settings: Settings = kind.under(report, features[0], features[1:])
    return settings


def make(
    models: Sequence[ModelRequest],
    settings: ReportSettings,
    scored: bool = True,
    quiet: bool = False,
) -> ReportPlan:
    """Load and check everything that a report is computed from.

    Args:
        models: their requests.
        settings: of the report.
        scored: whether the benchmark is among the sections, so that its metrics are needed.
        quiet: no note where one is not available.

    Raises:
        BadInput: anything that cannot be used, in any process.
    """
    settings = replace(settings, device=chosen(settings.device))
    ranks, device = distributed.start(settings.device)
    with ranks.raise_on_all_ranks():
        metrics = benchmark_metrics.load(settings, device) if scored else Chosen()
        noises = noises_of(settings)
        photographs = clean_photographs(settings)
        assert settings.crop is not None
        smallest = min(min(photo.height, photo.width) for photo in photographs)
        side = max(min(settings.benchmark_crop, smallest), settings.crop)
        counts = settings.crops_of(side)
        features = {name: count for name, count in counts.items() if name != BENCHMARK}
        every = replace(settings, noises=noises.all, limit=max(features.values()))
        found = gather(models, every, device, ranks, photographs, noises.of_suite)
        inputs = replace(found, images=settings.images or "bundled")
        noises = noises.possible(inputs.specs)
        photographs = [of_channels(photo, inputs.channels) for photo in photographs]
        inputs = controls.add(inputs, settings)
        cut = data_crops.crops(
            photographs, side, counts[BENCHMARK], settings.crop_rule, settings.seed
        )
        large = list({crop.digest: crop for crop in reversed(cut)}.values())[::-1]
        batches, shares = share_out(settings, noises, inputs, features, large)
    metrics = metrics.alike(ranks)
    for message in metrics.messages:
        note(message, quiet=quiet or not ranks.first)
    return ReportPlan(settings, models, noises, counts, inputs, shares, batches, side, metrics)


def share_out(
    settings: ReportSettings,
    noises: Noises,
    inputs: RunInputs,
    counts: dict[str, int],
    large: Sequence[Crop],
) -> tuple[list[Batch], dict[str, crop_plan.Share]]:
    """Batches of the crops for features, then of the benchmark's crops; the share of each
    section."""
    size = settings.batch_size
    alone = {name: count for name, count in counts.items() if analysis(name).compute is not None}
    observing = {name: count for name, count in counts.items() if name not in alone}
    parts = crop_plan.nested(inputs.crops, list(observing.values()), settings.seed)
    shown = inputs.subset(noises=[CLEAN, *noises.features])
    again = drawn_again(inputs.subset(noises=noises.features), list(observing))
    batches, shares = crop_plan.shares(parts, observing, [*shown.noises, *again], size)
    for name, count in alone.items():
        crops = crop_plan.one_of_each(inputs.crops, count, settings.seed)
        shares[name] = crop_plan.Share(crops, [])
    tested = inputs.subset(noises=noises.benchmark).noises
    own = crop_plan.batched(large, size, tested, len(batches))
    return [*batches, *own], shares | {BENCHMARK: crop_plan.Share(list(large), own)}


def drawn_again(inputs: RunInputs, sections: Sequence[str]) -> list[Noise]:
    """The other draws of the noises that some sections or their controls need, each once.

    Args:
        inputs: of the sections, the reference first among the noises.
        sections: names of analyses.
    """
    found = {} if inputs.controls is None else {n.spec: n for n in inputs.controls.noises}
    for name in sections:
        record = analysis(name)
        own = (
            record.settings()
            if record.report_settings is None
            else (record.report_settings(record.settings()))
        )
        if (count := getattr(own, "draws", 1)) > 1:
            found |= {noise.spec: noise for noise in repeated_draws.of_noises(inputs, count).noises}
        if (draws := record.draws) is not None:
            held = controls.drawn(inputs, draws(inputs.specs)).controls
            found |= {noise.spec: noise for noise in held.noises} if held is not None else {}
    return list(found.values())


def digest(crops: Sequence[Crop]) -> str:
    """SHA-256 of all crops."""
    return hashlib.sha256("\n".join(crop.digest for crop in crops).encode()).hexdigest()
