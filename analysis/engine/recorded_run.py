"""Recording one run of a network, and running it again with some features replaced.

A run is one forward pass of a batch. Outputs of layers are recorded call by call: a network that
averages several masks, or runs once for each color, calls each layer several times. When the run is
repeated, modules that had returned before the first replaced one was called return what they
returned in the recorded run, as nothing that they depend on has changed; only the rest of the
network is computed again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from analysis.engine.network_input import NetworkInput
from analysis.stats.arrays import full_precision
from mtd.networks.compiled import check_not_scripted, eager, original
from mtd.utils.errors import BadInput

Side = Literal["output", "input"]

Spot = tuple[str, Side]
"""A module's path, and whether what it returns is meant, or its first argument."""

Keep = Callable[[Spot, Any], Tensor | None]
"""Is called with the value at a spot; a tensor that it returns replaces the value."""


@dataclass
class RecordedRun:
    """One run as it was recorded.

    Attributes:
        output: (B, C, H, W), the denoised images, neither clamped nor rounded.
        values: copies of the recorded values by spot, call by call.
        refused: spots whose value is no tensor, and its type.
        starts: when a module was first called, as a number in order of time.
        ends: when a module returned for the last time.
        calls: how often a module was called.
        writing: modules that change their input in place, such as `nn.ReLU(inplace=True)`; what
            they do to it has to be done again in every run.
    """

    output: Tensor = field(default_factory=lambda: torch.empty(0))
    values: dict[Spot, list[Tensor]] = field(default_factory=dict)
    refused: dict[Spot, str] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    writing: set[str] = field(default_factory=set)

    @property
    def bytes(self) -> int:
        """The memory of the recorded values."""
        return sum(value.nbytes for calls in self.values.values() for value in calls)

    def before(self, spots: Iterable[Spot]) -> dict[str, Tensor]:
        """What modules returned that had finished before any of some spots was reached.

        Modules that are called several times are left out: inside of one that is not computed
        again they would be called less often. So are those that change their input in place.
        """
        first = min(self.starts[path] for path, _ in spots)
        return {
            path: values[0]
            for (path, side), values in self.values.items()
            if side == "output"
            and self.calls[path] == 1
            and self.ends[path] < first
            and path not in self.writing
        }

    def _keep(self, spot: Spot, value: Any) -> None:
        if isinstance(value, Tensor) and spot not in self.refused:
            self.values.setdefault(spot, []).append(value.detach().clone())
        else:
            self.refused[spot] = type(value).__name__
            self.values.pop(spot, None)


class Replacement(NamedTuple):
    """What a spot has in a run instead of its own value.

    Attributes:
        values: call by call.
        put: from the spot's own value and that of `values` to the one that replaces it; None to
            replace it as a whole, so that its module is not computed.
    """

    values: Sequence[Tensor]
    put: Callable[[Tensor, Tensor], Tensor] | None = None


def ancestors(path: str) -> list[str]:
    """The modules around a module, but the network itself.

    >>> ancestors("body.0.mlp")
    ['body', 'body.0']
    """
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


def watch(model: nn.Module, spots: Collection[Spot], keep: Keep, stack: ExitStack) -> None:
    """Call a function with each value at some spots, until the stack is closed."""
    modules = dict(original(model).named_modules())

    def output_hook(spot: Spot) -> Callable[..., Any]:
        return lambda _, __, value: keep(spot, value)

    def input_hook(spot: Spot) -> Callable[..., Any]:
        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> Any:
            new = keep(spot, inputs[0] if inputs else None)
            return None if new is None else (new, *inputs[1:])

        return hook

    for spot in spots:
        module, side = modules[spot[0]], spot[1]
        if side == "output":
            stack.callback(module.register_forward_hook(output_hook(spot)).remove)
        else:
            stack.callback(module.register_forward_pre_hook(input_hook(spot)).remove)


