"""Every kind of pixels is read as it is meant, by both readers alike, or refused by both."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mtd.data import image_io
from mtd.utils.errors import BadInput
from tests.helpers import pngs, tiffs
from tests.helpers.images import noise
from tests.helpers.paths import ROOT
from tests.helpers.processes import fresh
from tests.helpers.tiffs import Kind

READERS = (image_io.read_rgb, image_io.read_image, image_io.header)


def refused(path: Path, words: str) -> None:
    """Both readers, and the header, refuse a file in the same single line."""
    messages = set()
    for reader in READERS:
        with pytest.raises(BadInput, match=words) as caught:
            reader(path)
        messages.add(str(caught.value))
    assert len(messages) == 1 and "\n" not in messages.pop()


def is_read(path: Path, expected: NDArray[np.generic]) -> None:
    """Both readers return these colors (H, W, 1 or 3), and the header knows their size."""
    image = image_io.read_image(path)
    assert image.pixels.dtype == expected.dtype
    assert np.array_equal(image.colors, expected)
    levels = expected if expected.dtype == np.uint8 else np.rint(expected / 257)
    assert np.array_equal(image_io.read_rgb(path), np.broadcast_to(levels, (*levels.shape[:2], 3)))
    head = image_io.header(path)
    assert (head.height, head.width, head.depth) == (*expected.shape[:2], image.depth)


def meaning(samples: NDArray[np.int64], kind: Kind) -> NDArray[np.generic]:
    """The colors that samples stand for, by the specification."""
    if kind.colormap is not None:
        return (kind.colormap[samples[..., 0]] >> 8).astype(np.uint8)
    colors = samples[..., : 3 if kind.photometric == tiffs.RGB else 1]
    top = 2**kind.bits - 1
    colors = top - colors if kind.photometric == tiffs.WHITE_IS_ZERO else colors
    full = 65535 if kind.bits == 16 else 255
    return (colors * (full // top)).astype(np.uint16 if kind.bits == 16 else np.uint8)


def is_readable(kind: Kind) -> bool:
    """The table of `mtd.data.image_io`, for TIFF."""
    color, alpha = kind.photometric == tiffs.RGB, bool(kind.extra)
    depths = {tiffs.RGB: (8, 16), tiffs.PALETTE: (1, 2, 4, 8)}.get(
        kind.photometric, (1, 2, 4, 8, 16)
    )
    if kind.bits not in depths or 1 in kind.extra:
        return False
    if alpha and (kind.bits < 8 or kind.photometric == tiffs.PALETTE):
        return False
    if not kind.planar:
        return True
    # libvips has no tiles of separate planes, and mixes up gray and alpha in them
    return color and not (kind.tile and (kind.bits == 16 or kind.extra == (0,)))


PHOTOMETRIC = (tiffs.WHITE_IS_ZERO, tiffs.BLACK_IS_ZERO, tiffs.RGB, tiffs.PALETTE)


@pytest.mark.parametrize("photometric", PHOTOMETRIC)
def test_tiff_of_every_kind(tmp_path: Path, photometric: int) -> None:
    stream = np.random.default_rng(photometric)
    storage = itertools.cycle(
        itertools.product((tiffs.NONE, tiffs.LZW, tiffs.DEFLATE, tiffs.PACKBITS), "<>")
    )
    grid = itertools.product((1, 2, 4, 8, 16), (False, True), (0, 16), ((), (0,), (1,), (2,)))
    read = 0
    for bits, planar, tile, extra in grid:
        channels = (3 if photometric == tiffs.RGB else 1) + len(extra)
        if planar and channels == 1:
            continue
        for compression, order in itertools.islice(storage, 3):
            samples = stream.integers(0, 2**bits, (37, 41, channels))
            colors = None
            if photometric == tiffs.PALETTE:
                colors = stream.integers(0, 65536, (2**bits, 3)).astype(np.uint16)
            kind = Kind(
                photometric, bits, compression, planar, tile, order, extra=extra, colormap=colors
            )
            path = tmp_path / "a.tif"
            path.write_bytes(tiffs.encode((samples, kind)))
            try:
                if not is_readable(kind):
                    refused(path, "first$")
                    continue
                read += 1
                is_read(path, meaning(samples, kind))
                if extra:
                    given = samples[..., -1].astype(image_io.read_image(path).pixels.dtype)
                    assert np.array_equal(image_io.read_image(path).pixels[..., -1], given)
            except (AssertionError, BadInput) as error:
                raise AssertionError(f"{kind}: {error}") from error
    assert read > 20


@pytest.mark.parametrize(
    "kind, words",
    [
        (Kind(tiffs.CMYK, 8), "CMYK"),
        (Kind(tiffs.LAB, 8), "CIELab"),
        (Kind(tiffs.YCBCR, 8), "YCbCr without JPEG"),
        (Kind(tiffs.YCBCR, 8, tiffs.DEFLATE), "YCbCr without JPEG"),
        (Kind(tiffs.RGB, 32, sample_format=3), "32-bit real numbers"),
        (Kind(tiffs.RGB, 16, sample_format=3), "16-bit real numbers"),
        (Kind(tiffs.BLACK_IS_ZERO, 32), "32 bits"),
        (Kind(tiffs.BLACK_IS_ZERO, 16, sample_format=2), "16-bit signed numbers"),
        (Kind(tiffs.RGB, 8, extra=(0, 0)), "5 channels"),
        (Kind(34892, 16), "photometric interpretation 34892"),
    ],
)
def test_tiff_without_known_colours_is_refused(tmp_path: Path, kind: Kind, words: str) -> None:
    channels = {tiffs.CMYK: 4, tiffs.BLACK_IS_ZERO: 1}.get(kind.photometric, 3) + len(kind.extra)
    samples = np.random.default_rng(0).integers(0, 100, (20, 30, channels))
    (tmp_path / "a.tif").write_bytes(tiffs.encode((samples, kind)))
    refused(tmp_path / "a.tif", f"{words}.*first$")


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_lossy_images_are_as_libvips_decodes_them(tmp_path: Path, mode: str, suffix: str) -> None:
    pyvips = pytest.importorskip("pyvips")
    smooth = np.cumsum(noise(3, np.uint8, 90, 70).astype(float) - 127, 0).clip(0, 255)
    made = Image.fromarray(smooth.astype(np.uint8)).convert(mode)
    path = tmp_path / f"a.{suffix}"
    made.save(path, **({"compression": "jpeg"} if suffix == "tif" else {"quality": 60}))
    decoded = pyvips.Image.new_from_file(str(path)).numpy()
    is_read(path, decoded.reshape(90, 70, -1))


def turned(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """An upright image as it is stored in an orientation: where row 0 and column 0 lie in it."""
    rows = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right"}
    columns = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom"}
    row, column = rows.get(orientation, "left"), columns.get(orientation, "bottom")
    sides = {"top": pixels, "bottom": pixels[::-1]}
    if row in sides:
        return sides[row] if column == "left" else sides[row][:, ::-1]
    across = pixels.swapaxes(0, 1)
    across = across if row == "left" else across[::-1]
    return across if column == "top" else across[:, ::-1]


def exif(orientation: int) -> bytes:
    return b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", 274, 3, 1, orientation, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_all_orientations_are_turned_upright(
    tmp_path: Path, channels: int, orientation: int
) -> None:
    for dtype in (np.uint8, np.uint16):
        upright = noise(channels, dtype, 20, 31)
        stored = turned(upright, orientation)
        bits, chunk = 8 * stored.dtype.itemsize, (b"eXIf", exif(orientation))
        color = {1: pngs.GRAY, 3: pngs.RGB, 4: pngs.RGB_ALPHA}[channels]
        for content in (
            pngs.encode(stored, bits, color, chunk),
            pngs.encode(stored, bits, color, late=(chunk,)),
        ):
            (tmp_path / "a.png").write_bytes(content)
            is_read(tmp_path / "a.png", image_io.ImageFile(upright).colors)
        photometric = tiffs.BLACK_IS_ZERO if channels == 1 else tiffs.RGB
        extra = (2,) if channels == 4 else ()
        kind = Kind(photometric, bits, extra=extra, orientation=orientation)
        (tmp_path / "a.tif").write_bytes(tiffs.encode((stored, kind)))
        is_read(tmp_path / "a.tif", image_io.ImageFile(upright).colors)
    if channels == 1:
        return
    upright = noise(channels, np.uint8, 20, 31)
    Image.fromarray(turned(upright, orientation)).save(
        tmp_path / "a.webp", lossless=True, exact=True, exif=exif(orientation)
    )
    is_read(tmp_path / "a.webp", upright[..., :3])
    jpeg = Image.fromarray(turned(upright, orientation)[..., :3])
    jpeg.save(tmp_path / "plain.jpg")
    jpeg.save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif(orientation))
    found, stored = (image_io.read_rgb(tmp_path / name) for name in ("a.jpg", "plain.jpg"))
    assert np.array_equal(turned(found, orientation), stored)
    is_read(tmp_path / "a.jpg", found)


def test_a_damaged_or_senseless_orientation_is_none(tmp_path: Path) -> None:
    image = Image.fromarray(noise(3, np.uint8))
    for block in (exif(0), exif(9), b"MM\0*", b"", b"x" * 40):
        image.save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
        image.save(tmp_path / "b.jpg")
        is_read(tmp_path / "a.jpg", image_io.read_rgb(tmp_path / "b.jpg"))


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("order", "<>")
def test_the_orientation_is_read_from_a_block_that_is_cut_short(tmp_path: Path, order: str) -> None:
    """Tags before it whose values are lost do not take it away."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    described = struct.pack(f"{order}HHLL", 0x010E, 2, 50, 38)  # 50 letters, at byte 38
    turned_left = struct.pack(f"{order}HHLHH", 0x0112, 3, 1, 6, 0)
    block = mark + struct.pack(f"{order}LH", 8, 2) + described + turned_left + bytes(4) + b"x" * 50
    stored = Image.fromarray(noise(3, np.uint8))
    stored.save(tmp_path / "b.jpg")
    pixels = image_io.read_rgb(tmp_path / "b.jpg")
    for length in range(8, len(block) + 1):
        stored.save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block[:length])
        is_read(tmp_path / "a.jpg", np.rot90(pixels, -1) if length >= 34 else pixels)


