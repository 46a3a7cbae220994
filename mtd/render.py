"""Render noisy/clean pairs with Mitsuba 3: `python -m mtd.render OUTPUT --spp 64 --spp 128`.

Monte Carlo noise: the mean squared error of an image of n samples per pixel, in linear color,
falls as 1/n. Needs the extra `render`.
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mtd.rendering.mitsuba import SCENES, VARIANT, load, render, renderer
from mtd.utils import cli, input_files, output, progress
from mtd.utils.errors import BadInput, nearest

EXAMPLES = """\
  python -m mtd.render renders
  python -m mtd.render renders --scene rough_metals --views 4 --spp 64 --spp 128
  python -m mtd.render renders --scene rough_metals --views 8 --spp 64 --spp 128 --resume
"""

SAMPLES = (64, 128)
CLEAN = "clean"
MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Picture:
    """One image to render.

    Attributes:
        scene: name of the scene.
        view: index of the camera.
        folder: subfolder of the output.
        samples: per pixel.
    """

    scene: str
    view: int
    folder: str
    samples: int

    def path(self, output: Path) -> Path:
        """The file of this image; that of the first view has the name of the scene."""
        name = f"{self.scene}_{self.view}" if self.view else self.scene
        return output / self.folder / f"{name}.exr"


@dataclass(frozen=True)
class RenderSettings:
    """What is rendered.

    Attributes:
        scenes: names, of `mtd.rendering.mitsuba.SCENES`.
        samples: per pixel, of each set of noisy images.
        reference: samples per pixel of the clean images.
        size: side of an image in pixels.
        views: cameras per scene.
        seed: of everything random.
    """

    scenes: tuple[str, ...] = SCENES
    samples: tuple[int, ...] = SAMPLES
    reference: int = 2048
    size: int = 256
    views: int = 1
    seed: int = 0


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.render",
        "Render noisy images with few samples per pixel, and converged images of the same scenes.",
        EXAMPLES,
    )
    count = cli.whole_number
    images = p.group("images")
    p.group("output").add_argument("output", metavar="OUTPUT", help="folder for SPPspp/ and clean/")
    images.add_argument(
        "--scene",
        action="append",
        metavar="NAME",
        help=f"{' or '.join(SCENES)} (repeatable; default: all)",
    )
    noise = p.group("noise")
    noise.add_argument(
        "--spp",
        action="append",
        type=count(1),
        metavar="N",
        help="samples per pixel of noisy images (repeatable; default: 64 and 128)",
    )
    noise.add_argument(
        "--clean-spp", type=count(2), default=2048, metavar="N", help="samples of clean images"
    )
    noise.add_argument(  # an older spelling
        "--reference",
        dest="clean_spp",
        type=count(2),
        default=argparse.SUPPRESS,
        help=argparse.SUPPRESS,
    )
    images.add_argument(
        "--size", type=count(16), default=256, metavar="N", help="side of an image in pixels"
    )
    images.add_argument(
        "--views", type=count(1), default=1, metavar="N", help="cameras of each scene"
    )
    p.group("compute").add_argument("--seed", type=count(0), default=0, metavar="N", help=cli.SEED)
    p.group("output").add_argument("--resume", action="store_true", help="keep existing images")
    p.add_quiet()
    return p


def pictures(settings: RenderSettings) -> list[Picture]:
    """All images that the settings describe.

    Raises:
        BadInput: no such scene, or a reference that is no better than a noisy image.
    """
    names = list(dict.fromkeys(settings.scenes))
    samples = sorted(set(settings.samples))
    for name in names:
        if name not in SCENES:
            raise BadInput(f"--scene {name}: {nearest(name, SCENES)}")
    if settings.reference <= samples[-1]:
        raise BadInput(
            f"--clean-spp {settings.reference}: expected more samples than --spp {samples[-1]}"
        )
    folders = {f"{n}spp": n for n in samples} | {CLEAN: settings.reference}
    return [
        Picture(name, view, folder, n)
        for name in names
        for view in range(settings.views)
        for folder, n in folders.items()
    ]


def describe(settings: RenderSettings, images: Sequence[Picture]) -> dict[str, Any]:
    """The manifest of a folder of renderings, plain values."""
    return {
        "command": cli.command("mtd.render"),
        "versions": {
            "python": platform.python_version(),
            "mitsuba": version("mitsuba"),
            "openexr": version("openexr"),
            "mtd": import_module("mtd").__version__,
        },
        "variant": VARIANT,
        "seed": settings.seed,
        "size": settings.size,
        "reference": settings.reference,
        "views": settings.views,
        "spp": sorted({p.samples for p in images if p.folder != CLEAN}),
        "scenes": list(dict.fromkeys(p.scene for p in images)),
        "images": sorted(p.path(Path()).as_posix() for p in images),
    }


def merged(manifest: dict[str, Any], output: Path, resume: bool) -> dict[str, Any]:
    """The manifest together with that of the renderings that the folder holds already, if any.

    Raises:
        BadInput: the folder is in use, and `--resume` is not given; or its renderings have another
            seed, size or reference.
    """
    if output.exists() and not output.is_dir():
        raise BadInput(f"{output} is a file: OUTPUT is a folder")
    path = output / MANIFEST
    if not path.exists():
        if output.is_dir() and any(output.iterdir()):
            raise BadInput(f"{output}: holds files, but no {MANIFEST}; name an empty folder")
        return manifest
    if not resume:
        raise BadInput(f"{output}: holds renderings; --resume continues them")
    earlier = _read(path)
    same = {key: earlier[key] == manifest[key] for key in ("seed", "size", "reference")}
    united = {key: sorted({*earlier[key], *manifest[key]}) for key in LISTS}
    views = max(earlier["views"], manifest["views"])
    for key in (key for key, equal in same.items() if not equal):
        raise BadInput(f"{output}: rendered with {key} {earlier[key]}, not {manifest[key]}")
    return manifest | united | {"views": views}


NUMBERS = ("seed", "size", "reference", "views")
LISTS = {"spp": int, "scenes": str, "images": str}
"""Entries of a manifest, and what the lists among them hold."""


def _read(path: Path) -> dict[str, Any]:
    """The manifest of a folder of renderings.

    Raises:
        BadInput: it is damaged.
    """
    found = input_files.json(path)
    whole = (
        isinstance(found, dict)
        and all(type(found.get(name)) is int for name in NUMBERS)
        and all(isinstance(found.get(name), list) for name in LISTS)
        and all(type(one) is kind for name, kind in LISTS.items() for one in found[name])
    )
    if not whole:
        raise BadInput(f"{path}: damaged; name another folder")
    return dict(found)


def run(settings: RenderSettings, output: Path, *, resume: bool, quiet: bool) -> None:
    """Render the images that `output` does not hold yet.

    Raises:
        BadInput: see `pictures`, `merged` and `renderer`.
    """
    from mtd.data import exr_io
    from mtd.utils import atomic_write

    images = pictures(settings)
    renderer()
    exr_io.check()
    manifest = merged(describe(settings, images), output, resume)
    atomic_write.write(output / MANIFEST, json.dumps(manifest, indent=2, allow_nan=False) + "\n")
    missing = [p for p in images if not p.path(output).exists()]
    total = sum(p.samples for p in missing)
    with progress.running(("rendering",), quiet=quiet):
        progress.step("rendering", total, "samples")
        for picture in missing:
            path = picture.path(output)
            progress.add(f"{picture.folder}/{path.name}")
            scene = load(picture.scene, settings.size, picture.view)
            key = (settings.seed, picture.scene, picture.view, picture.folder)
            exr_io.write(path, render(scene, picture.samples, key, progress.advance))


def main() -> None:
    """Parse, render, print the folder."""
    args = parser().parse_args()
    settings = RenderSettings(
        scenes=tuple(args.scene or SCENES),
        samples=tuple(args.spp or SAMPLES),
        reference=args.clean_spp,
        size=args.size,
        views=args.views,
        seed=args.seed,
    )
    folder = Path(args.output)
    run(settings, folder, resume=args.resume, quiet=args.quiet)
    paths = [picture.path(folder) for picture in pictures(settings)]
    about = {"images": len(paths), "scenes": settings.scenes, "samples": settings.samples}
    output.show(f"{folder}", run=folder, results=about, files=[folder / MANIFEST, *paths])


if __name__ == "__main__":
    cli.run(main)
