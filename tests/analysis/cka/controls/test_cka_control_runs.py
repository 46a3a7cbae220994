"""Runs with controls: the same tables however they come about, and what is said of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.engine.cache import ActivationCache
from mtd.loading import checkpoint_file
from mtd.masking import MaskPolicy
from mtd.networks.swinir import SwinIR
from tests.helpers.control_runs import (
    CONFIG,
    LAST,
    NOISES,
    POSITIONED,
    draw_photographs,
    run,
    summary,
    value,
)
from tests.helpers.processes import two_processes
from tests.helpers.run_folders import contents


def tables(path: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(path).items() if name.endswith(".csv")}


def test_values_are_the_same_without_controls(path):
    bare = run("bare", "plain.pth", "hidden.pth", *POSITIONED, "--no-controls")
    with_controls, without_them = tables(path), tables(bare)
    assert set(with_controls) - set(without_them) == {"controls.csv"}
    for name in ("cka.csv", "layers.csv", "difference.csv", "influence.csv"):
        assert with_controls[name] == without_them[name]
    depth = pd.read_csv(bare / "depth.csv")
    assert depth.ceiling.isna().all() and depth.untrained.isna().all()
    assert "ceiling" not in (bare / "summary.txt").read_text()


def test_two_processes_write_the_same_tables(path, folder):
    arguments = ("plain.pth", "hidden.pth", *POSITIONED, "--untrained", "2")
    done = two_processes("-m", "analysis.cka", *arguments, "--output-dir", "two", cwd=folder)
    assert done.returncode == 0, done.stderr
    one, two = tables(path), tables(folder / "two")
    assert set(one) == set(two)
    for name in one:
        frames = [pd.read_csv(place / name) for place in (path, folder / "two")]
        pd.testing.assert_frame_equal(*frames, rtol=1e-9, atol=1e-9)


def test_a_resumed_run_writes_the_same_tables(path, monkeypatch):
    original, stored = ActivationCache.put, []

    def stop(self: ActivationCache, *given: object) -> object:
        if len(stored) == 9:
            raise KeyboardInterrupt
        stored.append(given)
        return original(self, *given)  # type: ignore[arg-type]

    arguments = ("plain.pth", "hidden.pth", *POSITIONED, "--untrained", "2")
    with monkeypatch.context() as patch:
        patch.setattr(ActivationCache, "put", stop)
        with pytest.raises(KeyboardInterrupt):
            run("resumed", *arguments)
    assert tables(run("resumed", *arguments, "--resume")) == tables(path)


def test_crops_of_one_photograph_have_no_floor(folder):
    (folder / "single").mkdir()
    shutil.copy(folder / "photos/00.png", folder / "single")
    options = ("--images", "single", "--crop", "8", "--limit", "8", "--quiet", "--untrained", "1")
    for unit in ("position", "image"):
        path = run(f"one {unit}", "plain.pth", *options, "--unit", unit, "--permutations", "0")
        for name in ("depth.csv", "last_quarter.csv"):
            frame = pd.read_csv(path / name)
            assert frame.floor.isna().all() and frame.normalised.isna().all()
            assert frame.ceiling.notna().all() and frame.untrained.notna().all()
        text = " ".join((path / "summary.txt").read_text().split())
        assert "floor" not in text and "ceiling" in text
        assert "1 photograph is too few for intervals" in text and "shown" not in text


@pytest.mark.parametrize("count", [2, 3])
def test_with_fewer_than_three_photographs_nothing_is_normalized(folder, count):
    place = folder / f"photos of {count}"
    draw_photographs(place, count)
    options = ("--images", str(place), "--crop", "16", "--positions", "16", "--quiet")
    path = run(f"of {count}", "plain.pth", *options, "--limit", str(2 * count), "--untrained", "1")
    frame = pd.read_csv(path / "depth.csv")
    assert frame.ceiling.notna().all() and frame.floor.notna().all()
    if count == 2:
        assert frame.normalised.isna().all() and frame.low.isna().all()
    else:
        assert frame.low.notna().all()


def test_of_two_untrained_networks_no_difference_is_shown(folder):
    for name, seed in (("first", 11), ("second", 12)):
        network = SwinIR(CONFIG)
        network.initialize(torch.Generator().manual_seed(seed))
        checkpoint_file.save(
            folder / f"{name}.pth", network.state_dict(), network=CONFIG, mask=MaskPolicy()
        )
    path = run("untrained", "first.pth", "second.pth", *POSITIONED)
    text = summary(path)
    table = pd.read_csv(path / "quarter_difference.csv").iloc[0]
    assert abs(table.difference) < 0.05
    assert ": shown" not in text and "(shown" not in text and "is shown to be" not in text
    assert text.count("not shown to differ by more than 0.05") >= 2
    quarter = pd.read_csv(path / "last_quarter.csv")
    own = quarter[quarter.model_a == quarter.model_b]
    assert (own.above_untrained.abs() < 0.05).all()


def test_a_network_and_its_copy_are_not_compared(folder):
    shutil.copy(folder / "plain.pth", folder / "copy.pth")
    path = run("copied", "plain.pth", "copy.pth", *POSITIONED, "--untrained", "2")
    text = summary(path)
    assert "plain and copy hold the same weights." in text
    for word in ("In this mean", "Over depth", "Between models", "best match"):
        assert word not in text
    quarter = pd.read_csv(path / "last_quarter.csv").set_index(["model_a", "model_b"])
    assert quarter.cka["plain", "copy"] == pytest.approx(1, abs=1e-9)
    alike = quarter.loc[[("plain", "plain"), ("copy", "copy")]]
    for column in ("cka", "ceiling", "floor", "untrained"):
        assert alike[column].nunique() == 1
    # the ceiling of a network and its copy under one noise is that of the network with itself
    cells = pd.read_csv(path / "controls.csv")
    draws = [
        value(cells, "ceiling", ("plain", NOISES[0]), ("plain", f"{NOISES[0]}@1"), la)
        for la in LAST
    ]
    assert quarter.ceiling["plain", "copy"] == pytest.approx(np.mean(draws))
