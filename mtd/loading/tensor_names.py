"""What the names of tensors and of their places in a file tell: averages, training, counters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from torch import Tensor

from mtd.tensor_files.stand_ins import MANY

COUNTERS = frozenset(
    (
        *("total_ops", "total_params"),  # of the profiler THOP
        *("n_averaged", "num_updates", "initted"),  # of averages of weights
        *("step", "steps", "global_step", "iter", "iters", "iteration", "epoch", "epochs", "it"),
        "num_batches_tracked",
    )
)
"""Last parts of the names of counts, which are no weights."""

INSERTED = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""Parts of names that compiled, sharded and checkpointed modules insert anywhere."""

PARALLEL = frozenset(("module",))
"""The part that parallel modules insert, which may be a network's own as well."""

AVERAGED = frozenset(("ema", "emas", "average", "averaged", "avg", "swa", "shadow", "polyak"))
"""Words for weights averaged over the steps of a training."""

RAW = frozenset(("online", "collected", "current", "raw"))
"""Words for the weights that are averaged, where they are kept beside their average."""

LOSS = re.compile(r"\w*loss(es)?|criteri(a|on|ons)")
CERTAIN = re.compile(LOSS.pattern + r"|lpips\w*|discrim(inators?)?")
"""Words for networks of a training that no part of a denoiser has in its name."""

TRAINING = re.compile(
    CERTAIN.pattern
    + r"|percep(tual\w*)?|vgg\w*|disc|critics?|teachers?|metrics?|psnr|ssim|inception"
)
"""Words for networks and values that a training has beside the network that it trains."""

RECORDS = re.compile(r"optim(i[sz]ers?|s)?|schedulers?|history|callbacks?")
"""Words for what a training keeps of itself, where an average may be kept as well."""

GENERAL = frozenset(
    (
        *("model", "models", "net", "nets", "network", "networks", "module", "backbone", "unet"),
        *("state", "states", "dict", "dicts", "params", "parameters", "param", "weights"),
        *("checkpoint", "train", "training", "val", "validation", "test", "eval", "fn", "func"),
        *("running", "moving", "exponential", "lr", "callback", "list", "best", "last", "init"),
    )
)
"""Words that tell nothing of what a network is for."""


def words(name: str) -> list[str]:
    """The words of a name, in lower case.

    >>> words("netG_EMA.emaModel")
    ['net', 'g', 'ema', 'ema', 'model']
    """
    found: list[str] = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return [word.lower() for word in found]


@lru_cache(maxsize=4096)
def is_average(name: str) -> bool:
    """Whether the last telling part of dotted names says that weights are averaged over steps.

    >>> is_average("ema.ema_model"), is_average("ema.online_model"), is_average("net")
    (True, False, False)
    """
    for piece in reversed(name.split(".")):
        found = set(words(piece))
        if not found.isdisjoint(AVERAGED | RAW):
            return not found.isdisjoint(AVERAGED)
    return False


@lru_cache(maxsize=4096)
def telling(name: str) -> frozenset[str]:
    """The words of dotted names that tell one network of a file from another.

    >>> sorted(telling("state_dict.net_g_ema"))
    ['g']
    """
    return frozenset(
        word
        for word in words(name)
        if word not in GENERAL | AVERAGED | RAW and not RECORDS.fullmatch(word)
    )


@lru_cache(maxsize=4096)
def is_training(name: str, inside: bool = False) -> bool:
    """Whether a name says that something is no part of the network, but of its training.

    It does if all its words are of training or general, or if it ends with a word for a loss.

    Args:
        name: one part of a dotted name.
        inside: whether it stands beside the network's own layers, where only unmistakable words
            count.

    >>> is_training("perceptual_loss"), is_training("netD_ema"), is_training("vgg_encoder")
    (True, True, False)
    >>> is_training("inception"), is_training("inception", inside=True)
    (True, False)
    """
    found = [word for word in words(name) if word not in AVERAGED | RAW]
    if found and LOSS.fullmatch(found[-1]):
        return True
    if is_discriminator(name, inside):
        return True
    kind = CERTAIN if inside else TRAINING
    others = (w for w in found if len(w) > 1 and w not in GENERAL and not TRAINING.fullmatch(w))
    return any(map(kind.fullmatch, found)) and not any(others)


