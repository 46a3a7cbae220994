"""MATLAB files: the same as SciPy reads, and nothing but 8-bit numbers."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from scipy.io import matlab

from mtd.data import mat_file, sidd_mat
from mtd.utils import input_files
from mtd.utils.errors import BadInput
from tests.helpers import mats

PUBLISHED = Path(matlab.__file__).parent / "tests/data"
"""Files that MATLAB wrote, which come with SciPy."""


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_pixels_are_those_of_scipy(tmp_path: Path, order: str, compressed: bool) -> None:
    path, shape = tmp_path / "a.mat", (2, 3, 4, 5, 3)
    drawn = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    content = drawn.tobytes("F")
    path.write_bytes(
        mats.header(order)
        + mats.variable("first", (1, 1), b"\7", order=order)
        + mats.variable("blocks", shape, content, order=order, compressed=compressed)
    )
    found = mat_file.variables(path)
    assert {name: one.shape for name, one in found.items()} == {"first": (1, 1), "blocks": shape}
    assert np.array_equal(mat_file.pixels(path, found["blocks"]), drawn)
    assert np.array_equal(scipy.io.loadmat(path)["blocks"], drawn)
    assert mat_file.pixels(path, found["first"]) == 7


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="SciPy is installed without its tests")
@pytest.mark.parametrize("kind", ["3dmatrix", "cell", "double", "sparse", "struct", "multi"])
def test_files_of_matlab_itself(kind: str) -> None:
    paths = sorted(PUBLISHED.glob(f"test{kind}_[67]*.mat"))
    assert paths
    for path in paths:
        ours = {name: (one.shape, one.kind) for name, one in mat_file.variables(path).items()}
        assert ours == {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(path)}


def test_scipy_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What crashes SciPy cannot end a run, since it reads no file."""

    def reached(*_: object, **__: object) -> None:
        raise AssertionError("SciPy reads the file")

    monkeypatch.setattr("scipy.io.loadmat", reached)
    monkeypatch.setattr("scipy.io.whosmat", reached)
    path = tmp_path / "a.mat"
    path.write_bytes(mats.header() + mats.variable("x", (2, 4, 4, 3), bytes(96)))
    assert [one.load().shape for one in sidd_mat.photographs(path, "x")] == [(4, 4, 3)] * 2


def bomb(name: str = "x", shape: tuple[int, ...] = (4, 4, 4, 3)) -> bytes:
    """A variable that inflates to 8 MiB."""
    return mats.variable(name, shape, bytes(2**23), compressed=True)


@pytest.mark.parametrize(
    "content, words",
    [
        (
            mats.variable("x", (10**5, 10**5, 1, 3), b"", compressed=True),
            r"x, 27\.93968 GiB once decoded; .* MTD_MAX_DECODED_GIB to raise it",
        ),
        (
            mats.variable("x", (40_000_000, 1, 1, 3), b""),
            r"x, 4e\+07 blocks; the limit is 100000: .* MTD_MAX_MAT_BLOCKS to raise it",
        ),
        (mats.variable("x", (1, 10_000, 1, 3), b"", kind=1), "x is cell, 1 x 10000"),
        (mats.variable("x" * 5000, (1, 1), b""), "a header of 5000 bytes"),
        (mats.variable("x", (1, 1), b"")[:-9], "it is cut short"),
        (mats.variable("x", (), b""), "has no sizes"),
        (mats.variable("x", (-1, 4, 4, 3), b""), "has no sizes"),
        (struct.pack("<II", 15, 9) + b"no inflate", "damaged MATLAB file"),
        (struct.pack("<II", 15, 20) + zlib.compress(b"short") + bytes(7), "damaged MATLAB file"),
        (struct.pack("<II", 9, 8) + bytes(8), "no variable at byte 128"),
    ],
)
def test_refused_by_what_the_header_says(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(mats.header() + content)
    with pytest.raises(BadInput, match=rf"a\.mat: .*{words}"):
        sidd_mat.photographs(path, "x")


def test_pixels_other_than_announced(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    for content in (bomb(), mats.variable("x", (4, 4, 4, 3), bytes(9), compressed=True)):
        path.write_bytes(mats.header() + content)
        (found,) = mat_file.variables(path).values()
        with pytest.raises(BadInput, match=r"damaged MATLAB file: .* for 192 pixels"):
            mat_file.pixels(path, found)
    path.write_bytes(mats.header() + mats.variable("x", (1, 1), b"a"))
    with pytest.raises(BadInput, match="the file has changed"):
        mat_file.pixels(path, found)


def test_nothing_is_inflated_that_is_not_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(mats.header() + b"".join(bomb(f"x{i}") for i in range(3)))
    tracemalloc.start()
    try:
        assert len(mat_file.variables(path)) == 3
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_more_variables_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(mats.header() + mats.variable("x", (1, 1), b"a") * 11)
    monkeypatch.setenv("MTD_MAX_MAT_VARIABLES", "10")
    with pytest.raises(BadInput, match=r"11 variables; the limit is 10: .* MTD_MAX_MAT_VARIABLES"):
        mat_file.variables(path)


def test_listing_reads_in_proportion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, total = tmp_path / "a.mat", [0]

    class Counting(io.FileIO):
        def read(self, size: int | None = -1, /) -> bytes:
            block = super().read(size)
            total[0] += len(block) + 1
            return block

    monkeypatch.setattr(input_files, "opened", lambda path: Counting(path))
    steps = []
    for count in (20, 40, 80):
        path.write_bytes(
            mats.header()
            + b"".join(
                mats.variable(f"x{i}", (1, 900), bytes(900), compressed=bool(i % 2))
                for i in range(count)
            )
        )
        total[0] = 0
        assert len(mat_file.variables(path)) == count
        steps.append(total[0])
    assert steps[2] - steps[1] == 2 * (steps[1] - steps[0]) > 0
