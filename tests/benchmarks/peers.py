"""Other packages' CKA on two workloads, by their public interfaces, and an exact reference.

`pip install --no-deps pytorch-cka==1.1.3 torch_cka==0.21 ckatorch==1.0.3`
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import Module
from torch.utils.data import DataLoader, TensorDataset

Names = Sequence[str]
Matrix = NDArray[np.float64]

PEERS = {"pytorch-cka": "cka", "torch_cka": "torch_cka", "ckatorch": "ckatorch"}
"""Name on PyPI: module to import."""


class Recording(Module):
    """Puts out the activations (N, …) it holds, for the images asked for."""

    activations: Tensor

    def __init__(self, activations: Tensor) -> None:
        super().__init__()
        self.register_buffer("activations", activations, persistent=False)

    def forward(self, images: slice | Tensor) -> Tensor:
        return self.activations[images]


class Replay(Module):
    """A network that costs nothing: `layer0`, `layer1`, … put out one recorded tensor (N, …) each.

    Its input is the images' indices, (B,) or (B, 1); consecutive ones give views, not copies.
    """

    def __init__(self, recorded: Sequence[Tensor]) -> None:
        super().__init__()
        self.names = [f"layer{i}" for i in range(len(recorded))]
        for name, activations in zip(self.names, recorded, strict=True):
            self.add_module(name, Recording(activations))

    def forward(self, x: Tensor) -> Tensor:
        indices = x.flatten().long()
        first, end = int(indices[0]), int(indices[0]) + len(indices)
        consecutive = torch.equal(indices, torch.arange(first, end))
        images = slice(first, end) if consecutive else indices
        return [self.get_submodule(name)(images) for name in self.names][-1]


class Convs(Module):
    """Convolutions `layer0`, `layer1`, … (3 × 3, 32 channels), each before a ReLU; (B, 3, H, W)."""

    def __init__(self, generator: torch.Generator, layers: int = 24) -> None:
        super().__init__()
        self.names = [f"layer{i}" for i in range(layers)]
        for i, name in enumerate(self.names):
            conv = nn.Conv2d(32 if i else 3, 32, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu", generator=generator)
            self.add_module(name, conv)

    def forward(self, x: Tensor) -> Tensor:
        for name in self.names:
            x = F.relu(self.get_submodule(name)(x))
        return x


class Tapped(Module):
    """A model whose layers' outputs also pass through `taps.0`, …, as (1, B, features).

    ckatorch needs (minibatches, samples, features): it fails on (B, C, H, W), and would compare
    tokens, not images, on (B, tokens, C).
    """

    def __init__(self, model: Module, layers: Names) -> None:
        super().__init__()
        self.model = model
        self.taps = nn.ModuleList(nn.Flatten(2) for _ in layers)
        self.names = [f"taps.{i}" for i in range(len(layers))]
        for tap, layer in zip(self.taps, layers, strict=True):

            def hook(_: Module, __: object, out: Tensor, tap: Module = tap) -> None:
                tap(out[None])

            model.get_submodule(layer).register_forward_hook(hook)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


def missing() -> list[str]:
    """The peers that cannot be imported, by their names on PyPI."""
    lacking = []
    for name, module in PEERS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            lacking.append(name)
    return lacking


def run_pytorch_cka(
    model_a: Module, model_b: Module, layers_a: Names, layers_b: Names, inputs: Tensor, batch: int
) -> Matrix:
    """pytorch-cka: minibatch unbiased CKA in float32, clamped to [0, 1]."""
    from cka import compute_cka

    loader = DataLoader(TensorDataset(inputs), batch)
    names = {"layers": layers_a, "model2_layers": layers_b}
    matrices = compute_cka(model_a, model_b, loader, **names, device="cpu", progress=False)
    return matrices[0].double().numpy()


def run_torch_cka(
    model_a: Module, model_b: Module, layers_a: Names, layers_b: Names, inputs: Tensor, batch: int
) -> Matrix:
    """torch_cka: minibatch unbiased CKA in float32; spared the autograd graph it would keep."""
    from torch_cka import CKA

    a, b = unhooked(model_a, model_b)
    with torch.no_grad(), quiet():
        peer = CKA(a, b, "a", "b", list(layers_a), list(layers_b), device="cpu")
        peer.compare(DataLoader(TensorDataset(inputs), batch))
    fired = peer.model1_features, peer.model2_features
    return reorder(peer.export()["CKA"], fired, (layers_a, layers_b))


def run_ckatorch(
    model_a: Module, model_b: Module, layers_a: Names, layers_b: Names, inputs: Tensor, batch: int
) -> Matrix:
    """ckatorch: unbiased CKA of the last batch alone, since each overwrites the one before."""
    from ckatorch import CKA

    a, b = map(Tapped, unhooked(model_a, model_b), (layers_a, layers_b))
    with quiet():
        peer = CKA(a, b, a.names, b.names, "a", "b", device="cpu")
        matrix = peer(DataLoader(TensorDataset(inputs), batch), epochs=1)
    return reorder(matrix, (peer.first_features, peer.second_features), (a.names, b.names))


def unhooked(model_a: Module, model_b: Module) -> tuple[Module, Module]:
    """Copies that share all tensors, since some peers never remove their hooks."""
    tensors = [t for m in (model_a, model_b) for t in (*m.parameters(), *m.buffers())]
    return copy.deepcopy((model_a, model_b), {id(t): t for t in tensors})


def reorder(matrix: Tensor, fired: tuple[Iterable[str], ...], layers: tuple[Names, ...]) -> Matrix:
    """Rows and columns in the order asked for, not that in which the hooks fired."""
    orders = [[list(f).index(name) for name in n] for f, n in zip(fired, layers, strict=True)]
    return matrix.double().numpy()[np.ix_(*orders)]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, for which there is no switch, and no warnings about unshuffled loaders."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def oracle(x_layers: Sequence[Tensor], y_layers: Sequence[Tensor], batch: int) -> Matrix:
    """Minibatch CKA: mean HSIC₁ (Song et al. 2012) over equal batches, then the ratio; float64."""
    layers, split = [*x_layers, *y_layers], len(x_layers)
    if len(layers[0]) % batch or batch < 4:
        raise ValueError(f"{len(layers[0])} images in batches of {batch}: not equal, or below 4")
    hsic = np.zeros((len(layers), len(layers)))
    for start in range(0, len(layers[0]), batch):
        grams = []
        for layer in layers:
            rows = layer[start : start + batch].flatten(1).double().numpy()
            rows = rows - rows.mean(0)
            grams.append(rows @ rows.T)
            np.fill_diagonal(grams[-1], 0)
        for i, j in itertools.product(range(len(layers)), repeat=2):
            hsic[i, j] += hsic1(grams[i], grams[j])
    scale = np.sqrt(np.diag(hsic))
    return (hsic / np.outer(scale, scale))[:split, split:]


def hsic1(k: Matrix, m: Matrix) -> float:
    """Song's unbiased HSIC of two symmetric matrices (n, n) with zero diagonals."""
    n = len(k)
    total = np.sum(k * m) + k.sum() * m.sum() / ((n - 1) * (n - 2))
    return float(total - 2 / (n - 2) * (k.sum(0) @ m.sum(0))) / (n * (n - 3))
