"""Networks that are the same exactly linear function differ by rounding, which is not shown.

Each pair is one function computed in two ways. A third network differs by a thousandth, which is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import ndimage
from torch import nn

import analysis
from analysis.commands.result import Result

PHOTOGRAPHS, SIDE = 12, 12
NOISES = ["gaussian:15", "gaussian:40"]
SMALL = 1.001


def scenes(side: int = SIDE) -> list[np.ndarray]:
    """Random clouds."""
    fields = np.random.default_rng(1).normal(size=(PHOTOGRAPHS, side, side, 3))
    smooth = ndimage.gaussian_filter(fields, (0, 2, 2, 0), mode="wrap")
    return [np.clip(0.5 + 0.1 * field / field.std(), 0, 1) for field in smooth]


def filters(*sizes: tuple[int, int], gain: float = 1.0) -> nn.Module:
    """Means over windows, one after the other, times a gain; circular, without biases."""
    layers = []
    for height, width in sizes:
        layer = nn.Conv2d(
            3,
            3,
            (height, width),
            padding=(height // 2, width // 2),
            padding_mode="circular",
            bias=False,
            groups=3,
        )
        nn.init.constant_(layer.weight, gain ** (1 / len(sizes)) / (height * width))
        layers.append(layer)
    return nn.Sequential(*layers).eval()


def mixtures(*factors: np.ndarray) -> nn.Module:
    """1 x 1 convolutions, one after the other."""
    layers = []
    for factor in factors:
        layer = nn.Conv2d(3, 3, 1, bias=False)
        layer.weight.data = torch.tensor(factor, dtype=torch.float32)[:, :, None, None]
        layers.append(layer)
    return nn.Sequential(*layers).eval()


def pairs() -> dict[str, tuple[dict[str, nn.Module], nn.Module]]:
    """By name two networks that are one function, and one that is a thousandth larger."""
    rng = np.random.default_rng(0)
    whole, first = (0.8 * np.eye(3) + 0.1 * rng.random((3, 3)) for _ in range(2))
    second = whole @ np.linalg.inv(first)
    filtered = {"once": filters((3, 3)), "twice": filters((1, 3), (3, 1))}
    mixed = {"once": mixtures(whole), "twice": mixtures(first, second)}
    return {
        "filter": (filtered, filters((3, 3), gain=SMALL)),
        "1x1": (mixed, mixtures(SMALL * whole)),
    }


def run(section: str, models: dict[str, nn.Module], **how: object) -> Result:
    command = {"linear": analysis.linear.local_map, "error": analysis.error.decompose}[section]
    side = 8 if section == "linear" else SIDE  # whole Jacobians
    how |= {"images": scenes(side), "crop": side, "limit": PHOTOGRAPHS, "progress": False}
    return command(models, noises=NOISES, **how)


def shown(frame: pd.DataFrame, low: str = "low", high: str = "high") -> pd.Series:
    return (frame[low] > 0) | (frame[high] < 0)


@pytest.mark.parametrize("kind", ["filter", "1x1"])
@pytest.mark.parametrize("section", ["linear", "error"])
def test_two_ways_of_one_linear_function_are_not_shown_to_differ(section: str, kind: str):
    (models, larger) = pairs()[kind]
    how = {"levels": "15"} if section == "linear" else {}
    result = run(section, models, **how)
    frame = result.frames[f"{section}_difference"]
    assert (frame.value != 0).any()  # so that this tests anything
    assert not shown(frame).any() and not shown(frame, "band_low", "band_high").any()
    assert not any(": shown" in text or "(shown" in text for text in differences(result))
    apart = run(section, {"once": models["once"], "larger": larger}, **how)
    frame = apart.frames[f"{section}_difference"]
    frame = frame[frame.measure.isin(["effective_dimension", "trace", "psnr", "leak"])]
    small = frame[shown(frame)]
    expected = {"effective_dimension", "trace"} if section == "linear" else {"leak"}
    assert {*small.measure} >= expected
    if section == "linear":
        trace = small[small.measure == "trace"]
        before = apart.frames["linear"].set_index(["model", "noise"]).trace
        for row in trace[trace.noise.isin(NOISES)].itertuples():
            assert row.value == pytest.approx(0.001 * before["once", row.noise], rel=1e-2)


def differences(result: Result) -> list[str]:
    """The sentences on both networks."""
    return [text for text in result.sentences() if "`once`" in text and "`twice`" in text]


def test_errors_of_changed_inputs_are_rounding_in_a_linear_network():
    models, _ = pairs()["filter"]
    frame = run("linear", models, levels="15").frames["equivariance"]
    assert (frame.error < 1e-6).all() and (frame.error > 0).any()
    assert not shown(frame, "error_low", "error_high").any()


class Residual(nn.Module):
    """y + g(y), g two linear convolutions: branches that are no cut through the network."""

    def __init__(self, turn: torch.Tensor | None = None) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        first = 0.2 * torch.randn(4, 3, 3, 3, generator=generator)
        second = 0.2 * torch.randn(3, 4, 1, 1, generator=generator)
        if turn is not None:
            first = torch.einsum("ij,jckl->ickl", turn, first)
            second = torch.einsum("cjkl,ji->cikl", second, turn.inverse())
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 1)
        self.first.weight.data, self.second.weight.data = first, second
        nn.init.zeros_(self.first.bias), nn.init.zeros_(self.second.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.9 * x + self.second(self.first(x))


def turned() -> dict[str, nn.Module]:
    """A network, and the same with other features: a rotation that the next layer takes back."""
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))
    return {"own": Residual().eval(), "turned": Residual(turn).eval()}


def test_recoveries_of_one_function_are_not_shown_to_differ():
    result = analysis.causal.trace(
        turned(), images=scenes(), noises=NOISES, crop=SIDE, limit=PHOTOGRAPHS, progress=False
    )
    frame = result.frames["causal_difference"]
    assert (frame.value.abs() < 1e-4).all() and (frame.value != 0).any()
    assert not shown(frame).any() and not shown(frame, "band_low", "band_high").any()
    assert shown(result.frames["causal"]).any()


def test_stitches_of_one_function_are_not_shown_to_cost():
    how = {"noises": NOISES, "crop": SIDE, "limit": PHOTOGRAPHS, "progress": False}
    result = analysis.stitch.stitch_models(turned(), images=scenes(), layers=["first"], **how)
    frame = result.frames["stitch"]
    own = frame[frame.kind == "models"]
    assert len(own) and (own.cost.abs() < 1e-3).all()
    assert not shown(own).any()
    compared = result.frames["stitch_difference"]
    assert (compared.value.abs() < 1e-3).all() and not shown(compared).any()
