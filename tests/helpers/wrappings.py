"""How trainers wrap a state dict: containers, prefixes, what lies beside it, and file formats."""

from __future__ import annotations

import argparse
import collections
import datetime
import enum
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Weights = dict[str, Tensor]


class Settings(dict):  # type: ignore[type-arg]
    """A mapping of a trainer's own class, as many have it for hyper-parameters."""


class Phase(enum.Enum):
    """A value of a trainer's own class."""

    FIT = "fit"


def renamed(weights: Mapping[str, Tensor], prefix: str) -> Weights:
    """Weights under a prefix; `@` stands for a part inserted after the first of each name."""
    before, _, inserted = prefix.partition("@")
    if not inserted:
        return {before + name: value for name, value in weights.items()}
    pieces = {name: name.split(".") for name in weights}
    return {
        before + ".".join([first, inserted, *more] if more else [first]): weights[name]
        for name, (first, *more) in pieces.items()
    }


PREFIXES = (
    *("", "module.", "model.", "net.", "generator.", "netG.", "_orig_mod.", "denoiser.unet."),
    *("module.module.", "_orig_mod.module.", "module._orig_mod.model.", "ema_model.", "my_net2."),
    *("model.net.generator._orig_mod.module.", "student.backbone.", "@_orig_mod"),
    *("module.@_checkpoint_wrapped_module", "net.@module"),
)


def optimizer(weights: Weights) -> dict[str, Any]:
    """The state of Adam over some weights."""
    moments = {
        index: {"step": torch.tensor(3.0), "exp_avg": value + 1, "exp_avg_sq": value + 2}
        for index, value in enumerate(weights.values())
    }
    return {"state": moments, "param_groups": [{"lr": 1e-3, "params": list(moments)}]}


def lightning(weights: Weights) -> dict[str, Any]:
    """A checkpoint as Lightning writes it."""
    stop = {"best_model_score": torch.tensor(0.3), "kth_value": torch.tensor([0.3]), "wait": 2}
    return {
        "epoch": 3,
        "global_step": 1200,
        "pytorch-lightning_version": "2.4.0",
        "state_dict": collections.OrderedDict(weights),
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 4}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val.loss', 'mode': 'min'}": stop},
        "optimizer_states": [optimizer(weights)],
        "lr_schedulers": [{"last_epoch": 3, "_last_lr": [1e-3]}],
        "hparams_name": "args",
        "hyper_parameters": Settings(lr=1e-3, args=argparse.Namespace(width=3)),
        "MixedPrecision": {"scale": 65536.0, "_growth_tracker": 3},
    }


CONTAINERS: dict[str, Callable[[Weights], Any]] = {
    "bare": lambda w: w,
    "ordered": collections.OrderedDict,
    "params": lambda w: {"params": w},
    "state_dict": lambda w: {"state_dict": w, "epoch": 3, "best": torch.tensor(31.2)},
    "own key": lambda w: {"denoiser-v2.weights": w, "iteration": torch.tensor(7)},
    "deep": lambda w: {"a": {"b": [{"c": ({"d": w}, 3)}]}},
    "list": lambda w: [w],
    "tuple": lambda w: (3, "note", {"model": w}),
    "optimizer": lambda w: {"model": w, "optimizer": optimizer(w), "optim_g": optimizer(w)},
    "random state": lambda w: {
        "net": w,
        "rng": torch.get_rng_state(),
        "cuda_rng": [torch.get_rng_state()],
        "numpy_rng": np.random.default_rng(0).bit_generator.state,
    },
    "gan": lambda w: {"G": w, "D": {"0.weight": torch.ones(3, 3)}, "losses": {"g": torch.ones(9)}},
    "classes": lambda w: {
        "args": argparse.Namespace(lr=1e-3, path=pathlib.PurePosixPath("a")),
        "psnr": np.float64(31.2),
        "confusion": np.zeros((2, 2)),
        "when": datetime.datetime(2024, 2, 29),
        "phase": Phase.FIT,
        "log": collections.defaultdict(list, {"loss": [1.0]}),
        "recent": collections.deque([1, 2]),
        "network": Settings(w),
    },
    "lightning": lightning,
}

EXTRAS: dict[str, Callable[[str, Weights], Weights]] = {
    "none": lambda prefix, w: {},
    "thop": lambda prefix, w: {
        f"{place}total_{what}": torch.zeros(1, dtype=torch.float64)
        for place in (prefix, *{f"{name.rpartition('.')[0]}." for name in w})
        for what in ("ops", "params")
    },
    "counts": lambda prefix, w: {
        f"{prefix}n_averaged": torch.tensor(41),
        "step": torch.tensor(7.0),
        "num_updates": torch.tensor(9, dtype=torch.int32),
        f"{prefix}stray.num_batches_tracked": torch.tensor(100),
    },
    "loss": lambda prefix, w: {
        "loss.vgg.features.0.weight": torch.ones(4, 3, 3, 3),
        "criterion.perceptual.mean": torch.ones(1, 3, 1, 1),
        "netD.0.weight": torch.ones(2, 3),
        "discriminator.last.bias": torch.ones(2),
    },
}


def zipped(content: Any, path: pathlib.Path) -> None:
    """The format since PyTorch 1.6."""
    torch.save(content, path)


def old(content: Any, path: pathlib.Path) -> None:
    """The format before PyTorch 1.6."""
    torch.save(content, path, _use_new_zipfile_serialization=False)


FORMATS: dict[str, tuple[str, Callable[[Any, pathlib.Path], None]]] = {
    "zip": (".pth", zipped),
    "old": (".pth", old),
    "ckpt": (".ckpt", zipped),
    "old pt": (".pt", old),
}


def tensors_only(weights: Weights, path: pathlib.Path) -> None:
    """A `.safetensors` file, which holds nothing else."""
    save_file({name: value.contiguous() for name, value in weights.items()}, path)


def shifted(weights: Mapping[str, Tensor]) -> Weights:
    """Other weights of the same network."""
    return {k: v + 0.01 if v.is_floating_point() else v for k, v in weights.items()}


def parameters(module: nn.Module, weights: Mapping[str, Tensor]) -> Weights:
    """Those of the weights that are parameters, as most averages hold them."""
    names = [name for name, _ in module.named_parameters()]
    return {name: weights[name] for name in names}
