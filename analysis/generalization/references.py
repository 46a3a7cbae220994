"""Classical references beside the models: a blur, a median, and each model's own fixed filter.

A model that is not better than these has learned no more than to attenuate frequencies. Reference
rows are scored as models are, but never ranked, and are no part of the pairwise tests; how far
models are beyond them is in `analysis.generalization.beyond`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from analysis.commands import training_noises, trainings
from analysis.commands.inputs import RunInputs
from analysis.commands.trainings import Trainings
from analysis.text.markdown import codes
from analysis.text.noise_names import noise_phrases
from mtd.data.crops import crops, to_tensor
from mtd.data.grayscale import of_channels
from mtd.data.photographs import BUNDLED, Photograph, photographs
from mtd.loading import classical
from mtd.loading.classical import FILTER
from mtd.metrics.psnr_ssim import psnr
from mtd.networks.classical import Classical, ClassicalConfig
from mtd.networks.fixed_filter import FixedFilter
from mtd.noise import parse
from mtd.noise.base import pair_keyed
from mtd.noise.training_noise import PREPARED, TrainingNoise, changes_nothing
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from mtd.networks.base import Denoiser

MEDIAN = "classical:median:3"
"""The median that stands beside models."""

SIGMAS = (*np.arange(3, 20) / 10, *np.arange(8, 21) / 4)
"""The σ of a blur, in pixels, that the best one is chosen from: .3 to 1.9, then 2 to 5."""

SIDE, COUNT = 96, 12
"""Side of the crops in pixels, and their number, on which a blur is chosen."""

OTHERS = ("china", "flower")
"""The photographs that come with scikit-learn, on which a blur is chosen if the bundled ones are
scored themselves."""


@dataclass(frozen=True)
class References:
    """The references of a run.

    Attributes:
        models: by name; without a source, as the noisy input is, since no user has named them.
        sources: where they come from, for the manifest.
        tuned_on: photographs and noises that the blur was chosen on; empty without a blur.
        without: models without a fixed filter, since their training is unknown, or their output
            is not finite.
        trainings: the filters of a model with several trainings, one of each, by their common name.
    """

    models: Mapping[str, Denoiser] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tuned_on: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    trainings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def entry(models: Mapping[str, Denoiser], references: References) -> dict[str, Any]:
    """The entries of a manifest: the references, those that a user has given included.

    Args:
        models: all of the run.
        references: that were added to them.
    """
    of = {name: references.sources.get(name, models[name].source) for name in names(models)}
    sources = trainings.entries(grouped({name: (name,) for name in of}, references), of)
    about: dict[str, Any] = {"references": sources} if sources else {}
    if references.tuned_on:
        about["blur_tuned_on"] = dict(references.tuned_on)
    return about | ({"without_filter": list(references.without)} if references.without else {})


def build(
    inputs: RunInputs,
    specs: Sequence[str],
    given: Sequence[str],
    otherwise: Sequence[str],
    bundled: bool,
) -> References:
    """The references of some models.

    The blur with the highest mean PSNR under the noises that the models were trained on, on other
    photographs than those that are scored; the median of 3 x 3 pixels; and the fixed linear filter
    of each model under the noise that it was trained on, see `mtd.loading.content_gain`. Where no
    model's training is known there is only the median.

    Args:
        inputs: the models.
        specs: the noises of the run.
        given: values of `--in-distribution`.
        otherwise: noises of a suite, for models of which nothing else is known.
        bundled: whether the bundled photographs are scored.
    """
    trained = noises_of(networks(inputs.models), specs, given, otherwise)
    every = list(dict.fromkeys(noise for noises in trained.values() for noise in noises))
    made: list[Classical | FixedFilter] = []
    tuned_on: dict[str, Any] = {}
    if every:
        sigma, names = best_blur(tuple(every), bundled, inputs.channels)
        made.append(classical.classical(ClassicalConfig(kind="blur", parameter=sigma).spec))
        tuned_on = {"noises": every, "photographs": list(names)}
    made.append(classical.classical(MEDIAN))
    networks_of = trainings.trainings_of(networks(inputs.models))
    filters = {
        f"{FILTER}{model}": filters_of({name: inputs.models[name] for name in own}, trained[model])
        for model, own in networks_of.items()
    }
    made += [own for several in filters.values() for own in several]
    new = {model.source["path"]: model for model in made if model.spec not in inputs.models}
    sources = {name: model.source for name, model in new.items()}
    for model in new.values():
        model.source = {}
    there = {*new, *inputs.models}
    without = tuple(
        model
        for model, own in networks_of.items()
        if not all(f"{FILTER}{name}" in there for name in own)
    )
    own_names = {name: tuple(one.spec for one in several) for name, several in filters.items()}
    return References(new, sources, tuned_on, without, trainings.several(own_names))


def filters_of(trained: Mapping[str, Denoiser], noises: Sequence[str]) -> list[FixedFilter]:
    """The fixed filter of each training of a model; none if one has gains that are not finite.

    Args:
        trained: its trainings by name.
        noises: that they were trained on; without any there are no filters.
    """
    if not noises:
        return []
    drawn = [parse(spec) for spec in noises]
    found = [classical.filter_of(f"{FILTER}{name}", own, drawn) for name, own in trained.items()]
    return found if all(np.isfinite(own.config.gains).all() for own in found) else []


def grouped(of: Trainings, references: References) -> dict[str, tuple[str, ...]]:
    """Models and their trainings, the filters of a model's trainings being one reference."""
    filters = {name: model for model, own in references.trainings.items() for name in own}
    found: dict[str, tuple[str, ...]] = {}
    for name, own in of.items():
        reference = filters.get(name, name)
        found[reference] = (*found.get(reference, ()), *own)
    return found


