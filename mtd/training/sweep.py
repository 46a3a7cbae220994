"""Sweeps: many training runs from one file, as a grid of settings or as named cells."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtd.training import config as recipes
from mtd.training.config import Recipe
from mtd.utils import input_files, limits
from mtd.utils.errors import BadInput, nearest
from mtd.utils.printable import shortened

SWEEPS = Path(__file__).parent / "sweeps"

KEYS = ("base", "grid", "cell", "baseline")

FOLDER = re.compile(r"\w[\w.,=+-]*")
"""The names that a cell may have."""

LONGEST = 200
"""Bytes of the name of a cell, which is that of a folder."""


@dataclass(frozen=True)
class Cell:
    """One training run of a sweep.

    Attributes:
        name: of the cell and its folder.
        baseline: whether it is the base recipe without masks.
        changes: values by `section.name`.
    """

    name: str
    baseline: bool
    changes: dict[str, Any]

    def recipe(self, base: str, changes: Sequence[str], folders: Sequence[str]) -> Recipe:
        """The cell's recipe, with the changes of the command line on top.

        Args:
            base: file or name of the base recipe.
            changes: `section.name=value` texts.
            folders: of photographs; none for the recipe's.

        Raises:
            BadInput: a recipe that cannot be trained, with the cell's name.
        """
        own = [f"{name}={_toml(value)}" for name, value in self.changes.items()]
        try:
            return recipes.load(base, [*own, *changes], folders=folders, baseline=self.baseline)
        except BadInput as error:
            raise BadInput(f"cell {self.name}: {error}") from None


@dataclass(frozen=True)
class Sweep:
    """The cells of a sweep, and the file or name of their base recipe."""

    base: str
    cells: list[Cell]


def is_sweep(name: str) -> bool:
    """Whether a TOML file, or a bundled one by name, has cells or a grid."""
    try:
        values = input_files.toml(_path(name))
    except BadInput:
        return False
    return "cell" in values or "grid" in values


def load(name: str) -> Sweep:
    """The cells of a sweep file: those of `[[cell]]`, then every combination of `[grid]`.

        base = "paper.toml"
        baseline = false                  # of the grid's cells

        [[cell]]
        name = "baseline"
        baseline = true

        [grid]
        "mask.attention_percent" = [65, 75, 85]

    Raises:
        BadInput: not a sweep, an unknown name, or two cells of one name.

    >>> [cell.name for cell in load("table1.toml").cells]
    ['attention-mask-only', 'input-mask-only', 'both']
    """
    path = _path(name)
    values = input_files.toml(path)
    for key in values:
        if key not in KEYS:
            raise BadInput(f"{name}: no {key!r} in a sweep; {nearest(key, KEYS)}")
    if not isinstance(values.get("base"), str):
        raise BadInput(f'{name}: expected base = "RECIPE.toml"')
    base = values["base"]
    sibling = path.parent / base
    try:
        base = str(sibling) if sibling.is_file() and path.parent != SWEEPS else base
    except OSError as error:  # a name that no file can have
        raise BadInput(f"{name}: base = {shortened(base)!r}: {error.strerror}") from None
    entries, grid = values.get("cell", []), values.get("grid", {})
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadInput(f"{name}: cell: expected tables, each headed by [[cell]]")
    if not isinstance(grid, dict):
        raise BadInput(f"{name}: grid = {grid!r}: expected a table, headed by [grid]")
    flat = _choices(grid, name)
    count = math.prod(map(len, flat.values())) if flat else 0
    limits.CELLS.check(len(entries) + count, name)
    cells = [_cell(entry, name) for entry in entries]
    cells += _grid(flat, _flag(values, name))
    names = Counter(cell.name for cell in cells)
    for one, times in names.items():
        if times > 1:
            raise BadInput(f"{name}: two cells are named {one}")
        if len(one.encode()) > LONGEST:
            raise BadInput(
                f"{name}: a cell would have a folder of {len(one.encode())} bytes, {one[:60]}…; "
                f"expected at most {LONGEST}: give it a name in a [[cell]]"
            )
    if not cells:
        raise BadInput(f"{name}: no cell in it")
    return Sweep(base, cells)


def choose(sweep: Sweep, text: str) -> Cell:
    """The cell of a number from 0, or of a name.

    Raises:
        BadInput: there is none.
    """
    names = [cell.name for cell in sweep.cells]
    if text.isdecimal() and int(text) < len(names):
        return sweep.cells[int(text)]
    if text in names:
        return sweep.cells[names.index(text)]
    raise BadInput(
        f"--cell {text}: expected 0 to {len(names) - 1} or a name; {nearest(text, names)}"
    )


def _cell(entry: Mapping[str, Any], name: str) -> Cell:
    changes = {key: value for key, value in entry.items() if key not in ("name", "baseline")}
    baseline, called = _flag(entry, name), entry.get("name")
    if called is not None and (not isinstance(called, str) or not FOLDER.fullmatch(called)):
        raise BadInput(
            f"{name}: name = {called!r}: expected letters, digits and . _ , = + -, as the name of "
            "a folder"
        )
    return Cell(called or _named(changes, baseline), baseline, _dotted(changes, name))


def _flag(values: Mapping[str, Any], name: str) -> bool:
    baseline = values.get("baseline", False)
    if not isinstance(baseline, bool):
        raise BadInput(f"{name}: baseline = {baseline!r}: expected true or false")
    return baseline


def _choices(grid: Mapping[str, Any], name: str) -> dict[str, list[Any]]:
    """The values of a grid by `section.name`."""
    flat = _dotted(grid, name)
    for key, choices in flat.items():
        if not isinstance(choices, list) or not choices:
            raise BadInput(f"{name}: [grid] {key} = {choices!r}: expected a list of values")
    return flat


def _grid(flat: Mapping[str, list[Any]], baseline: bool) -> list[Cell]:
    cells = []
    for values in itertools.product(*flat.values()) if flat else ():
        changes = dict(zip(flat, values, strict=True))
        cells.append(Cell(_named(changes, baseline), baseline, changes))
    return cells


def _dotted(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Changes by `section.name`, from dotted names or tables."""
    changes = {}
    for key, value in values.items():
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        for rest, part in parts:
            dotted = f"{key}.{rest}" if rest else key
            section = dotted.partition(".")[0]
            if "." not in dotted or section not in recipes.SECTIONS:
                known = recipes.SECTIONS
                raise BadInput(
                    f"{name}: {dotted!r}: expected section.name; {nearest(section, known)}"
                )
            try:
                _toml(part)
            except TypeError:
                raise BadInput(f"{name}: {dotted} = {part}: expected a value of a recipe") from None
            changes[dotted] = part
    return changes


def _named(changes: Mapping[str, Any], baseline: bool) -> str:
    parts = ["baseline"] if baseline else []
    for key, value in changes.items():
        text = "-".join(map(str, value)) if isinstance(value, list) else str(value)
        parts.append(f"{key.rpartition('.')[2]}={text}")
    return re.sub(r"[^\w.,=+-]+", "_", ",".join(parts)) or "cell"


def _toml(value: Any) -> str:
    return json.dumps(value)


def _path(name: str) -> Path:
    return Path(name) if Path(name).exists() else SWEEPS / name