def is_discriminator(name: str, inside: bool = False) -> bool:
    """Whether a name is a short one of a discriminator, `netD` or `D`, or of its average.

    >>> [is_discriminator(name) for name in ("net_d", "netD_A", "emaD", "D", "d", "DNet")]
    [True, True, True, True, False, False]
    """
    found = [word for word in words(name) if word not in AVERAGED]
    before = found[:-1] if len(found) > 1 and len(found[-1]) == 1 and found[-1] != "d" else found
    if before in (["net", "d"], ["model", "d"]):
        return True
    alone = before == ["d"] and (name.strip("_")[:1] == "D" or before != words(name))
    return alone and not inside


@lru_cache(maxsize=4096)
def of_training(name: str) -> bool:
    """Whether the names that lead to weights say that they are not the trained network's.

    Those of an average may lead through what a training keeps of itself.

    >>> of_training("netD_ema"), of_training("callbacks.best"), of_training("callbacks.ema")
    (True, True, False)
    """
    pieces = name.split(".")
    for at, piece in enumerate(pieces):
        if is_training(piece):
            return True
        found = words(piece)
        is_record = any(map(RECORDS.fullmatch, found)) and not telling(piece) - set("gd")
        if is_record and not is_average(".".join(pieces[at:])):
            return True
    return False


def is_count(name: str, value: Tensor) -> bool:
    """Whether a tensor is a single number that was counted or measured, and no weight.

    By its type, or by its name: a counter with a whole number, the decay of an average, a loss or
    metric.

    >>> import torch
    >>> is_count("0.total_ops", torch.zeros(1)), is_count("step", torch.tensor(0.1))
    (True, False)
    """
    if value.numel() != 1 or value.is_meta or value.is_complex():
        return False
    last = name.rpartition(".")[2]
    if not value.is_floating_point():
        return value.ndim == 0 or last in COUNTERS
    if last in COUNTERS:
        return float(value.detach()).is_integer()
    measured = any(LOSS.fullmatch(word) or word in ("psnr", "ssim") for word in words(last))
    return last == "decay" or (last == name and measured and is_training(last))


def is_weight(name: str, value: Tensor) -> bool:
    """Whether a tensor beside a network's own may hold weights: by its name, dimensions or size.

    >>> import torch
    >>> is_weight("sigmas", torch.ones(3)), is_weight("0.bias", torch.ones(3))
    (False, True)
    """
    last = name.rpartition(".")[2]
    named = last in ("weight", "bias") or last.startswith("running_")
    return named or value.ndim > 1 or value.numel() > MANY


def without_insertions(names: Iterable[str], inserted: frozenset[str] = INSERTED) -> dict[str, str]:
    """Each name without the parts that wrappers insert; as it is, if two would become one.

    >>> without_insertions(["body._orig_mod.0.weight"])
    {'body._orig_mod.0.weight': 'body.0.weight'}
    """
    plain = {
        name: ".".join(part for part in name.split(".") if part not in inserted) for name in names
    }
    return plain if len(set(plain.values())) == len(plain) else {name: name for name in plain}


def after_shared(name: str, other: str) -> list[str]:
    """The parts of a dotted name after those that it shares with the beginning of another one.

    >>> after_shared("net.discriminator.0", "net.generator.0")
    ['discriminator', '0']
    """
    mine, theirs = name.split("."), other.split(".")
    same = [at for at, part in enumerate(mine) if at >= len(theirs) or part != theirs[at]]
    return mine[same[0] :] if same and name else []
