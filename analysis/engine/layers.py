"""Selection of layers by glob, regular expression or class."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

from mtd.utils.errors import BadInput, nearest

Selector = str | re.Pattern[str] | type[nn.Module] | Callable[[str, nn.Module], bool]


BLOCK = re.compile(r"(?:^|\.)blocks\.\d+$")
"""Paths of a SwinIR's blocks."""


INPUT = "input:"
"""How the name of what goes into a module begins."""


def last_convolution(model: nn.Module) -> str:
    """Path of the convolution that makes the image; see `Denoiser.last_convolution`.

    Of a module that is none of ours, the last one in the order of its definition.

    Raises:
        BadInput: there is none.
    """
    from mtd.networks.base import Denoiser

    if isinstance(model, Denoiser):
        found = model.last_convolution()
    else:
        found = Denoiser.last_convolution(model)  # type: ignore[arg-type]
    if not found:
        raise BadInput("no convolution in the network; name the layer")
    return found


def blocks(names: Sequence[str]) -> list[str]:
    """Those of some layer names that are whole blocks, in the order given."""
    return [name for name in names if BLOCK.search(name)]


def last_quarter(names: Sequence[str]) -> list[str]:
    """The last quarter of the blocks, at least one; of all layers where there are no blocks."""
    chosen = blocks(names) or list(names)
    return chosen[-max(1, len(chosen) // 4) :]


def default_layers(model: nn.Module) -> list[str]:
    """The layers that are recorded when none are named: see `Denoiser.main_layers`.

    Of a module that is none of ours, every convolution.
    """
    from mtd.networks.base import Denoiser

    return Denoiser.main_layers(model) if not isinstance(model, Denoiser) else model.main_layers()  # type: ignore[arg-type]


def choose(model: nn.Module, layers: Selector | Sequence[Selector] | None = None) -> list[str]:
    """Module paths that the selectors name, in the order of the network's definition.

    A text is a glob over paths, `*` standing for anything but a dot and `**` for anything;
    `re:PATTERN` is a regular expression that must match a whole path, `type:NAME` a class name,
    `input:GLOB` the first argument of a module instead of its output; its name is `input:PATH`.
    A compiled pattern, a module class and a predicate of (path, module) serve as well. None takes
    `default_layers`.

    Raises:
        BadInput: a selector that matches no module.
    """
    if layers is None:
        return default_layers(model)
    alone = isinstance(layers, str | re.Pattern | type) or callable(layers)
    selectors: Sequence[Any] = [layers] if alone else list(layers)  # type: ignore[arg-type]
    modules = {name: module for name, module in model.named_modules() if name}
    taken: set[str] = set()
    for selector in selectors:
        matches = _matches(selector, modules)
        if isinstance(selector, str) and selector.startswith(INPUT):
            matches = _matches(selector.removeprefix(INPUT), modules)
            matches = [INPUT + name for name in matches]
        if not matches:
            shown = selector.pattern if isinstance(selector, re.Pattern) else selector
            if str(shown).startswith("type:"):
                kinds = sorted({type(module).__name__ for module in modules.values()})
                raise BadInput(f"layer {shown!r} matches no module; {nearest(shown[5:], kinds)}")
            raise BadInput(
                f"layer {str(shown)!r} matches no module; {nearest(str(shown), modules)}"
            )
        taken.update(matches)
    inputs_first = [entry for name in modules for entry in (INPUT + name, name)]
    return [name for name in inputs_first if name in taken]


def _matches(selector: Any, modules: dict[str, nn.Module]) -> list[str]:
    if isinstance(selector, str):
        kind, colon, rest = selector.partition(":")
        if colon and kind == "re":
            try:
                selector = re.compile(rest)
            except re.error as error:
                raise BadInput(f"layer {selector!r}: not a regular expression ({error})") from None
        elif colon and kind == "type":
            return [name for name, module in modules.items() if type(module).__name__ == rest]
        else:
            selector = re.compile(_glob(selector))
    if isinstance(selector, re.Pattern):
        return [name for name in modules if selector.fullmatch(name)]
    if isinstance(selector, type):
        return [name for name, module in modules.items() if isinstance(module, selector)]
    return [name for name, module in modules.items() if selector(name, module)]


def _glob(pattern: str) -> str:
    """A glob over dotted paths as a regular expression.

    >>> _glob("layers.*.blocks.**")
    'layers\\\\.[^.]*\\\\.blocks\\\\..*'
    """
    kinds = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    parts = re.split(r"(\*\*|\*|\?)", pattern)
    return "".join(kinds.get(part, re.escape(part)) for part in parts)
