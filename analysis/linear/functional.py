"""The Jacobian of one image, for use without a run."""

from __future__ import annotations

from os import PathLike, fspath

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from analysis.linear.derivatives import Linearized, NoGradient, call_of, frozen
from mtd.inference.forward import GIB
from mtd.utils.errors import BadInput
from mtd.utils.seeds import Key


def jacobian(
    model: nn.Module | str | PathLike[str],
    image: ArrayLike | Tensor,
    *,
    key: Key = 0,
    sigma: float | None = None,
    memory: float = 2.0,
) -> NDArray[np.float32] | NDArray[np.float64]:
    """J = ∂f/∂y of a network at one image.

    Args:
        model: an `nn.Module` from (B, C, H, W) to the same shape, in evaluation mode; the path of a
            checkpoint; a bundled name.
        image: (H, W, 3), `uint8` or real in [0, 1]; or a tensor (C, H, W), real in [0, 1].
        key: of the attention masks, which are the same for all rows.
        sigma: noise level in 8-bit levels, for a noise-conditional network that has none.
        memory: budget in GiB for what the backward pass needs.

    Returns:
        (n, n) for n = C · H · W, in the precision of the network's weights: row i is the gradient
        of output value i, values in the order of (C, H, W).

    Raises:
        BadInput: an image of another shape, or a network whose output has no gradient.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> jacobian("baseline.pth", rng.random((8, 8, 3))).shape
        (192, 192)
    """
    from mtd.loading.load import load

    network = model if isinstance(model, nn.Module) else load(fspath(model))
    weight = next(network.parameters(), torch.zeros(()))
    precise = weight.dtype if weight.dtype == torch.float64 else torch.float32
    shown = pixels(image).to(weight.device, precise)
    level = None if sigma is None else torch.full((1,), sigma / 255, device=weight.device)
    with frozen(network):
        try:
            local = Linearized(call_of(network, key, level, copies=True), shown, memory * GIB)
        except NoGradient as error:
            raise BadInput(f"{type(network).__name__}: {error}") from None
        found: NDArray[np.float32] = local.matrix().cpu().numpy()
    return found


BRIGHT = 10.0
"""No noisy image has a value above it where 1 is white."""


def pixels(image: ArrayLike | Tensor) -> Tensor:
    """An image as a tensor (C, H, W) of real values, [0, 1] from black to white.

    Args:
        image: an array (H, W, C), `uint8` or real, or a tensor (C, H, W), real.

    Raises:
        BadInput: another shape or type, or real values that look like 8-bit levels.
    """
    if isinstance(image, Tensor):
        found = image.detach()
    else:
        values = np.asarray(image)
        scale = 255 if values.dtype == np.uint8 else 1
        found = torch.from_numpy(values / scale)
        found = found.permute(2, 0, 1) if found.ndim == 3 else found
    if found.ndim != 3 or not found.is_floating_point():
        raise BadInput(
            f"image of shape {list(found.shape)}, {found.dtype}: expected an array (H, W, 3) or a "
            "tensor (C, H, W), real in [0, 1]"
        )
    if float(found.max()) > BRIGHT:
        raise BadInput(
            f"image with real values up to {float(found.max()):g}: expected [0, 1] from black to "
            "white; divide by 255, or give uint8"
        )
    return found
