"""Long commands are killed anywhere, and resumed: nothing differs, nothing is left behind.

`python -m pytest -m attack tests/attack/test_kills.py -s` prints how often each was killed.
"""

from __future__ import annotations

import io
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from analysis.engine.cache import ActivationCache
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from tests.attack.kills import BATCHES, FEW, JOBS, SIGNALS, Attack, Job, analysis, plans
from tests.helpers.file_server import FileServer, serving
from tests.helpers.images import photos_in
from tests.helpers.networks import TINY, tiny_network
from tests.helpers.processes import two_processes
from tests.helpers.training_logs import own

KILLS = 5
"""Of each command, at renames drawn all over the run and at any moment."""

BY_NAME = {job.name: job for job in JOBS}
COUNTS: Counter[tuple[str, str]] = Counter()


@pytest.fixture
def place(pair: Path) -> Path:
    """A folder with the inputs of every job."""
    photos_in(pair / "photos")
    for seed, name in enumerate(("third", "fourth"), 5):
        weights = tiny_network(seed).state_dict()
        checkpoint_file.save(pair / f"{name}.pth", weights, network=TINY, mask=MaskPolicy())
    own(pair / "log", noise="gaussian:15")
    (pair / "saved").mkdir()
    for seed, name in enumerate(("5_G.pth", "10_G.pth")):
        weights = tiny_network(seed).state_dict()
        checkpoint_file.save(pair / "saved" / name, weights, network=TINY, mask=MaskPolicy())
    (pair / "sweep.toml").write_text(
        'base = "small.toml"\n[[cell]]\nname = "one"\n[[cell]]\nname = "two"\nbaseline = true\n'
    )
    return pair


@pytest.fixture(scope="module")
def server() -> Iterator[FileServer]:
    """Serves three images."""
    with serving() as running:
        for number in range(3):
            running.files[f"kodim0{number}.png"] = _png(number)
        yield running


def _png(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (500, 500, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module", autouse=True)
def counts() -> Iterator[None]:
    """Print how often each command was killed by which signal."""
    COUNTS.clear()
    yield
    names = dict.fromkeys(name for name, _ in COUNTS)
    for name in names:
        line = "  ".join(f"{s.name} {COUNTS[name, s.name]}" for s in SIGNALS)
        print(f"\n{name:<16}{line}", end="")
    print(f"\nkills: {sum(COUNTS.values())}")


def attacked(job: Job, place: Path, server: FileServer) -> Attack:
    served = {"SERVED": " ".join([server.address, *server.files]), "NO_PROXY": "*"}
    home = {"MTD_HOME": str(place / "out")}
    return Attack(job, place, home | (served if job.name == "download" else {}))


@pytest.mark.attack
@pytest.mark.parametrize("name", BY_NAME)
def test_killed_anywhere_and_resumed_nothing_differs(place, server, name):
    attack = attacked(BY_NAME[name], place, server)
    dice = random.Random(name)
    first = dice.randrange(len(SIGNALS))
    signals = SIGNALS[first:] + SIGNALS[:first]
    done, attempts = 0, 0
    while done < KILLS:
        attempts += 1
        assert attempts <= 4 * KILLS, f"{name} ends before it is killed"
        for side, number, share, sent in plans(attack, KILLS, dice, signals)[done:]:
            if side == "moment":
                ended = attack.at_moment(share, sent)
            else:
                ended = attack.at_rename(number, side, sent)
            if ended:
                done += 1
                COUNTS[name, sent.name] += 1
            if dice.random() < 0.5 or not ended:
                attack.finish()
    attack.finish()


@pytest.mark.attack
@pytest.mark.parametrize("name", BY_NAME)
def test_killed_on_both_sides_of_every_rename(place, server, name):
    attack = attacked(BY_NAME[name], place, server)
    assert attack.renames
    for number in range(1, attack.renames + 1):
        for side in ("before", "after"):
            assert attack.at_rename(number, side, signal.SIGKILL)
            COUNTS[f"{name}, renames", "SIGKILL"] += 1
            attack.finish()


@pytest.mark.attack
@pytest.mark.parametrize("name", ["cka", "generalization"])
def test_killed_and_resumed_by_two_processes(place, server, name):
    """The tables differ by rounding at most."""
    attack = attacked(BY_NAME[name], place, server)
    assert attack.at_rename(attack.renames // 3, "after", signal.SIGKILL)
    assert ActivationCache(attack.out).count()
    done = two_processes(*attack.job.command(resume=True), cwd=place)
    assert done.returncode == 0, done.stderr
    tables = [table for table in attack.whole if table.endswith(".csv")]
    assert tables
    for table in tables:
        content = attack.whole[table]
        assert isinstance(content, bytes)
        one = pd.read_csv(io.BytesIO(content))
        pd.testing.assert_frame_equal(pd.read_csv(attack.out / table), one, rtol=1e-6, atol=1e-6)


@pytest.mark.attack
def test_a_few_kills(place, server):
    """The short version: one kill of each kind."""
    small = ("plain.pth", "--images", "photos", *FEW, *BATCHES)
    attack = attacked(analysis("brightness", *small), place, server)
    for number, sent in enumerate(SIGNALS):
        side = ("before", "after")[number % 2]
        assert attack.at_rename(2 + number, side, sent)
    attack.finish()
