"""Layers of a network: selected by glob, regular expression or class; blocks; windows."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from torch import nn

from mtd.networks import block_names
from mtd.utils.errors import BadInput, nearest

Selector = str | re.Pattern[str] | type[nn.Module] | Callable[[str, nn.Module], bool]


WINDOW_ATTENTION = re.compile("^(?>.*?window).*att", re.IGNORECASE)
"""Names of classes of window attention."""

NO_NETWORK = (
    "it is not a neural network and has no layers or gradients: leave it out, or use "
    "analysis.generalization, analysis.error or analysis.attribution --map cem"
)
"""Why a classical denoiser is refused where layers or gradients are needed."""

INPUT = "input:"
"""How the name of a module's input begins."""


def module_path(layer: str) -> str:
    """The module of an activation, from its layer or entry name.

    >>> module_path("input:a.attn"), module_path("a.attn#2[0]")
    ('a.attn', 'a.attn')
    """
    return layer.removeprefix(INPUT).partition("#")[0].partition("[")[0]


def without_call(entry: str) -> str:
    """An entry name without the number of the call.

    >>> without_call("input:a.attn"), without_call("a.attn#2[0]")
    ('input:a.attn', 'a.attn[0]')
    """
    return re.sub(r"#\d+(?=$|\[)", "", entry)


def last_call(entries: Iterable[str], layer: str) -> str:
    """The entry of a layer's last call; empty if there is none.

    >>> last_call(["a", "b", "a#2", "c"], "a")
    'a#2'
    """
    return next((entry for entry in reversed(list(entries)) if without_call(entry) == layer), "")


def windowed_layers(model: nn.Module, layers: Iterable[str]) -> frozenset[str]:
    """Module paths of the layers that are window attention, or a part or the input of one.

    Their tokens are those of single windows, which every second block shifts. Decided by the class
    of a module and of those around it: channel attention keeps the positions of the image.
    """
    modules = dict(model.named_modules())

    def inside(path: str) -> bool:
        names = path.split(".")
        around = (modules[".".join(names[: n + 1])] for n in range(len(names)))
        return any(WINDOW_ATTENTION.search(type(module).__name__) for module in around)

    return frozenset(path for path in map(module_path, layers) if inside(path))


def last_convolution(model: nn.Module) -> str:
    """Path of the layer that makes the image; see `Denoiser.last_convolution`.

    Of a module that is no `Denoiser`, the last convolution in the order of definition.

    Raises:
        BadInput: there is none.
    """
    from mtd.networks.base import Denoiser, convolutions

    check_network(model)
    path = "".join(convolutions(model)[-1:])
    if isinstance(model, Denoiser):
        path = model.last_convolution()
    if not path:
        raise BadInput("no convolution in the network; name the layer")
    return path


def is_output(layer: str, outputs: Collection[str]) -> bool:
    """Whether a layer, by its entry name, holds the output of its network.

    What goes into such a layer are features.

    Args:
        layer: entry name of the activation.
        outputs: see `mtd.networks.layer_roles.LayerRoles`.
    """
    return not layer.startswith(INPUT) and module_path(layer) in outputs


def blocks(names: Sequence[str]) -> list[str]:
    """The layers of one network that are whole blocks; see `mtd.networks.block_names.select`."""
    return block_names.select(names)


def last_quarter(names: Sequence[str], outputs: Collection[str] = ()) -> list[str]:
    """The last quarter of the blocks, at least one; where there are no blocks, of all features.

    Args:
        names: layers of one network, in the order of depth.
        outputs: those that hold its output; see `is_output`.
    """
    features = [
        name for name in names if name.startswith(INPUT) or module_path(name) not in outputs
    ]
    chosen = blocks(names) or features or list(names)
    return chosen[-max(1, len(chosen) // 4) :]


def default_layers(model: nn.Module) -> list[str]:
    """The layers recorded when none are named; see `Denoiser.main_layers`.

    Of a module that is no `Denoiser`, every convolution.
    """
    from mtd.networks.base import Denoiser, convolutions

    return model.main_layers() if isinstance(model, Denoiser) else convolutions(model)


def check_network(model: nn.Module) -> None:
    """Check that a model is a network.

    Raises:
        BadInput: it is a classical denoiser, without layers.
    """
    if not getattr(model, "has_layers", True):
        raise BadInput(NO_NETWORK)


def choose(model: nn.Module, layers: Selector | Sequence[Selector] | None = None) -> list[str]:
    """Module paths that selectors match, in the order of the network's definition.

    A string is a glob over paths, where `*` matches anything but a dot and `**` anything;
    `re:PATTERN` is a regular expression for whole paths, `type:NAME` a class name, and
    `input:GLOB` takes a module's first argument instead of its output, under the name
    `input:PATH`. A selector may also be a compiled pattern, a module class, or a predicate of
    (path, module). None takes `default_layers`.

    Raises:
        BadInput: a selector that matches no module, or a model that is no network.
    """
    check_network(model)
    if layers is None:
        return default_layers(model)
    single = isinstance(layers, str | re.Pattern | type) or callable(layers)
    selectors: Sequence[Any] = [layers] if single else list(layers)  # type: ignore[arg-type]
    modules = {name: module for name, module in model.named_modules() if name}
    matched: set[str] = set()
    for selector in selectors:
        matches = _matches(selector, modules)
        if isinstance(selector, str) and selector.startswith(INPUT):
            matches = _matches(selector.removeprefix(INPUT), modules)
            matches = [INPUT + name for name in matches]
        if not matches:
            text = str(selector.pattern if isinstance(selector, re.Pattern) else selector)
            if text.startswith("type:"):
                kinds = sorted({type(module).__name__ for module in modules.values()})
                raise BadInput(f"layer {text!r} matches no module; {nearest(text[5:], kinds)}")
            raise BadInput(f"layer {text!r} matches no module; {nearest(text, modules)}")
        matched.update(matches)
    inputs_first = [entry for name in modules for entry in (INPUT + name, name)]
    return [name for name in inputs_first if name in matched]


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
