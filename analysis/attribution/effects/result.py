"""The results of causal effect maps."""

from __future__ import annotations

from functools import cached_property

import pandas as pd
from matplotlib.axes import Axes

from analysis.attribution import figures as attribution_figures
from analysis.attribution.effects import figures
from analysis.attribution.effects.tables import AVERAGED, EFFECTS, MAPS
from analysis.attribution.result import row_of
from analysis.attribution.tables import Pictures, means, read_maps
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from analysis.text.noise_names import noise_label
from mtd.utils.errors import BadInput


class CausalEffectsResult(Result):
    """The table of causal effect maps as a data frame, the maps as arrays, and figures of them."""

    @property
    def effects(self) -> pd.DataFrame:
        """A row for each model, noise and crop: what its map holds.

        CE(i) is the causal effect of block i, in dB.

        Columns:
            model, noise, kind, level, note: what the row is of; `kind`, `level` of the noise.
            crop, image, scene, sha256: the crop's number, file, photograph and digest.
            top, left: place of the crop in its image, in pixels.
            window_top, window_left, side: the window in the crop, in pixels.
            block, blocks: side of a block in pixels, and the number of blocks.
            psnr: of the window with nothing replaced, in dB.
            outside: share of Σ |CE(i)| that is of blocks outside the window.
            negative: share of Σ |CE(i)| outside that is of blocks with CE(i) < 0.
            reach50, reach90: pixels by which the window must be widened to hold 50% and 90% of
                Σ |CE(i)| outside.
            border: share of Σ |CE(i)| outside that is of blocks at the border of the crop.
            effect_inside, effect_outside: Σ CE(i) of blocks inside and outside, in dB.
            largest: the effect of largest absolute value, in dB.
            refined: number of blocks that were replaced by all patches.
            reason: why there are no numbers.

        Of a model with several trainings the numbers are means over their maps;
        `frames["effects_by_training"]` has those of each.
        """
        return self.frames[EFFECTS]

    @property
    def means(self) -> pd.DataFrame:
        """A row for each model and noise: means over crops.

        Columns:
            model, noise, crops, photographs: what the row is of.
            outside, negative, reach50, reach90: as in `effects`; each with its 95% interval over
                photographs, `NAME_low` and `NAME_high`.
        """
        return means(self.effects, self.frames.get(f"{EFFECTS}_by_training"), AVERAGED)

    @property
    def difference(self) -> pd.DataFrame:
        """`outside` and `negative` of model b minus those of model a in the same windows, by noise.

        Columns:
            measure: `outside` or `negative`.
            model_a, model_b, noise: what is compared.
            value, low, high: the difference, a share, with its 95% interval.
            band_low, band_high: bounds that hold for all noises of two models at once.
            photographs: their number.
        """
        return self.frames[f"{EFFECTS}_difference"]

    @cached_property
    def maps(self) -> Pictures:
        """Maps (1, H, W) in dB by (model, noise, crop's number); noisy crops by ("", …).

        Of a model with several trainings there is a map of each, and under the model's name that of
        the first one.

        Raises:
            BadInput: the file of the maps is missing or damaged.
        """
        if MAPS not in self.attachments:
            raise BadInput(f"{MAPS} is missing: run the analysis again")
        return read_maps(self.attachments[MAPS], MAPS)

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
            noise: one of the run; the first one by default.
            crop: its number.

        Raises:
            BadInput: no such map in the run.
        """
        single = self.frames.get(f"{EFFECTS}_by_training")
        row = row_of(self.effects, single, model, noise, crop)
        image, values = self.maps["", row.noise, crop], self.maps[row.model, row.noise, crop]
        ax = ax if ax is not None else new_axes(4.8, 4.8)
        norm = figures.scale(abs(float(row.largest)))
        figures.draw_map(ax, image, values, attribution_figures.window_of(row), norm=norm)
        first = attribution_figures.FIRST
        several = f"\n{first}" if row.get("trainings", 1) > 1 else ""
        noise_name = noise_label(row.noise)
        ax.set_title(f"{row.model}, {noise_name}\n{figures.about(row)}{several}", fontsize=9)
        return ax
