"""The logs of a training run: CSV files, and TensorBoard events."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mtd.utils import atomic_write, csv_cells, input_files, limits
from mtd.utils.errors import Unwritable

LOG, VALIDATION, SLICES, EVENTS = "log.csv", "validation.csv", "slices.csv", "events"
SIGMAS = "matched_noises.csv"
COLUMNS = ("step", "loss", "learning_rate", "images_per_second")
VALIDATED = ("step", "noise", "psnr")
DIGITS = 16
"""Of a step, at most."""


class Table:
    """A CSV file to which rows are appended; a resumed run drops the rows after its step.

    Args:
        path: of the file.
        columns: of its header.
        step: the column of the step.

    Attributes:
        text: of the file, as far as it was read or written here.
    """

    def __init__(self, path: Path, columns: Sequence[str], step: str = "step") -> None:
        self.path, self.columns, self.step = path, columns, step
        self.text = io.StringIO()

    def start(self, step: int, text: str | None = None) -> None:
        """Keep the rows up to `step` and write the header.

        Args:
            step: 0, or that of a resumed run.
            text: of the file when the state was saved; by default it is read.

        Raises:
            BadInput: the file cannot be read or written.
        """
        rows: list[dict[str, str]] = []
        if step and text is None and self.path.exists():
            text = input_files.content(self.path, limits.TABLE).decode("utf-8", "replace")
        if step and text:
            read = csv.DictReader(io.StringIO(text, newline=""))
            with suppress(csv.Error):  # a field of more than 128 KB
                rows = [row for row in read if self._whole(row, step)]
        self.text = io.StringIO()
        writer = csv.DictWriter(self.text, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        atomic_write.write(self.path, self.text.getvalue())

    def _whole(self, row: Mapping[str, str], step: int) -> bool:
        """Whether a row is complete, unlike the last one of a killed run, and not after `step`."""
        complete = set(row) == set(self.columns) and all(row.values())
        at = row[self.step] if complete else ""
        return at.isdecimal() and len(at) <= DIGITS and int(at) <= step

    def add(self, *rows: Mapping[str, Any]) -> None:
        """Append rows.

        Raises:
            Unwritable: the file cannot be written.
        """
        cells = [
            {k: csv_cells.quoted(v) if isinstance(v, str) else v for k, v in row.items()}
            for row in rows
        ]
        added = io.StringIO()
        csv.DictWriter(added, self.columns, lineterminator="\n").writerows(cells)
        self.text.write(added.getvalue())
        with _writing(self.path), self.path.open("a", newline="", encoding="utf-8") as file:
            file.write(added.getvalue())


class Log:
    """The tables of a run, and the same numbers as TensorBoard events.

    The first row of `log.csv` after resuming averages the loss since then; all others are as in an
    uninterrupted run.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.losses = Table(folder / LOG, COLUMNS)
        self.validation = Table(folder / VALIDATION, VALIDATED)
        self.slices = Table(folder / SLICES, (), step="step_to")
        self.tables: list[Table] = []
        self.events: Any = None

    def texts(self) -> dict[str, str]:
        """What the tables hold, by file name."""
        return {table.path.name: table.text.getvalue() for table in self.tables}

    def start(
        self,
        step: int,
        validates: bool = False,
        slices: Sequence[str] = (),
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """Open the logs at a step.

        Args:
            step: 0, or that of a resumed run.
            validates: whether there is a validation.
            slices: the columns of `slices.csv`; none for no such table.
            texts: of the tables by file name when the state was saved, whose digest vouches for
                them; a state of an earlier version has none, and the files are read.
        """
        texts, self.slices.columns = texts or {}, slices
        self.tables = [self.losses]
        self.tables += [self.validation] if validates else []
        self.tables += [self.slices] if slices else []
        for table in self.tables:
            table.start(step, texts.get(table.path.name))
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            return
        after = step + 1 if step else None  # the step itself is not repeated
        self.events = SummaryWriter(str(self.folder / EVENTS), purge_step=after)

    def loss(self, step: int, loss: float, learning_rate: float, speed: float) -> None:
        """Add a row to `log.csv`; `speed` is in images per second."""
        self.losses.add(
            {
                "step": step,
                "loss": f"{loss:.6g}",
                "learning_rate": f"{learning_rate:.6g}",
                "images_per_second": f"{speed:.4g}",
            }
        )
        self._scalars(step, {"loss": loss, "learning_rate": learning_rate, "images/s": speed})

    def validated(self, step: int, values: Mapping[str, float]) -> None:
        """Add rows to `validation.csv`: mean PSNR in dB by noise."""
        self.validation.add(
            *({"step": step, "noise": n, "psnr": f"{v:.6g}"} for n, v in values.items())
        )
        self._scalars(step, {f"validation/{n}/psnr": v for n, v in values.items()})

    def _scalars(self, step: int, values: Mapping[str, float]) -> None:
        if self.events is not None:
            with _writing(self.folder / EVENTS):
                for name, value in values.items():
                    self.events.add_scalar(name, value, step)
                self.events.flush()

    def record_sigmas(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write σ of noises of matched strength, if there are any, see `Validator.sigmas`."""
        if rows:
            table = Table(self.folder / SIGMAS, list(rows[0]))
            table.start(0)
            table.add(*rows)

    def close(self) -> None:
        """Close the event file."""
        if self.events is not None:
            with suppress(OSError):  # it was said before that it cannot be written
                self.events.close()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(f"{path}: cannot be written ({error.strerror or error})") from None
