"""The inputs of a comparison on noisy pictures: models, pictures, and the noises to compare with.

The engine adds noise to clean crops. Here the crops are the noisy pictures themselves, and the one
noise of the pass, `recorded`, leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.commands.inputs import RunInputs, gather, parse_noises, skipped
from analysis.commands.job import PIXELS
from analysis.engine import run as engine_run
from analysis.engine.observer import Batch
from analysis.generalization import metrics
from analysis.generalization.metrics import Chosen
from analysis.text.noise_labels import NOISY
from mtd.data import photographs as data_photographs
from mtd.data.image_io import Pixels
from mtd.data.recorded_noise import Recorded
from mtd.inference.forward import GIB
from mtd.utils import distributed
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from analysis.commands.inputs import Models
    from analysis.generalization.settings import GeneralizationSettings
    from mtd.data.crops import Crop
    from mtd.data.photographs import Photograph
    from mtd.metrics import Metric
    from mtd.noise.base import Noise

RECORDED = "recorded"
"""The noise of the pictures."""

BLUR = "Gaussian blur"
"""The control: a fixed filter that knows nothing of noise."""

SIGMA = 0.9
"""Its standard deviation in pixels. Such a blur restores strong noise about as well as the bundled
masked network: `gaussian:50` 22.2 and 22.0 dB, `poisson:3.5` 23.7 and 24.3 dB, means of 24 crops of
CBSD68 (`reports/small-pairs/scores.csv`)."""

CONTROLS = (BLUR, NOISY)
"""What stands beside the models."""


@dataclass(frozen=True)
class NoisyInputs(RunInputs):
    """Models and noisy pictures; `crops` are the noisy pictures, or crops of them.

    Attributes:
        synthetic: noises that the recorded one is compared with; none for white Gaussian noise of
            each picture's estimated level.
        metrics: without reference, computed of every output beside the quantities.
        not_run: by name why others that were wanted are not.
    """

    synthetic: tuple[Noise, ...] = ()
    metrics: tuple[Metric, ...] = ()
    not_run: Mapping[str, str] = field(default_factory=dict)

    @property
    def messages(self) -> list[str]:
        """See `RunInputs.messages`; also why metrics are not run."""
        others = [f"{metrics.label(name)}: {reason}" for name, reason in self.not_run.items()]
        return [*super().messages, *others]


def load_inputs(
    models: Models,
    settings: GeneralizationSettings,
    photographs: Sequence[Photograph] | None = None,
) -> NoisyInputs:
    """Load and check what settings name, before anything is computed.

    Args:
        models: see `analysis.commands.inputs.load_inputs`.
        settings: of the benchmark, with `noisy`.
        photographs: the noisy pictures; by default those of `settings.noisy`.

    Raises:
        BadInput: anything that cannot be used, by any of the processes.
    """
    ranks, device = distributed.start(settings.device)
    with ranks.raise_on_all_ranks():
        settings.check_noisy()
        chosen = without_reference(settings.metrics, device)
        images = tuple(settings.noisy) or tuple(photo.name for photo in photographs or ())
        pictures = list(
            photographs or data_photographs.photographs(*settings.noisy, page=settings.page)
        )
        synthetic = parse_noises(settings.noises or ())
        assert not any(isinstance(noise, Recorded) for noise in synthetic)
        inputs = gather(models, replace(settings, noises=()), device, ranks, pictures)
        check_models(inputs)
        recorded = Recorded(RECORDED, {photo.name: photo.load for photo in pictures})
    forward = replace(inputs.forward, tile=settings.tile, memory=round(settings.memory * GIB))
    inputs = replace(
        inputs,
        images=images,
        noises=[recorded],
        forward=forward,
        skipped=skipped(*settings.noisy),
    )
    shared: dict[str, Any] = {f.name: getattr(inputs, f.name) for f in fields(RunInputs)}
    chosen = chosen.alike(ranks)
    return NoisyInputs(
        **shared,
        synthetic=tuple(synthetic),  # type: ignore[arg-type]
        metrics=chosen.further,
        not_run=chosen.not_run,
    )


def without_reference(names: Sequence[str], device: str) -> Chosen:
    """The metrics without reference that are named, and those that are installed.

    Raises:
        BadInput: a metric that compares with a clean image, or one that is not there.
    """
    further, not_run = metrics.load_further(names, device)
    found = {metric.name: metric for metric in further if not metric.full_reference}
    for name in names:
        if name not in found and name not in not_run:
            raise BadInput(
                f"--metric {name}: compares with a clean image, which noisy pictures do not have; "
                "expected a metric without reference, such as pyiqa:niqe"
            )
    return Chosen(None, tuple(found.values()), not_run)


def check_models(inputs: RunInputs) -> None:
    """Check that no model is named as a control, and none is given the true noise level.

    Raises:
        BadInput: one does.
    """
    for name, model in inputs.models.items():
        if name in CONTROLS:
            raise BadInput(f"a model is named {name!r}; rename the file")
        if model.takes_oracle_sigma:
            raise BadInput(
                f"--sigma oracle: {name} would be given the level of the noise, which is not known "
                "of a noisy picture; give a level, such as --sigma 25"
            )


def batches(inputs: RunInputs, settings: GeneralizationSettings) -> list[Batch]:
    """Batches of pictures of equal size."""
    cut: list[Batch] = []
    for shape in dict.fromkeys(crop.pixels.shape for crop in inputs.crops):
        same = [crop for crop in inputs.crops if crop.pixels.shape == shape]
        size = settings.batch_size or max(1, PIXELS // (shape[0] * shape[1]))
        for batch in engine_run.batches(same, size):
            cut.append(replace(batch, index=len(cut)))
    return cut


def blurred(pixels: Pixels) -> Pixels:
    """The control: a picture after a Gaussian blur of `SIGMA`, in 8 bits.

    Args:
        pixels: (H, W, C).
    """
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(pixels.astype(np.float64), (SIGMA, SIGMA, 0), mode="reflect")
    return np.asarray(smooth.round().clip(0, 255), dtype=np.uint8)


def recorded_noise(name: str, pixels: dict[str, Pixels]) -> Recorded:
    """Noisy pixels by name of the crop, as a noise of the engine."""
    return Recorded(name, {key: partial(_itself, value) for key, value in pixels.items()})


def _itself(pixels: Pixels) -> Pixels:
    return pixels


def place_name(crop: Crop) -> str:
    """A crop in one text: its picture and corner."""
    return f"{crop.image} at {crop.top}, {crop.left}"
