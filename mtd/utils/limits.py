"""Limits on what is read from files, and the environment variables that raise them.

They are checked before anything is decoded, so that a small file cannot use up the machine.
`docs/limits.md` lists them.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from mtd.utils.errors import BadInput


class AboveLimit(BadInput):
    """More of something than a limit, which an environment variable raises."""


@dataclass(frozen=True)
class Limit:
    """The most of something that is read.

    Attributes:
        variable: the environment variable that replaces the default.
        default: the limit where the variable is not set.
        unit: of the limit, in the plural.
    """

    variable: str
    default: float
    unit: str

    @property
    def value(self) -> float:
        """The limit in this process.

        Raises:
            BadInput: the environment variable is no number above 0.
        """
        text = os.environ.get(self.variable, "")
        try:
            value = float(text or self.default)
        except ValueError:
            value = math.nan
        if not value > 0:
            raise BadInput(
                f"the environment variable {self.variable} is {text!r}: expected {self.unit}, "
                f"such as {self.default:g}"
            )
        return value

    def check(self, amount: float, what: str) -> None:
        """Check an amount before it is read or allocated.

        Args:
            amount: in units of the limit.
            what: has this amount, the beginning of the message.

        Raises:
            AboveLimit: the amount is above the limit.

        >>> Limit("MTD_MAX_MEGAPIXELS", 180, "megapixels").check(200, "20000 x 10000")
        Traceback (most recent call last):
        mtd.utils.limits.AboveLimit: 20000 x 10000, 200 megapixels; the limit is 180: set the \
