"""Image blocks in MATLAB files, as in the SIDD validation set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import prod
from pathlib import Path

from mtd.data import mat_file
from mtd.data.image_io import Pixels
from mtd.data.mat_file import Variable
from mtd.data.photographs import Photograph
from mtd.utils import limits
from mtd.utils.errors import BadInput
from mtd.utils.printable import shortened

SUFFIX = ".mat"
NOISY, CLEAN = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb"
"""The variables of SIDD's validation files."""

SHAPES = "(blocks, H, W, 3) or (scenes, blocks, H, W, 3)"


def photographs(path: str | Path, variable: str) -> list[Photograph]:
    """The blocks of a MATLAB file, named `scene 01 block 01` or `block 01`.

    Blocks of one scene share its name. The file is read once, with the pixels of its first block,
    without SciPy; see `mtd.data.mat_file`.

    Args:
        path: a MATLAB file up to version 7, with 8-bit RGB of shape (blocks, H, W, 3) or
            (scenes, blocks, H, W, 3).
        variable: to read; a file without it must hold a single variable.

    Raises:
        BadInput: a missing or damaged file, other variables, or another type or shape.
    """
    found = _describe(Path(path), variable)
    shape = found.shape

    @lru_cache(maxsize=1)
    def array() -> Pixels:
        return mat_file.pixels(Path(path), found)

    def block(place: tuple[int, ...]) -> Photograph:
        digits = [max(2, len(str(count))) for count in shape[:-3]]
        words = ("scene", "block")[-len(place) :]
        numbers = [f"{i + 1:0{n}d}" for i, n in zip(place, digits, strict=True)]
        title = " ".join(f"{word} {number}" for word, number in zip(words, numbers, strict=True))
        scene = title.partition(" block")[0] if len(place) > 1 else ""
        return Photograph(title, shape[-3], shape[-2], lambda: array()[place], scene)

    return [block(place) for place in _places(shape[:-3])]


def _places(counts: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*(range(count) for count in counts))


def _describe(path: Path, variable: str) -> Variable:
    """The variable to read."""
    variables = mat_file.variables(path)
    other = {NOISY: CLEAN, CLEAN: NOISY}.get(variable)
    if variable not in variables and other in variables:
        raise BadInput(f"{path}: has {other}, expected {variable}; give the noisy file first")
    if variable not in variables and len(variables) != 1:
        named = ", ".join(map(shortened, variables)) or "none"
        raise BadInput(f"{path}: variables {named}; expected {variable}, or a single one")
    name = variable if variable in variables else next(iter(variables))
    shape, kind = variables[name].shape, variables[name].kind
    if kind != "uint8" or len(shape) not in (4, 5) or shape[-1] != 3 or 0 in shape:
        size = " x ".join(map(str, shape))
        raise BadInput(f"{path}: {shortened(name)} is {kind}, {size}; expected uint8 {SHAPES}")
    what = f"{path}: {shortened(name)}"
    limits.DECODED_GIB.check(prod(shape) / 2**30, what)
    limits.MAT_BLOCKS.check(prod(shape[:-3]), what)
    return variables[name]
