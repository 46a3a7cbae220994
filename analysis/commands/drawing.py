"""How a run's figures and tables are written: formats, style, LaTeX; no number depends on it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from mtd.utils.errors import BadInput

FORMATS = ("png", "pdf", "svg")
STYLES = ("screen", "paper")


@dataclass(frozen=True)
class Drawing:
    """How figures and tables are written.

    Attributes:
        formats: of each figure, some of `FORMATS`.
        style: of the figures, one of `STYLES`; see `analysis.plotting.figure_style`.
        latex: whether tables are written as LaTeX too.
        note: the end of each caption.
    """

    formats: tuple[str, ...] = ("png",)
    style: str = "screen"
    latex: bool = False
    note: str = ""

    @classmethod
    def of(cls, formats: str | Sequence[str], style: str, latex: bool = False) -> Drawing:
        """Checked choices.

        >>> Drawing.of("pdf", "paper")
        Drawing(formats=('pdf',), style='paper', latex=False, note='')

        Raises:
            BadInput: an unknown format or style.
        """
        several = formats.split(",") if isinstance(formats, str) else list(formats)
        for name in several or [""]:
            if name not in FORMATS:
                raise BadInput(f"figures {name!r}: expected some of {', '.join(FORMATS)}")
        if style not in STYLES:
            raise BadInput(f"style {style!r}: expected {' or '.join(STYLES)}")
        return cls(tuple(dict.fromkeys(several)), style, latex)

    @property
    def captions(self) -> bool:
        """Whether a caption is written beside each figure."""
        return self.style != "screen" or self.formats != ("png",)


def add_options(
    group: argparse._ArgumentGroup,
    formats: tuple[str, ...] = ("png",),
    styled: bool = True,
    tables: bool = True,
) -> None:
    """Add the options of a command that writes figures.

    Args:
        group: of the output's options.
        formats: by default.
        styled: whether there is a choice of styles.
        tables: whether there is `--latex`.
    """
    group.add_argument(
        "--figures",
        metavar="FORMATS",
        type=_formats,
        default=formats,
        help="formats of figures, some of png,pdf,svg; with others than png, each gets a caption "
        f"in a .txt beside it (default: {','.join(formats)})",
    )
    if styled:
        group.add_argument(
            "--style",
            choices=STYLES,
            default="screen",
            help="paper: as wide as a column (3.3 in) or the text (6.9 in), 8 pt, without title, "
            "with a caption in a .txt (default: screen)",
        )
    if tables:
        group.add_argument(
            "--latex", action="store_true", help="also write the tables for LaTeX (booktabs)"
        )


def from_arguments(arguments: argparse.Namespace) -> Drawing:
    """The choices of a parsed command line."""
    return Drawing(arguments.figures, arguments.style, getattr(arguments, "latex", False))


def _formats(text: str) -> tuple[str, ...]:
    try:
        return Drawing.of(text, "screen").formats
    except BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from None
