"""The results of a benchmark: frames, and plots of them."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.generalization import answer as answers
from analysis.generalization import figures, metrics, reading, summary
from analysis.generalization.conditions import contestants
from analysis.plotting.axes import new_axes
from analysis.text import matched_noises, trainings
from analysis.text.answers import Answer
from analysis.text.equal_weights import same_weights
from mtd.utils.errors import BadInput, one_of


class GeneralizationResult(Result):
    """Tables of a benchmark as data frames, and figures of them."""

    @property
    def results(self) -> pd.DataFrame:
        """A row for each model, noise, image and metric; references and the noisy input are among
        the models. Where a model has several trainings, a row for each `training`."""
        return self.frames["results"]

    @property
    def noises(self) -> pd.DataFrame:
        """Mean, 95% interval, gain over the noisy input and mean rank, by noise and model."""
        return self.frames["noises"]

    @property
    def scores(self) -> pd.DataFrame:
        """A row for each model and metric: means in and out of distribution, their difference
        `ood_drop`, the worst noise, the mean over the level curves, the mean rank."""
        return self.frames["generalization"]

    @property
    def tests(self) -> pd.DataFrame:
        """Every two models under every noise: paired difference, 95% interval, p-values."""
        return self.frames["tests"]

    @property
    def references(self) -> pd.DataFrame:
        """How far every model is beyond its own fixed filter, the best classical reference, and a
        blur, by noise: paired difference, 95% interval."""
        return self.frames["references"]

    @property
    def testsets(self) -> pd.DataFrame:
        """As `noises`, for each test set by itself; empty in runs without test sets."""
        return self.frames.get("testsets", pd.DataFrame())

    @property
    def strips(self) -> pd.DataFrame:
        """Which square of which image each comparison strip shows, and its PSNR."""
        return self.frames["strips"]

    def answer(self, metric: str = "psnr") -> Answer:
        """Which model is best under unseen noise, for one metric."""
        with self._reading():
            return answers.answer(self.frames, metric)

    def sentences(self, metric: str = "psnr") -> list[str]:
        """What follows from the tables, in Markdown, for one metric."""
        own = reading.sentences(self.frames, self.manifest, metric)
        about_models = [*same_weights(self.manifest), *trainings.units(self.manifest)]
        return [*about_models, *own, *matched_noises.sentences(self.frames)]

    def leaderboard(self, metric: str = "psnr") -> pd.DataFrame:
        """Scores with headings to read, the best models under unseen noise first.

        Raises:
            BadInput: no such metric in the run.
        """
        self._of_metric(metric)
        return summary.leaderboard(self.frames, metric)

    def means(self, metric: str = "psnr") -> pd.DataFrame:
        """The mean of every model under every noise, a column for each noise.

        Raises:
            BadInput: no such metric in the run.
        """
        self._of_metric(metric)
        return summary.means_by_noise(self.noises, self.scores, metric)

    def plot_levels(
        self,
        ax: Axes | None = None,
        *,
        metric: str = "psnr",
        kind: str | None = None,
        style: str = "screen",
    ) -> Axes:
        """Mean over images against noise level, a curve for each model, 95% intervals as bands.

        Single trainings of a model that has several are thin lines.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            metric: which one.
            kind: of noise, such as `poisson`; the first one with several levels by default. If no
                kind has several levels, all noises are shown side by side.

        Raises:
            BadInput: no such metric or kind in the run.
        """
        frame = self._of_metric(metric)
        many, single = figures.by_levels(frame)
        if kind is not None:
            one_of("kind", kind, dict.fromkeys(frame.kind))
        ax = ax if ax is not None else new_axes()
        frame = figures.without_many_filters(frame)
        models = list(dict.fromkeys(frame.model))
        trainings_of = self.frames.get("noises_by_training")
        if trainings_of is not None:
            trainings_of = trainings_of[trainings_of.metric == metric]
        chosen = kind or next(iter(many), None)
        if chosen in many:
            figures.draw_levels(ax, many[chosen], models, trainings_of)
        else:
            rows = single if chosen is None else single[single.kind == chosen]
            figures.draw_single_levels(ax, rows, models, trainings_of)
        ax.set_ylabel(summary.label(metric))
        ax.legend()
        return ax

    def plot_ranks(
        self, ax: Axes | None = None, *, metric: str = "psnr", style: str = "screen"
    ) -> Axes:
        """Mean rank of each model under each noise, best models at the top; 1 is best.

        Args:
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            metric: which one.

        Raises:
            BadInput: no such metric in the run, or one model only.
        """
        frame = self._of_metric(metric)
        order = summary.best_first(self.scores, metric)
        if len(order) < 2:
            raise BadInput("one model: ranks need two")
        ax = ax if ax is not None else new_axes()
        figures.draw_ranks(ax, contestants(frame), order, metric)
        return ax

    def _of_metric(self, metric: str) -> pd.DataFrame:
        reasons = metrics.not_run(self.manifest)
        if metric in reasons and metric not in set(self.noises.metric):
            raise BadInput(f"metric {metric}: {metrics.label(metric)} {reasons[metric]}")
        known = list(dict.fromkeys(self.noises.metric))
        one_of("metric", metric, known)
        return self.noises[self.noises.metric == metric]
