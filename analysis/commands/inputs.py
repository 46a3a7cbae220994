"""The inputs of a run, loaded and checked before anything is computed: models, noises, crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from analysis.commands import trainings
from analysis.commands.channels import GRAYSCALE, channels_of, possible
from analysis.commands.model_names import twin_messages
from analysis.commands.networks import identity_digest, identity_of, load_models
from mtd.utils.errors import BadInput
from mtd.utils.messages import verb

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from analysis.commands.controls import ControlInputs
    from analysis.commands.settings import Settings
    from analysis.engine.forward import ForwardSettings
    from mtd.data.crops import Crop
    from mtd.data.photographs import Photograph
    from mtd.data.recorded_noise import Recorded
    from mtd.loading.cli_options import ModelRequest
    from mtd.networks.base import Denoiser
    from mtd.noise.base import Noise
    from mtd.utils.distributed import Ranks

    Model = str | Path | nn.Module
    Models = Mapping[str, Model] | Sequence[Model] | Model | Sequence[ModelRequest]


@dataclass(frozen=True)
class RunInputs:
    """Models, noises and crops of a run, loaded and checked.

    Attributes:
        models: networks by short names that tell them apart; of a model with several trainings,
            each of them.
        noises: in the order of the settings, the reference first.
        crops: clean crops or whole images; each set of pixels once, since a duplicate sample
            would put self-similarity off the diagonal.
        forward: how the networks are run.
        ranks: the processes that share the work.
        duplicates: number of crops left out because another one has the same pixels.
        images: where the crops come from, for the manifest.
        skipped: what folders hold beside images, and noises that are left out, a line each.
        controls: networks and noises that are no models and noises of the run, but controls of
            them; None without controls.
        channels: of all images, 3 or 1; see `analysis.commands.channels`.
    """

    models: dict[str, Denoiser]
    noises: list[Noise | Recorded]
    crops: list[Crop]
    forward: ForwardSettings
    ranks: Ranks
    duplicates: int = 0
    images: str | tuple[str, ...] = "bundled"
    skipped: tuple[str, ...] = ()
    controls: ControlInputs | None = None
    channels: int = 3

    @property
    def specs(self) -> list[str]:
        """The noises' specifications."""
        return [noise.spec for noise in self.noises]

    @property
    def trainings(self) -> dict[str, tuple[str, ...]]:
        """The models in order, each with the networks that are its trainings."""
        return trainings.trainings_of(self.models)

    @property
    def photographs(self) -> NDArray[np.int64]:
        """(crops,) the photograph of each crop, from 0; see `analysis.stats.jackknife.draws`."""
        from analysis.stats import jackknife

        return jackknife.draws([crop.scene or crop.image for crop in self.crops])

    @property
    def messages(self) -> list[str]:
        """Messages for stderr, before the pass starts."""
        found = [*twin_messages(self.models), *self.skipped]
        found += [GRAYSCALE] if self.channels == 1 else []
        found += self.controls.messages if self.controls is not None else []
        if self.duplicates:
            what = "with the same pixels as another one"
            nouns = verb(self.duplicates, "image or crop", "images or crops")
            found.append(f"left out {self.duplicates} {nouns} {what}")
        return found

    @property
    def label(self) -> str:
        """The names of the models that come from files, for the name of a run folder."""
        loaded = {name: model for name, model in self.models.items() if model.source}
        return "-".join(trainings.trainings_of(loaded))

    def subset(
        self,
        *,
        models: Collection[str] | None = None,
        noises: Sequence[str] | None = None,
        crops: Sequence[Crop] | None = None,
    ) -> Self:
        """The same with some of the models, noises (in the order given) or crops.

        Args:
            models: names of networks, or of models with all their trainings.
            noises: specifications.
            crops: of the run.
        """
        by_spec = {noise.spec: noise for noise in self.noises}
        kept = {
            name: self.models[name]
            for model, names in self.trainings.items()
            for name in names
            if models is None or model in models or name in models
        }
        under = self.noises if noises is None else [by_spec[n] for n in noises if n in by_spec]
        return replace(
            self,
            models=kept,
            noises=under,
            crops=self.crops if crops is None else list(crops),
            controls=self.controls and self.controls.subset(kept, [noise.spec for noise in under]),
        )

    def of_pass(self, controls: ControlInputs | None) -> Self:
        """The same with the networks and noises of controls among the models and noises."""
        if controls is None:
            return self
        given = {noise.spec for noise in self.noises}
        identity = {**self.forward.identity, **controls.identity}
        return replace(
            self,
            models={**self.models, **controls.models},
            noises=[*self.noises, *(n for n in controls.noises if n.spec not in given)],
            forward=replace(self.forward, identity=identity),
        )

    def with_models(self, models: Mapping[str, Denoiser]) -> Self:
        """The same with more models, such as the noisy input as a baseline.

        Raises:
            BadInput: a model has that name already.
        """
        for name in models:
            if name in self.models:
                raise BadInput(f"a model is named {name!r}; rename the file")
        together = {**self.models, **models}
        identity = {name: identity_of(model) for name, model in together.items()}
        return replace(self, models=together, forward=replace(self.forward, identity=identity))


