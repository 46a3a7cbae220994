"""Scenes as Mitsuba dictionaries: rough metals, textures, area lights.

Lengths are in scene units; colors and radiances are linear RGB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Scene = dict[str, Any]
Point = Sequence[float]

MAX_DEPTH = 8
"""Largest length of a light path: bounces plus one."""

WHITE, RED, GREEN = (0.73, 0.73, 0.73), (0.63, 0.06, 0.05), (0.14, 0.45, 0.09)


def build(mitsuba: Any, name: str, size: int, view: int) -> Scene:
    """A scene with integrator and camera.

    The reconstruction filter is a box, so that the noise of pixels is independent; the block size
    is fixed, so that the noise does not depend on the number of processors.
    """
    maker = {"cornell_box": cornell_box, "rough_metals": rough_metals}[name]
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": MAX_DEPTH, "block_size": 16},
        **maker(mitsuba, size, view),
    }


def sway(view: int) -> tuple[float, float]:
    """Offset of camera `view` from the first one, horizontal and vertical, each in [-1, 1].

    That of view 0 is (0, 0); the others are a low-discrepancy sequence in the square.

    >>> sway(0)
    (0.0, 0.0)
    """
    fractions = ((view * step + 0.5) % 1 for step in (0.7548776662466927, 0.5698402909980532))
    across, up = (2 * fraction - 1 for fraction in fractions)
    return across, up


def cornell_box(mitsuba: Any, size: int, view: int) -> Scene:
    """The Cornell box: diffuse walls and blocks, a small light, strong indirect illumination."""
    across, up = sway(view)
    turn, white = mitsuba.ScalarTransform4f, diffuse(WHITE)
    return {
        "sensor": camera(mitsuba, size, (0.45 * across, 0.35 * up, 3.9), (0, 0, 0), 35),
        "floor": wall(mitsuba, (0, -1, 0), (0, 1, 0), (1, 1), white),
        "ceiling": wall(mitsuba, (0, 1, 0), (0, -1, 0), (1, 1), white),
        "back": wall(mitsuba, (0, 0, -1), (0, 0, 1), (1, 1), white),
        "left": wall(mitsuba, (-1, 0, 0), (1, 0, 0), (1, 1), diffuse(RED)),
        "right": wall(mitsuba, (1, 0, 0), (-1, 0, 0), (1, 1), diffuse(GREEN)),
        "light": lamp(mitsuba, (0, 0.99, 0), (0, -1, 0), (0.25, 0.2), (27, 21, 12)),
        "tall": {
            "type": "cube",
            "to_world": turn()
            .translate([-0.35, -0.4, -0.3])
            .rotate([0, 1, 0], 18)
            .scale([0.3, 0.6, 0.3]),
            "bsdf": white,
        },
        "low": {
            "type": "cube",
            "to_world": turn().translate([0.35, -0.7, 0.35]).rotate([0, 1, 0], -17).scale(0.3),
            "bsdf": white,
        },
    }


def rough_metals(mitsuba: Any, size: int, view: int) -> Scene:
    """Spheres and a block of gold, copper and aluminum on a checkerboard floor, a textured wall."""
    across, up = sway(view)
    turn = mitsuba.ScalarTransform4f
    board: Scene = {
        "type": "checkerboard",
        "color0": {"type": "rgb", "value": [0.1, 0.12, 0.16]},
        "color1": {"type": "rgb", "value": [0.7, 0.68, 0.62]},
        "to_uv": turn().scale([14, 14, 1]),
    }
    pattern = mitsuba.Bitmap(rings(256))
    picture: Scene = {"type": "bitmap", "bitmap": pattern, "to_uv": turn().scale([3, 3, 1])}
    block: Scene = {
        "type": "cube",
        "to_world": turn().translate([1.5, 0.45, -1.4]).rotate([0, 1, 0], 30).scale(0.45),
        "bsdf": metal("Al", 0.15),
    }
    return {
        "sensor": camera(mitsuba, size, (2.5 * across, 2.4 + 0.8 * up, 6.2), (0, 0.7, -0.4), 38),
        "floor": wall(mitsuba, (0, 0, 2), (0, 1, 0), (7, 6), textured(board)),
        "back": wall(mitsuba, (0, 3, -3.5), (0, 0, 1), (7, 3), textured(picture)),
        "ceiling": wall(mitsuba, (0, 6, 2), (0, -1, 0), (7, 6), diffuse(WHITE)),
        "front": wall(mitsuba, (0, 3, 8), (0, 0, -1), (7, 3), diffuse(WHITE)),
        "left": wall(mitsuba, (-7, 3, 2), (1, 0, 0), (6, 3), diffuse((0.6, 0.5, 0.4))),
        "right": wall(mitsuba, (7, 3, 2), (-1, 0, 0), (6, 3), diffuse((0.4, 0.5, 0.6))),
        "gold": ball((-1.25, 0.75, 0), 0.75, metal("Au", 0.1)),
        "copper": ball((0.35, 0.6, 0.7), 0.6, metal("Cu", 0.3)),
        "aluminium": ball((-0.1, 0.9, -1.7), 0.9, metal("Al", 0.05)),
        "plaster": ball((1.7, 0.4, 0.5), 0.4, diffuse((0.25, 0.4, 0.65))),
        "block": block,
        "above": lamp(mitsuba, (-2, 5.5, 2), (2, -5.5, -2.5), (1, 1), (15, 14, 12)),
        "beside": lamp(mitsuba, (4.5, 2.5, 2.5), (-4.5, -1.5, -2.5), (0.5, 1), (10, 10, 10)),
    }


def rings(side: int) -> NDArray[np.float32]:
    """A texture in linear RGB, (side, side, 3): rings on fine stripes."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    radius = np.hypot(x, y)
    ring = 0.5 + 0.5 * np.cos(24 * math.pi * radius)
    stripe = 0.5 + 0.5 * np.sign(np.sin(16 * math.pi * (x + y)))
    colors = [0.12 + 0.5 * ring, 0.15 + 0.35 * ring * stripe, 0.2 + 0.3 * stripe]
    return np.stack(colors, axis=2).astype(np.float32)