environment variable MTD_MAX_MEGAPIXELS to raise it
        """
        limit = self.value
        if not amount <= limit:
            short = f"{amount:.7g}"
            shown = f"{amount:.17g}" if float(short) <= limit else short
            raise self.refusal(f"{what}, {shown} {self.unit}")

    def refusal(self, found: str) -> AboveLimit:
        """The error of an amount above the limit.

        Args:
            found: what has the amount, and the amount.
        """
        return AboveLimit(
            f"{found}; the limit is {self.value:.15g}: set the environment variable "
            f"{self.variable} to raise it"
        )


MEGAPIXELS = Limit("MTD_MAX_MEGAPIXELS", 180, "megapixels")
"""Height times width of an image."""

PAGES = Limit("MTD_MAX_PAGES", 10_000, "pages or frames")
"""Pages or frames of an image file."""

PARTS = Limit("MTD_MAX_IMAGE_PARTS", 100_000, "chunks or segments")
"""Chunks of a PNG file, other than pixels; segments of a JPEG file; blocks of a GIF file."""

DECODED_MEGAPIXELS = Limit("MTD_MAX_DECODED_MEGAPIXELS", 5_000, "megapixels to decode")
"""Height times width, times the scans of a JPEG file or the frames up to the chosen one."""

DECODED_GIB = Limit("MTD_MAX_DECODED_GIB", 4, "GiB once decoded")
"""Memory for all channels of an OpenEXR file, or the variable of a MATLAB file."""

MAT_VARIABLES = Limit("MTD_MAX_MAT_VARIABLES", 10_000, "variables")
"""Variables of a MATLAB file."""

MAT_BLOCKS = Limit("MTD_MAX_MAT_BLOCKS", 100_000, "blocks")
"""Images in a variable of a MATLAB file."""

ARCHIVE_MEMBERS = Limit("MTD_MAX_ARCHIVE_MEMBERS", 500_000, "members")
"""Files and folders in an archive of photographs or of a test set."""

UNPACKED_GB = Limit("MTD_MAX_UNPACKED_GB", 50, "GB once unpacked")
"""Size of all files in the archive of a test set."""

UNPACKED_RATIO = Limit("MTD_MAX_UNPACKED_RATIO", 100, "times its size once unpacked")
"""Size of all files in the archive of a test set, beyond 100 MB, by that of the archive."""

JSON = Limit("MTD_MAX_JSON_MB", 32, "MB")
"""Size of a JSON file."""

TOML = Limit("MTD_MAX_TOML_MB", 1, "MB")
"""Size of a TOML file."""

CHECKPOINT = Limit("MTD_MAX_CHECKPOINT_MB", 8000, "MB")
"""Size of a checkpoint, and of the state of a training."""

CHECKPOINT_RATIO = Limit(
    "MTD_MAX_CHECKPOINT_RATIO", 4, "bytes or steps for each byte of the file (or of 1 MiB)"
)
"""What a checkpoint unpacks to and the steps to read its pickles, by its size, or by 1 MiB if that
is more; likewise all its tensors together."""

PICKLE = Limit("MTD_MAX_PICKLE_MB", 16, "MB")
"""Size of the pickled contents of a checkpoint, without the numbers of its tensors."""

MEMBERS = Limit("MTD_MAX_MEMBERS", 100_000, "members")
"""Members of a zip archive that is a checkpoint."""

TENSORS = Limit("MTD_MAX_TENSORS", 20_000, "tensors")
"""Tensors in a checkpoint."""

TABLE = Limit("MTD_MAX_TABLE_MB", 1000, "MB")
"""Size of a table of a run, unpacked."""

PARAMETERS = Limit("MTD_MAX_MILLION_PARAMETERS", 1000, "million parameters")
"""Weights of a network that a recipe or a checkpoint describes."""

LAYERS = Limit("MTD_MAX_LAYERS", 2000, "layers or blocks")
"""Layers, or blocks of them, of such a network."""

WINDOW = Limit("MTD_MAX_WINDOW", 32, "pixels")
"""Side of an attention window; the memory for attention grows with its fourth power."""

BATCH = Limit("MTD_MAX_BATCH_MEGAPIXELS", 200, "megapixels")
"""Pixels of the crops of a training step, or of a validation, that are in memory at once."""

CELLS = Limit("MTD_MAX_CELLS", 1000, "cells")
"""Trainings of a sweep."""

LOG = Limit("MTD_MAX_LOG_MB", 256, "MB")
"""Size of a log of training as text or table."""

LINE = Limit("MTD_MAX_LINE", 1_000_000, "characters")
"""Length of a line of a log."""

LOG_FILES = Limit("MTD_MAX_LOG_FILES", 1000, "files")
"""Log files of one training."""

LOGGED = Limit("MTD_MAX_LOGGED_VALUES", 2_000_000, "values")
"""Losses, learning rates and PSNRs that one training has logged."""

CURVES = Limit("MTD_MAX_CURVES", 10_000, "curves")
"""Losses and test sets that one training has logged."""

TESTS = Limit("MTD_MAX_TESTS", 20_000_000, "steps times test sets")
"""Steps times test sets of one training, the cells of a table."""

RESTARTS = Limit("MTD_MAX_RESTARTS", 1000, "restarts")
"""How often one training was resumed."""

EVENT = Limit("MTD_MAX_EVENT_MB", 4, "MB")
"""Size of a record of TensorBoard events; larger ones, which hold pictures, are skipped."""

COLUMNS = Limit("MTD_MAX_TABLE_COLUMNS", 10_000, "columns")
"""Columns of a table of a run."""

ATTACHMENT = Limit("MTD_MAX_ATTACHMENT_MB", 1000, "MB")
"""Size of a file of a run that is no table, such as maps of pixels."""

PAGE = Limit("MTD_MAX_PAGE_MB", 64, "MB")
"""Size of a page of a report."""

UNPACKED = Limit("MTD_MAX_PAGE_UNPACKED_MB", 500, "MB")
"""Size of all files that are embedded in a page, unpacked."""

NOISES = Limit("MTD_MAX_NOISES", 1000, "noises or test sets")
"""Noises or test sets of a suite."""

JSON_LINES = Limit("MTD_MAX_JSON_LINES_MB", 256, "MB")
"""Size of the values of single images beside a card."""