def load_inputs(
    models: Models, settings: Settings, photographs: Sequence[Photograph] | None = None
) -> RunInputs:
    """Load and check the inputs that settings name, before anything is computed.

    Args:
        models: requests of a command line; or networks, paths and bundled names, see `load_models`.
        settings: of the analysis.
        photographs: the clean images; by default those of `settings.images`.

    Raises:
        BadInput: anything that cannot be used, in any process.
    """
    from mtd.utils import distributed

    ranks, device = distributed.start(settings.device)
    with ranks.raise_on_all_ranks():
        images: str | tuple[str, ...] = settings.images or "bundled"
        if photographs is None:
            photographs = clean_photographs(settings)
        else:
            images = tuple(photograph.name for photograph in photographs)
        return replace(gather(models, settings, device, ranks, photographs), images=images)


def one_of_each(
    models: Models, settings: Settings, most: int, photographs: Sequence[Photograph] | None = None
) -> RunInputs:
    """As `load_inputs`; unless the settings say how many crops, one of each photograph.

    Args:
        models: see `load_inputs`.
        settings: whose `limit` may be None.
        most: number of photographs.
        photographs: see `load_inputs`.

    Raises:
        BadInput: see `load_inputs`.
    """
    if settings.limit is not None:
        return load_inputs(models, settings, photographs)
    inputs = load_inputs(models, replace(settings, limit=most), photographs)
    firsts = {crop.scene or crop.image: crop for crop in reversed(inputs.crops)}
    return inputs.subset(crops=list(reversed(firsts.values())))


def check_networks(inputs: RunInputs) -> None:
    """Check that every model is a network, with layers and gradients.

    Raises:
        BadInput: one is a classical denoiser.
    """
    from analysis.engine.layers import NO_NETWORK

    for name, model in inputs.models.items():
        if not model.has_layers:
            raise BadInput(f"{name}: {NO_NETWORK}")


def gather(
    models: Models,
    settings: Settings,
    device: str,
    ranks: Ranks,
    photographs: Sequence[Photograph],
    optional: Collection[str] = (),
) -> RunInputs:
    """The inputs that settings name, cut from given photographs; see `load_inputs`.

    Args:
        models: see `load_inputs`.
        settings: of the analysis.
        device: where networks run.
        ranks: the processes that share the work.
        photographs: the clean images.
        optional: specifications of noises that are left out for grayscale networks if they need
            color.

    Raises:
        BadInput: see `load_inputs`.
    """
    from analysis.engine.forward import ForwardSettings
    from mtd.data.grayscale import of_channels
    from mtd.data.recorded_noise import Recorded
    from mtd.noise.drawing import Drawing
    from mtd.utils.device import resolve_device

    noises = parse_noises(settings.specs, settings.page)
    resolved = resolve_device(device)
    networks = load_models(models, settings, device)
    channels = channels_of(networks)
    noises, left_out = possible(noises, channels, optional)
    photographs = [of_channels(photo, channels) for photo in photographs]
    cut = cut_crops(settings, photographs)
    for recorded in noises:
        if isinstance(recorded, Recorded):
            used = {crop.image for crop in cut}
            recorded.check([photo for photo in photographs if photo.name in used])
    crops = list({crop.digest: crop for crop in reversed(cut)}.values())[::-1]
    forward = ForwardSettings(
        settings.seed,
        Drawing.stored(settings.quantize),
        settings.mask_draws,
        resolved,
        settings.autocast,
        identity={name: identity_of(model) for name, model in networks.items()},
        input_mask=settings.input_mask,
    )
    return RunInputs(
        networks,
        noises,
        crops,
        forward,
        ranks,
        len(cut) - len(crops),
        skipped=(*skipped(*settings.images, *recorded_folders(settings.specs)), *left_out),
        channels=channels,
    )


def clean_photographs(settings: Settings) -> list[Photograph]:
    """The photographs of the folders that settings name, or the bundled ones.

    Raises:
        BadInput: an image that cannot be read, or a page of no file.
    """
    from mtd.data.photographs import photographs

    if settings.page is not None and not settings.images:
        raise BadInput(f"--page {settings.page}: the bundled photographs have none; give --images")
    return photographs(*settings.images, page=settings.page)