def camera(mitsuba: Any, size: int, origin: Point, target: Point, angle: float) -> Scene:
    """A square perspective camera; `angle` is its field of view in degrees."""
    look = mitsuba.ScalarTransform4f().look_at(
        origin=list(origin), target=list(target), up=[0, 1, 0]
    )
    return {
        "type": "perspective",
        "fov": angle,
        "to_world": look,
        "sampler": {"type": "independent"},
        "film": {
            "type": "hdrfilm",
            "width": size,
            "height": size,
            "pixel_format": "rgb",
            "component_format": "float32",
            "rfilter": {"type": "box"},
        },
    }


def facing(mitsuba: Any, center: Point, normal: Point, halves: Point) -> Any:
    """The transform of Mitsuba's unit rectangle to a center, facing along `normal`."""
    target = [c + n for c, n in zip(center, normal, strict=True)]
    length = math.hypot(*normal)
    up = [0, 0, 1] if abs(normal[1]) > 0.9 * length else [0, 1, 0]
    turn = mitsuba.ScalarTransform4f().look_at(origin=list(center), target=target, up=up)
    return turn.scale([halves[0], halves[1], 1])


def wall(mitsuba: Any, center: Point, normal: Point, halves: Point, material: Scene) -> Scene:
    """A rectangle of half-sides `halves`."""
    to_world = facing(mitsuba, center, normal, halves)
    return {"type": "rectangle", "to_world": to_world, "bsdf": material}


def lamp(mitsuba: Any, center: Point, normal: Point, halves: Point, radiance: Point) -> Scene:
    """A rectangular area light that emits along its normal."""
    light = {"type": "area", "radiance": {"type": "rgb", "value": list(radiance)}}
    return wall(mitsuba, center, normal, halves, diffuse(WHITE)) | {"emitter": light}


def ball(center: Point, radius: float, material: Scene) -> Scene:
    """A sphere."""
    return {"type": "sphere", "center": list(center), "radius": radius, "bsdf": material}


def diffuse(color: Point) -> Scene:
    """A diffuse material of one color."""
    return {"type": "diffuse", "reflectance": {"type": "rgb", "value": list(color)}}


def textured(texture: Scene) -> Scene:
    """A two-sided diffuse material with a texture."""
    return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": texture}}


def metal(name: str, roughness: float) -> Scene:
    """A metal by its chemical symbol, with a GGX surface of roughness alpha."""
    return {
        "type": "roughconductor",
        "material": name,
        "distribution": "ggx",
        "alpha": roughness,
    }
