"""Path tracing with Mitsuba 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    from mtd.data.exr_io import Linear


SCENES = ("cornell_box", "rough_metals")


VARIANT = "scalar_rgb"  # runs everywhere: the faster variants need an LLVM or CUDA that fits


PASS = 64
"""Samples per pixel between two steps of the bar; each pass has random numbers of its own."""


def renderer() -> Any:
    """Mitsuba, set to its `scalar_rgb` variant.

    Raises:
        BadInput: it is not installed.
    """
    try:
        mitsuba: Any = import_module("mitsuba")
    except ImportError:
        raise BadInput(
            "rendering needs Mitsuba 3: pip install 'masked-training-denoisers[render]'"
        ) from None
    mitsuba.set_variant(VARIANT)
    return mitsuba


def load(name: str, size: int, view: int = 0) -> Any:
    """A scene as Mitsuba takes it, seen by a square camera.

    Args:
        name: one of `SCENES`.
        size: side of the image in pixels.
        view: which camera; 0 looks straight ahead.

    Raises:
        BadInput: no such scene, or no Mitsuba.
    """
    from mtd.rendering import scenes

    if name not in SCENES:
        raise BadInput(f"scene {name!r}: {nearest(name, SCENES)}")
    mitsuba = renderer()
    content = scenes.build(mitsuba, name, size, view)
    # Merged shapes, and with them the lamps, would come in an order that varies from load to load.
    return mitsuba.load_dict(content, optimize=False)


def render(
    scene: Any,
    samples: int,
    key: Sequence[str | int],
    step: Callable[[int], object] = int,
) -> Linear:
    """Render a scene in passes: their mean, weighted by samples, in float64.

    Args:
        scene: what `load` gives.
        samples: per pixel.
        key: what the random numbers are for; see `mtd.utils.seeds`.
        step: is called with the samples of each pass that is done (default: nothing is done).

    Returns:
        Linear colour, float32 (size, size, 3). The same key gives the same pixels.
    """
    import numpy as np

    from mtd.utils import seeds

    mitsuba = renderer()
    total, done = np.zeros(()), 0
    while done < samples:
        count = min(PASS, samples - done)
        seed = seeds.derive("render", *key, done) & 0xFFFFFFFF
        picture = np.asarray(mitsuba.render(scene, spp=count, seed=seed), dtype=np.float64)
        total, done = total + count * picture, done + count
        step(count)
    return np.asarray(total / samples, dtype=np.float32)