def skipped(*folders: str, suffixes: Sequence[str] = ()) -> tuple[str, ...]:
    """What folders hold beside images, a line each.

    Args:
        folders: of images.
        suffixes: of images; by default those of photographs.
    """
    from mtd.data import image_io

    lines = (image_io.skipped(folder, suffixes or image_io.SUFFIXES) for folder in folders)
    return tuple(dict.fromkeys(filter(None, lines)))


def recorded_folders(specs: Sequence[str]) -> list[str]:
    """The folders of recorded noise among noises."""
    from mtd.data.recorded_noise import PREFIX

    return [spec.removeprefix(PREFIX) for spec in specs if spec.startswith(PREFIX)]


def parse_noises(specs: Sequence[str], page: int | None = None) -> list[Noise | Recorded]:
    """Noises from their specifications, each once.

    Args:
        specs: the specifications.
        page: of the files of recorded noise, see `mtd.data.recorded_noise.Recorded`.

    Raises:
        BadInput: an unknown noise, or one that is given twice.
    """
    from mtd.data.recorded_noise import PREFIX, Recorded
    from mtd.noise import parse

    noises = [Recorded(s, page=page) if s.startswith(PREFIX) else parse(s) for s in specs]
    names = [noise.spec for noise in noises]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"--noise {twice}: given twice; leave one out")
    return noises


def canonical(spec: str) -> str:
    """A noise's specification in the one form that tables hold."""
    return parse_noises([spec])[0].spec


def cut_crops(settings: Settings, photographs: Sequence[Photograph]) -> list[Crop]:
    """The crops, or whole images, that settings name."""
    from analysis.commands.settings import CROPS
    from mtd.data import crops as data_crops

    if settings.crop is None:
        return data_crops.whole(photographs, settings.limit)
    count = settings.limit or CROPS
    return data_crops.crops(photographs, settings.crop, count, settings.crop_rule, settings.seed)


def common(values: Mapping[str, Any]) -> Any:
    """The value that all models have; else the values by model."""
    kinds = list(dict.fromkeys(values.values()))
    return kinds[0] if len(kinds) == 1 else dict(values)


def choose_layers(
    models: Mapping[str, Denoiser], patterns: Sequence[str] | None
) -> dict[str, list[str]]:
    """Layers to record, by model.

    Raises:
        BadInput: a pattern that matches nothing, or a network without layers that are recorded
            by default.
    """
    from analysis.engine.layers import choose

    chosen = {}
    for name, model in models.items():
        try:
            chosen[name] = choose(model, list(patterns) if patterns else None)
        except BadInput as error:
            raise BadInput(f"{name}: {error}") from None
        if not chosen[name]:
            raise BadInput(f"{name}: no convolution in the network; name layers with --layers")
    return chosen


def manifest_of(analysis: str, settings: Settings, inputs: RunInputs) -> dict[str, Any]:
    """The entries of a manifest that come from the shared settings."""
    from analysis.commands.run_folder import versions
    from mtd.data.recorded_noise import Recorded
    from mtd.utils.device import chosen

    images = inputs.images
    loaded = {name: model for name, model in inputs.models.items() if model.source}
    about = {
        name: dict(m.source)
        | {
            "identity": identity_digest(m),
            "parameters": sum(p.numel() for p in m.parameters()),
            "predicts": m.layer_roles().predicts,
        }
        for name, m in loaded.items()
    }
    of = trainings.trainings_of(loaded)
    return {
        "analysis": analysis,
        "versions": versions(),
        "models": trainings.entries(of, about),
        "attention_mask": common({n: loaded[own[0]].inference.switch for n, own in of.items()}),
        "mask_samples": common({n: loaded[own[0]].inference.samples for n, own in of.items()}),
        "mask_draws": settings.mask_draws,
        **({"input_mask": settings.input_mask} if settings.input_mask else {}),
        "noises": inputs.specs,
        "recorded": {
            noise.spec: noise.digest(inputs.crops)
            for noise in inputs.noises
            if isinstance(noise, Recorded)
        },
        "quantize": settings.quantize,
        "seed": settings.seed,
        "device": chosen(settings.device),
        "autocast": settings.autocast,
        "images": images if isinstance(images, str) else list(images),
        **({"channels": inputs.channels} if inputs.channels != 3 else {}),
        **({"page": settings.page} if settings.page else {}),
        **({"controls": inputs.controls.manifest()} if inputs.controls is not None else {}),
        "crop": settings.crop,
        "crop_rule": settings.crop_rule,
        "crops": [
            {"image": c.image, "top": c.top, "left": c.left, "sha256": c.digest}
            | ({"scene": c.scene} if c.scene not in ("", c.image) else {})
            for c in inputs.crops
        ],
    }
