"""Test sets of noisy/clean pairs: real cameras, renderings, and whatever comes in two folders."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from mtd.data import exr_io, image_io, sidd_mat, tone_mapping
from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.data.recorded_noise import PREFIX, Recorded
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput, nearest

ENDINGS = (*image_io.SUFFIXES, exr_io.SUFFIX)
EXPECTED = "expected two folders, two files, two patterns with one * each, or two .mat files"


@dataclass(frozen=True)
class Paired:
    """Clean images that come with noisy versions of their own.

    Attributes:
        recorded: the noise: the noisy version of each clean image.
        photographs: the clean images.
        source: where they are and how they were matched, for manifests.
        tone_map: what made 8 bits of linear files, or `as stored`.
    """

    recorded: Recorded
    photographs: list[Photograph]
    source: str
    tone_map: str


def find(
    noisy: str | Path, clean: str | Path, *, name: str | None = None, tone_map: str | None = None
) -> Paired:
    """The pairs in two folders or two files, under two patterns, or in two MATLAB files.

    Two folders: files are matched by name, without endings. Two patterns with one `*` each, such
    as `cc/*_real.png` and `cc/*_mean.png`: by what the star stands for, which may be a folder.
    Two `.mat` files, as SIDD's validation set: by place, see `mtd.data.sidd_mat`.

    Args:
        noisy: where the noisy images are.
        clean: where the clean ones are.
        name: the text that names the noise, such as `polyu` or `monte_carlo:64`; by default
            `pairs:` and the name of the folder, or of the file.
        tone_map: for linear EXR files, one of `mtd.data.tone_mapping.TONE_MAPS` (default `srgb`).
        Other
            files are taken as they are stored.

    Raises:
        BadInput: nothing found, a file without its pair or of another size, EXR on one side
            only, a tone map for files that are not linear, or a name of a synthetic noise.
    """
    sides = str(noisy), str(clean)
    spec = f"pairs:{short(sides[0])}" if name is None else _name(name)
    if all(side.lower().endswith(sidd_mat.SUFFIX) for side in sides):
        return _from_blocks(*sides, spec, tone_map)
    if all("*" in side for side in sides):
        source = f"{sides[0]} against {sides[1]}, by what the star stands for"
        return from_files(_pattern(sides[0]), _pattern(sides[1]), spec, source, tone_map)
    for side in sides:
        if "*" in side or side.lower().endswith(sidd_mat.SUFFIX):
            raise BadInput(f"{sides[0]} and {sides[1]}: {EXPECTED}, not one of each")
    if len({Path(side).is_file() for side in sides}) > 1:
        raise BadInput(f"{sides[0]} and {sides[1]}: {EXPECTED}, not one of each")
    recorded, originals = (_folder(Path(side)) for side in sides)
    if all(Path(side).is_file() for side in sides):  # one pair, whatever the files are called
        recorded = dict(zip(originals, recorded.values(), strict=True))
    _check_names(recorded, originals)
    titles = {stem: path.name for stem, path in originals.items()}  # as `images.photographs` has
    return from_files(
        {titles[stem]: path for stem, path in recorded.items()},
        {titles[stem]: path for stem, path in originals.items()},
        spec,
        f"{sides[0]} against {sides[1]}, by file name",
        tone_map,
    )


def from_files(
    noisy: Mapping[str, Path],
    clean: Mapping[str, Path],
    spec: str,
    source: str,
    tone_map: str | None = None,
    scene: Callable[[str], str] | None = None,
) -> Paired:
    """Pairs of files that are matched already: noisy and clean ones by the same names.

    Photographs bear these names; `scene` gives the scene of each. See `find` for the rest.

    Raises:
        BadInput: as `find`.
    """
    _check_names(noisy, clean)
    chosen = _tone_map([*noisy.values(), *clean.values()], tone_map)
    ours, theirs = (
        [_photograph(name, side[name], chosen) for name in clean] for side in (noisy, clean)
    )
    if scene is not None:
        theirs = [replace(photo, scene=scene(photo.name)) for photo in theirs]
    return _pair(ours, theirs, [str(noisy[name]) for name in clean], spec, source, chosen)


def _check_names(noisy: Mapping[str, Path], clean: Mapping[str, Path]) -> None:
    for ours, theirs, kind in ((noisy, clean, "clean"), (clean, noisy, "noisy")):
        for name, path in ours.items():
            if name not in theirs:
                raise BadInput(
                    f"{path}: no {kind} image belongs to it; expected one named {name} "
                    f"({nearest(name, theirs)})"
                )


def _from_blocks(noisy: str, clean: str, spec: str, tone_map: str | None) -> Paired:
    if tone_map is not None:
        raise BadInput(f"tone map {tone_map!r}: {noisy} is not linear EXR, and taken as stored")
    sides = sidd_mat.photographs(noisy, sidd_mat.NOISY), sidd_mat.photographs(clean, sidd_mat.CLEAN)
    if [photo.name for photo in sides[0]] != [photo.name for photo in sides[1]]:
        raise BadInput(
            f"{noisy} ends with {sides[0][-1].name}, {clean} with {sides[1][-1].name}; "
            "expected the same scenes and blocks"
        )
    titles = [f"{noisy}: {photo.name}" for photo in sides[0]]
    source = f"{noisy} against {clean}, by place"
    return _pair(*sides, titles, spec, source, tone_mapping.AS_STORED)


def _pair(
    noisy: Sequence[Photograph],
    clean: Sequence[Photograph],
    titles: Sequence[str],
    spec: str,
    source: str,
    tone_map: str,
) -> Paired:
    for ours, theirs, title in zip(noisy, clean, titles, strict=True):
        if (ours.height, ours.width) != (theirs.height, theirs.width):
            raise BadInput(
                f"{title} is {ours.height} x {ours.width}, its clean image "
                f"{theirs.height} x {theirs.width}; nothing is resized"
            )
    recorded = Recorded(spec, {photo.name: photo.load for photo in noisy})
    return Paired(recorded, list(clean), source, tone_map)


def short(place: str) -> str:
    """The name of a folder, of a file, or of the folder in which a pattern's files lie.

    >>> short("data/cc/*_real.png"), short("renders/64spp"), short("*_noisy.png"), short("a/b.mat")
    ('cc', '64spp', 'noisy', 'b')
    """
    path = Path(place)
    if "*" not in place:
        return path.stem if path.suffix.lower() in (*ENDINGS, sidd_mat.SUFFIX) else path.name
    folder = next((part for part in reversed(path.parent.parts) if "*" not in part), "")
    return folder.strip(".") or re.sub(r"\W+|^\W*_", "", path.stem.replace("*", "")).strip("_")


def linear(place: str | Path) -> bool:
    """Whether a file, pattern or folder (with its sub-folders) holds linear EXR files."""
    path = Path(place)
    if path.is_dir():
        return any(path.glob(f"**/*{exr_io.SUFFIX}"))
    return path.suffix.lower() == exr_io.SUFFIX


def _name(name: str) -> str:
    """A name for recorded noise, checked."""
    kind, synthetic = name.partition(":")[0], noise_specs.kinds()
    words = re.fullmatch(r"[\w.+-]+(:\d+(\.\d+)?)?", name)
    if not words or kind in synthetic or f"{kind}:" == PREFIX:
        raise BadInput(
            f"name {name!r} of recorded noise: expected a word such as polyu or monte_carlo:64, "
            f"and none of the synthetic noises {', '.join(synthetic)}"
        )
    return name


def _folder(folder: Path) -> dict[str, Path]:
    """The images of a folder, or one file, by their names without endings."""
    if folder.is_file() and folder.suffix.lower() in ENDINGS:
        return {folder.stem: folder}
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise BadInput(f"{folder}: {what}; {EXPECTED}")
    listed = sorted(p for p in folder.iterdir() if p.suffix.lower() in ENDINGS and p.is_file())
    found: dict[str, Path] = {}
    for path in listed:
        if path.name.startswith("."):
            continue
        if path.stem in found:
            raise BadInput(
                f"{path} and {found[path.stem].name}: two images of one name; give a pattern, "
                f"such as '{folder}/*{path.suffix}'"
            )
        found[path.stem] = path
    if not found:
        raise BadInput(f"{folder}: no image in it; expected files ending in {', '.join(ENDINGS)}")
    return found


def _pattern(pattern: str) -> dict[str, Path]:
    """The files under a pattern, by what its star stands for; all else in it is literal."""
    if pattern.count("*") != 1:
        raise BadInput(f"{pattern}: {pattern.count('*')} stars; expected exactly one")
    before, after = pattern.split("*")
    # not Path.glob: the star may stand in a folder's name, and the rest may look like a pattern
    listed = glob.glob(f"{glob.escape(before)}*{glob.escape(after)}")  # noqa: PTH207
    found = {path[len(before) : len(path) - len(after)]: Path(path) for path in sorted(listed)}
    if not found:
        raise BadInput(f"{pattern}: no such file; expected a pattern such as 'cc/*_real.png'")
    return found


def _tone_map(paths: Sequence[Path], asked: str | None) -> str:
    """The tone map for some files, or that they are taken as stored."""
    linear = [path for path in paths if path.suffix.lower() == exr_io.SUFFIX]
    if linear and len(linear) < len(paths):
        other = next(path for path in paths if path.suffix.lower() != exr_io.SUFFIX)
        raise BadInput(
            f"{linear[0]} is linear EXR, {other} is not; expected one kind on both sides"
        )
    if linear:
        chosen = asked or tone_mapping.DEFAULT
        tone_mapping.find(chosen)
        return chosen
    if asked is not None:
        raise BadInput(f"tone map {asked!r}: {paths[0]} is not linear EXR, and taken as stored")
    return tone_mapping.AS_STORED


def _photograph(name: str, path: Path, tone_map: str) -> Photograph:
    if tone_map != tone_mapping.AS_STORED:
        height, width = exr_io.size(path)
        return Photograph(name, height, width, lambda: _mapped(path, tone_map))
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, SyntaxError, Image.DecompressionBombError):
        height, width = image_io.read_rgb(path).shape[:2]  # or says what is wrong with it
    return Photograph(name, height, width, lambda: image_io.read_rgb(path))


def _mapped(path: Path, tone_map: str) -> Pixels:
    return tone_mapping.to_8_bits(exr_io.read(path), tone_map)
