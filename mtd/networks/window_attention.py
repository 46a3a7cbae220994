"""The attention among the tokens of a window, computed in one of three ways.

softmax(q kᵀ / √d + bias + shift) v for each window and head. `bias` is learned and depends on the
relative position of two tokens; `shift` separates tokens that are neighbors only by a cyclic shift.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtd.networks.windows import relative_position_index, shift_mask, window_regions
from mtd.utils.errors import BadInput

Path = Literal["sdpa", "matmul", "flex"]
Choice = Literal["auto", "sdpa", "matmul", "flex"]

FASTEST: dict[tuple[str, bool, bool], Path] = {
    # Measured with one thread, PyTorch 2.14, two cores of an AMD EPYC: tests/benchmarks/
    # test_attention_paths.py; the compiled rows once, in the same way.
    ("cpu", True, False): "matmul",  # training, 32 channels: 0.75-0.79 of before, sdpa 0.97-0.99
    ("cpu", False, False): "matmul",  # inference, 32 channels: 0.86-0.93, sdpa 0.94-0.95
    ("cpu", True, True): "matmul",  # training, 32 channels: 0.88 of sdpa's time
    ("cpu", False, True): "matmul",  # inference, 32 channels: 0.89-1.09 of sdpa's
    # Provisional, never run on a GPU. By count, attention moves 1.7 GB for each block of a compiled
    # step of 64 crops with sdpa, whose kernels keep the logits on chip, 3.3 GB with matmul; but
    # their windows are so small that they may wait more than move. check.sh measures all three.
    ("cuda", True, False): "sdpa",
    ("cuda", False, False): "sdpa",
    ("cuda", True, True): "sdpa",
    ("cuda", False, True): "sdpa",
}
"""The fastest path by type of the device, whether gradients are needed, and whether compiled."""

LIMIT = 65_535
"""Windows x heads that one call of a kernel takes: CUDA's largest grid in its second dimension."""

CPU_WINDOWS = 64
"""Windows at a time on the CPU, where the logits of one head, 1 MB, then stay in its cache."""


class Shift(NamedTuple):
    """What is added to the logits of shifted windows.

    Attributes:
        added: (4, T, T), for the four kinds of windows.
        kinds: (windows,), the kind of each window of an image.
    """

    added: Tensor
    kinds: Tensor


Compute = Callable[[Tensor, Tensor, Shift | None], Tensor]
"""A path: from what `attend` is given to what it returns."""


def fastest(device: str, gradient: bool, compiled: bool) -> Path:
    """The path that `auto` takes; `sdpa` for devices that nothing is known of."""
    return FASTEST.get((device, gradient, compiled), "sdpa")