def frames(count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 20, 30, 3), np.uint8))


@pytest.mark.parametrize("suffix", ["tif", "webp", "png", "gif", "ppm"])
def test_several_pages_are_refused_and_page_takes_one(tmp_path: Path, suffix: str) -> None:
    path, pages = tmp_path / f"a.{suffix}", frames(3)
    if suffix == "ppm":
        path.write_bytes(b"".join(b"P6 30 20 255\n" + page.tobytes() for page in pages))
    elif suffix == "gif":
        pages = [page // 86 * 86 for page in pages]
        made = [Image.fromarray(page).quantize(27, dither=0) for page in pages]
        pages = [np.asarray(image.convert("RGB")) for image in made]
        made[0].save(path, save_all=True, append_images=made[1:])
    else:
        made = [Image.fromarray(page) for page in pages]
        lossless = {"lossless": True, "exact": True} if suffix == "webp" else {}
        made[0].save(path, save_all=True, append_images=made[1:], **lossless)
    refused(path, r"3 (pages|frames|images); choose one with --page N")
    for number, expected in enumerate(pages, 1):
        assert np.array_equal(image_io.read_rgb(path, number), expected)
        assert np.array_equal(image_io.read_image(path, number).colors, expected)
        assert image_io.header(path, number).height == 20
    for reader in READERS:
        with pytest.raises(BadInput, match=r"page 4: it holds 3 .*; expected 1 to 3"):
            reader(path, 4)
        with pytest.raises(BadInput, match="page 0"):
            reader(path, 0)


def test_pages_of_other_sizes_and_depths(tmp_path: Path) -> None:
    first, small, second = noise(3, np.uint8), noise(3, np.uint8, 8, 8), noise(1, np.uint16, 9, 12)
    path = tmp_path / "a.tif"
    deep = Kind(tiffs.BLACK_IS_ZERO, 16, orientation=6)
    path.write_bytes(tiffs.encode((first, Kind()), (small, Kind()), (turned(second, 6), deep)))
    refused(path, "3 pages")
    assert np.array_equal(image_io.read_image(path, 1).pixels, first)
    assert np.array_equal(image_io.read_image(path, 3).pixels, second)
    thumbnail = Kind(reduced=True)
    path.write_bytes(tiffs.encode((first, Kind()), (small, thumbnail)))
    is_read(path, first)  # a smaller version is not another picture
    path.write_bytes(tiffs.encode((small, thumbnail), (second, Kind(tiffs.BLACK_IS_ZERO, 16))))
    is_read(path, second)
    path.write_bytes(tiffs.encode((small, Kind(reduced=True, below=True))))
    refused(path, "previews of an image")  # as in raw files of cameras


def test_a_photograph_with_previews_is_one_image(tmp_path: Path) -> None:
    photo, preview = (Image.fromarray(noise(3, np.uint8, side, side)) for side in (32, 8))
    photo.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[preview])
    photo.save(tmp_path / "b.jpg")
    is_read(tmp_path / "a.jpg", image_io.read_rgb(tmp_path / "b.jpg"))


