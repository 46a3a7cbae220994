"""The branches of a network: parts whose output is added to, or goes into, the rest.

Attention and MLP updates are the outputs of these modules before they are added to the stream. They
are recognized by the names of their classes or attributes, as siblings in one block, so that other
networks with attention (RIDNet, RNAN) are taken as convolutions.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from analysis.engine.recorded_run import Side, ancestors
from mtd.utils.errors import BadInput

ATTENTION = re.compile(r"att(n|ention)|msa", re.IGNORECASE)
MLP = re.compile(r"mlp|ffn|feed_?forward", re.IGNORECASE)
OTHER = re.compile(r"norm|drop|scale", re.IGNORECASE)
"""Names of attributes that are no branches, such as `norm_attn`."""

PROJECTIONS = ("proj", "project_out", "out_proj", "to_out")
"""Names of the layer that heads go into."""

HEADS = ("heads", "num_heads", "n_heads")
"""Attributes that hold the number of heads."""

ALL = "all"
"""All branches of a network, patched together."""


class Branch(NamedTuple):
    """A module's output, or a part of its channels; or its input.

    Attributes:
        name: in tables.
        kind: see `analysis.causal.settings.KINDS`.
        path: of the module.
        side: whether it is the module's output, or what goes into it.
        start: first channel; None for all of them.
        stop: after the last channel.
    """

    name: str
    kind: str
    path: str
    side: Side = "output"
    start: int | None = None
    stop: int | None = None

    def part(self, value: Tensor) -> Tensor:
        """Its channels of a layer's tensor, as a view: (B, C, H, W), or (…, C) of tokens."""
        if self.start is None:
            return value
        axis = channel_axis(value)
        assert self.stop is not None
        return value.narrow(axis, self.start, self.stop - self.start)

    def put(self, into: Tensor, value: Tensor) -> Tensor:
        """A layer's tensor with other values of its channels."""
        if self.start is None:
            return value.clone()
        changed = into.clone()
        self.part(changed).copy_(self.part(value))
        return changed


def channel_axis(value: Tensor) -> int:
    """The axis of channels: 1 of images (B, C, H, W), else the last one."""
    return 1 if value.ndim == 4 else value.ndim - 1


def updates(model: nn.Module) -> list[Branch]:
    """Attention and MLP updates, in the order of their definition; none without both in a block."""
    found = []
    for path, block in model.named_modules():
        kinds = {name: kind_of(name, child) for name, child in block.named_children()}
        if {"attention", "mlp"} <= set(kinds.values()):
            prefix = f"{path}." if path else ""
            own = [(f"{prefix}{name}", kind) for name, kind in kinds.items() if kind]
            found += [Branch(own_path, kind, own_path) for own_path, kind in own]
    return found


def kind_of(name: str, module: nn.Module) -> str:
    """Whether a child of a block is its attention or MLP; empty for anything else."""
    if OTHER.search(name) or isinstance(module, nn.ModuleList | nn.ModuleDict):
        return ""
    for text in (type(module).__name__, name):
        for kind, pattern in (("mlp", MLP), ("attention", ATTENTION)):
            if pattern.search(text):
                return kind
    return ""


def heads(model: nn.Module) -> list[Branch]:
    """The heads of each attention: groups of the channels that go into its projection."""
    modules, found = dict(model.named_modules()), []
    for branch in updates(model):
        if branch.kind != "attention":
            continue
        attention = modules[branch.path]
        count = next((getattr(attention, n) for n in HEADS if hasattr(attention, n)), None)
        name = next((n for n in PROJECTIONS if hasattr(attention, n)), "")
        layer = getattr(attention, name, None)
        width = getattr(layer, "in_features", getattr(layer, "in_channels", None))
        if not isinstance(count, int) or not isinstance(width, int) or width % count:
            continue
        each = width // count
        found += [
            Branch(
                f"{branch.path}.head{i}",
                "heads",
                f"{branch.path}.{name}",
                "input",
                i * each,
                (i + 1) * each,
            )
            for i in range(count)
        ]
    return found


def convolution_paths(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All convolutions, in the order of their definition."""
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    return [(path, part) for path, part in model.named_modules() if isinstance(part, kinds)]


def channels(model: nn.Module, groups: int) -> list[Branch]:
    """Groups of neighboring channels of each convolution."""
    found = []
    for path, layer in convolution_paths(model):
        width = int(layer.out_channels)  # type: ignore[arg-type]
        count = min(groups, width)
        ends = [width * i // count for i in range(count + 1)]
        for i in range(count):
            name = f"{path}[{ends[i]}:{ends[i + 1]}]"
            found.append(Branch(name, "channels", path, "output", ends[i], ends[i + 1]))
    return found


def find(model: nn.Module, kinds: Sequence[str] = (), groups: int = 4) -> list[Branch]:
    """The branches of a network, kind by kind in the order given.

    Args:
        model: the network.
        kinds: of `analysis.causal.settings.KINDS`; none for attention and MLP updates where there
            are any, else convolutions.
        groups: of channels of a convolution.

    Raises:
        BadInput: it has none.

    >>> [branch.path for branch in find(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))]
    ['0']
    """
    own = updates(model)
    chosen = list(kinds) or (["attention", "mlp"] if own else ["convolutions"])
    found: list[Branch] = []
    if {"attention", "mlp"} & set(chosen):
        found += [branch for branch in own if branch.kind in chosen]
    if "heads" in chosen:
        found += heads(model)
    if "convolutions" in chosen:
        found += [Branch(path, "convolutions", path) for path, _ in convolution_paths(model)]
    if "channels" in chosen:
        found += channels(model, groups)
    if not found:
        raise BadInput(
            f"no {' or '.join(chosen)} in the network, so that nothing can be patched: "
            "choose other --branches, or leave it out"
        )
    return found


def groups(branches: Sequence[Branch]) -> dict[str, list[int]]:
    """Branches that are patched together: those of each kind, and all but parts of others."""
    found: dict[str, list[int]] = {}
    for i, branch in enumerate(branches):
        found.setdefault(branch.kind, []).append(i)
    if len(found) == 1:
        return found
    whole = {branch.path for branch in branches if branch.start is None}
    free = [i for i, branch in enumerate(branches) if not is_inside(branch, whole)]
    return {**found, ALL: free}


def is_inside(branch: Branch, whole: Collection[str]) -> bool:
    """Whether a branch is a part of a module whose whole output is patched."""
    own = [branch.path] if branch.start is not None else []
    return any(path in whole for path in [*own, *ancestors(branch.path)])
