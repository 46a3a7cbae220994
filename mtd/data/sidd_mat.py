"""Image blocks in MATLAB files, as in the SIDD validation set."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.utils.errors import BadInput

SUFFIX = ".mat"
NOISY, CLEAN = "ValidationNoisyBlocksSrgb", "ValidationGtBlocksSrgb"
"""The variables of SIDD's validation files."""

SHAPES = "(blocks, H, W, 3) or (scenes, blocks, H, W, 3)"


def photographs(path: str | Path, variable: str) -> list[Photograph]:
    """The blocks of a MATLAB file, named `scene 01 block 01` or `block 01`.

    Blocks of one scene share its name. The file is read once, with the pixels of its first block.

    Args:
        path: a MATLAB file up to version 7, with 8-bit RGB of shape (blocks, H, W, 3) or
            (scenes, blocks, H, W, 3).
        variable: to read; a file without it must hold a single variable.

    Raises:
        BadInput: a missing or damaged file, other variables, or another type or shape.
    """
    name, shape = _describe(Path(path), variable)

    @lru_cache(maxsize=1)
    def array() -> Pixels:
        from scipy.io import loadmat

        try:
            return np.asarray(loadmat(path, variable_names=[name])[name], dtype=np.uint8)
        except Exception as error:  # a damaged file makes scipy raise almost anything
            raise BadInput(f"{path}: damaged MATLAB file ({error})") from None

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


def _describe(path: Path, variable: str) -> tuple[str, tuple[int, ...]]:
    """The variable to read, and its shape."""
    variables = _variables(path)
    other = {NOISY: CLEAN, CLEAN: NOISY}.get(variable)
    if variable not in variables and other in variables:
        raise BadInput(f"{path}: has {other}, expected {variable}; give the noisy file first")
    if variable not in variables and len(variables) != 1:
        named = ", ".join(variables) or "none"
        raise BadInput(f"{path}: variables {named}; expected {variable}, or a single one")
    name = variable if variable in variables else next(iter(variables))
    shape, kind = variables[name]
    if kind != "uint8" or len(shape) not in (4, 5) or shape[-1] != 3 or 0 in shape:
        size = " x ".join(map(str, shape))
        raise BadInput(f"{path}: {name} is {kind}, {size}; expected uint8 {SHAPES}")
    return name, shape


def _variables(path: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of each variable of a MATLAB file."""
    from scipy.io import whosmat

    if not path.is_file():
        raise BadInput(f"{path}: no such file")
    try:
        listed: list[Any] = whosmat(path)
    except NotImplementedError:
        raise BadInput(f"{path}: MATLAB 7.3 file; save it in version 7 (save -v7)") from None
    except Exception as error:  # a damaged file makes scipy raise almost anything
        raise BadInput(f"{path}: not a MATLAB file that can be read ({error})") from None
    return {name: (tuple(shape), kind) for name, shape, kind in listed}
