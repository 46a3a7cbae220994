"""Products of vectors with the Jacobian of a network at an image, several in each pass.

Copies of the image go through the network together, once; each backward pass then takes another
vector for each copy. Jᵀu is an ordinary gradient. J v is the gradient of ⟨Jᵀu, v⟩ with respect to
u, which needs a network whose gradient can be differentiated once more: of fused attention it
cannot, so that the mathematically equal one is used (`SDPBackend.MATH`).

Reference: Mohan et al., *Robust and Interpretable Blind Image Denoising via Bias-Free Convolutional
Neural Networks*, ICLR 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from analysis.linear.attention import copies_of_one
from mtd.inference.forward import MEMORY, forward
from mtd.utils.seeds import Key

COPIES = 16
"""Most copies that go through a network together: more are no faster on a CPU."""

Call = Callable[[Tensor], Tensor]
"""From (B, C, H, W) to the same shape, image by image."""


class NoGradient(ValueError):
    """The output of a network has no gradient."""


class NoSecondGradient(ValueError):
    """The gradient of a network cannot be differentiated."""


NO_SECOND_GRADIENT = "its gradient cannot be differentiated, so that there are no products J v"
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
    *,
    copies: bool = False,
) -> Call:
    """A network as a function of images alone, its masks and noise level being the same for all.

    Args:
        model: in evaluation mode.
        key: of the attention masks.
        noise_level: (1,), the level that a noise-conditional network is given.
        input_mask: boolean (1, 1, H, W), True where the network is given the image.
        copies: all images of a call are the same one, which makes gradients of window attention
            faster.
    """

    def call(images: Tensor) -> Tensor:
        count = len(images)
        level = None if noise_level is None else noise_level.expand(count)
        mask = None if input_mask is None else input_mask.expand(count, -1, -1, -1)
        with copies_of_one(model, count) if copies else nullcontext():
            return forward(model, images, [key] * count, mask, level)

    return call


class Linearized:
    """A function at an image: its output, and products of vectors with its Jacobian.

    Args:
        call: see `call_of`.
        image: (C, H, W).
        memory: budget in bytes for what the backward pass needs.
        most: no more copies of the image than there will be vectors.
        both: whether there will be products J v, too.

    Raises:
        NoGradient: the output has none.
        NoSecondGradient: `both`, and the gradient cannot be differentiated.
    """

    def __init__(
        self,
        call: Call,
        image: Tensor,
        memory: float = MEMORY,
        most: int = COPIES,
        both: bool = False,
    ):
        self.both = both
        self.copies = int(max(1, min(COPIES, most, memory // self._each(call, image))))
        self._run(call, image[None].expand(self.copies, -1, -1, -1))

    def _each(self, call: Call, image: Tensor) -> int:
        """Bytes that each copy needs: what it saves, and as much again while a pass runs."""
        sizes = []
        for copies in (1, 2):  # some of it is saved once for all
            saved: dict[int, int] = {}

            def note(tensor: Tensor, saved: dict[int, int] = saved) -> Tensor:
                saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                self._run(call, image[None].expand(copies, -1, -1, -1))
            sizes.append(sum(saved.values()))
        return 2 * max(1, sizes[1] - sizes[0]) + image.numel() * image.element_size()

    def _run(self, call: Call, images: Tensor) -> None:
        self.inputs = images.clone().requires_grad_()
        with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH) if self.both else nullcontext():
            self.outputs = call(self.inputs)
        if not self.outputs.requires_grad:
            raise NoGradient(NO_GRADIENT)
        if self.both:
            self._differentiate()

    def _differentiate(self) -> None:
        """Jᵀu as a function of u."""
        self.vectors = torch.zeros_like(self.outputs, requires_grad=True)
        try:
            (self.slopes,) = torch.autograd.grad(
                self.outputs, self.inputs, self.vectors, create_graph=True, allow_unused=True
            )
            if self.slopes is not None and self.slopes.requires_grad:
                torch.autograd.grad(
                    self.slopes, self.vectors, torch.zeros_like(self.slopes), retain_graph=True
                )
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise NoSecondGradient(f"{NO_SECOND_GRADIENT} ({first_line(error)})") from None

    @property
    def output(self) -> Tensor:
        """(C, H, W), the function's value."""
        return self.outputs[0].detach()

    def vjp(self, vectors: Tensor) -> Tensor:
        """Jᵀu for each of several vectors: for a vector of the standard basis, a row of J.

        Args:
            vectors: (R, C, H, W).

        Returns:
            (R, C, H, W), in the precision of the image.
        """
        return self._products(self.outputs, self.inputs, vectors)

    def jvp(self, vectors: Tensor) -> Tensor:
        """J v for each of several vectors, see `vjp`; needs `both`."""
        return self._products(self.slopes, self.vectors, vectors)

    def _products(self, of: Tensor | None, by: Tensor, vectors: Tensor) -> Tensor:
        if of is None or not of.requires_grad:  # constant
            return torch.zeros_like(vectors)
        found = []
        for part in vectors.split(self.copies):
            given = torch.zeros_like(of)
            given[: len(part)] = part
            (slope,) = torch.autograd.grad(of, by, given, retain_graph=True, allow_unused=True)
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
            whole[start:stop] = self.vjp(basis.view(-1, *shape)).flatten(1)
        return whole


def first_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).partition("\n")[0].rstrip(".")
