"""Random and changed pickles: nothing in them is imported or called."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtd.loading import checkpoint_file
from mtd.tensor_files import unpickling
from mtd.utils.errors import BadInput
from tests.helpers.pickles import OBJECTS, WEIGHTS, Quiet, parts_of, tensor, text, zipped

pytestmark = pytest.mark.usefixtures("one_thread")

BASES = [
    parts_of({"w": WEIGHTS, **OBJECTS}, pickle_protocol=protocol)["archive/data.pkl"]
    for protocol in (2, 3, 4, 5)
]
MEMBERS = parts_of({"w": WEIGHTS, **OBJECTS})

NAMES = ("os\nmkdir", "a_trap\nTrap", "builtins\neval", "torch._utils\n_rebuild_tensor_v2")
PIECES = [
    *(b"c" + name.encode() + b"\n" for name in (*NAMES, "collections\nOrderedDict", "x\ny")),
    *(text(word) for word in ("os", "mkdir", "storage", "0", "_modules", "_parameters", "mark")),
    *(bytes([code]) for code in b"()]}.0123NRQbaeuslotd\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92"),
    *(b"\x93\x94", b"q\x01", b"h\x01", b"K\x01", b"M\x00\x10", b"I-3\n", b"F2.5\n", b"U\x01a"),
    *(b"C\x01x", b"\x82\x07", b"\x82\xf0", b"ios\nmkdir\n", b"Pstorage\n", b"\x95\x02" + bytes(7)),
    tensor({}),
]  # fmt: skip


def mutated(base: bytes, changes: list[tuple[int, bytes, int]]) -> bytes:
    held = bytearray(base)
    for at, piece, removed in changes:
        start = at % (len(held) + 1)
        held[start : start + removed] = piece
    return bytes(held)


CHANGED = st.builds(
    mutated,
    st.sampled_from(BASES),
    st.lists(
        st.tuples(
            st.integers(0, 10**6),
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)),
            st.integers(0, 9),
        ),
        max_size=5,
    ),
)
RANDOM = st.lists(st.sampled_from(PIECES), max_size=40).map(lambda pieces: b"".join(pieces) + b".")


def fuzz(examples: int) -> Callable[[Any], Any]:
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=examples, deadline=None, derandomize=True, suppress_health_check=checks
    )


def never_run(place: Path, content: bytes) -> None:
    """Read an archive and an older file with a pickle: nothing is run, or imported."""
    path = zipped(place / "fuzzed.pth", {**MEMBERS, "archive/data.pkl": content})
    start = b"".join(pickle.dumps(one, 2) for one in (unpickling.MAGIC, unpickling.VERSION, {}))
    (place / "row.pth").write_bytes(start + content + pickle.dumps([], 2))
    for one in (path, place / "row.pth"):
        with Quiet(), suppress(BadInput):
            checkpoint_file.read(one)
    assert not (place / "mark").exists()


@fuzz(150)
@given(content=CHANGED)
def test_changed_pickles_are_inert(place, extension, content):
    never_run(place, content)


@fuzz(150)
@given(content=RANDOM)
def test_random_pickles_are_inert(place, extension, content):
    never_run(place, content)


@pytest.mark.slow
@fuzz(5_000)
@given(content=st.one_of(CHANGED, RANDOM, st.binary(max_size=60)))
def test_many_pickles_are_inert(place, extension, content):
    never_run(place, content)
