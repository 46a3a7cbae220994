"""The walk: every view once per batch, every noise made once."""

from __future__ import annotations

from conftest import tiny_network

from analysis import engine
from mtd import images, noise


def test_engine_runs_each_view_once_and_makes_each_noise_once(monkeypatch):
    networks = {"a": tiny_network(0), "b": tiny_network(1)}
    calls = dict.fromkeys(networks, 0)
    for name, network in networks.items():
        network.register_forward_hook(lambda *_, n=name: calls.update({n: calls[n] + 1}))
    drawn = []
    original = engine.add_keyed
    monkeypatch.setattr(
        engine, "add_keyed", lambda n, *a, **k: drawn.append(n.spec) or original(n, *a, **k)
    )
    crops = images.spread_crops(images.photographs(), 16, 8)
    groups = engine.batches(crops, 3)
    assert [len(g) for g in groups] == [2, 3, 3]
    layers = {name: ["conv_first"] for name in networks}
    noises = [noise.parse(s) for s in ("gaussian:15", "poisson:3")]
    views = [list(seen) for seen in engine.walk(networks, noises, groups, layers)]
    assert calls == {"a": 6, "b": 6}
    assert drawn == ["gaussian:15", "poisson:3"] * 3
    assert views[0] == [
        ("a", "gaussian:15"),
        ("b", "gaussian:15"),
        ("a", "poisson:3"),
        ("b", "poisson:3"),
    ]


def test_batches_leave_no_remainder_too_small():
    for total in range(4, 40):
        for size in range(1, 20):
            sizes = [len(g) for g in engine.batches(list(range(total)), size, 4)]  # type: ignore[arg-type]
            assert sum(sizes) == total and min(sizes) >= 4
            assert max(sizes) <= max(size, 7)
