"""Path tracing with Mitsuba 3."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mtd.utils.errors import BadInput, one_of

if TYPE_CHECKING:
    from mtd.data.exr_io import Linear


SCENES = ("cornell_box", "rough_metals")


VARIANT = "scalar_rgb"  # runs everywhere; faster variants need a matching LLVM or CUDA


PASS = 64
"""Samples per pixel of a pass, between two steps of the progress bar; each has its own seed."""


def renderer() -> Any:
    """Mitsuba 3 in its variant `scalar_rgb`.

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
    """A scene with a square camera, as a Mitsuba object.

    Args:
        name: one of `SCENES`.
        size: side of the image in pixels.
        view: index of the camera; 0 looks straight ahead.

    Raises:
        BadInput: an unknown scene, or Mitsuba is not installed.
    """
    from mtd.rendering import scenes

    one_of("scene", name, SCENES)
    mitsuba = renderer()
    content = scenes.build(mitsuba, name, size, view)
    # The order of merged shapes, and so of the lights, would vary from load to load.
    return mitsuba.load_dict(content, optimize=False)


def render(
    scene: Any,
    samples: int,
    key: Sequence[str | int],
    step: Callable[[int], object] = int,
) -> Linear:
    """Render a scene: the mean of passes, weighted by samples, in float64.

    Args:
        scene: as `load` returns it.
        samples: per pixel.
        key: of the random numbers; see `mtd.utils.seeds`.
        step: called with the samples of each finished pass.

    Returns:
        Linear RGB, float32 (size, size, 3). The same key gives the same pixels.
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
