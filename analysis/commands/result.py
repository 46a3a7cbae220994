"""The results of an analysis: tables, with the figures and sentences that are made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from analysis.commands.drawing import Drawing
from analysis.commands.latex_tables import write_latex
from analysis.commands.network_pass import FIGURES
from analysis.commands.run_folder import TEXT_FILE, RunFolder
from analysis.commands.run_manifest import read_manifest
from analysis.commands.run_tables import read_tables, reading
from analysis.plotting import captions, figure_style
from analysis.plotting.literal_text import literal
from analysis.plotting.styled import styled
from analysis.text.markdown import plain
from analysis.text.terminal import filled
from mtd.utils import folder_files, limits, progress
from mtd.utils.errors import BadInput

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from analysis.commands.analysis import Analysis
    from analysis.commands.job import AnalysisJob
    from analysis.text.answers import Answer

WIDTH = 100
"""Columns of the terminal's text."""


class Result:
    """What an analysis computed.

    Attributes:
        analysis: the record of the analysis.
        frames: its tables as data frames, by file name without ending.
        manifest: everything that decided them: versions, digests, noises, settings.
        name: of its models, for the name of a folder.
        parts: results that were computed for it, by the name of their folder inside its own.
    """

    parts: Mapping[str, Result] = {}

    def __init_subclass__(cls) -> None:
        """Let the methods that draw know styles, and show names as they are."""
        super().__init_subclass__()
        for name, method in list(vars(cls).items()):
            if name.startswith("plot_"):
                setattr(cls, name, styled(method))

    def __init__(
        self,
        analysis: Analysis,
        files: Mapping[str, pd.DataFrame | bytes],
        manifest: Mapping[str, Any],
    ) -> None:
        self.analysis, self.manifest = analysis, dict(manifest)
        self.frames: dict[str, pd.DataFrame] = {
            Path(name).stem: table for name, table in files.items() if not isinstance(table, bytes)
        }
        self._files = dict(files)
        self._place = ""

    @property
    def attachments(self) -> dict[str, bytes]:
        """Files beside the tables, such as pixels, by name."""
        return {name: file for name, file in self._files.items() if isinstance(file, bytes)}

    @classmethod
    def of(cls, job: AnalysisJob, files: Mapping[str, pd.DataFrame | bytes]) -> Self:
        """The result of a job that has run."""
        return cls(job.analysis, files, job.with_batches(job.batches))

    @classmethod
    def read(cls, analysis: Analysis, path: str | Path) -> Self:
        """The result that a run folder holds.

        Raises:
            BadInput: no run folder, or one of an earlier version, whose intervals are about crops.
        """
        frames = read_tables(path, analysis.all_table_names)
        for name, frame in frames.items():
            with reading(path):
                older = over_crops(name, frame)
            if older:
                what = "intervals of an earlier version, which left out crops"
                raise BadInput(f"{path}/{name}.csv: {what}; run the analysis again")
        files = {f"{name}.csv": frame for name, frame in frames.items()}
        own = cls(analysis, {**files, **read_attachments(analysis, path)}, read_manifest(path))
        own._place = str(path)
        return own

    def _reading(self) -> AbstractContextManager[None]:
        """Context in which the tables are used, which may be damaged if they come from a folder."""
        return reading(self._place) if self._place else nullcontext()

    def __repr__(self) -> str:
        tables = ", ".join(f"{name} ({len(frame)})" for name, frame in self.frames.items())
        return f"<{type(self).__name__} of {', '.join(self.manifest.get('models', ()))}: {tables}>"

    def sentences(self) -> list[str]:
        """What follows from the tables, in Markdown."""
        with self._reading():
            return self.analysis.all_sentences(self.frames, self.manifest)

    def answer(self) -> Answer:
        """The answer to the heading of its section."""
        with self._reading():
            return self.analysis.answered(self.frames, self.manifest)

    def text(self) -> str:
        """The tables in short and what follows from them, as the terminal shows it."""
        with self._reading():
            return terminal_text(self.analysis, self.frames, self.manifest)

    def figures(self, style: str = "screen") -> dict[str, Figure]:
        """Every figure that can be drawn from the tables, by file name.

        Args:
            style: `screen`, or `paper` for print: as wide as a column or the text, 8 points,
                without title.

        Raises:
            BadInput: another style.
        """
        with self._reading(), figure_style.using(figure_style.named_style(style)):
            drawn = all_figures(self.analysis, self.frames, self.manifest, self.attachments)
            return {name: figure_style.fitted(figure) for name, figure in drawn.items()}

    def save(
        self,
        path: str | Path,
        *,
        figures: str | Sequence[str] = ("png",),
        style: str = "screen",
        latex: bool = False,
    ) -> Path:
        """Write a run folder: manifest, tables, figures and text; and one inside for each part.

        Args:
            path: a new folder, or one that holds this very run.
            figures: formats, some of `png`, `pdf` and `svg`.
            style: of the figures, `screen` or `paper`.
            latex: write the tables for LaTeX too.

        Returns:
            The folder.

        Raises:
            BadInput: the folder holds another run, or cannot be written; or an unknown format or
                style.
        """
        drawing = Drawing.of(figures, style, latex)
        folder = RunFolder(path, self.analysis.name, self.manifest, drawing=drawing)
        write_tables(folder, self._files)
        finish(folder, self.analysis)
        for name, part in self.parts.items():
            part.save(folder.path / name, figures=figures, style=style, latex=latex)
        return folder.path


