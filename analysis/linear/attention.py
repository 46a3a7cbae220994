"""Products with the Jacobian of window attention, for many vectors at one image.

Copies of one image have the same attention weights. They are computed once, and the vectors of all
copies go through them side by side, in a few large matrix products. Networks without the window
attention of this package are not affected.

With P = softmax(q kᵀ / √d + bias), y = P v and a vector g for the output: dv = Pᵀ g and, with
dS = P ∘ (g vᵀ − ⟨g, y⟩), dq = dS k / √d and dk = dSᵀ q / √d.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtd.networks.window_attention import Shift, WindowAttention


@contextmanager
def copies_of_one(model: nn.Module, copies: int) -> Iterator[None]:
    """Context in which all images of a batch are copies of one, which attention makes use of.

    Weights have no gradient in it.

    Args:
        model: any network.
        copies: the size of the batch.
    """
    layers = [module for module in model.modules() if isinstance(module, WindowAttention)]
    paths = [layer.path for layer in layers]
    try:
        for layer in layers:
            layer.path = partial(attend, copies=copies)
        yield
    finally:
        for layer, path in zip(layers, paths, strict=True):
            layer.path = path


def attend(qkv: Tensor, bias: Tensor, shift: Shift | None, *, copies: int) -> Tensor:
    """Window attention of copies of one image.

    Args:
        qkv: (copies · W, T, 3, heads, d), queries, keys and values of W windows of each copy.
        bias: (heads, T, T).
        shift: for shifted windows.
        copies: number of copies.

    Returns:
        (copies · W, T, heads · d); its gradient is that of `qkv` alone.
    """
    added = bias.detach()
    if shift is not None:
        added = added + shift.added[shift.kinds][:, None]
    y: Tensor = _Attention.apply(qkv, added, copies)
    return y


class _Attention(torch.autograd.Function):
    """Attention of the first copy, repeated; T are positions, i of queries and j of keys."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, added: Tensor, copies: int) -> Tensor:
        windows, t, _, _, d = qkv.shape
        q, k, v = qkv[: windows // copies].permute(2, 0, 3, 1, 4).contiguous()
        weights = ((q * d**-0.5) @ k.mT + added).softmax(-1)
        y = weights @ v
        ctx.save_for_backward(q, k, v, weights, y)
        ctx.copies = copies
        found: Tensor = y.transpose(1, 2).reshape(len(y), t, -1).repeat(copies, 1, 1)
        return found

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None]:
        found: Tensor = _Transposed.apply(slopes[0], *ctx.saved_tensors, ctx.copies)
        return found, None, None


class _Transposed(torch.autograd.Function):
    """Vectors of the output to those of queries, keys and values; its gradient is the way back."""

    @staticmethod
    def forward(
        ctx: Any, g: Tensor, q: Tensor, k: Tensor, v: Tensor, weights: Tensor, y: Tensor, c: int
    ) -> Tensor:
        ctx.save_for_backward(q, k, v, weights, y)
        ctx.copies = c
        w, heads, t, d = q.shape
        scale = d**-0.5
        g = g.reshape(c, w, t, heads, d).permute(1, 3, 2, 0, 4).contiguous()  # (W, h, i, copies, d)
        dv = weights.mT @ g.flatten(3)
        # the row sums of weights ∘ (g vᵀ) are ⟨g, y⟩: subtracted by one more column
        wide = torch.cat([g, -(g * y[:, :, :, None]).sum(-1, keepdim=True)], -1)
        ds = wide.flatten(2, 3) @ F.pad(v, (0, 1), value=1.0).mT
        ds.view(w, heads, t, c, t).mul_(weights[:, :, :, None])
        dq = ds @ (k * scale)
        dk = ds.view(w, heads, t, c * t).mT @ (q * scale)
        found = g.new_empty(c, w, t, 3, heads, d)
        found[:, :, :, 0] = dq.view(w, heads, t, c, d).permute(3, 0, 2, 1, 4)
        found[:, :, :, 1] = dk.view(w, heads, c, t, d).permute(2, 0, 3, 1, 4)
        found[:, :, :, 2] = dv.view(w, heads, t, c, d).permute(3, 0, 2, 1, 4)
        return found.flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, weights, y = ctx.saved_tensors
        c = ctx.copies
        w, heads, t, d = q.shape
        scale = d**-0.5
        moved = slopes[0].reshape(c, w, t, 3, heads, d).permute(3, 1, 4, 2, 0, 5)
        gq, gk, gv = (part.contiguous() for part in moved)  # each (W, h, T, copies, d)
        gs = gq.flatten(2, 3) @ (k * scale).mT
        keys = gk.permute(0, 1, 4, 3, 2).flatten(3)  # (W, h, d, copies · j)
        gs = gs.view(w, heads, t, c * t).add_((q * scale) @ keys).view(w, heads, t, c, t)
        gs.mul_(weights[:, :, :, None])
        wide = (gs.flatten(2, 3) @ F.pad(v, (0, 1), value=1.0)).view(w, heads, t, c, d + 1)
        moved_y = wide[..., :d] - wide[..., d:] * y[:, :, :, None]
        moved_y = moved_y + (weights @ gv.flatten(3)).view(w, heads, t, c, d)
        back = moved_y.permute(3, 0, 2, 1, 4).reshape(c * w, t, heads * d)
        return back, None, None, None, None, None, None
