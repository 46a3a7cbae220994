"""Recording the activations of a network, with forward hooks that are always removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from analysis.engine.layers import INPUT, Selector, choose
from analysis.stats.arrays import single
from mtd.networks.compiled import check_not_scripted, eager, original
from mtd.utils.errors import BadInput, nearest

Extract = Callable[[str, Tensor], Any]


class Activations:
    """Context manager that records the outputs of chosen modules in each forward pass.

    Entries are named by module path, in the order in which the modules fired. A module that fires
    again in one pass adds `path#2`, `path#3`; the tensors of a tuple or dict output are
    `path[0]`, `path[key]`. Entries are copies, so that a later in-place operation cannot change
    them. Each forward pass of the model starts afresh. Where the model averages several mask draws
    (`model.mask_draws`), each entry is the mean over the draws. A compiled model runs as it was
    written while it is recorded, and what checkpointed modules compute again in the backward pass
    is not recorded.

    >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True))
    >>> with Activations(model, "0") as activations:
    ...     _ = model(torch.zeros(1, 3, 8, 8))
    >>> {name: tuple(value.shape) for name, value in activations.items()}
    {'0': (1, 4, 8, 8)}

    Args:
        model: the network.
        layers: see `choose`.
        extract: what to record of an activation, called in the hook with (entry name, tensor), so
            that no more than one activation is in memory in full; by default, a copy.

    Raises:
        BadInput: on entry, a selector that matches nothing; on exit, a module that never fired, or
            never with a tensor.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Selector | Sequence[Selector] | None = None,
        extract: Extract | None = None,
    ) -> None:
        check_not_scripted(model)
        self.given, self.model, self.extract = model, original(model), extract
        self.layers = choose(self.model, layers)
        self._stack = ExitStack()
        self._start_pass()

    def _start_pass(self, *_: Any) -> None:
        self._recorded: dict[str, Any] = {}
        self._sums: dict[str, Tensor] = {}
        self._fired: dict[str, int] = {}
        self._draw = self._part = 0
        self._parts: dict[str, list[Tensor]] = {}

    def __enter__(self) -> Activations:
        modules = dict(self.model.named_modules())
        with ExitStack() as stack:
            stack.enter_context(eager(self.given))
            handles = [self.model.register_forward_pre_hook(self._start_pass)]
            for name in self.layers:
                if name.startswith(INPUT):
                    module, hook = modules[name.removeprefix(INPUT)], self._input_hook(name)
                    handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
                else:
                    handles.append(modules[name].register_forward_hook(self._hook(name)))
            for handle in handles:
                stack.callback(handle.remove)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()
        if kind is None:
            self.check()

    def check(self) -> None:
        """Check that every chosen module fired in the last forward pass.

        Raises:
            BadInput: one did not.
        """
        silent = [name for name in self.layers if name not in self._fired]
        if silent:
            raise BadInput(
                f"layer {silent[0]!r} never fired in the forward pass, or without a tensor "
                f"({len(silent)} of {len(self.layers)} chosen): leave it out of --layers"
            )

    def _input_hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        record = self._hook(name)

        def first(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            record(module, inputs, next(iter([*inputs, *named.values()]), None))

        return first

    def _hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def record(_: nn.Module, __: Any, output: Any) -> None:
            if torch._C._current_graph_task_id() != -1:
                return  # a checkpointed module, which the backward pass runs again
            place = (getattr(self.model, "mask_draw", 0), getattr(self.model, "part", 0))
            if place != (self._draw, self._part):
                (self._draw, self._part), self._fired = place, {}
            if not any(True for _ in _tensors(name, output)):
                return
            self._fired[name] = count = self._fired.get(name, 0) + 1
            path = name if count == 1 else f"{name}#{count}"
            for entry, tensor in _tensors(path, output):
                self._record(entry, tensor.detach())

        return record

    def _record(self, entry: str, value: Tensor) -> None:
        """Add one mask draw of one channel; the entry is complete with the last of both."""
        draws = getattr(self.model, "mask_draws", 1)
        if draws > 1:
            value = single(value)
            value = self._sums[entry] + value if entry in self._sums else value.clone()
            if self._draw < draws - 1:
                self._sums[entry] = value
                return
            self._sums.pop(entry, None)
            value = value / draws
        if (parts := getattr(self.model, "parts", 1)) > 1:
            # a grayscale network, called once per channel: features of all channels side by side
            channels = self._parts.setdefault(entry, [])
            channels.append(value.clone())
            if len(channels) < parts:
                return
            value = torch.cat(self._parts.pop(entry), -1 if value.ndim == 3 else 1)
        self._recorded[entry] = self.extract(entry, value) if self.extract else value.clone()

    def items(self) -> Iterator[tuple[str, Any]]:
        """(entry name, activation or extract of it) of the last pass, in firing order."""
        yield from self._recorded.items()

    def __getitem__(self, name: str) -> Any:
        if name not in self._recorded:
            raise KeyError(f"no activation {name!r}; {nearest(name, self._recorded)}")
        return self._recorded[name]

    def __len__(self) -> int:
        return len(self._recorded)

    def __iter__(self) -> Iterator[str]:
        return iter(self._recorded)


def _tensors(path: str, output: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors of an output with their entry names."""
    if isinstance(output, Tensor):
        yield path, output
    elif isinstance(output, dict):
        for key, value in output.items():
            yield from _tensors(f"{path}[{key}]", value)
    elif isinstance(output, tuple | list):
        for i, value in enumerate(output):
            yield from _tensors(f"{path}[{i}]", value)
