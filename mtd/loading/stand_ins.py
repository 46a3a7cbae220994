"""What takes the place of the classes, functions and objects that a checkpoint's pickle names.

Nothing here imports, looks up or calls what a file names. Of an object, what it was made of is kept
as plain data, so that weights in it can be counted, and those of a whole network be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pickle import UnpicklingError
from typing import Any

from torch import Tensor

from mtd.loading.tensor_names import MANY

KERNEL = 4
"""Dimensions of a convolution's weights, which arrays of results mostly have not."""

LONGEST = 80
"""Characters of a name in messages."""

NAMED = 6
"""Classes that a message names."""

DEEPEST, MODULES = 60, 100_000
"""Levels of modules within modules that are read, and modules of a network."""

RUNNING = re.compile(
    r"(os|posix|nt|sys|subprocess|shutil|socket|importlib|runpy|pty|ctypes|code|webbrowser|pip"
    r"|multiprocessing|asyncio)(\..*)?"
)
"""Modules whose functions act on the machine, which a message says were not run.

The list need not be complete, since nothing that a file names is ever imported or called.
"""

PLAIN = re.compile(
    r"object|list|dict|tuple|set|frozenset|int|float|bool|str|bytes|bytearray|complex|slice|range"
    r"|getattr|type|\w+(Error|Exception)"
)
"""Built-in names of plain data; members of enumerations are stored as a call of `getattr`."""


TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_qtensor": "a quantized tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor without values",
    "torch.storage._load_from_bytes": "a tensor in a file within the file",
}
"""Tensors that are not read, by what makes them."""


@dataclass(frozen=True)
class Named:
    """A class or function that a pickle names, which is not looked up.

    Attributes:
        module: where unpickling would import it from.
        name: in the module, with dots if nested.
    """

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"[:LONGEST]
        return "".join(letter if letter.isprintable() else "?" for letter in text)

    @property
    def runs(self) -> bool:
        """Whether it acts on the machine, or is a built-in function such as `eval`."""
        if self.module == "builtins":
            return PLAIN.fullmatch(self.name) is None
        return RUNNING.fullmatch(self.module) is not None


@dataclass(eq=False)
class Unread:
    """Takes the place of an object: what a pickle would have made it of, and nothing done with it.

    Attributes:
        of: its class, or the function that would have returned it.
        parts: arguments and states.
        items: what it holds as a mapping.
        values: what it holds as a list.
    """

    of: Named
    parts: list[Any] = field(default_factory=list)
    items: dict[Any, Any] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of an array of NumPy; None for anything else."""
        states = [part for part in self.parts if isinstance(part, tuple)]
        if self.of.name == "_reconstruct" and len(states) > 1 and len(states[-1]) > 2:
            sizes = states[-1][1]
        elif self.of.name == "_frombuffer" and states and len(states[0]) > 2:
            sizes = states[0][2]
        else:
            return None
        is_shape = isinstance(sizes, tuple) and all(isinstance(n, int) for n in sizes)
        return sizes if is_shape and len(sizes) <= DEEPEST else None

    @property
    def kind(self) -> str:
        """What it takes the place of."""
        if self.shape is not None:
            return "an array of NumPy"
        return TENSORS.get(str(self.of), str(self.of))

    def held_weights(self, name: str) -> bool:
        """Whether weights were in it, or it was an array that was one by its name or shape."""
        if self.shape is None:
            return str(self.of) in TENSORS or _holds_weights(self)
        return _is_large(self.shape) or name.endswith("weight")


def _is_large(shape: tuple[int, ...]) -> bool:
    return len(shape) >= KERNEL or math.prod(shape) > MANY


def _holds_weights(content: Any) -> bool:
    """Whether a tensor of two or more dimensions is anywhere in an object."""
    waiting, seen = [content], set[int]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, Tensor) and one.ndim > 1:
            return True
        if isinstance(one, Unread) and (_is_large(one.shape or ()) or str(one.of) in TENSORS):
            return True
        if id(one) not in seen and isinstance(one, Mapping | list | tuple | Unread):
            seen.add(id(one))
            waiting += _inside(one)
    return False


def _inside(one: Any) -> Iterable[Any]:
    if isinstance(one, Unread):
        return [one.parts, one.items, one.values]
    return one.values() if isinstance(one, Mapping) else one


def opened(content: Any) -> Any:
    """An object that was a mapping, a list or a whole network as a plain one; all else unchanged.

    Of a network, a `torch.nn.Module`, that are its parameters and lasting buffers by their names in
    its state dict.
    """
    if not isinstance(content, Unread):
        return content
    if content.items or content.values:
        return content.items or content.values
    if _module_state(content) is None:
        return content
    return dict(_state_dict(content, "", [0]))


def _module_state(content: Any) -> Mapping[Any, Any] | None:
    """The attributes of an object that was a `torch.nn.Module`; None for any other."""
    state = content.parts[-1] if isinstance(content, Unread) and content.parts else None
    keys = ("_parameters", "_buffers", "_modules")
    is_module = isinstance(state, Mapping) and all(isinstance(state.get(k), Mapping) for k in keys)
    return state if is_module else None


def _state_dict(
    module: Unread, prefix: str, visits: list[int], depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Parameters and buffers of a module and those in it, by name.

    Raises:
        UnpicklingError: there are more modules than any network has, as of one within itself.
    """
    state = _module_state(module)
    visits[0] += 1
    if visits[0] > MODULES or depth > DEEPEST:
        raise UnpicklingError("modules within modules without end")
    if state is None:
        yield prefix.rstrip("."), module
        return
    passing = state.get("_non_persistent_buffers_set")
    skipped = passing if isinstance(passing, list) else []
    for name, value in {**state["_parameters"], **state["_buffers"]}.items():
        if isinstance(value, Tensor | Unread) and name not in skipped:
            yield f"{prefix}{name}", value
    for name, child in state["_modules"].items():
        if isinstance(child, Unread):
            yield from _state_dict(child, f"{prefix}{name}.", visits, depth + 1)


def warning(left_out: Mapping[Named, int]) -> str:
    """What a file held beside tensors, by class or function and number; empty without any.

    >>> warning({Named("argparse", "Namespace"): 1, Named("os", "system"): 2})
    'read without 3 objects that are not tensors (argparse.Namespace, os.system – never run)'
    """
    if not left_out:
        return ""
    running = sorted(left_out, key=lambda one: not one.runs)[: NAMED // 2]
    first = [one for one in left_out if one in running and one.runs]
    shown = list(dict.fromkeys([*list(left_out)[: NAMED - len(first)], *first]))
    names = [f"{one} – never run" if one.runs else str(one) for one in shown]
    count = sum(left_out.values())
    more = f", … of {len(left_out)} classes" if len(left_out) > len(shown) else ""
    objects = (
        "1 object that is not a tensor" if count == 1 else f"{count} objects that are not tensors"
    )
    return f"read without {objects} ({', '.join(names)}{more})"
