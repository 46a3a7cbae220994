"""The published test sets: layout, number and sizes of images, and where to get them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mtd.utils.errors import BadInput, one_of

if TYPE_CHECKING:
    from mtd.data.image_pairs import Paired
    from mtd.data.photographs import Photograph

    Opened = list[Photograph] | Paired | tuple[Paired, ...]

FOLDER = "testsets"
"""Of test sets, in the folder of downloads."""

UNCHECKED = "--images and --paired-images take any folder unchecked"


@dataclass(frozen=True)
class Form:
    """One of the forms in which a test set is published.

    Attributes:
        text: how it differs from the others.
        count: number of images or pairs; None for any.
        sizes: allowed (height, width); empty for any.
    """

    text: str
    count: int | None
    sizes: frozenset[tuple[int, int]] = frozenset()

    def __str__(self) -> str:
        count = "any number" if self.count is None else str(self.count)
        sizes = " or ".join(f"{h} x {w}" for h, w in sorted(self.sizes)) or "any size"
        return f"{count}, {sizes} (height x width){f': {self.text}' if self.text else ''}"


@dataclass(frozen=True)
class Recipe:
    """A test set.

    Attributes:
        name: on the command line.
        what: a description.
        source: where to get it.
        layout: of its folder.
        forms: in which it is published.
        find: from the folder and the name of a tone map to its images or pairs, unchecked.
    """

    name: str
    what: str
    source: str
    layout: str
    forms: tuple[Form, ...]
    find: Callable[[Path, str | None], Opened]


def open(name: str, folder: str | Path, tone_map: str | None = None) -> Opened:
    """The images or pairs of a test set, complete and of the right sizes.

    Args:
        name: one of `RECIPES`.
        folder: that holds it.
        tone_map: for linear EXR files, one of `mtd.data.tone_mapping.TONE_MAPS`.

    Raises:
        BadInput: an unknown set, no such folder, missing images, or images of another size.
    """
    return check(name, folder, tone_map)[0]


def check(name: str, folder: str | Path, tone_map: str | None = None) -> tuple[Opened, Form]:
    """As `open`, together with the form that the set is in."""
    one_of("test set", name, RECIPES)
    recipe, folder = RECIPES[name], Path(folder)
    try:
        if not folder.is_dir():
            raise BadInput(f"{folder}: no such folder")
        opened = recipe.find(folder, tone_map)
        return opened, _form(photographs(opened), recipe.forms)
    except BadInput as error:
        raise BadInput(
            f"{name}: {error}; expected {recipe.layout}; available from {recipe.source}"
        ) from None


def photographs(opened: Opened) -> list[Photograph]:
    """The clean images of an opened test set."""
    if isinstance(opened, tuple):
        return [photo for pair in opened for photo in pair.photographs]
    return opened if isinstance(opened, list) else opened.photographs


def pairs(opened: Opened) -> tuple[Paired, ...]:
    """The pairs of an opened test set, of each of its noises; none of a clean one."""
    if isinstance(opened, list):
        return ()
    return opened if isinstance(opened, tuple) else (opened,)


def _form(images: Sequence[Photograph], forms: Sequence[Form]) -> Form:
    """The form that images are in."""
    sizes = [(image.height, image.width) for image in images]
    allowed = [f for f in forms if not f.sizes or sizes[0] in f.sizes]
    for image, size in zip(images, sizes, strict=True):
        if not any(not f.sizes or size in f.sizes for f in allowed):
            known = ", or ".join(str(f) for f in allowed or forms)
            raise BadInput(f"{image.name} is {size[0]} x {size[1]}; expected {known}")
    for form in allowed:
        if form.count in (None, len(images)):
            return form
    counts = " or ".join(str(form.count) for form in allowed)
    raise BadInput(f"{len(images)} of {counts} images ({UNCHECKED})")


def _clean(folder: Path, tone_map: str | None) -> list[Photograph]:
    from mtd.data import photographs as data_photographs

    _refuse(tone_map)
    return data_photographs.photographs(folder)


def _high_resolution(folder: Path, tone_map: str | None) -> list[Photograph]:
    """All images, or those named `…_HR` if low-resolution versions are in the same folder."""
    images = _clean(folder, tone_map)
    return [image for image in images if Path(image.name).stem.endswith("_HR")] or images


def _refuse(tone_map: str | None) -> None:
    if tone_map is not None:
        raise BadInput(
            f"tone map {tone_map!r}: its files are not linear EXR, and are read as stored"
        )


def _matched(
    name: str,
    noisy: str,
    clean: str,
    below: str,
    depth: str,
    scene: Callable[[str], str] | None = None,
) -> Callable[..., Paired]:
    """Pairs of files whose names differ in one word, such as `_real` and `_mean`.

    `depth` is a pattern for their paths in the folder, or in its subfolder `below` if there is one.
    """

    def find(folder: Path, tone_map: str | None) -> Paired:
        from mtd.data import image_pairs

        _refuse(tone_map)
        top = folder / below if (folder / below).is_dir() else folder
        sides = [_named(top.glob(depth), top, word) for word in (noisy, clean)]
        if not any(sides):
            raise BadInput(f"{top}: no file is named as expected")
        source = f"{top}, *{noisy}* against *{clean}*"
        return image_pairs.from_files(sides[0], sides[1], name, source, scene=scene)

    return find


def _folder_of(name: str) -> str:
    """SIDD: one folder per scene."""
    return name.rpartition("/")[0]


def _without_number(name: str) -> str:
    """PolyU: the crops of a scene are numbered, `Canon5D2_5_160_3200_bicycle_8`."""
    return re.sub(r"_\d+$", "", name)


def _named(paths: Iterable[Path], folder: Path, word: str) -> dict[str, Path]:
    """The image files with a word in their names, by path and name without that word."""
    from mtd.data.image_io import SUFFIXES, is_hidden

    files = {}
    for path in sorted(paths):
        rest = path.stem.replace(word, "")
        if path.suffix.lower() in SUFFIXES and not is_hidden(path) and rest not in ("", path.stem):
            files[path.relative_to(folder).with_name(rest).as_posix()] = path
    return files


def _blocks(folder: Path, tone_map: str | None) -> Paired:
    from mtd.data import image_pairs, sidd_mat

    noisy, clean = (folder / f"{v}{sidd_mat.SUFFIX}" for v in (sidd_mat.NOISY, sidd_mat.CLEAN))
    return image_pairs.find(noisy, clean, name="sidd_validation", tone_map=tone_map)


def _rendered(samples: int) -> Callable[[Path, str | None], Paired]:
    def find(folder: Path, tone_map: str | None) -> Paired:
        from mtd.data import image_pairs

        noisy, clean = folder / f"{samples}spp", folder / "clean"
        return image_pairs.find(noisy, clean, name=f"monte_carlo:{samples}", tone_map=tone_map)

    return find


def _either(name: str, noisy: str, clean: str) -> Callable[[Path, str | None], Paired]:
    """Pairs of the same names in two subfolders; or, without these, `*real*` and `*mean*`."""

    def find(folder: Path, tone_map: str | None) -> Paired:
        from mtd.data import image_pairs

        if not (folder / noisy).is_dir():
            return _matched(name, "real", "mean", "", "*")(folder, tone_map)
        return image_pairs.find(folder / noisy, folder / clean, name=name, tone_map=tone_map)

    return find


def _camera(name: str, what: str) -> Recipe:
    """One of the sets that Kong et al. collect."""
    return Recipe(
        name,
        f"pairs of {what}; neither their number nor their layout is stated where they are offered",
        "https://github.com/ZhaomingKong/Denoising-Comparison (on request, by mail)",
        "DIR/noisy and DIR/clean, the same names in both, or DIR/*real* and DIR/*mean*",
        (Form("", None),),
        _either(name, "noisy", "clean"),
    )


def _microscope(shots: int) -> Recipe:
    """The test set of the fluorescence microscopy data at one noise level."""
    below = "raw" if shots == 1 else f"avg{shots}"

    def find(folder: Path, tone_map: str | None) -> Paired:
        from mtd.data import image_pairs

        _refuse(tone_map)
        top = folder / "test_mix" if (folder / "test_mix").is_dir() else folder
        return image_pairs.find(top / below, top / "gt", name=f"fmdd:{shots}")

    what = "single shots" if shots == 1 else f"means of {shots} shots"
    return Recipe(
        f"fmdd:{shots}",
        f"48 pairs of gray fluorescence micrographs, {what} against means of 50",
        "https://github.com/yinhaoz/denoising-fluorescence (the mixed test set, test_mix)",
        f"DIR/test_mix/{below}/*.png and DIR/test_mix/gt/*.png, the same names in both",
        (Form("", 48, frozenset({(512, 512)})),),
        find,
    )


TYPE_LEVEL = re.compile(r"(?P<kind>.+)_(?P<level>\d+(\.\d+)?)")
"""The name of a folder of noisy images, such as `gaussian_25`."""

CLEAN = ("clean", "gt", "GT", "HR")
"""What the folder of clean images beside them may be called."""


def _prepared(folder: Path, tone_map: str | None) -> tuple[Paired, ...]:
    """Pairs by noise, of all sets in a folder, each with its clean images; or of one set."""
    from mtd.data import image_pairs
    from mtd.data.image_io import find as images
    from mtd.noise.training_noise import PREPARED  # imports PyTorch

    _refuse(tone_map)
    sets = [folder] if _clean_of(folder) else [s for s in sorted(folder.iterdir()) if _clean_of(s)]
    sides: dict[str, tuple[dict[str, Path], dict[str, Path]]] = {}
    for top in sets:
        clean = {path.stem: path for path in images(_clean_of(top) or top)}
        for own in sorted(path for path in top.iterdir() if path.is_dir()):
            if parts := TYPE_LEVEL.fullmatch(own.name):
                spec = f"{PREPARED}{parts['kind']}:{parts['level']}"
                noisy, target = sides.setdefault(spec, ({}, {}))
                noisy |= {f"{top.name}/{path.stem}": path for path in images(own)}
                target |= {f"{top.name}/{stem}": path for stem, path in clean.items()}
    if not sides:
        raise BadInput(f"{folder}: no folder named TYPE_LEVEL beside one of clean images")
    source = f"{folder}, by set, folder and file name"
    return tuple(
        image_pairs.from_files(noisy, clean, spec, f"{source} ({spec})")
        for spec, (noisy, clean) in sides.items()
    )


def _clean_of(folder: Path) -> Path | None:
    """The folder of clean images in that of a prepared set; None if there is none."""
    return next((folder / name for name in CLEAN if (folder / name).is_dir()), None)


def _monte_carlo(samples: int) -> Recipe:
    return Recipe(
        f"monte_carlo:{samples}",
        f"path-traced images at {samples} samples per pixel against converged ones; the paper "
        "takes those of Firmino et al. 2022 and does not say which, nor with what tone map",
        "https://github.com/ArthurFirmino/progressive-denoising (its README links to the test "
        "set, one EXR file per scene and number of samples), or python -m mtd.render",
        f"DIR/{samples}spp/SCENE.exr and DIR/clean/SCENE.exr (or .png), the same names in both",
        (Form("", None),),
        _rendered(samples),
    )


FFDNET = "https://github.com/cszn/FFDNet/tree/master/testsets"


SIDD = "https://abdokamel.github.io/sidd/"


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "cbsd68",
            "68 clean photographs of the Berkeley segmentation data",
            f"{FFDNET} (folder CBSD68)",
            "DIR/*.png",
            (Form("", 68, frozenset({(321, 481), (481, 321)})),),
            _clean,
        ),
        Recipe(
            "kodak24",
            "24 clean photographs, in two published forms that give different numbers",
            f"{FFDNET} (folder Kodak24, the crops), or https://r0k.us/graphics/kodak/",
            "DIR/kodim01.png to kodim24.png",
            (
                Form("the crops of the FFDNet test sets, the paper's", 24, frozenset({(500, 500)})),
                Form("the original photographs", 24, frozenset({(512, 768), (768, 512)})),
            ),
            _clean,
        ),
        Recipe(
            "mcmaster",
            "18 clean photographs, also called McM",
            f"https://www4.comp.polyu.edu.hk/~cslzhang/CDM_Dataset.htm, or {FFDNET}",
            "DIR/1.tif to 18.tif",
            (Form("", 18, frozenset({(500, 500)})),),
            _clean,
        ),
        Recipe(
            "urban100",
            "100 clean photographs of buildings, of different sizes",
            "https://github.com/jbhuang0604/SelfExSR",
            "DIR/*.png, or DIR/*_HR.png and low-resolution images",
            (Form("", 100),),
            _high_resolution,
        ),
        Recipe(
            "sidd_small",
            "pairs of photographs of five smartphones, in full resolution",
            f"{SIDD} (SIDD-Small or SIDD-Medium, sRGB images only)",
            "DIR/Data/SCENE/*NOISY_SRGB_010.PNG and *GT_SRGB_010.PNG (Medium: and _011)",
            (Form("SIDD-Small", 160), Form("SIDD-Medium", 320)),
            _matched("sidd_small", "NOISY_SRGB_", "GT_SRGB_", "Data", "*/*", _folder_of),
        ),
        Recipe(
            "sidd_validation",
            "1280 pairs of blocks, 32 from each of 40 smartphone photographs",
            f"{SIDD} (SIDD validation data, sRGB: noisy and ground truth)",
            "DIR/ValidationNoisyBlocksSrgb.mat and DIR/ValidationGtBlocksSrgb.mat",
            (Form("", 1280, frozenset({(256, 256)})),),
            _blocks,
        ),
        Recipe(
            "polyu",
            "100 pairs of crops from photographs of five cameras; clean ones are means of many",
            "https://github.com/csjunxu/PolyU-Real-World-Noisy-Images-Dataset",
            "DIR/CroppedImages/*_real.JPG and *_mean.JPG (or DIR/*_real.JPG)",
            (Form("", 100, frozenset({(512, 512)})),),
            _matched("polyu", "_real", "_mean", "CroppedImages", "*", _without_number),
        ),
        Recipe(
            "cc",
            "15 pairs of crops from photographs of three cameras; clean ones are means of many "
            "(noisy PSNR 33.41 dB on average)",
            "https://github.com/csjunxu/MCWNNM-ICCV2017 (folder Real_ccnoise_denoised_part)",
            "DIR/*_real.png and *_mean.png",
            (Form("", 15, frozenset({(512, 512)})),),
            _matched("cc", "_real", "_mean", "Real_ccnoise_denoised_part", "*"),
        ),
        _camera("highiso", "crops of photographs at high ISO, clean ones means of many"),
        _camera("iphone", "photographs of an iPhone"),
        _camera("huawei", "photographs of a Huawei smartphone"),
        Recipe(
            "sidd_plus",
            "pairs of blocks, the validation data of NTIRE 2020 (SIDD+, sRGB)",
            "https://bit.ly/siddplus_data (linked in arXiv 2005.04117)",
            "DIR/noisy/*.png and DIR/gt/*.png, the same names in both",
            (Form("", None),),
            _either("sidd_plus", "noisy", "gt"),
        ),
        Recipe(
            "nam",
            "pairs of crops from photographs of three cameras (Nam et al. 2016), cut in several "
            "ways; `cc` is one",
            "http://snam.ml/research/ccnoise",
            "DIR/lq/*.png and DIR/hq/*.png, the same names in both",
            (Form("", None),),
            _either("nam", "lq", "hq"),
        ),
        *(_microscope(shots) for shots in (1, 2, 4, 8, 16)),
        Recipe(
            "idf",
            "prepared noisy versions of clean sets, whatever types and levels are there",
            "https://github.com/dongjinkim9/IDF (its script makes them)",
            "DIR/SET/TYPE_LEVEL/*.png, such as DIR/kodak24/gaussian_25, and DIR/SET/clean/*.png "
            "(or gt), the same names in both",
            (Form("", None),),
            _prepared,
        ),
        _monte_carlo(64),
        _monte_carlo(128),
    )
}
