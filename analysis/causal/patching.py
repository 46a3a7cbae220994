"""A run of a network with features of another run in place of its own.

A run is one forward pass of a batch. What its branches return is recorded, call by call: a network
that averages several masks, or runs once for each color, calls each layer several times. In a
patched run, modules that had finished before the patched one started return what they returned
before, as nothing that they depend on has changed; only the rest of the network is computed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from analysis.causal.branches import Branch, Side
from analysis.stats.arrays import full_precision
from mtd.inference import tiling
from mtd.inference.forward import forward
from mtd.networks.compiled import check_not_scripted, eager
from mtd.networks.padding import extend
from mtd.utils.errors import BadInput

WHITE = 255.0

Spot = tuple[str, Side]
"""A module's path, and whether its output or input is meant."""


@dataclass(frozen=True)
class Batch:
    """What a network is given, and what it should return.

    Attributes:
        noisy: (B, 3, H, W).
        target: (B, 3, H, W).
        keys: of the masks.
        mask: see `mtd.inference.forward.forward`.
        level: (B,), for noise-conditional networks.
    """

    noisy: Tensor
    target: Tensor
    keys: Sequence[str] = ()
    mask: Tensor | None = None
    level: Tensor | None = None

    def run(self, model: nn.Module, noisy: Tensor | None = None) -> Tensor:
        """The network's output, (B, 3, H, W), not clamped.

        Args:
            model: the network.
            noisy: another input, such as one with gradients.
        """
        image = self.noisy if noisy is None else noisy
        height, width = image.shape[-2:]
        least = tiling.smallest(model)
        mask = None if self.mask is None else extend(self.mask, least=least)
        keys = list(self.keys) or ["0"] * len(image)
        output = forward(model, extend(image, least=least), keys, mask, self.level)
        return output[..., :height, :width]

    def errors(self, output: Tensor) -> Tensor:
        """(B,) mean squared error of each image, in squared 8-bit levels, in float64."""
        return (WHITE * (output.double() - self.target.double())).square().mean((1, 2, 3))


@dataclass
class Run:
    """One run as it was recorded.

    Attributes:
        output: (B, 3, H, W).
        values: what was recorded, call by call.
        starts: when modules were first called, as a number in order.
        ends: when modules that are called once had finished.
        replay: outputs of modules that are called once.
    """

    output: Tensor
    values: dict[Spot, list[Tensor]] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    replay: dict[str, Tensor] = field(default_factory=dict)


def ancestors(path: str) -> list[str]:
    """The modules around a module, but the network itself."""
    parts = path.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


@contextmanager
def hooked(model: nn.Module) -> Iterator[ExitStack]:
    """A network whose layers call hooks; handles of the stack are removed at the end.

    Raises:
        BadInput: it is a TorchScript module.
    """
    check_not_scripted(model)
    with ExitStack() as stack:
        stack.enter_context(full_precision())  # whatever the caller's autocast is
        stack.enter_context(eager(model))
        yield stack


def tensor_of(path: str, value: Any) -> Tensor:
    """What a branch returns.

    Raises:
        BadInput: no tensor.
    """
    if not isinstance(value, Tensor):
        raise BadInput(
            f"layer {path!r} returns a {type(value).__name__}, expected a tensor: choose other "
            "--branches"
        )
    return value


def watch(
    model: nn.Module, spots: Collection[Spot], keep: Callable[[Spot, Tensor], Any], stack: ExitStack
) -> None:
    """Call `keep` with each value; what it returns, if anything, replaces the value."""
    modules = dict(model.named_modules())

    def output_hook(spot: Spot) -> Callable[..., Any]:
        return lambda _, __, value: keep(spot, tensor_of(spot[0], value))

    def input_hook(spot: Spot) -> Callable[..., Any]:
        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> Any:
            new = keep(spot, tensor_of(spot[0], inputs[0] if inputs else None))
            return None if new is None else (new, *inputs[1:])

        return hook

    for spot in spots:
        path, side = spot
        register = (
            modules[path].register_forward_hook
            if side == "output"
            else modules[path].register_forward_pre_hook
        )
        make = output_hook if side == "output" else input_hook
        stack.callback(register(make(spot)).remove)


def spots_of(branches: Sequence[Branch]) -> list[Spot]:
    """The values that branches are parts of, each once."""
    return list(dict.fromkeys((branch.path, branch.side) for branch in branches))


def check_fired(spots: Collection[Spot], fired: Collection[Spot]) -> None:
    """Check that every chosen layer was called.

    Raises:
        BadInput: one was not.
    """
    silent = [path for path, side in spots if (path, side) not in fired]
    if silent:
        raise BadInput(
            f"layer {silent[0]!r} never fired in the forward pass ({len(silent)} of {len(spots)} "
            "branches): choose other --branches"
        )


