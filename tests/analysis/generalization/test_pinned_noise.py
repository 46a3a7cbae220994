"""What suites draw on one synthetic image is pinned, and drawn by NumPy alone in the same way."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from analysis.generalization import command, noise_suite, pinned_noise
from mtd.utils.errors import Failed
from tests.helpers import clipdenoising_oracle as oracle

PINNED = json.loads(pinned_noise.FILE.read_text())


@pytest.mark.parametrize("name", noise_suite.names())
def test_every_noise_of_every_suite_is_as_pinned(name):
    suite = noise_suite.load(name)
    assert (name in PINNED) == bool(suite.noises)
    if suite.noises:
        assert PINNED[name] == {
            "version": suite.version,
            "sha256": pinned_noise.digests(suite),
        }


def test_no_two_noises_are_alike():
    for entry in PINNED.values():
        assert len(set(entry["sha256"].values())) == len(entry["sha256"])


@pytest.mark.parametrize("noise", oracle.NOISES)
def test_an_independent_script_has_the_same_digests(noise):
    i, j, c = np.mgrid[:24, :32, :3]
    pixels = ((7 * i**2 + 13 * i * j + 5 * j + 31 * c * (i + 1)) % 256).astype(np.uint8)
    drawn = oracle.noisy_image(pixels.astype(np.float32) / np.float32(255), noise)
    by_noise = {spec.partition(",")[0]: d for spec, d in PINNED["clipdenoising"]["sha256"].items()}
    assert hashlib.sha256(drawn.tobytes()).hexdigest() == by_noise[noise]


def test_the_command_says_whether_this_machine_draws_the_same(in_process, monkeypatch, tmp_path):
    code, out, _ = in_process(command.main, "--suite", "check")
    assert code == 0 and "clipdenoising: 11 of 11 noises as pinned" in out
    other = json.loads(json.dumps(PINNED))
    other["kair"]["sha256"]["gaussian:25"] = "0" * 64
    monkeypatch.setattr(pinned_noise, "FILE", tmp_path / "digests.json")
    pinned_noise.FILE.write_text(json.dumps(other))
    code, _, err = in_process(command.main, "--suite", "check")
    assert code == 1 and "other noise than is pinned: kair gaussian:25" in err
    assert len(err.strip().splitlines()) == 1


def dropped(pinned):
    del pinned["kair"]["sha256"]["gaussian:25"]


def renamed(pinned):
    pinned["gone"] = {"version": 1, "sha256": {"isp": "0"}}


def newer(pinned):
    pinned["kair"]["version"] = 2


def absent(pinned):
    del pinned["dn50"]


@pytest.mark.parametrize(
    "change, message",
    [
        (dropped, "other noise than is pinned: kair gaussian:25 (not pinned)"),
        (renamed, "other noise than is pinned: gone isp (no longer in it)"),
        (newer, "has suites of other versions: kair is version 1, not 2"),
        (absent, "other noise than is pinned: dn50 gaussian:50 (not pinned)"),
    ],
)
def test_what_is_on_one_side_alone_is_a_failure(change, message, monkeypatch, tmp_path):
    pinned = json.loads(json.dumps(PINNED))
    change(pinned)
    own = {name: {**entry} for name, entry in PINNED.items()}
    monkeypatch.setattr(pinned_noise, "every", lambda: own)
    monkeypatch.setattr(pinned_noise, "FILE", tmp_path / "digests.json")
    pinned_noise.FILE.write_text(json.dumps(pinned))
    with pytest.raises(Failed) as error:
        pinned_noise.checked()
    assert message in str(error.value)