def _time(model: nn.Module, paths: Iterable[str], run: RecordedRun, stack: ExitStack) -> None:
    """Note in a run when modules are called and return, and whether they change their input."""
    modules, clock = dict(original(model).named_modules()), count()
    given: dict[str, list[list[int]]] = {}

    def started(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, *inputs: Any) -> None:
            run.starts.setdefault(path, next(clock))
            given.setdefault(path, []).append(versions(inputs))

        return hook

    def ended(path: str) -> Callable[..., None]:
        def hook(_: nn.Module, args: Any, kwargs: Any, __: Any) -> None:
            run.ends[path] = next(clock)
            run.calls[path] += 1
            if given[path].pop() != versions((args, kwargs)):
                run.writing.add(path)

        return hook

    for path in paths:
        before, after = started(path), ended(path)
        module = modules[path]
        stack.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
        stack.callback(module.register_forward_hook(after, with_kwargs=True).remove)


def versions(inputs: Any) -> list[int]:
    """How often each tensor among a module's inputs has been written into."""
    if isinstance(inputs, Tensor):
        return [0 if inputs.is_inference() else inputs._version]
    if isinstance(inputs, Mapping):
        return versions(tuple(inputs.values()))
    if isinstance(inputs, tuple | list):
        return [number for value in inputs for number in versions(value)]
    return []


@torch.no_grad()
def record(
    model: nn.Module, given: NetworkInput, spots: Sequence[Spot], around: bool = False
) -> RecordedRun:
    """A run, with the values at some spots.

    Args:
        model: the network.
        given: what goes in.
        spots: that are recorded.
        around: record what their modules and those around them return, too, so that less is
            computed again.

    Raises:
        BadInput: a layer that is not called, or a scripted network.
    """
    paths = list(dict.fromkeys(path for path, _ in spots))
    more: list[str] = []
    if around:
        more = [*paths, *(name for path in paths for name in ancestors(path))]
    wanted: list[Spot] = list(dict.fromkeys([*spots, *((path, "output") for path in more)]))
    run = RecordedRun()
    with hooked(model) as stack:
        _time(model, dict.fromkeys(path for path, _ in wanted), run, stack)
        watch(model, wanted, run._keep, stack)
        run.output = given.run(model)
    silent = [path for path in paths if path not in run.calls]
    if silent:
        raise BadInput(
            f"layer {silent[0]!r} never fired in the forward pass ({len(silent)} of {len(paths)} "
            "chosen): leave it out"
        )
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
def run_with(
    model: nn.Module,
    given: NetworkInput,
    replacements: Mapping[Spot, Replacement],
    base: RecordedRun | None = None,
) -> Tensor:
    """The output of a run in which some spots have other values.

    All that does not pass through these, such as a global skip connection, is of the network's own
    input.

    Args:
        model: the network.
        given: what goes in.
        replacements: by spot.
        base: the same run as it is, with these spots: what comes before them is not computed again,
            nor are modules whose output is replaced, unless they change their input in place; None
            computes all.

    Raises:
        BadInput: a layer that is not called as often as it has values.
    """
    modules, counts = dict(original(model).named_modules()), Counter[Spot]()

    def put(spot: Spot, own: Any = None) -> Tensor:
        call, counts[spot] = counts[spot], counts[spot] + 1
        values, inside = replacements[spot]
        value = values[min(call, len(values) - 1)]  # too many calls are an error at the end
        return value.clone() if inside is None else inside(own, value)

    def answer(spot: Spot) -> Callable[..., Tensor]:
        return lambda *_, **__: put(spot)

    def again(value: Tensor) -> Callable[..., Tensor]:
        return lambda *_, **__: value.clone()  # as what follows may write into it

    whole = [
        spot
        for spot, of in replacements.items()
        if spot[1] == "output" and of.put is None and base and spot[0] not in base.writing
    ]
    with hooked(model) as stack:
        for path, value in ({} if base is None else base.before(replacements)).items():
            stack.enter_context(returning(modules[path], again(value)))
        for spot in whole:
            stack.enter_context(returning(modules[spot[0]], answer(spot)))
        watch(model, [spot for spot in replacements if spot not in whole], put, stack)
        output = given.run(model)
    for spot, of in replacements.items():
        if counts[spot] != len(of.values):
            raise BadInput(
                f"layer {spot[0]!r} was called {counts[spot]} times with its {spot[1]} replaced, "
                f"expected {len(of.values)}: leave it out"
            )
    return output