@torch.no_grad()
def record(model: nn.Module, batch: Batch, branches: Sequence[Branch], replay: bool = False) -> Run:
    """A run, with the values of its branches.

    Args:
        model: the network.
        batch: what goes in.
        branches: that are recorded.
        replay: keep what patched runs need not compute again.

    Raises:
        BadInput: a layer that is not called, or returns no tensor.
    """
    spots, run = spots_of(branches), Run(torch.empty(0))
    paths = list(dict.fromkeys(path for path, _ in spots))
    around = list(dict.fromkeys(a for path in paths for a in ancestors(path)))
    modules, clock, calls = dict(model.named_modules()), iter(range(10**9)), Counter[str]()

    def keep(spot: Spot, value: Tensor) -> None:
        run.values.setdefault(spot, []).append(value.detach().clone())

    def started(path: str) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            run.starts.setdefault(path, next(clock))

        return hook

    def ended(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: Any, value: Any) -> None:
            calls[path] += 1
            run.replay.pop(path, None)
            run.ends[path] = next(clock)
            if replay and calls[path] == 1 and isinstance(value, Tensor):
                run.replay[path] = value.detach().clone()

        return hook

    with hooked(model) as stack:
        for path in dict.fromkeys([*paths, *around]):
            stack.callback(modules[path].register_forward_pre_hook(started(path)).remove)
            stack.callback(modules[path].register_forward_hook(ended(path)).remove)
        watch(model, spots, keep, stack)
        run.output = batch.run(model)
    check_fired(spots, run.values)
    return run


@contextmanager
def returning(module: nn.Module, answer: Callable[..., Any]) -> Iterator[None]:
    """A module that is not computed, but returns something else."""
    own = module.__dict__.get("forward")
    module.__dict__["forward"] = answer
    try:
        yield
    finally:
        del module.__dict__["forward"]
        if own is not None:
            module.__dict__["forward"] = own


@torch.no_grad()
def patched(
    model: nn.Module,
    batch: Batch,
    branches: Sequence[Branch],
    values: dict[Spot, list[Tensor]],
    base: Run | None = None,
) -> Tensor:
    """The output of a run in which branches have given values.

    Args:
        model: the network.
        batch: what goes in.
        branches: that are replaced together.
        values: recorded by `record`, or made like these.
        base: the same run without patches, recorded for replay; None computes all again.

    Raises:
        BadInput: a layer that is not called, or not as often as in the recorded run.
    """
    of: dict[Spot, list[Branch]] = {}
    for branch in branches:
        of.setdefault((branch.path, branch.side), []).append(branch)
    modules, counts = dict(model.named_modules()), Counter[Spot]()

    def put(spot: Spot, value: Tensor) -> Tensor:
        call, counts[spot] = counts[spot], counts[spot] + 1
        if call < len(values[spot]):
            for branch in of[spot]:
                value = branch.put(value, values[spot][call])
        return value

    def answer(spot: Spot) -> Callable[..., Tensor]:
        return lambda *_, **__: put(spot, values[spot][min(counts[spot], len(values[spot]) - 1)])

    # modules whose whole output is replaced need not be computed
    whole = [s for s, own in of.items() if s[1] == "output" and own[0].start is None]
    with hooked(model) as stack:
        if base is not None:
            first = min(base.starts[path] for path, _ in of)
            for path, value in base.replay.items():
                if base.ends[path] < first:
                    # a copy, since what follows may write into it
                    stack.enter_context(
                        returning(modules[path], lambda *_, _value=value, **__: _value.clone())
                    )
        for spot in whole:
            stack.enter_context(returning(modules[spot[0]], answer(spot)))
        watch(model, [spot for spot in of if spot not in whole], put, stack)
        output = batch.run(model)
    check_fired(list(of), counts)
    for spot, count in counts.items():
        if count != len(values[spot]):
            raise BadInput(
                f"layer {spot[0]!r} is called {count} times, and {len(values[spot])} times under "
                "the other noise: it cannot be patched"
            )
    return output


def estimates(
    model: nn.Module,
    batch: Batch,
    branches: Sequence[Branch],
    values: dict[Spot, list[Tensor]],
) -> Tensor:
    """Attribution patching: what patching would change in the error, to first order.

    Σ (h_A − h_B) · ∂L_B/∂h over a branch's features h, for all branches in one backward pass.

    Args:
        model: the network.
        batch: of run B.
        branches: of the network.
        values: of run A, see `record`.

    Returns:
        (branches, B) in squared 8-bit levels; NaN where features are not grouped by image.

    Reference: Nanda 2023, *Attribution Patching*; Syed, Rager and Conmy 2023, arXiv 2310.10348.
    """
    kept: dict[Spot, list[Tensor]] = {}

    def keep(spot: Spot, value: Tensor) -> Tensor:
        kept.setdefault(spot, []).append(value)
        return value.clone()  # which a later layer may change in place

    count = len(batch.noisy)
    with torch.enable_grad(), hooked(model) as stack:
        watch(model, spots_of(branches), keep, stack)
        output = batch.run(model, batch.noisy.clone().requires_grad_())
        loss = (WHITE * (output - batch.target)).square().mean((1, 2, 3)).sum()
        flat = [value for calls in kept.values() for value in calls]
        needed = [value for value in flat if value.requires_grad]
        slopes = torch.autograd.grad(loss, needed, allow_unused=True) if needed else ()
    slope_of = {id(value): slope for value, slope in zip(needed, slopes, strict=True)}
    rows = []
    for branch in branches:
        spot = (branch.path, branch.side)
        total = torch.zeros(count, dtype=torch.float64)
        for own, other in zip(kept[spot], values[spot], strict=True):
            slope = slope_of.get(id(own))
            if len(own) % count:
                total += torch.nan
            elif slope is not None:
                change = branch.part(other - own.detach()).double() * branch.part(slope).double()
                total += change.reshape(count, -1).sum(1).cpu()
        rows.append(total)
    return torch.stack(rows)