def read_attachments(analysis: Analysis, path: str | Path) -> dict[str, bytes]:
    """Those files of an analysis in a run folder that are no tables."""
    return {
        name: folder_files.content(path, name, limits.ATTACHMENT)
        for name in analysis.attachments
        if folder_files.holds(path, name)
    }


def all_figures(
    analysis: Analysis,
    frames: Mapping[str, pd.DataFrame],
    manifest: Mapping[str, Any],
    attachments: Mapping[str, bytes],
) -> dict[str, Figure]:
    """Every figure of an analysis, by file name without ending."""
    pictures = analysis.pictures(frames, manifest, attachments)
    drawn = {**analysis.figures(frames, manifest), **pictures}
    return {name: literal(figure) for name, figure in drawn.items()}


def terminal_text(
    analysis: Analysis, frames: Mapping[str, pd.DataFrame], manifest: Mapping[str, Any]
) -> str:
    """The tables of an analysis in short, and the sentences about them, as plain text."""
    parts = []
    if analysis.terminal_table is not None:
        parts.append(analysis.terminal_table(frames, manifest))
    sentences = [plain(sentence) for sentence in analysis.all_sentences(frames, manifest)]
    parts.append("\n".join(filled(text, WIDTH) for text in sentences))
    return "\n\n".join(part for part in parts if part)


def over_crops(name: str, frame: pd.DataFrame) -> bool:
    """Whether a table is of an earlier version, which left out crops for its intervals."""
    units = [frame[column] for column in ("unit", "draw") if column in frame]
    if any(column.isin(["crop", "scene"]).any() for column in units):
        return True
    needed = {"srga": "photographs", "last_quarter": "photographs", "attribution": "scene"}
    newer = needed.get(name)
    return newer is not None and newer not in frame


def write_tables(folder: RunFolder, files: Mapping[str, pd.DataFrame | bytes]) -> None:
    """Write tables as CSV, and anything else as it is."""
    for name, content in files.items():
        folder.write(name, content)


def finish(folder: RunFolder, analysis: Analysis) -> str:
    """Draw the figures and write the text of a folder whose tables are written; the text."""
    frames = read_tables(folder.path, analysis.all_table_names)
    manifest = read_manifest(folder.path)
    attachments = read_attachments(analysis, folder.path)
    progress.step(FIGURES)
    with figure_style.using(figure_style.named_style(folder.drawing.style)):
        figures = all_figures(analysis, frames, manifest, attachments)
        for name, figure in progress.track(figures.items(), len(figures), FIGURES, "figures"):
            if folder.drawing.captions:
                about = captions.caption(figure, manifest, folder.command, folder.drawing.note)
                folder.write(f"{name}.txt", f"{about}\n".encode())
            for kind in folder.drawing.formats:
                folder.figure(f"{name}.{kind}", figure)
    if folder.drawing.latex:
        write_latex(folder, frames, analysis.title)
    text = terminal_text(analysis, frames, manifest)
    folder.write(TEXT_FILE, f"{text}\n".encode())
    folder.finish()
    return text
