"""Rows of the Jacobian of a network at an image, several in each backward pass.

Copies of the image go through the network together, once; the backward pass then takes another
output value for each copy. Unlike forward-mode or batched derivatives this needs nothing of a
network beyond an ordinary gradient, so that fused attention and compiled layers do not matter.

Reference: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional
Neural Networks*, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mtd.inference.forward import MEMORY, forward
from mtd.utils.seeds import Key

COPIES = 16
"""Most copies that go through a network together: more are no faster on a CPU."""

Call = Callable[[Tensor], Tensor]
"""From (B, C, H, W) to the same shape, image by image."""


class NoGradient(ValueError):
    """The output of a network has no gradient."""


NO_GRADIENT = "its output has no gradient: it is constant, or computed without one (torch.no_grad)"


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Context in which weights have no gradient, which saves a third of the time."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def call_of(
    model: nn.Module,
    key: Key = 0,
    noise_level: Tensor | None = None,
    input_mask: Tensor | None = None,
) -> Call:
    """A network as a function of images alone, its masks and noise level being the same for all.

    Args:
        model: in evaluation mode.
        key: of the attention masks.
        noise_level: (1,), the level that a noise-conditional network is given.
        input_mask: boolean (1, 1, H, W), True where the network is given the image.
    """

    def call(images: Tensor) -> Tensor:
        count = len(images)
        level = None if noise_level is None else noise_level.expand(count)
        mask = None if input_mask is None else input_mask.expand(count, -1, -1, -1)
        return forward(model, images, [key] * count, mask, level)

    return call


class Linearized:
    """A function at an image: its output, and products of vectors with its Jacobian.

    Args:
        call: see `call_of`.
        image: (C, H, W).
        memory: budget in bytes for what the backward pass needs.
        most: no more copies of the image than there will be vectors.

    Raises:
        NoGradient: the output has none.
    """

    def __init__(self, call: Call, image: Tensor, memory: float = MEMORY, most: int = COPIES):
        saved: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            self._run(call, image[None])
        # what one copy keeps for the backward pass, and as much again while it runs
        each = 2 * sum(saved.values()) + image.numel() * image.element_size()
        self.copies = int(max(1, min(COPIES, most, memory // max(1, each))))
        self._run(call, image[None].expand(self.copies, -1, -1, -1))

    def _run(self, call: Call, images: Tensor) -> None:
        self.inputs = images.clone().requires_grad_()
        with torch.enable_grad():
            self.outputs = call(self.inputs)
        if not self.outputs.requires_grad:
            raise NoGradient(NO_GRADIENT)

    @property
    def output(self) -> Tensor:
        """(C, H, W), the function's value."""
        return self.outputs[0].detach()

    def products(self, vectors: Tensor) -> Tensor:
        """Jᵀv for each of several vectors: for a vector of the standard basis, a row of J.

        Args:
            vectors: (R, C, H, W).

        Returns:
            (R, C, H, W), in the precision of the image.
        """
        found = []
        for part in vectors.split(self.copies):
            given = torch.zeros_like(self.outputs)
            given[: len(part)] = part
            (slope,) = torch.autograd.grad(
                self.outputs, self.inputs, given, retain_graph=True, allow_unused=True
            )
            slope = torch.zeros_like(given) if slope is None else slope
            found.append(slope[: len(part)].clone())
        return torch.cat(found)

    def matrix(self) -> Tensor:
        """J, (n, n) for n = C · H · W: row i is the gradient of output value i."""
        shape = self.output.shape
        n = shape.numel()
        whole = self.inputs.new_empty(n, n)
        for start in range(0, n, self.copies):
            stop = min(n, start + self.copies)
            basis = self.inputs.new_zeros(stop - start, n)
            basis[torch.arange(stop - start), torch.arange(start, stop)] = 1
            whole[start:stop] = self.products(basis.view(-1, *shape)).flatten(1)
        return whole
