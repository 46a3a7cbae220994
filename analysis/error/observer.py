"""The observer of errors over draws: only outputs are needed, so that any denoiser will do.

The errors of a batch under all draws are cached while it runs; of each image only the scalar
products between them are kept, and sums by frequency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from analysis.engine.cache import CachedActivations
from analysis.engine.collecting_observer import check_crops
from analysis.engine.controls import NONE, Controls
from analysis.engine.observer import OUTPUT, Batch, NoisyBatch, Observer, View
from analysis.error import residual, spectra
from analysis.error.decomposition import LEVELS

Array = NDArray[np.float64]

ERROR, NOISE, TARGET, SPECTRA, RESIDUAL = "error", "noise", "target", "spectra", "residual"
"""Names of the cached tensors."""


class Errors(NamedTuple):
    """The errors of a network under a noise, image by image, in squared 8-bit levels.

    Attributes:
        gram: (images, K·M, K·M) scalar products per pixel and channel of the errors under K draws
            of the noise and M of the masks, the masks of a draw together.
        noise: (images, K, K) the same of the noise itself.
        averaged: (images,) mean squared error of the mean over several draws of the masks, under
            the first draw of the noise; NaN where it was not measured.
        spectra: (images, rings, sums), see `analysis.error.spectra.sums`, over all draws.
        residual: (images, sums), see `analysis.error.residual.sums`, over all draws.
        same_target: (images,) whether the clean image is the same under all draws.
    """

    gram: Array
    noise: Array
    averaged: Array
    spectra: Array
    residual: Array
    same_target: NDArray[np.bool_]


class ErrorDraws(Observer):
    """Errors of every network under every noise, over its draws; the result is `Errors` by view.

    Args:
        models: names of the networks.
        noises: specifications of the noises of the run.
        controls: further draws of the noises, and the networks with further draws of their masks.
    """

    name = "error_draws"
    sums: dict[int, dict[View, Errors]]

    def __init__(
        self, models: Sequence[str], noises: Sequence[str], controls: Controls = NONE
    ) -> None:
        super().__init__()
        self.models, self.noises, self.controls = list(models), list(noises), controls
        others = [n for of in (controls.other_masks, controls.mask_means) for n in of.values()]
        self.layers = {name: [OUTPUT] for name in (*models, *(n for own in others for n in own))}
        self.means = {name for own in controls.mask_means.values() for name in own}
        self.add_state("sums", {}, reduce="gather")

    @property
    def key(self) -> dict[str, Any]:
        """See `Observer.key`; the first network has the noise beside its errors."""
        return {"first": self.models[:1]}

    def extract(self, layer: str, value: Tensor, noisy: NoisyBatch) -> dict[str, Tensor]:
        """Errors in 8-bit levels, float32; sums by frequency and of the residual, float64."""
        check_crops(layer, value, noisy)
        output, target = value.double(), noisy.target.to(value.device).double()
        found = {ERROR: ((output - target) * LEVELS).float()}
        if noisy.model in self.means:
            return found
        given = noisy.noisy.to(value.device).double()
        if noisy.model == self.models[0]:
            found[NOISE] = ((given - target) * LEVELS).float()
        return found | {
            TARGET: target.sum((1, 2, 3)),
            SPECTRA: spectra.sums(target, given - target, output),
            RESIDUAL: residual.sums(target, given, output),
        }

    def update(self, batch: Batch, activations: Mapping[View, CachedActivations]) -> None:
        """See `Observer.update`."""
        found: dict[View, Errors] = {}
        for noise in self.noises:
            draws = self.controls.draws(noise)
            if View(self.models[0], noise) not in activations:
                continue  # a batch with noises of its own
            views = [View(self.models[0], draw) for draw in draws]
            added = gram([activations[view].tensors()[NOISE] for view in views])
            for model in self.models:
                names = (model, *self.controls.other_masks.get(model, ()))
                held = [activations[View(n, draw)].tensors() for draw in draws for n in names]
                means = [
                    activations[View(n, noise)].tensors()[ERROR]
                    for n in self.controls.mask_means.get(model, ())
                ]
                found[View(model, noise)] = errors(held, added, means)
        self.sums[batch.index] = found

    def compute(self) -> dict[View, Errors]:
        """See `Observer.compute`; images in the order of the batches."""
        parts: dict[View, list[Errors]] = {}
        for index in sorted(self.sums):
            for view, own in self.sums[index].items():
                parts.setdefault(view, []).append(own)
        return {
            view: Errors(*(np.concatenate(side) for side in zip(*own, strict=True)))
            for view, own in parts.items()
        }


def errors(held: Sequence[Mapping[str, Tensor]], noise: Array, means: Sequence[Tensor]) -> Errors:
    """The sums of a batch of a network under a noise.

    Args:
        held: the cached tensors of each draw.
        noise: see `Errors`.
        means: errors of the mean over several draws of the masks; one, or none.
    """
    targets = torch.stack([own[TARGET] for own in held])
    averaged = [mean.double().square().mean((1, 2, 3)).numpy() for mean in means]
    return Errors(
        gram([own[ERROR] for own in held]),
        noise,
        averaged[0] if averaged else np.full(targets.shape[1], np.nan),
        torch.stack([own[SPECTRA] for own in held]).sum(0).numpy(),
        torch.stack([own[RESIDUAL] for own in held]).sum(0).numpy(),
        (targets == targets[0]).all(0).numpy(),
    )


def gram(draws: Sequence[Tensor]) -> Array:
    """(images, draws, draws) scalar products per pixel and channel in float64.

    Args:
        draws: (images, channels, height, width) each.
    """
    flat = torch.stack([draw.flatten(1) for draw in draws], 1).double()
    products: Array = (flat @ flat.mT / flat.shape[-1]).numpy()
    return products
