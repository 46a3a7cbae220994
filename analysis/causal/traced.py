"""What causal tracing computes of a network under a noise, crop by crop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from analysis.causal.branches import Branch
from analysis.engine.observer import View

Tensors = Mapping[str, Tensor]


class Traced(NamedTuple):
    """What was computed of a network under a noise.

    Attributes:
        reference: (crops,) error under the reference noise, in squared 8-bit levels.
        error: (crops,) error under the noise.
        estimates: (branches, crops) change of the error by attribution patching.
        unchanged: (branches,) whether a branch is the same under both noises.
        depth: (branches,) place in the order in which branches are computed.
        exact: error of the patched run, (crops,), by branch.
        whole: branches that are a cut through the whole network.
        together: error with all branches of a kind patched at once, (crops,), by kind and `ALL`.
        cuts: kinds whose branches are a cut through the whole network when patched at once.
        chosen: why a branch was patched: `exact`, or of a screened network `top` or `random`.
    """

    reference: Tensor
    error: Tensor
    estimates: Tensor
    unchanged: Tensor
    depth: Tensor
    exact: Mapping[int, Tensor]
    whole: frozenset[int]
    together: Mapping[str, Tensor]
    cuts: frozenset[str]
    chosen: Mapping[int, str]


class Ablated(NamedTuple):
    """What branches do under a noise.

    Attributes:
        error: (crops,) of the network, in squared 8-bit levels.
        without: (branches, crops), of the network with a branch replaced by its mean.
        chosen: the branches' numbers.
        depth: (branches of the network,) place in the order in which branches are computed.
    """

    error: Tensor
    without: Tensor
    chosen: Sequence[int]
    depth: Tensor


class Results(NamedTuple):
    """All that the tables are made of.

    Attributes:
        branches: of each network.
        traced: by network and noise other than the reference.
        ablated: by network and noise; none without ablation.
    """

    branches: Mapping[str, list[Branch]]
    traced: Mapping[View, Traced]
    ablated: Mapping[View, Ablated]


def joined(parts: Sequence[Tensors], name: str) -> Tensor:
    """The numbers of all crops."""
    return torch.cat([part[name] for part in parts], -1)


def together(
    screened: Sequence[Tensors], patched: Sequence[Tensors], chosen: Mapping[int, str]
) -> Traced:
    """What was computed of a network under a noise, over all batches."""
    errors = joined(patched, "errors")
    kinds = [name.partition("/")[2] for name in patched[0] if name.startswith("together/")]
    cut = torch.stack([part["cuts"] for part in patched]).all(0).tolist()
    return Traced(
        joined(screened, "reference"),
        joined(screened, "error"),
        joined(screened, "estimates"),
        torch.stack([part["unchanged"] for part in screened]).all(0),
        screened[0]["depth"],
        {i: errors[place] for place, i in enumerate(chosen)},
        frozenset(i for i, whole in zip(chosen, cut, strict=True) if whole),
        {kind: joined(patched, f"together/{kind}") for kind in kinds},
        frozenset(kind for kind in kinds if bool(joined(patched, f"cut/{kind}").all())),
        chosen,
    )
