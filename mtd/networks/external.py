"""External networks: any `nn.Module`, from a user's factory or from spandrel."""

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
from mtd.networks.compiled import check_not_scripted, original
from mtd.networks.config import Config, Weights
from mtd.networks.padding import extend
from mtd.utils import seeds
from mtd.utils.device import is_out_of_memory
from mtd.utils.errors import BadInput, NetworkError, nearest

PROBE = 64
"""Side of the image, in pixels, on which an unknown network is tried."""

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
MANY = 32
"""Largest number of layers of an unknown network that are recorded by default."""

OWN = frozenset(
    (
        *("config", "input_format", "inference", "source", "mask_draw", "mask_draws"),
        *("takes_sigma", "call", "training", "part", "parts"),
    )
)
"""Attributes of an `ExternalNetwork` that are not the module's."""

Call = Callable[[nn.Module, Tensor, Tensor | None], Any]


@dataclass(frozen=True)
class ExternalConfig(Config):
    """The input sizes of an external network; images are padded to them.

    Attributes:
        kind: name of its class, or its architecture.
        multiple: height and width must be multiples of this.
        least: and at least this many pixels.
        square: whether images must be square.
    """

    kind: str = ""
    multiple: int = 1
    least: int = 1
    square: bool = False


class ExternalNetwork(Denoiser):
    """Any module from images to images as a `Denoiser`, under its own module paths.

    Images are padded to the sizes that it takes, and cropped again; its outputs are not clamped.

    Args:
        module: takes (B, C, H, W), and the noise level if `takes_sigma`.
        config: its input sizes.
        takes_sigma: whether it is noise-conditional.
        call: how it is called, if not by `module(x)` or `module(x, sigma)`; sigma is (B, 1, 1, 1).
    """

    def __init__(
        self,
        module: nn.Module,
        config: ExternalConfig,
        takes_sigma: bool = False,
        call: Call | None = None,
    ) -> None:
        super().__init__()
        self.config: ExternalConfig = config
        self.takes_sigma, self.call = takes_sigma, call or plainly
        # the same submodules, not copies, under the same names
        object.__setattr__(self, "whole", module)
        self._modules, self._parameters = module._modules, module._parameters
        self._buffers = module._buffers
        self._non_persistent_buffers_set = module._non_persistent_buffers_set
        self.eval()

    whole: nn.Module

    @property
    def multiple(self) -> int:  # type: ignore[override]
        """At least 8, so that tiles of an unknown network start where its windows may."""
        return max(8, self.config.multiple)

    def __setattr__(self, name: str, value: Any) -> None:
        # a denoiser's own attributes, even if a submodule has the same name
        if name in OWN:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def train(self, mode: bool = True) -> ExternalNetwork:
        """Set the training mode, by the module's own `train`."""
        self.training = mode
        self.whole.train(mode)
        return self

    def main_layers(self) -> list[str]:
        """Every convolution, or else every linear layer, in the order of the forward pass.

        Of more than 32, 32 evenly spaced ones.
        """
        modules, calls = dict(self.named_modules()), self.layer_roles().calls
        for kinds in ((nn.Conv2d, nn.ConvTranspose2d), (nn.Linear,)):
            names = [name for name in calls if isinstance(modules[name], kinds)]
            if len(names) > MANY:
                names = [names[round(i * (len(names) - 1) / (MANY - 1))] for i in range(MANY)]
            if names:
                return names
        return []

    def restore(
        self,
        x: Tensor,
        keys: Sequence[seeds.Key] | None = None,
        *,
        sigma: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Denoise; `keys` are unused. See `Denoiser.restore`.

        Raises:
            BadInput: the module fails, or returns anything but an image of the same size.
        """
        height, width = x.shape[-2:]
        config = self.config
        least = max(config.least, max(height, width) if config.square else 1)
        image = extend(x, config.multiple, least)
        try:
            output = self.call(self.whole, image, sigma)
        except BadInput:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            shape = tuple(image.shape)
            raise NetworkError(f"{config.kind} fails on {shape}: {_short(error)}") from None
        if not isinstance(output, Tensor) or output.shape != image.shape:
            what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise BadInput(
                f"{config.kind} returns {what} for {tuple(image.shape)}: expected an image of the "
                "same size; wrap it in a factory that returns one (--model package.module:factory)"
            )
        return output[..., :height, :width]


def plainly(module: nn.Module, x: Tensor, sigma: Tensor | None) -> Any:
    """`module(x)`, or `module(x, sigma)` with a noise level."""
    return module(x) if sigma is None else module(x, sigma)


def make(factory: str, arguments: Mapping[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    """The module that a user's factory returns, and the factory's description for manifests.

    Args:
        factory: `package.module:name` of a class or function; the current folder is searched too.
        arguments: of the factory, by name.

    Raises:
        BadInput: no such class or function, or it fails, or returns something else.
    """
    place, colon, name = factory.partition(":")
    if not colon or not place or not name:
        raise BadInput(f"--model {factory}: expected package.module:factory")
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.append(str(Path.cwd()))  # last: its files shadow no library
    try:
        module = import_module(place)
    except (Exception, SystemExit) as error:
        raise BadInput(f"--model {factory}: cannot import {place} ({_short(error)})") from None
    function = getattr(module, name, None)
    if not callable(function):
        raise BadInput(
            f"--model {factory}: no class or function {name}; {nearest(name, vars(module))}"
        )
    try:
        network = function(**arguments)
    except (Exception, SystemExit) as error:
        texts = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
        raise BadInput(f"--model {factory}: {name}({texts}) fails ({_short(error)})") from None
    if not isinstance(network, nn.Module):
        kind = type(network).__name__
        raise BadInput(f"--model {factory}: returns a {kind}, expected an nn.Module")
    file = getattr(module, "__file__", None)
    digest = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    return network, {"factory": factory, "arguments": dict(arguments), "factory_sha256": digest}


def fill(module: nn.Module, weights: Weights) -> None:
    """Load a state dict strictly.

    Raises:
        BadInput: its keys, shapes or types are not those of the module.
    """
    same_kind(module, weights)
    try:
        module.load_state_dict(weights)
    except Exception as error:  # a module may override load_state_dict
        lines = [line.strip() for line in str(error).splitlines()]
        reason = (lines[1:] or lines or [type(error).__name__])[0]
        raise BadInput(f"weights do not fit ({reason[:300]})") from None


def same_kind(module: nn.Module, weights: Weights) -> None:
    """Check that floating-point weights of a module are not given as integers, as if quantized.

    Raises:
        BadInput: one is.
    """
    for name, value in module.state_dict().items():
        weight, real = weights.get(name), isinstance(value, Tensor) and value.is_floating_point()
        if real and weight is not None and not weight.is_floating_point():
            raise BadInput(f"{name} is of {weight.dtype}: expected floating point")


def wrap(module: nn.Module, sigma: bool = False) -> ExternalNetwork:
    """Any module as a denoiser; its input sizes are determined by trying it on a small image.

    Args:
        module: from (B, C, H, W) to the same shape, of color images, or else of grayscale ones. A
            second argument without default is a noise level, (B, 1, 1, 1).
        sigma: whether a noise level is given; if so, a second argument `sigma` or `noise_level`
            takes it even if it has a default.

    Raises:
        BadInput: the module fails, or returns no image of the same size.

    >>> network = wrap(nn.Conv2d(3, 3, 3, padding=1))
    >>> network.config
    ExternalConfig(in_chans=3, kind='Conv2d', multiple=1, least=1, square=False)
    """
    check_not_scripted(module)
    module = original(module)
    module.eval()
    kind, conditional = type(module).__name__, takes_level(module, sigma)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    level = torch.full((1, 1, 1, 1), 0.1, device=device) if conditional else None
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
                    return ExternalNetwork(
                        module, ExternalConfig(channels, kind, multiple), conditional
                    )
                what = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
                reason = reason or f"it returns {what} for {tuple(image.shape)}"
    types = {p.dtype for p in module.parameters() if p.is_floating_point()} - {torch.float32}
    if types:
        raise BadInput(
            f"{kind} has weights of {', '.join(sorted(map(str, types)))}, but images are "
            f"torch.float32: call .float() on it ({reason})"
        )
    raise BadInput(f"{kind} is no denoiser: {reason}; expected an image of the same size")


def takes_level(module: nn.Module, has_level: bool) -> bool:
    """Whether a module's second argument is a noise level.

    Args:
        module: to be called.
        has_level: whether there is a level to pass, so that an optional `sigma` is used.
    """
    named = list(inspect.signature(module.forward).parameters.values())
    second = [p for p in named if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][1:2]
    if not second:
        return False
    return second[0].default is inspect.Parameter.empty or (
        has_level and second[0].name in ("sigma", "noise_level")
    )


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
