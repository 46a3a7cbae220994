"""The results of similarity over training: tables, and a plot."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.cka.figures import MEASURES, cells, limit, measure
from analysis.cka.over_training import figures
from analysis.cka.over_training.tables import END, NAME
from analysis.commands.result import Result
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of


class OverTrainingResult(Result):
    """Tables of a comparison of snapshots as data frames, and figures of them."""

    @property
    def over_training(self) -> pd.DataFrame:
        """A row for each snapshot and comparison: value, 95% interval, controls, change."""
        return self.frames[NAME]

    @property
    def cells(self) -> pd.DataFrame:
        """A row for each pair of layers: snapshots, noises, layers, `cka`, 95% interval."""
        return cells(self.frames)

    def plot(self, ax: Axes | None = None, *, noise: str | None = None) -> Axes:
        """Similarity of the last quarter by step.

        Args:
            ax: where to draw; a new figure's by default.
            noise: with which the first noise is compared; by default the first one. With the first
                noise itself: snapshots against the end of training.

        Raises:
            BadInput: the run has no such noise.
        """
        frame = self.over_training
        known = list(dict.fromkeys([*frame.noise_b[frame.against != END], *frame.noise_a]))
        chosen = noise if noise is not None else known[0]
        one_of("noise", chosen, known)
        part = frame[frame.noise_b == chosen]
        if part.empty:
            raise BadInput(f"noise {chosen!r}: the run does not compare it")
        ax = ax if ax is not None else new_axes()
        figures.draw(ax, part, list(dict.fromkeys(frame.run)), None)
        limit(ax)
        ax.set_ylabel(MEASURES[measure(frame)])
        return ax
