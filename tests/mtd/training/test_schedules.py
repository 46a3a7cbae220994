"""Learning rates against PyTorch's schedulers; what the optimizer settings do to the weights."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from mtd.training import run as training_run
from mtd.training import schedules
from mtd.training.trainer import Trainer
from mtd.utils.errors import BadInput
from tests.helpers.training import make, weights_of


def curve_of(scheduler_of, steps):
    """The learning rates that PyTorch's scheduler gives an optimizer of rate 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, rates = scheduler_of(optimizer), []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def test_the_cosine_is_pytorchs():
    expected = curve_of(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=99, eta_min=0.01), 100
    )
    found = [schedules.factor(t, 100, "cosine", final=0.01) for t in range(100)]
    assert found == pytest.approx(expected, abs=1e-12)
    assert found[0] == 1 and found[-1] == pytest.approx(0.01, abs=1e-15)


def test_milestones_are_pytorchs():
    expected = curve_of(
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, milestones=[5, 20, 21], gamma=0.3), 30
    )
    found = [schedules.factor(t, 30, "steps", milestones=(5, 20, 21), gamma=0.3) for t in range(30)]
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_warmup_rises_linearly_and_the_cosine_follows_it():
    found = [schedules.factor(t, 50, "cosine", warmup=10, final=0.1) for t in range(50)]
    assert found[:10] == pytest.approx([(t + 1) / 10 for t in range(10)])
    middle = 10 + (49 - 10) / 3
    assert found[10] == 1 and found[-1] == pytest.approx(0.1)
    assert found[23] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 3)) / 2) and middle == 23
    assert all(a >= b for a, b in itertools.pairwise(found[9:]))


def test_a_run_of_the_length_of_its_warmup_has_no_cosine():
    assert [schedules.factor(t, 3, "cosine", warmup=3) for t in range(3)] == pytest.approx(
        [1 / 3, 2 / 3, 1]
    )
    assert schedules.factor(2, 3, "cosine", warmup=2) == 1


def test_the_run_logs_the_scheduled_rate(photos, tmp_path):
    plan = make(
        photos,
        *("optimizer.schedule=cosine", "optimizer.warmup=2", "optimizer.learning_rate=0.01"),
        *("optimizer.final_learning_rate=0.001", "run.log_every=1"),
    )
    training_run.train(plan, tmp_path, quiet=True)
    rows = (tmp_path / "log.csv").read_text().splitlines()[1:]
    expected = [0.01 * schedules.factor(t, 8, "cosine", warmup=2, final=0.1) for t in range(8)]
    assert [float(row.split(",")[2]) for row in rows] == pytest.approx(expected, rel=1e-5)


def first_step(photos, folder, *changes):
    """The weights' change in the first step, and its gradient, flattened."""
    one = Trainer(make(photos, *changes), folder, "cpu", "")
    before = torch.cat([p.detach().flatten() for p in one.parameters])
    one.advance()
    after = torch.cat([p.detach().flatten() for p in one.parameters])
    gradient = torch.cat([p.grad.flatten() for p in one.parameters])
    return before, after - before, gradient


def test_the_gradient_is_clipped_by_its_norm_over_all_weights(photos, tmp_path):
    _, _, free = first_step(photos, tmp_path)
    _, _, clipped = first_step(photos, tmp_path, "optimizer.clip=0.01")
    assert float(free.norm()) > 0.1
    assert float(clipped.norm()) == pytest.approx(0.01, rel=1e-4)
    assert torch.allclose(clipped * free.norm() / 0.01, free, rtol=1e-3, atol=1e-7)
    _, _, loose = first_step(photos, tmp_path, "optimizer.clip=1000")
    assert torch.equal(loose, free)


def test_adamw_decays_weights_beside_adams_step(photos, tmp_path):
    before, adam, _ = first_step(photos, tmp_path)
    _, adamw, _ = first_step(
        photos, tmp_path, "optimizer.optimizer=adamw", "optimizer.weight_decay=0.1"
    )
    rate = make(photos).optimizer.learning_rate
    assert torch.allclose(adamw - adam, -rate * 0.1 * before, atol=1e-7)
    assert float((adamw - adam).abs().max()) > 1e-5


@pytest.mark.parametrize(
    "change, message",
    [
        ("optimizer.schedule=linear", "schedule ="),
        ("optimizer.optimizer=sgd", "optimizer ="),
        ("optimizer.warmup=9", "expected 0 to 8, the steps of the run"),
        ("optimizer.warmup=-1", "expected 0 to 8"),
        ("optimizer.clip=-1", "clip = -1: expected 0 or more"),
        ("optimizer.weight_decay=0.1", 'set optimizer = "adamw", too'),
        ("optimizer.final_learning_rate=1", "expected at most learning_rate, "),
    ],
)
def test_settings_that_do_not_fit_are_refused(photos, change, message):
    with pytest.raises(BadInput, match=message):
        make(photos, change)


def test_recipes_of_before_stay_equal(photos, tmp_path):
    """A run that was begun without the newer settings can be resumed."""
    values = make(photos).to_dict()["optimizer"]
    assert list(values) == ["learning_rate", "betas", "milestones", "gamma", "ema"]
    changed = make(photos, "optimizer.schedule=cosine").to_dict()["optimizer"]
    assert changed["schedule"] == "cosine" and "clip" not in changed
    assert weights_of(training_run.train(make(photos), tmp_path, quiet=True))
