"""The results of local attribution, and the Python function that makes them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from analysis.attribution import figures
from analysis.attribution.command import ANALYSIS
from analysis.attribution.settings import MAPS
from analysis.attribution.tables import Pictures, read_maps
from analysis.commands.command import run_in_memory
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, nearest


class AttributionResult(Result):
    """The table of attribution as a data frame, the maps as arrays, and figures of them."""

    @property
    def attribution(self) -> pd.DataFrame:
        """A row for each model, noise and crop: diffusion index `di`, share `outside` the window,
        `reach50` and `reach90` in pixels, and how complete the sum is (`completeness`)."""
        return self.frames["attribution"]

    @cached_property
    def maps(self) -> Pictures:
        """Signed maps (3, H, W) by (model, noise, crop's number); noisy crops by ("", …).

        Raises:
            BadInput: the file of the maps is missing or damaged.
        """
        if MAPS not in self.attachments:
            raise BadInput(f"{MAPS} is missing: run the analysis again")
        return read_maps(self.attachments[MAPS])

    def plot_map(
        self,
        ax: Axes | None = None,
        *,
        model: str | None = None,
        noise: str | None = None,
        crop: int = 0,
    ) -> Axes:
        """The map of one model for one crop, over the grayscale input, the window framed.

        Args:
            ax: where to draw; a new figure's by default.
            model: one of the run; the first one by default.
            noise: one of the run; the first one, the clean image, by default.
            crop: its number.

        Raises:
            BadInput: no such map in the run.
        """
        frame = self.attribution
        models, noises, crops = (
            list(dict.fromkeys(frame[name])) for name in ("model", "noise", "crop")
        )
        model = models[0] if model is None else model
        noise = noises[0] if noise is None else noise
        for name, value, known in (("model", model, models), ("noise", noise, noises)):
            if value not in known:
                raise BadInput(f"{name} {value!r}: {nearest(value, known)}")
        if crop not in crops:
            raise BadInput(f"crop {crop}: expected 0 to {max(crops)}")
        row = frame[(frame.model == model) & (frame.noise == noise) & (frame.crop == crop)].iloc[0]
        ax = ax if ax is not None else new_axes(4.8, 4.8)
        window = figures.window_of(row)
        figures.draw_map(ax, self.maps["", noise, crop], self.maps[model, noise, crop], window)
        ax.set_title(f"{model}, {figures.named(noise)}\n{figures.about(row)}", fontsize=9)
        return ax


def attribute(
    models: Any, *, images: Any = None, progress: bool = True, **settings: Any
) -> AttributionResult:
    """Map which pixels of its input each model uses to restore one window of its output.

    Integrated gradients of the window's detail along a path from the blurred input to the input
    itself, for the clean crop and under each noise; see
    `analysis.attribution.integrated_gradients`. The command `python -m analysis.attribution` calls
    the same code.

    Args:
        models: a mapping from names, a sequence, or one of: an `nn.Module` from (B, 3, H, W) in
            [0, 1] to the same shape; the path of a checkpoint; a bundled name.
        images: clean photographs: a folder, files, arrays (H, W, 3) or tensors (3, H, W), `uint8`
            or real in [0, 1]; None for the bundled ones.
        progress: show a progress bar.
        settings: fields of `analysis.attribution.settings.AttributionSettings`.

    Returns:
        Data frame `attribution`, arrays `maps`; `plot_map`; `save`.

    Raises:
        BadInput: a model, image or setting that cannot be used; the message says what to do.

    Example:
        >>> result = attribute(
        ...     "masked.pth", noises="gaussian:50", crop=32, limit=1, steps=4, progress=False
        ... )
        >>> list(result.attribution.noise), result.maps["masked", "gaussian:50", 0].shape
        (['gaussian:0', 'gaussian:50'], (3, 32, 32))

    Reference: Gu and Dong 2021, *Interpreting Super-Resolution Networks with Local Attribution
    Maps*.
    """
    result = run_in_memory(ANALYSIS, models, images, progress, **settings)
    assert isinstance(result, AttributionResult)
    return result