class WindowAttention(nn.Module):
    """Multi-head self-attention inside windows, with a learned relative position bias.

    Attributes:
        path: how it is computed; see `set_path`. May also be a function in place of a name.
    """

    relative_position_index: Tensor
    regions: Tensor

    def __init__(self, dim: int, window: int, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.path: Choice | Compute = "auto"
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        index = relative_position_index(window)
        self.register_buffer("relative_position_index", index, persistent=False)
        self.register_buffer("regions", window_regions(window), persistent=False)

    def forward(self, x: Tensor, kinds: Tensor | None = None) -> Tensor:
        """Tokens (N, T, C) of N windows to the same shape.

        Args:
            x: the tokens, the windows of an image one after the other.
            kinds: (windows of an image,), for shifted windows; see `window_kinds`.
        """
        n, t, c = x.shape
        qkv = self.qkv(x).view(n, t, 3, self.heads, c // self.heads)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)]
        # Rounded only now, so that the table's gradient is a sum in the table's own precision.
        bias = bias.view(t, t, -1).permute(2, 0, 1).to(qkv.dtype).contiguous()
        shift = None if kinds is None else Shift(shift_mask(self.regions).to(qkv.dtype), kinds)
        y: Tensor = self.proj(attend(qkv, bias, shift, self.path))
        return y


def set_path(network: nn.Module, path: Choice) -> None:
    """Choose how all window attention of a network is computed.

    Args:
        network: any network.
        path: `sdpa` (PyTorch's scaled_dot_product_attention), `matmul` (matrix products and
            softmax), `flex` (PyTorch's flex_attention) or `auto`, the fastest by `FASTEST`.
    """
    for module in network.modules():
        if isinstance(module, WindowAttention):
            module.path = path


def is_used_by(network: nn.Module) -> bool:
    """Whether a network has window attention."""
    return any(isinstance(module, WindowAttention) for module in network.modules())


def attend(
    qkv: Tensor, bias: Tensor, shift: Shift | None, path: Choice | Compute = "auto"
) -> Tensor:
    """Attention of N windows, a limited number at a time.

    Args:
        qkv: (N, T, 3, heads, d), queries, keys and values.
        bias: (heads, T, T), of the same type, which is that of the computation.
        shift: for shifted windows; N is a multiple of its number of windows.
        path: how it is computed; a function is given all windows together.

    Returns:
        (N, T, heads · d).
    """
    if callable(path):
        return path(qkv, bias, shift)
    device, compiled = qkv.device.type, torch.compiler.is_compiling()
    if path == "auto":
        gradient = torch.is_grad_enabled() and (qkv.requires_grad or bias.requires_grad)
        path = fastest(device, gradient, compiled)
    compute: Compute = PATHS[path]
    most = max(1, LIMIT // qkv.shape[3])
    if device == "cpu" and path == "matmul":
        compute = by_matmul_of_heads
        most = most if compiled else min(most, CPU_WINDOWS)
    with _no_autocast(device):  # whose softmax would be in float32
        if len(qkv) <= most:
            return compute(qkv, bias, shift)
        parts = qkv.split(most)
        shifts: list[Shift | None] = [None] * len(parts)
        if shift is not None:
            kinds = shift.kinds.repeat(len(qkv) // len(shift.kinds))
            shifts = [Shift(shift.added, part) for part in kinds.split(most)]
        each = zip(parts, shifts, strict=True)
        return torch.cat([compute(part, bias, part_shift) for part, part_shift in each])


def _no_autocast(device: str) -> AbstractContextManager[None]:
    """Operations in the type of their inputs; other devices may not know autocast at all."""
    return torch.autocast(device, enabled=False) if device in ("cpu", "cuda") else nullcontext()


def by_sdpa(qkv: Tensor, bias: Tensor, shift: Shift | None) -> Tensor:
    """Attention by PyTorch's scaled_dot_product_attention, the bias being its mask."""
    n, t, _, heads, d = qkv.shape
    qkv = qkv.permute(2, 0, 3, 1, 4)
    if qkv.device.type == "cuda":
        qkv = padded(qkv, -d % 8)  # else the kernels that take a mask refuse
    q, k, v = qkv
    if shift is None:
        y = F.scaled_dot_product_attention(q, k, v, bias[None], scale=d**-0.5)
    else:  # an image's windows as heads, so that its images share the mask
        shape = (-1, len(shift.kinds) * heads, t, q.shape[-1])
        q, k, v = q.reshape(shape), k.reshape(shape), v.reshape(shape)
        mask = (bias + shift.added[shift.kinds][:, None]).reshape(1, -1, t, t)
        y = F.scaled_dot_product_attention(q, k, v, mask, scale=d**-0.5)
        y = y.unflatten(1, (-1, heads))  # (images, windows, heads, T, d), laid out in any order
    return y[..., :d].transpose(-3, -2).reshape(n, t, -1)


def by_matmul(qkv: Tensor, bias: Tensor, shift: Shift | None) -> Tensor:
    """Attention by matrix products over windows and heads, and softmax."""
    n, t, _, _, d = qkv.shape
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    logits = (q * d**-0.5) @ k.mT
    if shift is None:
        logits = logits + bias
    else:
        added = bias + shift.added[shift.kinds][:, None]
        logits = (logits.unflatten(0, (-1, len(added))) + added).flatten(0, 1)
    y: Tensor = logits.softmax(-1) @ v
    return y.transpose(1, 2).reshape(n, t, -1)


def by_matmul_of_heads(qkv: Tensor, bias: Tensor, shift: Shift | None) -> Tensor:
    """As `by_matmul`, one head after the other.

    On the CPU, matrix products read one head's queries, keys and values where they are; those over
    windows and heads together need copies.
    """
    n, t, _, heads, d = qkv.shape
    parts = qkv.flatten(2, 3).unbind(2)
    outputs = []
    for head in range(heads):
        q, k, v = parts[head], parts[heads + head], parts[2 * heads + head]
        if shift is None:
            added = bias[head].expand(n, t, t)
        else:
            kinds = shift.kinds.repeat(n // len(shift.kinds))
            added = (bias[head] + shift.added).index_select(0, kinds)
        logits = torch.baddbmm(added, q, k.mT, alpha=d**-0.5)
        outputs.append(logits.softmax(-1) @ v)
    return torch.cat(outputs, -1)


def by_flex(qkv: Tensor, bias: Tensor, shift: Shift | None) -> Tensor:
    """Attention by PyTorch's flex_attention, which adds bias and shift inside its kernel.

    On the CPU it is for tests: it computes all logits, and has no gradients.
    """
    inside = torch.compiler.is_compiling() or qkv.device.type != "cuda"
    return _flex(qkv, bias, shift) if inside else _compiled_flex()(qkv, bias, shift)


@cache
def _compiled_flex() -> Compute:
    compiled: Compute = torch.compile(_flex)
    return compiled


def _flex(qkv: Tensor, bias: Tensor, shift: Shift | None) -> Tensor:
    try:
        from torch.nn.attention.flex_attention import flex_attention
    except ImportError:
        raise BadInput(
            f"attention path flex with PyTorch {torch.__version__}: it needs 2.5 or newer; use auto"
        ) from None
    n, t, _, _, d = qkv.shape
    width = max(16, 1 << (d - 1).bit_length())
    q, k, v = padded(qkv.permute(2, 0, 3, 1, 4), width - d)
    if bias.dtype in (torch.float16, torch.bfloat16):
        bias = bias.float()  # as its logits; all windows' gradients are summed into one bias
    score = flex_score(bias, shift, n)
    # Else so few queries take the kernel for decoding, which writes partial sums in float32.
    y: Tensor = flex_attention(
        *(q, k, v),
        score_mod=score,
        scale=d**-0.5,
        kernel_options={"FORCE_USE_FLEX_ATTENTION": True},
    )
    return y[..., :d].transpose(1, 2).reshape(n, t, -1)


def flex_score(bias: Tensor, shift: Shift | None, n: int) -> Callable[..., Tensor]:
    """What flex_attention does to the logit of tokens i and j in one of n windows, and one head."""
    if shift is not None:
        added, kinds = shift.added, shift.kinds.repeat(n // len(shift.kinds))

    def score(logit: Tensor, window: Tensor, head: Tensor, i: Tensor, j: Tensor) -> Tensor:
        logit = logit + bias[head, i, j]
        return logit if shift is None else logit + added[kinds[window], i, j]

    return score


PATHS: dict[str, Compute] = {
    "sdpa": by_sdpa,
    "matmul": by_matmul,
    "flex": by_flex,
}


def padded(qkv: Tensor, more: int) -> Tensor:
    """The heads (…, d) widened by `more` zeros, which change no product."""
    return F.pad(qkv, (0, more)) if more else qkv
