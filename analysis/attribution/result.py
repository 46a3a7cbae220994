"""The results of local attribution, and the Python function that makes them."""

from __future__ import annotations

from functools import cached_property

import pandas as pd
from matplotlib.axes import Axes

from analysis.attribution import figures
from analysis.attribution.settings import MAPS
from analysis.attribution.tables import Pictures, means, read_maps
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.text.noise_names import noise_label
from mtd.utils.errors import BadInput, one_of


class AttributionResult(Result):
    """The table of attribution as a data frame, the maps as arrays, and figures of them."""

    @property
    def attribution(self) -> pd.DataFrame:
        """A row for each model, noise and crop: diffusion index `di`, share `outside` the window,
        `reach50` and `reach90` in pixels, and how complete the sum is (`completeness`).

        Of a model with several trainings the numbers are means over their maps;
        `frames["attribution_by_training"]` has those of each.
        """
        return self.frames["attribution"]

    @property
    def means(self) -> pd.DataFrame:
        """A row for each model and noise: means over crops, with 95% intervals over photographs."""
        return means(self.attribution, self.frames.get("attribution_by_training"))

    @property
    def difference(self) -> pd.DataFrame:
        """`di` and `outside` of model b minus those of model a in the same windows, by noise.

        `measure` names the quantity. `value` with its 95% interval `low` to `high`; `band_low` to
        `band_high` hold for all noises of two models at once. Empty for run folders from before.
        """
        return self.frames.get("attribution_difference", pd.DataFrame())

    @cached_property
    def maps(self) -> Pictures:
        """Signed maps (3, H, W) by (model, noise, crop's number); noisy crops by ("", …).

        Of a model with several trainings there is a map of each, and under the model's name that of
        the first one.

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
        style: str = "screen",
    ) -> Axes:
        """The map of one model for one crop, over the grayscale input, the window framed.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            model: one of the run, or a single training of it; the first one by default.
            noise: one of the run; the first one, the clean image, by default.
            crop: its number.

        Raises:
            BadInput: no such map in the run.
        """
        single = self.frames.get("attribution_by_training")
        row = row_of(self.attribution, single, model, noise, crop)
        model, noise = str(row.model), str(row.noise)
        ax = ax if ax is not None else new_axes(4.8, 4.8)
        window = figures.window_of(row)
        figures.draw_map(ax, self.maps["", noise, crop], self.maps[model, noise, crop], window)
        several = f"\n{figures.FIRST}" if row.get("trainings", 1) > 1 else ""
        title = f"{model}, {noise_label(noise)}\n{figures.about(row)}{several}"
        ax.set_title(title, fontsize=9)
        return ax


def row_of(
    frame: pd.DataFrame,
    single: pd.DataFrame | None,
    model: str | None,
    noise: str | None,
    crop: int,
) -> pd.Series:
    """The row of one map.

    Args:
        frame: of the models' maps.
        single: of those of several trainings; None for a run without.
        model: one of the run, or a single training of it; None for the first one.
        noise: one of the run; None for the first one.
        crop: its number.

    Raises:
        BadInput: no such map.
    """
    if single is not None:
        frame = pd.concat([frame, single.assign(model=single.training)])
    models, noises, crops = (list(dict.fromkeys(frame[n])) for n in ("model", "noise", "crop"))
    model = models[0] if model is None else model
    noise = noises[0] if noise is None else noise
    for name, value, known in (("model", model, models), ("noise", noise, noises)):
        one_of(name, value, known)
    if crop not in crops:
        raise BadInput(f"crop {crop}: expected 0 to {max(crops)}")
    rows = frame[(frame.model == model) & (frame.noise == noise) & (frame.crop == crop)]
    return rows.iloc[0]
