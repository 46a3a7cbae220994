"""What the names of tensors and of their places in a file tell: averages, training, counters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from torch import Tensor

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

TRAINING = re.compile(
    r"\w*loss(es)?|criteri(a|on|ons)|percep(tual\w*)?|vgg\w*|lpips\w*|discrim(inators?)?|disc|critic"
    r"|teachers?|metrics?|optim(i[sz]ers?|s)?|schedulers?|psnr|ssim|history|inception|callbacks?"
)
"""Words for networks and values that a training has beside the network that it trains."""

DISCRIMINATOR = re.compile(r"(?i:net_?d(_\w)?)|D")


def words(name: str) -> list[str]:
    """The words of a name, in lower case.

    >>> words("netG_EMA.emaModel")
    ['net', 'g', 'ema', 'ema', 'model']
    """
    found: list[str] = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return [word.lower() for word in found]


def is_average(name: str) -> bool:
    """Whether a name says that weights are averaged over steps."""
    return not AVERAGED.isdisjoint(words(name))


def is_training(name: str) -> bool:
    """Whether a name says that something belongs to training, not to the network.

    >>> is_training("perceptual_loss"), is_training("netD"), is_training("semantic_prior")
    (True, True, False)
    """
    if DISCRIMINATOR.fullmatch(name):
        return True
    return any(TRAINING.fullmatch(word) for word in words(name))


def is_count(name: str, value: Tensor) -> bool:
    """Whether a tensor is a count and no weight: a single whole number, by its type or its name.

    >>> import torch
    >>> is_count("0.total_ops", torch.zeros(1)), is_count("step", torch.tensor(0.1))
    (True, False)
    """
    if value.numel() != 1 or value.is_meta or value.is_complex():
        return False
    if not value.is_floating_point():
        return value.ndim == 0
    return name.rpartition(".")[2] in COUNTERS and float(value).is_integer()


def without_insertions(names: Iterable[str], inserted: frozenset[str] = INSERTED) -> dict[str, str]:
    """Each name without the parts that wrappers insert; as it is, if two would become one.

    >>> without_insertions(["body._orig_mod.0.weight"])
    {'body._orig_mod.0.weight': 'body.0.weight'}
    """
    plain = {
        name: ".".join(part for part in name.split(".") if part not in inserted) for name in names
    }
    return plain if len(set(plain.values())) == len(plain) else {name: name for name in plain}


@lru_cache(maxsize=4096)
def belongs_to_training(name: str) -> bool:
    """Whether a name says that weights are an average, or not the network's."""
    return is_training(name) or is_average(name)


def parting(name: str, other: str) -> list[str]:
    """The parts of a dotted name from the first one on that is not the other's.

    >>> parting("net.discriminator.0", "net.generator.0")
    ['discriminator', '0']
    """
    mine, theirs = name.split("."), other.split(".")
    same = [at for at, part in enumerate(mine) if at >= len(theirs) or part != theirs[at]]
    return mine[same[0] :] if same and name else []
