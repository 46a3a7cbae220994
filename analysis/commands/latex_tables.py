"""Tables of a run as LaTeX: `booktabs` rules, intervals beside their values, sensible digits.

Tables of more than `MOST_ROWS` rows are data rather than tables of a paper, and are left out. So
are columns that say the same in every row, hold digests or have no value, and those that do not fit
the width of a page. What was left out stands in comments, in each file and in `tables.tex`, which
reads the others. Nothing is set in bold: what is best is for the tests of a run to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.text.noise_names import noise_label
from mtd.utils.messages import plural

if TYPE_CHECKING:
    from analysis.commands.run_folder import RunFolder

MOST_ROWS = 40
"""Rows of a table that fits a page."""

WIDEST = 110
"""Characters of a row that fits a page in the size of footnotes; three are between columns."""

INDEX = "tables.tex"
"""The file that reads all tables."""

SIGNS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    "−": r"$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "√": r"$\surd$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "²": r"$^2$",
    "…": r"\ldots{}",
    "°": r"$^\circ$",
    "·": r"$\cdot$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "σ": r"$\sigma$",
    "λ": r"$\lambda$",
    "μ": r"$\mu$",
    "µ": r"$\mu$",
    "ρ": r"$\rho$",
    "γ": r"$\gamma$",
    "δ": r"$\delta$",
    "Δ": r"$\Delta$",
    "’": "'",
    "‘": "`",
    "“": "``",
    "”": "''",
    "‑": "-",
    "\u2009": r"\,",
    "\u202f": r"\,",
}
"""What characters become; others beyond Latin-1 are replaced by their code."""

UNNEEDED = re.compile(r"(^|_)(sha256|checkpoint|reason|note|kind|level)$|_band_|^band_")
"""Columns that no table of a paper has: digests, remarks, simultaneous bands, parts of a noise."""

NOISE = re.compile(r"^(worst_)?noise(_[ab]|_sender|_receiver)?$")
"""Columns of noises, which are named as figures name them."""


def escaped(text: str) -> str:
    r"""A text as LaTeX shows it.

    >>> print(escaped("a_b & 50% of σ"))
    a\_b \& 50\% of $\sigma$
    """
    return "".join(SIGNS.get(sign, sign if ord(sign) < 256 else _code(sign)) for sign in text)


def _code(sign: str) -> str:
    return f"U+{ord(sign):04X}"


def digits(values: pd.Series) -> int:
    """Digits after the point that give the largest value four of them in all, three at most.

    >>> digits(pd.Series([34.7038, 2.1])), digits(pd.Series([0.98])), digits(pd.Series([1234.5]))
    (2, 3, 0)
    """
    known = [abs(v) for v in values.astype(float) if math.isfinite(v)]
    largest = max(known, default=0.0)
    if all(v == round(v) for v in known):
        return 0
    return min(3, max(0, 3 - math.floor(math.log10(largest)))) if largest else 0


def interval_of(name: str, frame: pd.DataFrame) -> tuple[str, str] | None:
    """The columns of the ends of a value's interval; see `main_value` for `low` and `high`."""
    if f"{name}_low" in frame and f"{name}_high" in frame:
        return f"{name}_low", f"{name}_high"
    return ("low", "high") if name == main_value(frame) else None


def main_value(frame: pd.DataFrame) -> str:
    """The column that `low` and `high` are the interval of: the last measured one before them.

    >>> main_value(pd.DataFrame({"variance": [0.9], "ch": [0.1], "crops": [4], "low": [0.0]}))
    'ch'
    """
    names = list(map(str, frame))
    before = names[: names.index("low")] if "low" in names else []
    measured = [name for name in before if pd.api.types.is_float_dtype(frame[name])]
    return next((name for name in reversed(measured) if not UNNEEDED.search(name)), "")


def number(value: Any, places: int) -> str:
    """A number in LaTeX; a dash where there is none.

    >>> number(-1.256, 2), number(float("nan"), 2), number(-0.001, 2)
    ('$-$1.26', '--', '0.00')
    """
    value = float(value)
    if not math.isfinite(value):
        return "--"
    text = f"{value:.{places}f}"
    text = text.lstrip("-") if not float(text) else text
    return text.replace("-", "$-$")


