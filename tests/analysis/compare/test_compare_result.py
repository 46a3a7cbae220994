"""`analysis.compare.correlate`: models from Python and run folders, frames, plots, saving."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import analysis
from analysis.compare.command import ANALYSIS
from analysis.compare.result import CompareResult
from mtd.utils.errors import BadInput
from tests.helpers.figures import leave_unrendered
from tests.helpers.processes import two_processes


class Own(nn.Module):
    """A network of a user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - 0.1 * self.last(self.first(x).relu())


IMAGES = [np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8) for i in range(4)]


@pytest.fixture(scope="module")
def result() -> CompareResult:
    torch.set_num_threads(2)
    torch.manual_seed(0)
    return analysis.compare.correlate(
        {name: Own().eval() for name in "abcd"},
        images=IMAGES,
        crop=16,
        limit=4,
        untrained=1,
        noises=["poisson:3.5", "spatial:60"],
        in_distribution="gaussian:15",
        skip=["degradation", "sensitivity"],
        progress=False,
    )


@pytest.fixture(scope="module")
def saved(result: CompareResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its run folder, which no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        leave_unrendered(patch)
        return result.save(tmp_path_factory.mktemp("saved") / "run")


def test_the_frames_are_those_of_the_analyses(result):
    names = ["generalization", *(f"cka-{name}" for name in "abcd"), "srga", "distributions"]
    assert list(result.parts) == [*names, "error"]
    frame = result.models.set_index("model")
    scores = result.parts["generalization"].scores.query("metric == 'psnr'").set_index("model")
    srga = result.parts["srga"].frames["srga"]
    unseen = srga[srga.noise != "gaussian:15"].groupby("model").srga.mean()
    for name in "abcd":
        assert frame.ood_drop[name] == scores.ood_drop[name]
        assert frame.srga[name] == unseen[name]
    indices = {"srga", "cka", "distance", "leak_share", "cutoff"}
    assert set(result.correlations["index"]) == indices
    errors = result.parts["error"].frames["error"]
    assert set(errors.noise_draws) == {2} and set(errors.noise) == set(srga.noise)
    assert np.allclose(frame.drop_leak + frame.drop_damage, [drop_of(errors, n) for n in "abcd"])
    assert "4 patches are few" in result.text() and "<CompareResult of 4 models" in repr(result)


def drop_of(errors: pd.DataFrame, model: str) -> float:
    """The drop in dB of the PSNR of the mean squared error, mean over unseen noises."""
    mse = errors[errors.model == model].set_index("noise").mse
    return float(np.mean(10 * np.log10(mse.drop("gaussian:15") / mse["gaussian:15"])))


def test_a_plot_shows_a_point_for_each_model(result):
    axes = result.plot_index("srga")
    points = {line.get_label(): line for line in axes.lines}
    for row in result.models.itertuples():
        line = points[row.model]
        assert (line.get_xdata()[0], line.get_ydata()[0]) == (row.srga, row.ood_drop)
    assert axes.get_ylabel().startswith("PSNR drop") and "Spearman" in axes.get_title()
    assert result.plot_index("cka", ax=axes, target="unseen") is axes
    for name, target, message in (
        ("srgaa", "unseen", "index 'srgaa'"),
        ("srga", "gap", "target 'gap'"),
    ):
        with pytest.raises(BadInput, match=message):
            result.plot_index(name, target=target)


def test_a_saved_result_holds_its_analyses_and_is_read_again(result, saved):
    inner = [saved / name for name in result.parts]
    again = analysis.compare.correlate(inner)
    pd.testing.assert_frame_equal(again.models, result.models)
    assert list(again.manifest["runs"]) == [str(path) for path in inner]
    read = CompareResult.read(ANALYSIS, saved)
    pd.testing.assert_frame_equal(read.correlations, result.correlations)
    assert list(read.figures()) == ["compare"] and (saved / "compare.png").is_file()
    with pytest.raises(BadInput, match="crop: the runs of the folders have their own"):
        analysis.compare.correlate(inner, crop=32)
    with pytest.raises(BadInput, match="models and run folders: give one or the other"):
        analysis.compare.correlate([inner[0], "baseline.pth"])


def test_fewer_than_four_models_are_refused():
    with pytest.raises(BadInput, match="1 model: rank correlations need 4 or more"):
        analysis.compare.correlate(Own().eval(), progress=False)


@pytest.mark.parametrize("models", [None, 4])
def test_what_is_no_model_is_one_line(models):
    with pytest.raises(BadInput, match="expected a module"):
        analysis.compare.correlate(models, progress=False)


def test_models_may_come_one_at_a_time(result, saved):
    with pytest.raises(BadInput, match="2 models: rank correlations need 4 or more"):
        analysis.compare.correlate((Own().eval() for _ in range(2)), progress=False)
    again = analysis.compare.correlate(saved / name for name in result.parts)
    pd.testing.assert_frame_equal(again.models, result.models)


def test_copies_are_refused():
    own = Own().eval()
    with pytest.raises(BadInput, match="a and d are the same model: give one of them"):
        analysis.compare.correlate(
            {name: own if name in "ad" else Own().eval() for name in "abcde"},
            images=IMAGES,
            crop=16,
            progress=False,
        )


SHARED = """\
import torch, pandas as pd, numpy as np
from torch import nn
from analysis.compare import correlate
from mtd.utils import distributed

torch.manual_seed(0)
models = {
    name: nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 3, 3, padding=1))
    for name in "abcd"
}
images = [np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8) for i in range(4)]
skip = ["degradation", "sensitivity", "cka"]
result = correlate(
    models, images=images, crop=16, limit=4, batch_size=2, noises=["poisson:3.5"], skip=skip,
    progress=False, untrained=1, in_distribution=["gaussian:15"],
)
rank, _ = distributed.start("cpu")
result.models.to_csv(f"models-{rank.rank}.csv", index=False)
assert set(result.parts) == {"generalization", "srga", "distributions", "error"} and result.text()
"""


def test_every_process_has_the_result(tmp_path):
    (tmp_path / "shared.py").write_text(SHARED)
    done = two_processes("shared.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    one, other = ((tmp_path / f"models-{rank}.csv").read_text() for rank in range(2))
    assert one == other and len(one.splitlines()) == 5
