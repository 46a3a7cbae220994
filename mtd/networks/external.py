"""Networks that are not ours: any `nn.Module`, from a factory of the user's or from spandrel."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtd.networks.base import Denoiser
from mtd.networks.config import Config, Weights
from mtd.networks.padding import extend
from mtd.utils import seeds
from mtd.utils.errors import BadInput, nearest

PROBE = 64
"""Side of the image, in pixels, on which a network of unknown kind is tried."""

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
MANY = 32
"""Most layers of an unknown network that are recorded when none are named."""

OWN = frozenset(
    (
        *("config", "usage", "inference", "source", "mask_draw", "mask_draws"),
        *("takes_sigma", "call", "training", "part", "parts"),
    )
)
"""Attributes of a `Foreign` that are not the module's."""

Call = Callable[[nn.Module, Tensor, Tensor | None], Any]


@dataclass(frozen=True)
class ForeignConfig(Config):
    """What is known of a network that is not ours.

    Attributes:
        kind: name of its class, or its architecture.
        multiple: its sides must be multiples of this; images are extended.
        least: and this many pixels or more.
        square: whether images must be square.
    """

    kind: str = ""
    multiple: int = 1
    least: int = 1
    square: bool = False


class Foreign(Denoiser):
    """Any module from images to images, with its own module paths.

    Images are extended to the sizes that it takes, and cut again; its outputs are not clamped.

    Args:
        module: takes (B, C, H, W), and the noise level if `takes_sigma`.
        config: what is known of it.
        takes_sigma: whether it takes a noise level.
        call: how it is called, if not `module(x)` or `module(x, sigma)`; sigma is (B, 1, 1, 1).
    """

    def __init__(
        self,
        module: nn.Module,
        config: ForeignConfig,
        takes_sigma: bool = False,
        call: Call | None = None,
    ) -> None:
        super().__init__()
        self.config: ForeignConfig = config
        self.takes_sigma, self.call = takes_sigma, call or plainly
        # the same parts, not copies, under the same names
        object.__setattr__(self, "whole", module)
        self._modules, self._parameters = module._modules, module._parameters
        self._buffers = module._buffers
        self._non_persistent_buffers_set = module._non_persistent_buffers_set
        self.eval()

    whole: nn.Module

    @property
    def multiple(self) -> int:  # type: ignore[override]
        """At least 8, so that tiles of a network of unknown kind begin where their parts may."""
        return max(8, self.config.multiple)

    def __setattr__(self, name: str, value: Any) -> None:
        # what a denoiser has, even if a part of the module is called the same
        if name in OWN:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def train(self, mode: bool = True) -> Foreign:
        """As of any module, and in the module's own way."""
        self.training = mode
        self.whole.train(mode)
        return self

    @torch.no_grad()
    def fired(self, *kinds: type[nn.Module]) -> list[str]:
        """Paths of the modules of some kinds, in the order in which they fire; seen in one pass.

        A module that fires more than once stands where it fired last.
        """
        order: dict[str, None] = {}

        def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(*_: Any) -> None:
                order.pop(name, None)
                order[name] = None

            return hook

        named = [(name, part) for name, part in self.named_modules() if isinstance(part, kinds)]
        handles = [part.register_forward_hook(note(name)) for name, part in named]
        like = next(self.parameters(), torch.empty(0))
        try:
            self.restore(
                torch.full((1, self.config.in_chans, PROBE, PROBE), 0.5).to(like),
                sigma=torch.full((1, 1, 1, 1), 0.1).to(like) if self.takes_sigma else None,
            )
        finally:
            for handle in handles:
                handle.remove()
        return list(order)

    def last_convolution(self) -> str:
        """The last one to fire."""
        found = self.fired(nn.Conv2d)
        return found[-1] if found else ""

    def main_layers(self) -> list[str]:
        """Every convolution, or else every linear layer, in the order in which they fire.

        Of more than 32, 32 evenly spread ones.
        """
        for kinds in ((nn.Conv2d, nn.ConvTranspose2d), (nn.Linear,)):
            found = self.fired(*kinds)
            if len(found) > MANY:
                found = [found[round(i * (len(found) - 1) / (MANY - 1))] for i in range(MANY)]
            if found:
                return found
        return []

    def restore(
        self,
        x: Tensor,
        keys: Sequence[seeds.Key] | None = None,
        *,
        sigma: Tensor | None = None,
        **given: Any,
    ) -> Tensor:
        """Denoise; `keys` are not used.

        Raises:
            BadInput: it puts out something else than an image of the same size.
        """
        height, width = x.shape[-2:]
        config = self.config
        least = max(config.least, max(height, width) if config.square else 1)
        image = extend(x, config.multiple, least)
        try:
            output = self.call(self.whole, image, sigma)
        except (BadInput, torch.OutOfMemoryError):
            raise
        except Exception as error:
            shape = tuple(image.shape)
            raise BadInput(f"{config.kind} fails on {shape}: {_short(error)}") from None
        if not isinstance(output, Tensor) or output.shape != image.shape:
            what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise BadInput(
                f"{config.kind} makes {what} of {tuple(image.shape)}: expected an image of the "
                "same size; wrap it in a factory that returns one (--model package.module:factory)"
            )
        return output[..., :height, :width]


