"""Where the weights of a network come from, and what else their file holds; for manifests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from mtd.loading import choice
from mtd.loading.choice import Claim
from mtd.loading.remainder import Remainder
from mtd.loading.tensor_names import is_count, of_training, without_insertions
from mtd.loading.weight_sets import WeightSet


def origin(
    chosen: Claim,
    module: nn.Module,
    sets: Sequence[WeightSet],
    key: str,
    claims: Sequence[Claim],
    rest: Remainder,
) -> dict[str, Any]:
    """Where weights come from, and what else the file holds; for manifests.

    Args:
        chosen: the weights that are used.
        module: the network.
        sets: of the file.
        key: of `--weights`, or empty.
        claims: all sets of weights that are recognized.
        rest: what the file holds beside the network.
    """
    part, listed = chosen.part, choice.addresses(sets)
    about: dict[str, Any] = {"container": part.place}
    if part.prefix:
        about["prefix"] = part.prefix
    named = [name for name in sorted(rest.values) if not of_training(name)]
    if key or len(listed) > 1 or rest.training or named:
        averaged = choice.is_averaged(chosen, claims)
        about["weights"] = {"key": chosen.address, "averaged": averaged, "sets": listed}
        if chosen.shared:
            about["weights"]["buffers"] = chosen.shared
        if rest.training:
            about["weights"]["of_training"] = rest.training
        if named:
            about["weights"]["beside"] = named
    known = {part.prefix + name for name in without_insertions(module.state_dict()).values()}
    held = [item for one in sets if one.place == part.place for item in one.tensors.items()]
    counts = {name for name, value in held if name not in known and is_count(name, value)}
    copies = (n for n in counts if n.endswith("tracked") and not n.startswith(part.prefix))
    if counts := counts.difference(copies):
        about["counts"] = sorted(counts)
    if rest.values:
        about["values"] = sorted(rest.values)
    return about
