"""The inputs of a benchmark, loaded and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from analysis.commands import matched_noises, training_noises
from analysis.commands.inputs import RunInputs, canonical, cut_crops, gather, skipped
from analysis.commands.job import PIXELS
from analysis.commands.training_noises import Trained
from analysis.engine import run as engine_run
from analysis.engine.observer import Batch
from analysis.engine.protocol import Protocol
from analysis.generalization import (
    metrics,
    noise_suite,
    references,
    suite_protocol,
    suite_sets,
)
from analysis.generalization.metrics import Chosen
from analysis.generalization.references import References
from analysis.generalization.settings import SUITE, GeneralizationSettings
from analysis.generalization.sources import Sources, find_sources, pair_folders
from analysis.generalization.suite_sets import Located
from analysis.text.noise_labels import NOISY
from mtd.data import image_pairs
from mtd.data.crops import Crop
from mtd.data.recorded_noise import Recorded
from mtd.inference.forward import GIB
from mtd.networks.base import Unchanged
from mtd.utils import distributed
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import Models
    from analysis.generalization.noise_suite import Suite
    from mtd.data.image_pairs import Paired
    from mtd.data.photographs import Photograph
    from mtd.noise.base import Noise


REPORTED = "a report draws and scores by its own protocol, on its own images"
"""How the benchmark of a report differs from its suite."""


@dataclass(frozen=True)
class PairedCrops:
    """Crops that come with a noisy version of their own.

    Attributes:
        images: the clean images and their noisy versions.
        crops: of the clean images.
    """

    images: Paired
    crops: list[Crop]


@dataclass(frozen=True)
class BenchmarkInputs(RunInputs):
    """The inputs of a benchmark; `noises` and `crops` are those of images without noise of their
    own, and the noisy input is one of the models.

    Attributes:
        sources: folders and test sets of the clean images; none for the bundled ones.
        paired: images with noise of their own.
        trained: by model, the noises that it was trained on; None where that is unknown.
        suite: where noises and crops come from, if they do.
        chosen: LPIPS and the metrics of other packages.
        references: the classical ones beside the models.
        protocol: how noise is drawn and outputs are scored.
        deviations: how the run differs from its suite.
        located: the test sets of the run, and those that its suite names and that are not here.
        testsets: by noise and image, the test set that it is of; the noise is that of paired
            images, "" for others.
    """

    sources: tuple[str, ...] = ()
    references: References = field(default_factory=References)
    paired: tuple[PairedCrops, ...] = ()
    trained: Trained = field(default_factory=dict)
    suite: Suite | None = None
    chosen: Chosen = field(default_factory=Chosen)
    protocol: Protocol = field(default_factory=Protocol)
    deviations: tuple[str, ...] = ()
    located: Located = field(default_factory=Located)
    testsets: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def trainings(self) -> dict[str, tuple[str, ...]]:
        """See `RunInputs.trainings`; the filters of a model's trainings are one reference."""
        return references.grouped(super().trainings, self.references)

    @property
    def all_noises(self) -> list[Noise | Recorded]:
        """Every noise, those of paired images last."""
        return [*self.noises, *(pair.images.recorded for pair in self.paired)]

    @property
    def specs(self) -> list[str]:
        """The specifications of every noise."""
        return [noise.spec for noise in self.all_noises]

    @property
    def all_crops(self) -> list[Crop]:
        """Every crop, those of paired images last."""
        return [*self.crops, *(crop for pair in self.paired for crop in pair.crops)]

    @property
    def digests(self) -> frozenset[str]:
        """The digests of every crop."""
        return frozenset(crop.digest for crop in self.all_crops)

    @property
    def messages(self) -> list[str]:
        """See `RunInputs.messages`; also which test sets are not here, and metrics not run."""
        return [*super().messages, *self.located.messages, *self.chosen.messages]

    def testset_of(self, noise: str, image: str) -> str:
        """The test set of an image under a noise; "" for images of none."""
        return self.testsets.get((noise, image), self.testsets.get(("", image), ""))


def load_inputs(
    models: Models,
    settings: GeneralizationSettings,
    photographs: Sequence[Photograph] | None = None,
) -> BenchmarkInputs:
    """Load and check what settings name, before anything is computed.

    Args:
        models: see `analysis.commands.inputs.load_inputs`.
        settings: of the benchmark.
        photographs: the clean images; by default those of `settings.images` and of test sets.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """
    ranks, device = distributed.start(settings.device)
    with ranks.raise_on_all_ranks():
        chosen = metrics.load(settings, device)
        located = suite_sets.locate_sets(settings, photographs)
        settings = replace(settings, testset=located.there)
        named = noise_suite.load(settings.suite) if settings.suite else None
        sources = find_sources(settings, photographs, bundled=not (named and named.test_sets))
        suite = named or choose_suite(settings, sources)
        complete = settings.completed(suite)
        if complete.noises and not sources.photographs:
            located = suite_sets.undrawn(located, complete, settings, bool(sources.paired))
            complete = replace(complete, noises=())
        clean = sources.photographs if complete.noises else []
        given = {canonical(spec) for spec in settings.noises or ()}
        optional = [spec for spec in map(canonical, complete.noises or ()) if spec not in given]
        own = gather(models, complete, device, ranks, clean, optional)
        own, protocol, suite, differs = suite_protocol.as_stated(own, settings, suite)
        if suite and suite.test_sets:
            differs += suite_sets.other_images(suite, settings, sources, located)
        sources = sources.of_channels(own.channels)
        paired = tuple(PairedCrops(pair, paired_crops(complete, pair)) for pair in sources.paired)
        suite_protocol.check_border(
            protocol, [*own.crops, *(crop for pair in paired for crop in pair.crops)]
        )
        specs = [*own.specs, *(pair.images.recorded.spec for pair in paired)]
        if not specs:
            raise BadInput(no_noise(suite))
        if len(set(specs)) < len(specs):
            names = ", ".join(specs)
            raise BadInput(f"noises {names}: each name once; use --paired-images NAME=NOISY CLEAN")
        trained = trained_on(own, settings, suite, specs)
        beside = references_of(own, settings, suite, specs, bundled=not sources.names)
        inputs = with_noisy_input(complete, own, beside)
    return extended(
        replace(
            inputs,
            images=sources.names or "bundled",
            skipped=inputs.skipped + skipped(*pair_folders(settings), suffixes=image_pairs.ENDINGS),
        ),
        sources=sources.names,
        references=beside,
        paired=paired,
        trained=trained,
        suite=suite,
        chosen=chosen.alike(ranks),
        protocol=protocol,
        deviations=tuple(differs),
        located=located,
        testsets=sources.testsets,
    )


