"""The results of a comparison of indices: frames, and plots of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import pandas as pd
from matplotlib.axes import Axes

from analysis.commands.result import Result
from analysis.compare import figures
from analysis.compare.candidates import among
from analysis.compare.inputs import CompareInputs
from analysis.compare.predictors import DROP, TARGETS, targets
from analysis.plotting.axes import new_axes
from mtd.utils.errors import BadInput, one_of

if TYPE_CHECKING:
    from analysis.commands.job import AnalysisJob


class CompareResult(Result):
    """Tables of a comparison as data frames, and figures of them.

    Its parts are the results of the analyses that were computed for it, by name.
    """

    @classmethod
    def of(cls, job: AnalysisJob, files: Mapping[str, pd.DataFrame | bytes]) -> Self:
        """See `Result.of`; files of the analyses are in folders of their names."""
        assert isinstance(job.inputs, CompareInputs)
        by_folder: dict[str, dict[str, pd.DataFrame | bytes]] = {}
        for path, content in files.items():
            folder, _, name = path.rpartition("/")
            by_folder.setdefault(folder, {})[name] = content
        result = cls(job.analysis, by_folder[""], job.with_batches(job.batches))
        parts: dict[str, Result] = {}
        for part in job.inputs.jobs:
            kind = part.analysis.result() if part.analysis.result is not None else Result
            parts[part.name] = kind.of(part, by_folder.get(part.name, {}))
        result.parts = parts
        return result

    @property
    def models(self) -> pd.DataFrame:
        """A row for each model.

        Columns: `model`; `checkpoint`, the SHA-256 of its file; `ood_drop`, the PSNR drop from
        trained to unseen noise, and `unseen`, the PSNR under unseen noise, in dB; and the indices
        that were computed: `srga`, `cka`, `separability`, `distance` (in standard deviations),
        `sensitivity`, `leak_share`, `cutoff` (cycles per pixel), and of run folders of their
        analyses `effective_dimension`, `affine_rest`, `recovery` and `stitching_cost` (dB); see
        `analysis.compare.correlate`. Where a model has
        several trainings, their number and the intervals over trainings.
        """
        return self.frames["compare"]

    @property
    def correlations(self) -> pd.DataFrame:
        """A row for each index and target: `ood_drop`, `unseen`, `drop_leak` and `drop_damage`.

        Columns: `index`; `target`; `models`, how many have both; `spearman`, ρ from -1 to 1, with
        its 95% interval `low` to `high`; two-sided `p`; `p_corrected`, by Holm for the number of
        indices of one target; `describes`, whether the index needs the clean images of the unseen
        noises, as the drop does. NaN where there are fewer than 4 models, or one side does not
        vary; no row for an index and a part of the drop that is computed from the same errors.
        """
        return self.frames["correlations"]

    @property
    def notes(self) -> pd.DataFrame:
        """Notes on the runs that are compared.

        Columns: `analysis`, the analyses concerned, with commas; `note`, a sentence.
        """
        return self.frames["notes"]

    def __repr__(self) -> str:
        names = ", ".join(one.index.name for one in among(self.models))
        return f"<{type(self).__name__} of {len(self.models)} models: {names}>"

    def plot_index(
        self, name: str, ax: Axes | None = None, *, target: str = DROP, style: str = "screen"
    ) -> Axes:
        """The PSNR drop against an index, a point for each model.

        Args:
            name: of the index, a column of `models`.
            ax: where to draw; a new figure's by default.
            style: `screen` or `paper`, see `figures`.
            target: `ood_drop`; `unseen`, the PSNR under unseen noise; or `drop_leak` or
                `drop_damage`, parts of the drop.

        Raises:
            BadInput: no such index in the result, no such target, or both of the same numbers.
        """
        known = {one.index.name: one for one in among(self.models)}
        one_of("index", name, known)
        one_of("target", target, targets(self.models))
        if target in known[name].not_with:
            raise BadInput(
                f"index {name!r}: {target} is computed from the same errors; choose another target"
            )
        ax = ax if ax is not None else new_axes()
        single = self.frames.get("compare_by_training")
        figures.draw_index(ax, self.models, self.correlations, known[name].index, target, single)
        ax.set_ylabel(TARGETS[target])
        ax.legend(fontsize=8)
        return ax