def networks(models: Mapping[str, Denoiser]) -> dict[str, Denoiser]:
    """The models without references.

    Those that a user has given, classical ones, are references too, unless there are no others.
    """
    given = {name: model for name, model in models.items() if model.has_layers or model.source}
    found = {name: model for name, model in given.items() if model.has_layers}
    return found if any(model.source for model in found.values()) else given


def names(models: Mapping[str, Denoiser]) -> list[str]:
    """The models that are references."""
    return [name for name in models if name not in networks(models)]


def added(inputs: RunInputs, references: References) -> RunInputs:
    """Inputs with references among the models.

    Raises:
        BadInput: a model has the name of one.
    """
    more = inputs.with_models(references.models)
    own = {name: [source["sha256"]] for name, source in references.sources.items()}
    identity = {**more.forward.identity, **own}
    return replace(more, forward=replace(more.forward, identity=identity))


def noises_of(
    models: Mapping[str, Denoiser],
    specs: Sequence[str],
    given: Sequence[str],
    otherwise: Sequence[str],
) -> dict[str, list[str]]:
    """By model, the noises that it was trained on and that can be drawn; none if unknown.

    Of a range of levels those of the run. For the arguments see `build`.
    """
    found = {}
    for name, (texts, said) in training_noises.statements(models, given, specs).items():
        if texts:
            noise = TrainingNoise.parse(texts, specs)
        elif said is not None:
            noise = training_noises.recorded_by_checkpoint(said)
        else:
            noise = training_noises.recorded_by_checkpoint(*otherwise)
        listed = [*noise.names, *(spec for spec in specs if noise.holds(spec))]
        drawn = [spec for text in listed if (spec := first_draw(text))]
        found[name] = list(dict.fromkeys(drawn))
    return found


def first_draw(spec: str) -> str:
    """The first draw of a noise; empty for one that cannot be drawn, or changes nothing.

    >>> first_draw("gaussian:15@2"), first_draw("idf_gaussian:15"), first_draw("cc")
    ('gaussian:15', 'gaussian:15', '')
    """
    try:
        noise = parse(spec.removeprefix(PREPARED))
    except BadInput:  # recorded, or of a package that is absent
        return ""
    first = noise.redrawn(0).spec if noise.draw else noise.spec
    return "" if changes_nothing(first) else first


def best_blur(
    specs: Sequence[str], bundled: bool, channels: int = 3
) -> tuple[float, tuple[str, ...]]:
    """σ of the blur with the highest mean PSNR under noises, and the photographs it is chosen on.

    Args:
        specs: the noises, each counting the same.
        bundled: whether the bundled photographs are scored, so that it is chosen on others.
        channels: of the photographs, 3 or 1.

    >>> best_blur(("gaussian:15",), bundled=False)
    (0.9, ('astronaut', 'chelsea', 'coffee', 'rocket'))
    """
    return _best_blur(tuple(specs), bundled, channels), OTHERS if bundled else BUNDLED


@cache
def _best_blur(specs: tuple[str, ...], bundled: bool, channels: int) -> float:
    images = other_photographs() if bundled else photographs()
    cut = crops([of_channels(image, channels) for image in images], SIDE, COUNT)
    clean, keys = to_tensor([crop.pixels for crop in cut]), [crop.digest for crop in cut]
    pairs = [pair_keyed(parse(spec), clean, keys) for spec in specs]

    def mean_psnr(sigma: float) -> float:
        blur = Classical(ClassicalConfig(kind="blur", parameter=sigma))
        return float(np.mean([psnr(blur(noisy), target).mean() for noisy, target in pairs]))

    with torch.no_grad():
        return float(max(map(float, SIGMAS), key=mean_psnr))


def other_photographs() -> list[Photograph]:
    """The photographs that come with scikit-learn."""
    from sklearn.datasets import load_sample_image

    found = []
    for name in OTHERS:
        pixels = np.ascontiguousarray(load_sample_image(f"{name}.jpg"))
        found.append(Photograph(name, pixels.shape[0], pixels.shape[1], partial(np.copy, pixels)))
    return found


def notes(manifest: Mapping[str, Any]) -> list[str]:
    """What the references of a run are, from its manifest."""
    about = manifest.get("references")
    if not about:
        return []
    text = []
    if tuned := manifest.get("blur_tuned_on"):
        blur = next((name for name in about if name.startswith("classical:blur")), None)
        if blur is not None:
            text.append(
                f"References: {codes([blur])}, the best blur under "
                f"{noise_phrases(tuned['noises'])} on other photographs "
                f"({', '.join(tuned['photographs'])}), {codes([MEDIAN])}, and each model's fixed "
                "linear filter; they are not ranked."
            )
    if without := manifest.get("without_filter"):
        text.append(
            f"No fixed filter of {codes(without)}: training unknown, or outputs not finite."
        )
    return text
