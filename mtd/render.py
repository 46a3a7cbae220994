"""Render noisy/clean pairs with Mitsuba 3: `python -m mtd.render OUTPUT --spp 64 --spp 128`.

Monte Carlo noise: an image of n samples per pixel has a mean squared error, in linear colour, that
falls as 1/n. Needs the extra `render`.
"""

from __future__ import annotations

import json
import platform
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtd.rendering.mitsuba import SCENES, VARIANT, load, render, renderer
from mtd.utils import cli
from mtd.utils.errors import BadInput, nearest

if TYPE_CHECKING:
    pass

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
    """One image to render; `samples` per pixel, and `folder` is where it goes."""

    scene: str
    view: int
    folder: str
    samples: int

    def path(self, output: Path) -> Path:
        """The file of this image; the first view bears the scene's name alone."""
        name = f"{self.scene}_{self.view}" if self.view else self.scene
        return output / self.folder / f"{name}.exr"


def parser() -> cli.Parser:
    """The command's options."""
    p = cli.Parser(
        "mtd.render",
        "Render noisy images of few samples per pixel, and converged ones of the same scenes.",
        EXAMPLES,
    )
    count = cli.whole_number
    p.add_argument("output", metavar="OUTPUT", help="folder for SPPspp/ and clean/")
    p.add_argument(
        "--scene",
        action="append",
        metavar="NAME",
        help=f"{' or '.join(SCENES)} (repeatable; default: all)",
    )
    p.add_argument(
        "--spp",
        action="append",
        type=count(1),
        help="samples per pixel of noisy images (repeatable; default: 64 and 128)",
    )
    p.add_argument(
        "--reference", type=count(2), default=2048, help="samples of clean ones (default 2048)"
    )
    p.add_argument("--size", type=count(16), default=256, help="side of an image (default 256)")
    p.add_argument("--views", type=count(1), default=1, help="cameras per scene (default 1)")
    p.add_argument("--seed", type=count(0), default=0, help="of everything random (default 0)")
    p.add_argument("--resume", action="store_true", help="keep the images that are there")
    p.add_argument("--quiet", action="store_true", help="no bar, no messages")
    return p


def pictures(options: Namespace) -> list[Picture]:
    """All images that the options ask for.

    Raises:
        BadInput: no such scene, or a reference that is no better than a noisy image.
    """
    names = list(dict.fromkeys(options.scene or SCENES))
    samples = sorted(set(options.spp or SAMPLES))
    for name in names:
        if name not in SCENES:
            raise BadInput(f"--scene {name}: {nearest(name, SCENES)}")
    if options.reference <= samples[-1]:
        raise BadInput(
            f"--reference {options.reference}: expected more samples than --spp {samples[-1]}"
        )
    folders = {f"{n}spp": n for n in samples} | {CLEAN: options.reference}
    return [
        Picture(name, view, folder, n)
        for name in names
        for view in range(options.views)
        for folder, n in folders.items()
    ]


def describe(options: Namespace, asked: Sequence[Picture]) -> dict[str, Any]:
    """The manifest of a folder of renderings."""
    return {
        "command": cli.command("mtd.render"),
        "versions": {
            "python": platform.python_version(),
            "mitsuba": version("mitsuba"),
            "openexr": version("openexr"),
            "mtd": import_module("mtd").__version__,
        },
        "variant": VARIANT,
        "seed": options.seed,
        "size": options.size,
        "reference": options.reference,
        "views": options.views,
        "spp": sorted({p.samples for p in asked if p.folder != CLEAN}),
        "scenes": list(dict.fromkeys(p.scene for p in asked)),
        "images": sorted(p.path(Path()).as_posix() for p in asked),
    }


def check(output: Path, options: Namespace, manifest: dict[str, Any]) -> None:
    """See that the folder is new, or holds renderings of the same kind to go on with.

    What an earlier command rendered is taken over into the manifest.

    Raises:
        BadInput: it is in use, and `--resume` is not given; or what is there differs.
    """
    if output.exists() and not output.is_dir():
        raise BadInput(f"{output} is a file: OUTPUT is a folder")
    path = output / MANIFEST
    if not path.exists():
        if output.is_dir() and any(output.iterdir()):
            raise BadInput(f"{output}: holds files, but no {MANIFEST}; name an empty folder")
        return
    if not options.resume:
        raise BadInput(f"{output}: holds renderings; --resume goes on with them")
    try:
        earlier = json.loads(path.read_text())
        same = {key: earlier[key] == manifest[key] for key in ("seed", "size", "reference")}
        for key in ("spp", "scenes", "images"):
            manifest[key] = sorted({*earlier[key], *manifest[key]})
        manifest["views"] = max(earlier["views"], manifest["views"])
    except (ValueError, KeyError, TypeError):
        raise BadInput(f"{path}: damaged; name another folder") from None
    for key in (key for key, equal in same.items() if not equal):
        raise BadInput(f"{output}: rendered with {key} {earlier[key]}, not {manifest[key]}")


def run(options: Namespace) -> Path:
    """Render what is asked for and is not there yet; returns the folder.

    Raises:
        BadInput: see `pictures`, `check` and `renderer`.
    """
    from tqdm import tqdm

    from mtd.data import exr_io
    from mtd.utils import atomic_write

    asked, output = pictures(options), Path(options.output)
    renderer()
    exr_io.check()
    manifest = describe(options, asked)
    check(output, options, manifest)
    atomic_write.write(output / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    open_ones = [p for p in asked if not p.path(output).exists()]
    total = sum(p.samples for p in open_ones)
    with tqdm(total=total, unit="sample", disable=True if options.quiet else None) as bar:
        for picture in open_ones:
            path = picture.path(output)
            bar.set_description(f"{picture.folder}/{path.name}")
            scene = load(picture.scene, options.size, picture.view)
            key = (options.seed, picture.scene, picture.view, picture.folder)
            exr_io.write(path, render(scene, picture.samples, key, bar.update))
    return output


def main() -> None:
    """Parse, render, say where it is."""
    print(run(parser().parse_args()))


if __name__ == "__main__":
    cli.run(main)