def plainly(module: nn.Module, x: Tensor, sigma: Tensor | None) -> Any:
    """`module(x)`, or `module(x, sigma)` where there is a noise level."""
    return module(x) if sigma is None else module(x, sigma)


def make(factory: str, arguments: Mapping[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """The module that a factory of the user's makes, and what is recorded of the factory.

    Args:
        factory: `package.module:name`, a class or a function; the current folder is looked in too.
        arguments: by name.

    Raises:
        BadInput: no such thing, or it fails.
    """
    place, colon, name = factory.partition(":")
    if not colon or not place or not name:
        raise BadInput(f"--model {factory}: expected package.module:factory")
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = import_module(place)
    except (Exception, SystemExit) as error:
        raise BadInput(f"--model {factory}: cannot import {place} ({_short(error)})") from None
    found = getattr(module, name, None)
    if not callable(found):
        raise BadInput(f"--model {factory}: nothing to call; {nearest(name, vars(module))}")
    try:
        made = found(**arguments)
    except (Exception, SystemExit) as error:
        given = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
        raise BadInput(f"--model {factory}: {name}({given}) fails ({_short(error)})") from None
    if not isinstance(made, nn.Module):
        raise BadInput(f"--model {factory}: makes a {type(made).__name__}, expected a nn.Module")
    file = getattr(module, "__file__", None)
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    return made, {"factory": factory, "arguments": dict(arguments), "factory_sha256": digest}


def fill(module: nn.Module, weights: Weights) -> None:
    """Load a state dict, all of it.

    Raises:
        BadInput: it does not fit.
    """
    same_kind(module, weights)
    try:
        module.load_state_dict(weights)
    except Exception as error:  # a module may load its weights in a way of its own
        lines = [line.strip() for line in str(error).splitlines()]
        reason = (lines[1:] or lines or [type(error).__name__])[0]
        raise BadInput(f"weights do not fit ({reason[:300]})") from None


def same_kind(module: nn.Module, weights: Weights) -> None:
    """See that what a module holds as real numbers is not given as whole ones, as if quantised.

    Raises:
        BadInput: it is.
    """
    for name, value in module.state_dict().items():
        given, real = weights.get(name), isinstance(value, Tensor) and value.is_floating_point()
        if real and given is not None and not given.is_floating_point():
            raise BadInput(f"{name} is of {given.dtype}: expected real numbers")


def wrap(module: nn.Module, sigma: bool = False) -> Foreign:
    """Any module as a denoiser; what it takes is found by trying it on a small image.

    Args:
        module: from (B, C, H, W) to the same; of colour images, or else of grey ones. With a
            second argument that must be given, it takes a noise level as (B, 1, 1, 1).
        sigma: whether a noise level is there for it; if so, an argument called `sigma` or
            `noise_level` takes it even if it could be left out.

    Raises:
        BadInput: it cannot be called, or makes no image of the same size.
    """
    module.eval()
    kind, told = type(module).__name__, takes_level(module, sigma)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    level = torch.full((1, 1, 1, 1), 0.1, device=device) if told else None
    reason = ""
    with torch.no_grad():
        for channels in (3, 1):
            for multiple in MULTIPLES:
                side = -(-(PROBE + 1) // multiple) * multiple
                image = torch.full((1, channels, side, max(PROBE, multiple)), 0.5, device=device)
                try:
                    output = plainly(module, image, level)
                except Exception as error:
                    reason = reason or f"it fails on {tuple(image.shape)}: {_short(error)}"
                    continue
                if isinstance(output, Tensor) and output.shape == image.shape:
                    return Foreign(module, ForeignConfig(channels, kind, multiple), told)
                what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
                reason = reason or f"it makes {what} of {tuple(image.shape)}"
    raise BadInput(f"{kind} is no denoiser: {reason}; expected an image of the same size")


def takes_level(module: nn.Module, given: bool) -> bool:
    """Whether a module's second argument is a noise level."""
    named = list(inspect.signature(module.forward).parameters.values())
    second = [p for p in named if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][1:2]
    if not second:
        return False
    return second[0].default is inspect.Parameter.empty or (
        given and second[0].name in ("sigma", "noise_level")
    )


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
