"""The inputs of a comparison: models, noises, crops, and the analyses of them that are planned."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from analysis.commands import controls, training_noises
from analysis.commands import inputs as commands_inputs
from analysis.commands.inputs import RunInputs, canonical, manifest_of
from analysis.commands.job import PIXELS, AnalysisJob, plan
from analysis.commands.model_names import twins
from analysis.commands.registry import analysis
from analysis.commands.training_noises import Trained
from analysis.commands.trainings import trainings_of
from analysis.compare.settings import CompareSettings
from analysis.engine.observer import Batch
from analysis.engine.run import batches
from analysis.generalization import inputs as benchmark_inputs
from analysis.generalization.references import References
from analysis.generalization.settings import GeneralizationSettings
from analysis.stats.rank_correlation import LEAST
from analysis.text.markdown import listed
from analysis.text.noise_names import CLEAN
from analysis.text.terminal import plural
from mtd.utils.errors import BadInput
from mtd.utils.messages import verb

if TYPE_CHECKING:
    from analysis.commands.inputs import Models
    from mtd.data.photographs import Photograph
    from mtd.networks.base import Denoiser

BENCHMARK = "generalization"


@dataclass(frozen=True)
class CompareInputs(RunInputs):
    """Models, noises and crops, the noisy input among the models.

    Attributes:
        jobs: the analyses that share the pass, the benchmark first.
        batches: of the crops.
    """

    jobs: tuple[AnalysisJob, ...] = ()
    batches: tuple[Batch, ...] = ()


def load_inputs(
    models: Models, settings: CompareSettings, photographs: Sequence[Photograph] | None = None
) -> CompareInputs:
    """Load and check models, noises and crops, and plan every analysis of them.

    Args:
        models: see `analysis.commands.inputs.load_inputs`; four or more.
        settings: of the comparison.
        photographs: the clean images; by default those of `settings.images`.

    Raises:
        BadInput: anything that cannot be used, a model and its copy, or no PSNR drop, by any of
            the processes.
    """
    if isinstance(models, Collection) and not isinstance(models, str):
        names = [getattr(model, "name", "") or i for i, model in enumerate(models)]
        if (count := len(set(names))) < LEAST:
            raise BadInput(f"{plural(count, 'model')}: rank correlations need {LEAST} or more")
    settings = completed(settings)
    inputs = commands_inputs.load_inputs(models, settings, photographs)
    with inputs.ranks.raise_on_all_ranks():
        check_models(inputs.models)
        inputs = controls.add(inputs, settings)
        assert settings.crop is not None
        cut = batches(inputs.crops, settings.batch_size or max(1, PIXELS // settings.crop**2))
        benchmark_of = benchmark_settings(settings)
        specs, bundled = benchmark_of.specs, inputs.images == "bundled"
        beside = benchmark_inputs.references_of(inputs, benchmark_of, None, specs, bundled)
        jobs = list(planned(inputs, settings, cut, beside))
        benchmark = jobs[0].inputs
        assert isinstance(benchmark, benchmark_inputs.BenchmarkInputs)
        if why := without_drop(benchmark.trained, benchmark.specs):
            raise BadInput(why)
        whole = benchmark_inputs.with_noisy_input(benchmark_of, inputs, beside)
    shared = {item.name: getattr(whole, item.name) for item in fields(RunInputs)}
    return CompareInputs(**shared, jobs=tuple(jobs), batches=tuple(cut))


def without_drop(trained: Trained, specs: Sequence[str]) -> str:
    """Why there is no PSNR drop to predict, or "".

    Of fewer than four models it is known what they were trained on, or there is no noise that all
    of them were trained on beside one that none was.

    Args:
        trained: by model, the noises that it was trained on.
        specs: the noises of the benchmark.
    """
    unknown, option = training_noises.unknown(trained), training_noises.OPTION
    if unknown and len(trained) - len(unknown) < LEAST:
        return (
            f"what {listed(unknown)} {verb(len(unknown), 'was', 'were')} trained on is unknown, so "
            f"there is no PSNR drop; give {option} SPEC, or {option} MODEL=SPEC for one"
        )
    split = set(training_noises.splits(trained, specs).values())
    for value, lacking in ((True, "that all models were"), (False, "that no model was")):
        if value not in split:
            return (
                f"noises {', '.join(specs)}: none of them is one {lacking} trained on "
                f"({training_noises.in_words(training_noises.entry(trained))}); give it by "
                f"--noise or --reference, or {option}"
            )
    return ""


def check_models(models: Mapping[str, Denoiser]) -> None:
    """Check that models are distinct, and enough of them.

    Args:
        models: networks by name.

    Raises:
        BadInput: fewer than four, or a copy of another one.
    """
    if few := too_few(models):
        raise BadInput(few)
    for names in copies(models):
        raise BadInput(f"{listed(names)} are the same model: give one of them")


def copies(models: Mapping[str, Denoiser]) -> list[list[str]]:
    """Names of models that are one: equal networks, of several trainings all of them.

    Args:
        models: networks by name.
    """
    first = {name: same[0] for same in twins(models) for name in same}
    found: dict[frozenset[str], list[str]] = {}
    for model, names in trainings_of(models).items():
        found.setdefault(frozenset(first.get(name, name) for name in names), []).append(model)
    return [names for names in found.values() if len(names) > 1]


def too_few(models: Mapping[str, Denoiser]) -> str:
    """Why models are too few for rank correlations, a model and its copies being one; or "".

    Args:
        models: networks by name.
    """
    same = copies(models)
    count = len(trainings_of(models)) - sum(len(names) - 1 for names in same)
    if count >= LEAST:
        return ""
    why = "; ".join(f"{listed(names)} are the same" for names in same)
    found = f"{plural(count, 'model')} ({why})" if why else plural(count, "model")
    return f"{found}: rank correlations need {LEAST} or more"


def completed(settings: CompareSettings) -> CompareSettings:
    """The same with noises in the form that tables hold, the unseen ones without the reference.

    Raises:
        BadInput: an unknown noise, the clean image, or none beside the reference.
    """
    reference = canonical(settings.reference)
    noises = [canonical(spec) for spec in settings.noises]
    if CLEAN in (reference, *noises):
        raise BadInput(f"{CLEAN}: it changes nothing; leave it out")
    unseen = tuple(spec for spec in noises if spec != reference)
    if not unseen:
        raise BadInput("no noise beside the reference: give --noise")
    return replace(settings, reference=reference, noises=unseen)


def benchmark_settings(settings: CompareSettings) -> GeneralizationSettings:
    """The settings of the benchmark that PSNR drops are taken from."""
    return GeneralizationSettings.under(settings, settings.reference, settings.noises, lpips=False)


def planned(
    inputs: RunInputs, settings: CompareSettings, cut: Sequence[Batch], beside: References
) -> Iterator[AnalysisJob]:
    """The benchmark, and every analysis that indices or outcomes are taken from.

    Args:
        inputs: all models, noises and crops.
        settings: completed.
        cut: batches of the crops.
        beside: classical references for the benchmark.
    """
    benchmark = benchmark_settings(settings)
    noisy = inputs.subset(noises=benchmark.specs)
    record = analysis(BENCHMARK)
    own_inputs = benchmark_inputs.on_crops(benchmark, noisy, cut, beside=beside)
    yield plan(record, own_inputs, benchmark, cut)
    for name in settings.analyses:
        record, own = analysis(name), settings.of_analysis(name)
        subset = inputs.subset(noises=own.specs)
        if not (record.index and record.index.by_model):
            yield plan(record, subset, own, cut)
            continue
        for model in inputs.trainings:
            yield plan(record, subset.subset(models=[model]), own, cut, f"{name}-{model}")


def manifest(inputs: CompareInputs, settings: CompareSettings) -> dict[str, Any]:
    """What decides the values beside the shared settings: what each analysis adds to them."""
    own = {"reference": settings.reference, "skip": sorted(settings.skip)}
    shared = manifest_of("compare", settings, inputs) | own
    return own | {
        "batches": [len(batch.crops) for batch in inputs.batches],
        "parts": {job.name: differences(job.manifest, shared) for job in inputs.jobs},
    }


def differences(manifest: Mapping[str, Any], shared: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a manifest that another one does not hold alike."""
    return {name: value for name, value in manifest.items() if shared.get(name) != value}
