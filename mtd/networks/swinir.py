"""SwinIR for denoising: the stock network and the paper's masked/baseline variant.

Reference: Liang et al., *SwinIR: Image Restoration Using Swin Transformer*, ICCVW 2021; the variant
of Chen et al., CVPR 2023, has a 1 x 1 embedding and no global residual.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtd.masking import PIXEL_FILL, AttentionMasks
from mtd.networks import swinir_receptive_field
from mtd.networks.architecture import Architecture
from mtd.networks.base import Denoiser
from mtd.networks.block_names import SWINIR_BLOCKS
from mtd.networks.config import Weights
from mtd.networks.input_format import InputFormat
from mtd.networks.layer_roles import LayerRoles, Prediction
from mtd.networks.swinir_layers import (
    Pass,
    PatchEmbed,
    ResidualGroup,
    SwinIRConfig,
    closing_convolution,
    to_image,
    to_tokens,
)
from mtd.networks.window_attention import WindowAttention
from mtd.networks.windows import window_kinds
from mtd.utils import seeds
from mtd.utils.counter_random import CHANNEL_DROPOUT, BatchStream
from mtd.utils.errors import BadInput

RGB_MEAN = (0.4488, 0.4371, 0.4040)


class SwinIR(Denoiser):
    """Denoiser (B, C, H, W) in [0, 1] to the same shape, never clamped; H and W at least 8.

    In eval mode `inference` decides whether attention masks are drawn and how many draws are
    averaged, and the masks of image i depend on `keys[i]`. In training mode only `input_mask` and
    `masks` mask anything.
    """

    takes_masks = True
    block_names = SWINIR_BLOCKS

    def __init__(self, config: SwinIRConfig | None = None) -> None:
        super().__init__()
        self.config: SwinIRConfig = config or SwinIRConfig()
        config = self.config
        self.input_format = InputFormat(value_range=config.value_range)
        dim, kernel = config.embed_dim, config.embed_kernel
        self.conv_first = nn.Conv2d(config.in_chans, dim, kernel, padding=kernel // 2)
        if config.mask_token:
            self.mask_token = nn.Parameter(torch.zeros(dim))
        self.patch_embed = PatchEmbed(config)
        self.layers = nn.ModuleList(ResidualGroup(config, g) for g in range(len(config.depths)))
        self.norm = nn.LayerNorm(dim)
        self.conv_after_body = closing_convolution(config)
        self.conv_last = nn.Conv2d(dim, config.in_chans, 3, padding=1)
        mean = RGB_MEAN if config.in_chans == 3 else (0.0,) * config.in_chans
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.mean: Tensor
        register = self._register_load_state_dict_pre_hook  # public, renamed, since PyTorch 2.5
        register(drop_recomputable, with_module=True)  # type: ignore[no-untyped-call]

    @property
    def multiple(self) -> int:  # type: ignore[override]
        """The window, so that a tile's windows are the image's."""
        return self.config.window_size

    @property
    def smallest(self) -> int:  # type: ignore[override]
        """One window."""
        return self.config.window_size

    @property
    def reach(self) -> int:
        """Exact for the architecture; see `mtd.networks.swinir_receptive_field`."""
        return swinir_receptive_field.reach(self.config)

    def bytes_per_pixel(self) -> int:
        """56 · channels on the CPU; elsewhere 72 · channels + 4 · heads · window².

        Measured on the CPU against estimated: 32 channels 1,930 / 1,792; the full network 3,420 /
        3,360; stock with 180 channels 7,240 / 10,080; windows of 16, 3,600 / 3,360. Counted
        elsewhere, not measured: padded heads, and the biases of shifted windows.
        """
        c = self.config
        if self.mean.device.type == "cpu":
            return max(56 * c.embed_dim, 16 * c.embed_dim + 8 * c.mlp_hidden)
        attention = 72 * c.embed_dim + 4 * max(c.num_heads) * c.window_size**2
        return max(attention, 16 * c.embed_dim + 8 * c.mlp_hidden)

    def main_layers(self) -> list[str]:
        """`conv_first`, the blocks, `conv_after_body`, `conv_last`."""
        return ["conv_first", *self.block_paths(), "conv_after_body", "conv_last"]

    def own_layer_roles(self) -> LayerRoles:
        """`conv_after_body` and `conv_last` hold the output."""
        predicts: Prediction = "noise" if self.config.global_residual else "image"
        outputs = frozenset({"conv_after_body", "conv_last"})
        return LayerRoles(outputs, "conv_last", predicts)

    def initialize(self, generator: torch.Generator) -> None:
        """Random weights: linear layers and bias tables from N(0, 0.02²) cut at ±2, as SwinIR's."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, WindowAttention):
                table = module.relative_position_bias_table
                nn.init.trunc_normal_(table, std=0.02, generator=generator)
            elif isinstance(module, nn.Conv2d):
                bound = module.weight[0].numel() ** -0.5
                nn.init.uniform_(module.weight, -bound, bound, generator=generator)
                if module.bias is not None:
                    nn.init.uniform_(module.bias, -bound, bound, generator=generator)

    def restore(  # type: ignore[override]
        self,
        x: Tensor,
        keys: Sequence[seeds.Key] | None = None,
        *,
        input_mask: Tensor | None = None,
        masks: AttentionMasks | None = None,
        stream: BatchStream | None = None,
    ) -> Tensor:
        """Denoise.

        Args:
            x: (B, C, H, W), nominally from 0 to the value range, by which the mean of RGB that is
                subtracted is scaled: 255 · x − 255 · mean is the authors' `img_range` · (x − mean).
            keys: one per image, from which inference draws its masks; all 0 if not given.
            input_mask: boolean (B, 1, H, W), True kept.
            masks: attention masks to use instead of those of `inference`.
            stream: for stochastic depth and dropout, which are off without it.
        """
        if masks is not None or self.training:
            return self.once(x, input_mask, masks, stream)
        draws = self.inference.draws(keys if keys is not None else [0] * x.shape[0])
        total: Tensor | None = None
        self.mask_draws = len(draws)
        try:
            for self.mask_draw, drawn in enumerate(draws):
                output = self.once(x, input_mask, drawn, None)
                if len(draws) > 1 and output.dtype in (torch.float16, torch.bfloat16):
                    output = output.float()
                total = output if total is None else total + output
        finally:
            self.mask_draw, self.mask_draws = 0, 1
        assert total is not None
        return total / len(draws) if len(draws) > 1 else total

    def once(
        self,
        x: Tensor,
        input_mask: Tensor | None,
        masks: AttentionMasks | None,
        stream: BatchStream | None,
    ) -> Tensor:
        """One forward pass with one set of masks."""
        height, width = x.shape[-2:]
        window, config = self.config.window_size, self.config
        if min(height, width) < window:
            raise ValueError(f"image {height} x {width}: at least {window} x {window} is needed")
        white = self.input_format.value_range
        mean = self.mean if white == 1 else self.mean * white
        fill_token = getattr(self, "mask_token", None)
        token_fill = input_mask is not None and self.inference.policy.fill != "pixel"
        if input_mask is not None and not token_fill:
            x = torch.where(input_mask, x, PIXEL_FILL * white)
        margin = (0, -width % window, 0, -height % window)
        x = F.pad(x, margin, mode="reflect") - mean
        kinds = window_kinds(x.shape[-2] // window, x.shape[-1] // window, x.device)
        now = Pass(x.shape[-2], x.shape[-1], kinds, masks, stream)
        embedded = self.conv_first(x)
        if token_fill:
            assert input_mask is not None
            keep = F.pad(input_mask.to(x.dtype), margin, mode="reflect")
            hidden = 0.0 if fill_token is None else fill_token.view(1, -1, 1, 1)
            embedded = embedded * keep + hidden * (1 - keep)
        tokens = self.patch_embed(to_tokens(embedded))
        for layer in self.layers:
            tokens = layer(tokens, now)
        body = self.conv_after_body(to_image(self.norm(tokens), now))
        if config.global_residual:
            body = body + embedded
        if self.training and config.output_dropout and stream is not None:
            body = drop_channels(body, config.output_dropout, stream)
        output: Tensor = self.conv_last(body)
        if config.global_residual:
            output = x + output
        return (output + mean)[..., :height, :width]


def drop_channels(x: Tensor, share: float, stream: BatchStream) -> Tensor:
    """Dropout of whole channels of (B, C, H, W), the others scaled up.

    Reference: Kong et al., *Reflash Dropout in Image Super-Resolution*, CVPR 2022.
    """
    keep = stream.uniform(CHANNEL_DROPOUT, 0, x.shape[1], 1, 1) >= share
    return x * keep / (1 - share)


def drop_recomputable(_: nn.Module, state: dict[str, Any], prefix: str, *__: Any) -> None:
    """Ignore published buffers that depend on the image size only."""
    for key in [k for k in state if k.startswith(prefix) and is_recomputable(k)]:
        del state[key]


def is_recomputable(key: str) -> bool:
    """Whether a key of a published state dict is a buffer that this module computes."""
    return key.rpartition(".")[2] in ("attn_mask", "relative_position_index")


BLOCK = r"layers\.(\d+)\.residual_group\.blocks"
"""The blocks of a group, as a regular expression; the number of the group is its group."""

RELATED = ("attn.logit_scale", "overlap_attn", "conv_block", "cpb_mlp")
"""Parts of keys of successors of SwinIR: Swin2SR, HAT, DRCT."""


def detect(weights: Weights) -> SwinIRConfig | None:
    """Hyper-parameters of a denoising SwinIR from keys and shapes; None for another architecture.

    A 1 x 1 embedding means the paper's variant, without a global residual; a 3 x 3 one means the
    stock network, with one. Windows of 7 are those of the networks for JPEG artifacts, which take
    values up to 255.

    Raises:
        BadInput: a SwinIR whose weights do not determine how it is run, or for another task.
    """
    first, last = weights.get("conv_first.weight"), weights.get("conv_last.weight")
    depths = _count(rf"{BLOCK}\.(\d+)\.norm1\.weight", weights)
    if first is None or last is None or first.ndim != 4 or last.ndim != 4 or not depths:
        return None
    if any(part in key for key in weights for part in RELATED):
        return None
    if any(key.startswith(("upsample", "conv_before_upsample", "conv_up")) for key in weights):
        raise BadInput("a SwinIR for super-resolution; expected one for denoising")
    if "absolute_pos_embed" in weights:
        raise BadInput("absolute position embedding is tied to one size; not supported")
    block = "layers.0.residual_group.blocks.0"
    try:
        tables = [
            weights[f"layers.{g}.residual_group.blocks.0.attn.relative_position_bias_table"].shape
            for g in range(len(depths))
        ]
        window = (round(tables[0][0] ** 0.5) + 1) // 2
        return SwinIRConfig(
            embed_dim=first.shape[0],
            depths=tuple(depths),
            num_heads=tuple(table[1] for table in tables),
            window_size=window,
            shifted=shifted(weights, window) is not False,
            value_range=255 if window == PUBLISHED_UP_TO_255 else 1,
            mlp_hidden=weights[f"{block}.mlp.fc1.weight"].shape[0],
            in_chans=first.shape[1],
            embed_kernel=first.shape[-1],
            convolution="1conv" if "conv_after_body.weight" in weights else "3conv",
            global_residual=first.shape[-1] != 1,
            patch_norm="patch_embed.norm.weight" in weights,
            qkv_bias=f"{block}.attn.qkv.bias" in weights,
            mask_token="mask_token" in weights,
        )
    except (KeyError, IndexError) as error:
        raise BadInput(f"an incomplete SwinIR, {error} is missing or misshapen") from None


PUBLISHED_UP_TO_255 = 7
"""The window size of the published networks whose value of white is 255."""


def shifted(weights: Weights, window: int) -> bool | None:
    """Whether every second block shifts its windows, from the buffers of the authors' code.

    A shifted block has an `attn_mask` (windows, T, T) of T = window² tokens. Every block has a
    `relative_position_index`, by which a file shows that buffers were saved at all. None where they
    were not, or where no group has a second block.

    Raises:
        BadInput: a mask for windows of another size.
    """
    if not any(re.fullmatch(rf"{BLOCK}\.1\.norm1\.weight", key) for key in weights):
        return None
    masks = [value for key, value in weights.items() if key.endswith(".attn_mask")]
    for mask in masks:
        if mask.ndim != 3 or mask.shape[1:] != (window**2, window**2):
            raise BadInput(
                f"attn_mask of shape {list(mask.shape)}: expected (windows, {window**2}, "
                f"{window**2}) for the windows of {window} of its relative_position_bias_table"
            )
    saved = any(key.endswith(".relative_position_index") for key in weights)
    return bool(masks) if masks or saved else None


def assumed(weights: Weights) -> str:
    """What the tensors of a SwinIR do not tell."""
    config = detect(weights)
    if config is None or max(config.depths) < 2:
        return ""
    if shifted(weights, config.window_size) is not None:
        return ""
    return "every second block shifts its windows, since no buffer in the file shows otherwise"


def _count(pattern: str, weights: Weights) -> list[int]:
    """The number of second indices for each first index of the keys that match."""
    indices = {(int(m[1]), int(m[2])) for m in (re.fullmatch(pattern, key) for key in weights) if m}
    groups = sorted({group for group, _ in indices})
    return [sum(g == group for g, _ in indices) for group in groups]


ARCHITECTURE = Architecture(
    name="SwinIR",
    anchor="conv_first.weight",
    config=SwinIRConfig,
    build=SwinIR,
    detect=detect,
    keys=("conv_first.weight", "layers.0.residual_group.blocks.0.norm1.weight", "conv_last.weight"),
    assumes=assumed,
    about="windowed attention, stock or the paper's masked and baseline; Liang et al., ICCVW 2021",
)