def no_noise(suite: Suite | None) -> str:
    """That there is no noise, and what to do."""
    if suite is None:
        return "no noise: give --noise, --suite or --paired-images"
    return (
        f"no noise: suite {suite.name} has no noises, and its test sets no noisy images; give "
        "--noise, or noises in the suite's file"
    )


def extended(inputs: RunInputs, **more: Any) -> BenchmarkInputs:
    """Inputs with what a benchmark has beside."""
    return BenchmarkInputs(**{f.name: getattr(inputs, f.name) for f in fields(RunInputs)}, **more)


def choose_suite(settings: GeneralizationSettings, sources: Sources) -> Suite | None:
    """The suite that noises come from where settings name none.

    Noises or paired images that are given need none; clean images that are given need noises.
    """
    if settings.noises or (sources.paired and not sources.names):
        return None
    return noise_suite.load(SUITE)


def paired_crops(settings: GeneralizationSettings, paired: Paired) -> list[Crop]:
    """The crops of paired images, each place once: random crops may fall on the same one.

    Equal pixels at two places stay, since each has noise of its own.
    """
    cut = cut_crops(settings, paired.photographs)
    return list({(crop.image, crop.top, crop.left): crop for crop in cut}.values())


def references_of(
    inputs: RunInputs,
    settings: GeneralizationSettings,
    suite: Suite | None,
    specs: Sequence[str],
    bundled: bool,
) -> References:
    """The classical references of a benchmark, if its settings ask for them.

    Args:
        inputs: its models.
        settings: of the benchmark.
        suite: where the noises come from, if they come from one.
        specs: the noises.
        bundled: whether the bundled photographs are scored.
    """
    if not settings.references:
        return References()
    otherwise = suite.in_distribution if suite else ()
    return references.build(inputs, specs, settings.in_distribution, otherwise, bundled)


def with_noisy_input(
    settings: GeneralizationSettings, inputs: RunInputs, beside: References | None = None
) -> RunInputs:
    """Inputs with the noisy input and references among the models, and large images in tiles.

    Raises:
        BadInput: a model has the name of one of them.
    """
    more = inputs.with_models({NOISY: Unchanged()})
    more = references.added(more, beside or References())
    memory = round(settings.memory * GIB)
    return replace(more, forward=replace(more.forward, tile=settings.tile, memory=memory))


def on_crops(
    settings: GeneralizationSettings,
    inputs: RunInputs,
    batches: Sequence[Batch],
    suite: Suite | None = None,
    chosen: Chosen | None = None,
    beside: References | None = None,
) -> BenchmarkInputs:
    """The inputs of a benchmark on the crops of given batches.

    Args:
        settings: of the benchmark.
        inputs: models, noises and crops; the noisy input is added to the models.
        batches: those crops that are compared.
        suite: where the noises come from, if they come from one.
        chosen: LPIPS and the metrics of other packages.
        beside: the classical references.
    """
    crops = [crop for batch in batches for crop in batch.crops]
    protocol = suite_protocol.protocol_of(None, settings)
    differs = suite is not None and (suite.test_sets or suite.protocol != protocol)
    return extended(
        with_noisy_input(settings, inputs.subset(crops=crops), beside),
        sources=settings.images,
        references=beside or References(),
        trained=trained_on(inputs, settings, suite, inputs.specs),
        suite=suite,
        chosen=chosen or Chosen(),
        protocol=protocol.of_channels(inputs.channels),
        deviations=(REPORTED,) if differs else (),
    )


def batches(inputs: BenchmarkInputs, settings: GeneralizationSettings) -> list[Batch]:
    """Batches of equal sizes: of the photographs, then of paired images under their own noise."""
    parts: list[tuple[list[Crop], list[Recorded] | None]] = []
    if inputs.noises:
        parts.append((inputs.crops, None))
    parts += [(pair.crops, [pair.images.recorded]) for pair in inputs.paired]
    cut: list[Batch] = []
    for crops, noises in parts:
        for shape in dict.fromkeys(crop.pixels.shape for crop in crops):
            same = [crop for crop in crops if crop.pixels.shape == shape]
            size = settings.batch_size or max(1, PIXELS // (shape[0] * shape[1]))
            for batch in engine_run.batches(same, size):
                cut.append(replace(batch, index=len(cut), noises=noises))
    return cut


def trained_on(
    inputs: RunInputs,
    settings: GeneralizationSettings,
    suite: Suite | None,
    specs: Sequence[str],
) -> Trained:
    """By model, the noises that it was trained on; a suite's own are of models of unknown training.

    Raises:
        BadInput: an unknown model or noise.
    """
    otherwise = suite.in_distribution if suite else ()
    return training_noises.of_models(
        references.networks(inputs.models),
        settings.in_distribution,
        specs,
        otherwise,
        cache(partial(matched_noises.levels, inputs)),
    )
