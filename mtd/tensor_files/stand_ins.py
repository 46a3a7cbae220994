"""What takes the place of the classes, functions and objects that a checkpoint's pickle names.

Nothing here imports, looks up or calls what a file names. Of an object, what it was made of is kept
as plain data, so that weights in it can be counted, and those of a whole network be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pickle import UnpicklingError
from typing import Any

from torch import Tensor

from mtd.tensor_files.budget import Budget

KERNEL = 4
"""Dimensions of a convolution's weights, which arrays of results mostly have not."""

MANY = 10_000
"""Numbers in a vector from which on it may hold all weights of a network in a row."""

LONGEST = 80
"""Characters of a name in messages."""

NAMED = 6
"""Classes that a message names."""

DEEPEST = 60
"""Levels of modules within modules that are read."""

LARGEST = 2**62
"""Numbers along one dimension of an array, more than any memory has."""

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


ENDLESS = "modules within modules without end"
"""What is wrong with a network that takes many more steps to read than its file has bytes."""

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
        text = f"{self.module[:LONGEST]}.{self.name[:LONGEST]}"[:LONGEST]
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
        budget: of the file, from which searches of it are spent.
    """

    of: Named
    parts: list[Any] = field(default_factory=list)
    items: dict[Any, Any] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)
    budget: Budget = field(default_factory=lambda: Budget(0), repr=False)

    @cached_property
    def shape(self) -> tuple[int, ...] | None:
        """Of an array of NumPy; None for anything else."""
        states = [part for part in self.parts if isinstance(part, tuple)]
        if self.of.name == "_reconstruct" and len(states) > 1 and len(states[-1]) > 2:
            sizes = states[-1][1]
        elif self.of.name == "_frombuffer" and states and len(states[0]) > 2:
            sizes = states[0][2]
        else:
            return None
        if not isinstance(sizes, tuple) or len(sizes) > DEEPEST:
            return None
        return sizes if all(isinstance(n, int) and abs(n) < LARGEST for n in sizes) else None

    @property
    def kind(self) -> str:
        """What it takes the place of."""
        if self.shape is not None:
            return "an array of NumPy"
        return TENSORS.get(str(self.of), str(self.of))

    def held_weights(self, name: str) -> bool:
        """Whether weights were in it, or it was an array that was one by its name or shape."""
        if self.shape is None:
            return str(self.of) in TENSORS or self.holds_weights
        return _is_large(self.shape) or name.endswith("weight")

    @cached_property
    def holds_weights(self) -> bool:
        """Whether a tensor of two or more dimensions is anywhere in it."""
        return _holds_weights(self, self.budget)

    @cached_property
    def opened(self) -> Any:
        """As `opened` gives it."""
        if self.items or self.values:
            return self.items or self.values
        if _module_state(self) is None:
            return self
        return dict(_state_dict(self, "", self.budget))


HOLDERS = (dict, list, tuple, Unread)
"""Types that hold others in the contents of a file."""


def _is_large(shape: tuple[int, ...]) -> bool:
    return len(shape) >= KERNEL or math.prod(shape) > MANY


def _holds_weights(content: Any, budget: Budget) -> bool:
    """Whether a tensor of two or more dimensions is anywhere in an object."""
    waiting, seen, searched = [content], set[int](), (*HOLDERS, Tensor)
    while waiting:
        one = waiting.pop()
        if isinstance(one, Tensor) and one.ndim > 1:
            return True
        if isinstance(one, Unread) and (_is_large(one.shape or ()) or str(one.of) in TENSORS):
            return True
        is_new = id(one) not in seen and id(one) not in budget.without_weights
        if is_new and isinstance(one, HOLDERS):
            seen.add(id(one))
            inside = _inside(one)
            budget.spend(1 + len(inside))
            waiting += [each for each in inside if isinstance(each, searched)]
    budget.without_weights |= seen
    return False


def _inside(one: Any) -> Collection[Any]:
    if isinstance(one, Unread):
        return [one.parts, one.items, one.values]
    return one.values() if isinstance(one, Mapping) else one


def opened(content: Any) -> Any:
    """An object that was a mapping, a list or a whole network as a plain one; all else unchanged.

    Of a network, a `torch.nn.Module`, that are its parameters and lasting buffers by their names in
    its state dict.
    """
    return content.opened if isinstance(content, Unread) else content


def _module_state(content: Any) -> Mapping[Any, Any] | None:
    """The attributes of an object that was a `torch.nn.Module`; None for any other."""
    state = content.parts[-1] if isinstance(content, Unread) and content.parts else None
    keys = ("_parameters", "_buffers", "_modules")
    is_module = isinstance(state, Mapping) and all(isinstance(state.get(k), Mapping) for k in keys)
    return state if is_module else None


def _state_dict(
    module: Unread, prefix: str, budget: Budget, depth: int = 0
) -> Iterator[tuple[str, Any]]:
    """Parameters and buffers of a module and those in it, by name.

    Raises:
        AboveLimit: there are more modules than a file of this size needs.
        UnpicklingError: modules within modules are deeper than in any network, as of one within
            itself.
    """
    state = _module_state(module)
    budget.spend(1 + len(prefix), ENDLESS)
    if depth > DEEPEST:
        raise UnpicklingError(ENDLESS)
    if state is None:
        yield prefix.rstrip("."), module
        return
    passing = state.get("_non_persistent_buffers_set")
    passing = passing if isinstance(passing, list) else []
    budget.spend(len(passing), ENDLESS)
    skipped = {name for name in passing if isinstance(name, str)}
    for part in ("_parameters", "_buffers", "_modules"):  # each with the prefix before its name
        budget.spend(len(state[part]) * (1 + len(prefix)), ENDLESS)
    for name, value in {**state["_parameters"], **state["_buffers"]}.items():
        if isinstance(value, Tensor | Unread) and name not in skipped:
            yield f"{prefix}{name}", value
    for name, child in state["_modules"].items():
        if isinstance(child, Unread):
            yield from _state_dict(child, f"{prefix}{name}.", budget, depth + 1)


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
