"""Noisy/clean image pairs: from two folders, files, patterns, or MATLAB files."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtd.data import exr_io, grayscale, image_io, photographs, sidd_mat, tone_mapping
from mtd.data.image_io import Pixels
from mtd.data.photographs import Photograph
from mtd.data.recorded_noise import PREFIX, Recorded
from mtd.noise import specs as noise_specs
from mtd.utils.errors import BadInput, nearest

ENDINGS = (*image_io.SUFFIXES, exr_io.SUFFIX)
EXPECTED = "expected two folders, two files, two patterns with one * each, or two .mat files"


@dataclass(frozen=True)
class Paired:
    """Clean images with a recorded noisy version of each.

    Attributes:
        recorded: the noisy version of each clean image.
        photographs: the clean images.
        source: where the files are and how they were matched, for manifests.
        tone_map: from linear files to 8 bits, or `as stored`.
    """

    recorded: Recorded
    photographs: list[Photograph]
    source: str
    tone_map: str

    def of_channels(self, channels: int) -> Paired:
        """The same of 3 channels, which they have, or of 1; see `mtd.data.grayscale`."""
        photos = [grayscale.of_channels(photo, channels) for photo in self.photographs]
        return replace(self, photographs=photos)


def find(
    noisy: str | Path,
    clean: str | Path,
    *,
    name: str | None = None,
    tone_map: str | None = None,
    page: int | None = None,
) -> Paired:
    """The pairs in two folders or two files, of two patterns, or in two MATLAB files.

    Files of two folders are matched by name without suffix; those of two patterns with one `*`
    each, such as `cc/*_real.png` and `cc/*_mean.png`, by what the star matches, which may be a
    folder; the blocks of two `.mat` files, as of the SIDD validation set, by position (see
    `mtd.data.sidd_mat`).

    Args:
        noisy: folder, file or pattern of the noisy images.
        clean: folder, file or pattern of the clean images.
        name: of the noise, such as `polyu` or `monte_carlo:64`; by default `pairs:` and the name of
            the folder or file.
        tone_map: for linear EXR files, one of `mtd.data.tone_mapping.TONE_MAPS` (default `srgb`);
            other files are read as they are stored.
        page: of every file, for files with several pages or frames, from 1.

    Raises:
        BadInput: no images, a file without its counterpart or of another size, EXR on one side
            only, a tone map for files that are not linear, the name of a synthetic noise, or a page
            of files without pages.
    """
    sides = str(noisy), str(clean)
    spec = f"pairs:{short(sides[0])}" if name is None else _name(name)
    if all(side.lower().endswith(sidd_mat.SUFFIX) for side in sides):
        if page is not None:
            raise BadInput(f"page {page}: {sides[0]} has blocks, not pages")
        return _from_blocks(*sides, spec, tone_map)
    if all("*" in side for side in sides):
        source = f"{sides[0]} against {sides[1]}, by what the star stands for"
        noisy_files, clean_files = map(_pattern, sides)
        return from_files(noisy_files, clean_files, spec, source, tone_map, page=page)
    for side in sides:
        if "*" in side or side.lower().endswith(sidd_mat.SUFFIX):
            raise BadInput(f"{sides[0]} and {sides[1]}: {EXPECTED}, not one of each")
    if len({Path(side).is_file() for side in sides}) > 1:
        raise BadInput(f"{sides[0]} and {sides[1]}: {EXPECTED}, not one of each")
    recorded, originals = (_folder(Path(side)) for side in sides)
    if all(Path(side).is_file() for side in sides):  # one pair, whatever the names
        recorded = dict(zip(originals, recorded.values(), strict=True))
    _check_names(recorded, originals)
    titles = {stem: path.name for stem, path in originals.items()}  # as `photographs` names them
    return from_files(
        {titles[stem]: path for stem, path in recorded.items()},
        {titles[stem]: path for stem, path in originals.items()},
        spec,
        f"{sides[0]} against {sides[1]}, by file name",
        tone_map,
        page=page,
    )


def from_files(
    noisy: Mapping[str, Path],
    clean: Mapping[str, Path],
    spec: str,
    source: str,
    tone_map: str | None = None,
    scene: Callable[[str], str] | None = None,
    page: int | None = None,
) -> Paired:
    """Pairs of files that are matched already: noisy and clean files under the same names.

    Args:
        noisy: files by name of the photograph.
        clean: files by the same names.
        spec: the text that names the noise.
        source: where the files are and how they were matched.
        tone_map: see `find`.
        scene: from the name of a photograph to its scene.
        page: see `find`.

    Raises:
        BadInput: as `find`.
    """
    _check_names(noisy, clean)
    chosen = _tone_map([*noisy.values(), *clean.values()], tone_map)
    noisy_images, clean_images = (
        [_photograph(name, side[name], chosen, page) for name in clean] for side in (noisy, clean)
    )
    if scene is not None:
        clean_images = [replace(photo, scene=scene(photo.name)) for photo in clean_images]
    return _pair(
        noisy_images, clean_images, [str(noisy[name]) for name in clean], spec, source, chosen
    )


def _check_names(noisy: Mapping[str, Path], clean: Mapping[str, Path]) -> None:
    for side, other, kind in ((noisy, clean, "clean"), (clean, noisy, "noisy")):
        for name, path in side.items():
            if name not in other:
                raise BadInput(
                    f"{path}: no {kind} image belongs to it; expected one named {name} "
                    f"({nearest(name, other)})"
                )


def _from_blocks(noisy: str, clean: str, spec: str, tone_map: str | None) -> Paired:
    if tone_map is not None:
        raise BadInput(f"tone map {tone_map!r}: {noisy} is not linear EXR but read as stored")
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
    for image, target, title in zip(noisy, clean, titles, strict=True):
        if (image.height, image.width) != (target.height, target.width):
            raise BadInput(
                f"{title} is {image.height} x {image.width}, its clean image "
                f"{target.height} x {target.width}; images are not resized"
            )
    recorded = Recorded(spec, {photo.name: photo.load for photo in noisy})
    return Paired(recorded, list(clean), source, tone_map)


def short(place: str) -> str:
    """The name of a folder or file, or of the folder that holds the files of a pattern.

    >>> short("data/cc/*_real.png"), short("renders/64spp"), short("*_noisy.png"), short("a/b.mat")
    ('cc', '64spp', 'noisy', 'b')
    """
    path = Path(place)
    if "*" not in place:
        return path.stem if path.suffix.lower() in (*ENDINGS, sidd_mat.SUFFIX) else path.name
    folder = next((part for part in reversed(path.parent.parts) if "*" not in part), "")
    return folder.strip(".") or re.sub(r"\W+|^\W*_", "", path.stem.replace("*", "")).strip("_")


def linear(place: str | Path) -> bool:
    """Whether a file, a pattern, or a folder with its subfolders holds linear EXR files."""
    path = Path(place)
    if path.is_dir():
        return any(path.glob(f"**/*{exr_io.SUFFIX}"))
    return path.suffix.lower() == exr_io.SUFFIX


def _name(name: str) -> str:
    """The name of recorded noise, checked."""
    kind, synthetic = name.partition(":")[0], noise_specs.kinds()
    words = re.fullmatch(r"[\w.+-]+(:\d+(\.\d+)?)?", name)
    if not words or kind in synthetic or f"{kind}:" == PREFIX:
        raise BadInput(
            f"name {name!r} of recorded noise: expected a word such as polyu or monte_carlo:64, "
            f"other than the synthetic noises {', '.join(synthetic)}"
        )
    return name


def _folder(folder: Path) -> dict[str, Path]:
    """The images of a folder, or one file, by name without suffix."""
    if folder.is_file() and folder.suffix.lower() in ENDINGS:
        return {folder.stem: folder}
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise BadInput(f"{folder}: {what}; {EXPECTED}")
    files: dict[str, Path] = {}
    for path in image_io.find(folder, ENDINGS):
        if path.stem in files:
            raise BadInput(
                f"{path} and {files[path.stem].name}: two images of one name; give a pattern, "
                f"such as '{folder}/*{path.suffix}'"
            )
        files[path.stem] = path
    return files


def _pattern(pattern: str) -> dict[str, Path]:
    """The files of a pattern by what its star matches; everything else in it is literal."""
    if pattern.count("*") != 1:
        raise BadInput(f"{pattern}: {pattern.count('*')} stars; expected exactly one")
    before, after = pattern.split("*")
    # not Path.glob: the star may be in a folder's name, and the rest may look like a pattern
    listed = glob.glob(f"{glob.escape(before)}*{glob.escape(after)}")  # noqa: PTH207
    files = {path[len(before) : len(path) - len(after)]: Path(path) for path in sorted(listed)}
    if not files:
        raise BadInput(f"{pattern}: no such file; expected a pattern such as 'cc/*_real.png'")
    return files


def _tone_map(paths: Sequence[Path], tone_map: str | None) -> str:
    """The tone map of files, or `as stored`."""
    linear = [path for path in paths if path.suffix.lower() == exr_io.SUFFIX]
    if linear and len(linear) < len(paths):
        other = next(path for path in paths if path.suffix.lower() != exr_io.SUFFIX)
        raise BadInput(
            f"{linear[0]} is linear EXR, {other} is not; expected one kind on both sides"
        )
    if linear:
        chosen = tone_map or tone_mapping.DEFAULT
        tone_mapping.find(chosen)
        return chosen
    if tone_map is not None:
        raise BadInput(f"tone map {tone_map!r}: {paths[0]} is not linear EXR but read as stored")
    return tone_mapping.AS_STORED


def _photograph(name: str, path: Path, tone_map: str, page: int | None) -> Photograph:
    if tone_map == tone_mapping.AS_STORED:
        return photographs.photograph(path, page, name=name)
    if page not in (None, 1):
        raise BadInput(f"{path}: page {page} of 1 page; expected 1")
    height, width = exr_io.size(path)
    return Photograph(name, height, width, lambda: _mapped(path, tone_map))


def _mapped(path: Path, tone_map: str) -> Pixels:
    return tone_mapping.to_8_bits(exr_io.read(path), tone_map)