def columns(frame: pd.DataFrame) -> dict[str, list[str]]:
    """The cells of a table by column, with intervals beside their values."""
    ends = {n for n in frame if str(n).endswith(("_low", "_high")) or n in ("low", "high")}
    cells: dict[str, list[str]] = {}
    for name in map(str, frame):
        column = frame[name]
        if name in ends or UNNEEDED.search(name) or column.isna().all():
            continue
        if len(frame) > 1 and column.nunique(dropna=False) == 1:
            continue
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            named: Callable[[object], str] = noise_label if NOISE.match(name) else str
            cells[name] = ["--" if pd.isna(v) else escaped(named(v)) for v in column]
            continue
        between = interval_of(name, frame)
        places = digits(column)
        cells[name] = [number(value, places) for value in column]
        if between and frame[between[0]].notna().any():
            pairs = zip(cells[name], frame[between[0]], frame[between[1]], strict=True)
            cells[name] = [
                f"{text} [{number(low, places)}, {number(high, places)}]"
                if math.isfinite(low) and math.isfinite(high)
                else text
                for text, low, high in pairs
            ]
    return cells


def fitting(cells: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The first columns that together fit the width of a page."""
    shown: dict[str, list[str]] = {}
    room = WIDEST
    for name, column in cells.items():
        room -= 3 + max(len(re.sub(r"[\\${}]", "", text)) for text in (name, *column))
        if room < 0 and shown:
            break
        shown[name] = column
    return shown


def table(name: str, frame: pd.DataFrame, about: str = "") -> str:
    """A table as a `table` environment, which needs the package `booktabs`.

    Args:
        name: of its file, for the label.
        frame: what it holds.
        about: the caption.
    """
    cells = columns(frame)
    shown = fitting(cells)
    left = [str(column) for column in frame if column not in shown and not _is_end(column, shown)]
    numeric = [name for name in shown if pd.api.types.is_numeric_dtype(frame[name])]
    kinds = "".join("r" if name in numeric else "l" for name in shown)
    head = " & ".join(escaped(column.replace("_", " ")) for column in shown)
    lines = [
        f"% needs \\usepackage{{booktabs}}; the numbers are those of {name}.csv",
        *([f"% left out: {escaped(', '.join(left))}"] if left else []),
        r"\begin{table*}",
        r"  \centering\footnotesize",
        f"  \\caption{{{escaped(about)}}}",
        f"  \\label{{tab:{re.sub(r'[^A-Za-z0-9]+', '-', name)}}}",
        f"  \\begin{{tabular}}{{{kinds}}}",
        r"    \toprule",
        f"    {head} \\\\",
        r"    \midrule",
        *(f"    {' & '.join(row)} \\\\" for row in zip(*shown.values(), strict=True)),
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _is_end(column: Any, shown: Mapping[str, Any]) -> bool:
    """Whether a column is an end of the interval of a column that is shown."""
    stem = str(column).removesuffix("_low").removesuffix("_high")
    return stem in shown or column in ("low", "high")


def write_latex(folder: RunFolder, frames: Mapping[str, pd.DataFrame], title: str) -> None:
    """Write those tables of a run that fit a page as LaTeX, and the file that reads them.

    Args:
        folder: of the run.
        frames: its tables, by name.
        title: what the run is about, for captions.
    """
    lines = ["% \\usepackage{booktabs} in the preamble, then \\input{tables}"]
    for name, frame in frames.items():
        if not 0 < len(frame) <= MOST_ROWS or not columns(frame):
            rows = f"{plural(len(frame), 'row')}, of at most {MOST_ROWS}"
            lines.append(f"% left out: {name}.csv ({rows})")
            continue
        about = f"{title}: {name.replace('_', ' ')}"
        if any(_is_end(column, {}) for column in frame):
            about += ", with 95% intervals"
        folder.write(f"{name}.tex", table(name, frame, f"{about}.").encode())
        lines.append(f"\\input{{{name}}}")
    folder.write(INDEX, ("\n".join(lines) + "\n").encode())