def test_the_pictures_of_a_stereo_photograph_are_frames(tmp_path: Path) -> None:
    left, right, preview = (Image.fromarray(noise(3, np.uint8, side, 24)) for side in (32, 40, 8))
    path = tmp_path / "a.mpo"
    left.save(path, format="MPO", save_all=True, append_images=[preview, right])
    with Image.open(path) as image:
        entry = image.mpinfo[0xB002][2]
    content = path.read_bytes()
    held = struct.pack("<LLLHH", 0, entry["Size"], entry["DataOffset"], 0, 0)
    assert content.count(held) == 1
    path.write_bytes(content.replace(held, struct.pack("<L", 0x00020002) + held[4:]))
    refused(path, "2 frames; choose one with --page N")
    for number, made in ((1, left), (2, right)):
        made.save(tmp_path / "b.jpg")
        expected = image_io.read_rgb(tmp_path / "b.jpg")
        assert np.array_equal(image_io.read_rgb(path, number), expected)
        assert image_io.header(path, number).height == len(expected)


LOSSLESS = {"JPEG2000": {"irreversible": False}}


@pytest.mark.parametrize("suffix", ["bmp", "dib", "ppm", "pgm", "jp2", "j2k", "j2c", "jpx", "gif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_other_formats_are_read(tmp_path: Path, mode: str, suffix: str) -> None:
    pixels = noise(3 if mode == "RGB" else 1, np.uint8, 40, 50) // 64 * 64
    made = Image.fromarray(pixels.squeeze())
    if suffix == "gif":
        made = made.quantize(64, dither=0)
        pixels = np.asarray(made.convert("RGB"))
    written = {"dib": "bmp"}.get(suffix, suffix)  # a DIB as programs write it, with a header
    kind = Image.registered_extensions()[f".{written}"]
    made.save(tmp_path / f"a.{suffix}", kind, **LOSSLESS.get(kind, {}))
    found = image_io.read_image(tmp_path / f"a.{suffix}")
    is_read(tmp_path / f"a.{suffix}", pixels if found.colors.shape[2] > 1 else pixels[..., :1])
    assert [path.suffix for path in image_io.find(tmp_path)] == [f".{suffix}"]


def test_every_ending_of_a_format_that_is_read_is_found(tmp_path: Path) -> None:
    Image.init()
    formats = ("PNG", "JPEG", "MPO", "TIFF", "WEBP", "BMP", "DIB", "PPM", "JPEG2000", "GIF")
    known = {e for e, kind in Image.registered_extensions().items() if kind in formats}
    assert known - {".pfm"} == set(image_io.SUFFIXES)  # of real numbers
    for ending in (".jfif", ".jpe", ".JPE"):
        Image.new("RGB", (5, 4)).save(tmp_path / f"a{ending}", "JPEG")
    assert len(image_io.find(tmp_path)) == 3 and image_io.skipped(tmp_path) == ""


def test_jpeg_2000_of_other_depths_and_colours_is_refused(tmp_path: Path) -> None:
    Image.fromarray(noise(1, np.uint16)[..., 0]).save(tmp_path / "a.jp2", irreversible=False)
    refused(tmp_path / "a.jp2", "JPEG 2000 of 16 bits")
    Image.fromarray(noise(3, np.uint8)).save(tmp_path / "a.jp2", irreversible=False)
    content = (tmp_path / "a.jp2").read_bytes()
    place = content.index(b"colr") + 7
    for space in (12, 14, 18):  # CMYK, Lab, YCC
        (tmp_path / "a.jp2").write_bytes(
            content[:place] + struct.pack(">I", space) + content[place + 4 :]
        )
        refused(tmp_path / "a.jp2", "other colors than gray or RGB")


def test_netpbm_of_every_kind(tmp_path: Path) -> None:
    stream = np.random.default_rng(0)
    for number, top in itertools.product((2, 3, 5, 6), (1, 31, 255, 1023, 65535)):
        values = stream.integers(0, top + 1, (7, 11, 3 if number in (3, 6) else 1))
        header = b"P%d # a comment\n11 7\n# another\n%d\n" % (number, top)
        plain = b" ".join(b"%d" % value for value in values.ravel())
        raw = values.astype(">u1" if top < 256 else ">u2").tobytes()
        (tmp_path / "a.pnm").write_bytes(header + (plain if number < 4 else raw))
        full = 255 if top < 256 else 65535
        exact = np.floor(values * full / top + 0.5)
        is_read(tmp_path / "a.pnm", exact.astype(np.uint8 if full == 255 else np.uint16))
    black = stream.integers(0, 2, (7, 11, 1))
    for number in (1, 4):
        digits = "".join(map(str, black.ravel())).encode()
        raw = np.packbits(black[..., 0].astype(np.uint8), axis=1).tobytes()
        (tmp_path / "a.pbm").write_bytes(b"P%d 11 7\n" % number + (digits if number == 1 else raw))
        is_read(tmp_path / "a.pbm", ((1 - black) * 255).astype(np.uint8))


@pytest.mark.parametrize(
    "content, words",
    [
        (b"P6 4 4 255\n123", "damaged image .3 of 48 values"),
        (b"P3 1 1 255\n1 2", "damaged image .2 of 3 values"),
        (b"P3 1 1 9\n1 2 10", "a value above 9"),
        (b"P5 4 x 255\n", "damaged header"),
        (b"P5 4 4 70000\n", "damaged header"),
        (b"P5 4", "damaged header"),
        (b"P2 2 1 255\n1.5 2", "'1.5' in a plain file: expected whole numbers up to 255"),
        (b"P3 1 1 255\n-1 2 3", "'-1' in a plain file"),
        (b"P2 2 1 255\n1 1e2", "'1e2' in a plain file"),
        (b"P2 2 1 255\n1 1234567890123456789012", "'12345678901234567890' in a plain file"),
        (b"P2 2 1 255\n1 2 3", "3 values; its size needs 2"),
        (b"P2 2 1 255\n1 2\nP2 2 1 255\n3 4", "'P2' in a plain file"),
        (b"P1 2 1\n12", "'2' in a plain file: expected 0 or 1"),
        (b"P1 2 1\n1 0 P1", "'P' in a plain file"),
    ],
)
def test_damaged_netpbm(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.ppm").write_bytes(content)
    with pytest.raises(BadInput, match=words):
        image_io.read_rgb(tmp_path / "a.ppm")


def test_comments_of_netpbm_end_a_number(tmp_path: Path) -> None:
    for end in (b"\n", b"\r", b"\r\n"):
        lines = [b"P2", b"2#wide", b"1 # high", b"255", b"12#3", b"4 # 5", b""]
        (tmp_path / "a.pgm").write_bytes(end.join(lines))
        is_read(tmp_path / "a.pgm", np.array([[[12], [4]]], np.uint8))


@pytest.mark.parametrize("offset", [4093, 4094, 4095, 4096, 8191, 131070, 131071])
def test_several_netpbm_images_wherever_the_second_one_begins(tmp_path: Path, offset: int) -> None:
    first = b"P5 10 1 255\n"
    comment = b"P5#" + b"-" * (offset - len(first) - 12) + b"\n"
    content = comment + first[2:] + bytes(10)
    assert len(content) == offset
    (tmp_path / "a.pgm").write_bytes(content + b"P5 2 2 255\n\0\1\2\3")
    refused(tmp_path / "a.pgm", "2 images; choose one with --page N")
    assert image_io.read_rgb(tmp_path / "a.pgm", 2)[..., 0].tolist() == [[0, 1], [2, 3]]


def test_white_space_between_and_behind_netpbm_images(tmp_path: Path) -> None:
    image = b"P5 2 1 255\n\1\2"
    (tmp_path / "a.pgm").write_bytes(image + b"\r\n" + image.replace(b"\2", b"\3") + b"\n")
    refused(tmp_path / "a.pgm", "2 images")
    assert image_io.read_rgb(tmp_path / "a.pgm", 2)[..., 0].tolist() == [[1, 3]]
    (tmp_path / "a.pgm").write_bytes(image + b"\n")
    is_read(tmp_path / "a.pgm", np.array([[[1], [2]]], np.uint8))


@pytest.mark.parametrize("kind", [Kind(orientation=6), Kind(bits=16, extra=(2,), order=">")])
def test_a_tiff_cut_short_is_refused(
    tmp_path: Path, kind: Kind, recwarn: pytest.WarningsRecorder
) -> None:
    content = tiffs.encode((noise(3 + len(kind.extra), np.uint8), kind))
    for length in range(8, len(content), 7):
        (tmp_path / "a.tif").write_bytes(content[:length])
        refused(tmp_path / "a.tif", "damaged image|no TIFF directory")
    assert not recwarn.list


def test_a_big_tiff_cut_short_is_refused(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    pixels = Image.fromarray(noise(3, np.uint8))
    pixels.save(tmp_path / "a.tif", big_tiff=True, tiffinfo={315: "x" * 100})
    content = (tmp_path / "a.tif").read_bytes()
    is_read(tmp_path / "a.tif", np.asarray(pixels))
    for length in range(16, len(content), 61):
        (tmp_path / "a.tif").write_bytes(content[:length])
        with pytest.raises(BadInput, match="damaged image"):
            image_io.read_image(tmp_path / "a.tif")
    assert not recwarn.list


def test_compressions_of_tiff_that_no_library_decodes(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiffs.encode((noise(3, np.uint16), Kind(bits=16, compression=tiffs.LZMA))))
    refused(path, "16 bits compressed by LZMA, which cannot be read here; store it with Deflate or")
    path.write_bytes(tiffs.encode((noise(3, np.uint8), Kind(compression=34887))))
    refused(path, "compressed by LERC, which cannot be read here")
    path.write_bytes(tiffs.encode((noise(3, np.uint8), Kind(compression=40000))))
    refused(path, "compressed by an unknown method .TIFF tag 259 is 40000.")
    path.write_bytes(tiffs.encode((noise(3, np.uint8), Kind(compression=tiffs.LZMA))))
    is_read(path, noise(3, np.uint8))


def test_webp_in_tiff_is_read_by_libvips(tmp_path: Path) -> None:
    import pyvips

    level = np.full((40, 50, 3), (10, 120, 230), np.uint8)
    path = tmp_path / "a.tif"
    pyvips.Image.new_from_array(level).tiffsave(str(path), compression="webp", lossless=True)
    is_read(path, level)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_of_few_bits(tmp_path: Path, bits: int) -> None:
    samples = np.random.default_rng(bits).integers(0, 2**bits, (19, 23))
    level = int(samples[3, 3])
    gray = (samples * (255 // (2**bits - 1))).astype(np.uint8)[..., None]
    alpha = np.where(samples == level, 0, 255)
    path = tmp_path / "a.png"
    path.write_bytes(pngs.encode(samples, bits, pngs.GRAY))
    is_read(path, gray)
    path.write_bytes(pngs.encode(samples, bits, pngs.GRAY, (b"tRNS", struct.pack(">H", level))))
    is_read(path, gray)
    assert np.array_equal(image_io.read_image(path).pixels[..., 1], alpha)
    colors = np.random.default_rng(bits).integers(0, 256, (2**bits, 3), np.uint8)
    transparent = bytes([255] * level + [0])
    path.write_bytes(
        pngs.encode(
            samples, bits, pngs.PALETTE, (b"PLTE", colors.tobytes()), (b"tRNS", transparent)
        )
    )
    is_read(path, colors[samples])
    assert np.array_equal(image_io.read_image(path).pixels[..., 3], alpha)


def test_a_name_with_brackets(tmp_path: Path) -> None:
    image_io.write(tmp_path / "a[0].tif", image_io.ImageFile(noise(3, np.uint16)))
    is_read(tmp_path / "a[0].tif", noise(3, np.uint16))


def test_images_of_8_bits_need_pillow_alone(tmp_path: Path) -> None:
    image = Image.fromarray(noise(3, np.uint8))
    for suffix in ("png", "jpg", "tif", "webp", "bmp", "ppm", "jp2"):
        image.save(tmp_path / f"a.{suffix}")
    code = (
        "import sys\n"
        "from mtd.data.photographs import photographs\n"
        f"shapes = [photo.load().shape for photo in photographs({str(tmp_path)!r})]\n"
        "assert shapes == [(37, 41, 3)] * 7 and 'pyvips' not in sys.modules"
    )
    done = fresh("-c", code, cwd=ROOT)
    assert done.returncode == 0, done.stderr
