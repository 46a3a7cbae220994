"""The repeated blocks of each architecture, by the names of their modules.

Tables hold layer names alone, so blocks have to be recognized without the network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

END = r"(?=$|[.\[#])"
"""Where a module's path ends, or goes on to a part of it."""


@dataclass(frozen=True)
class BlockNames:
    """How an architecture names its repeated blocks.

    Attributes:
        path: regular expression that a block's whole module path matches.
        labels: (regular expression of a path's beginning, its label in figures), as for `re.sub`.
        marker: regular expression that some path of the network must match, where `path` alone is
            common among other networks.
    """

    path: str
    labels: tuple[tuple[str, str], ...] = ()
    marker: str = ""

    def select(self, names: Sequence[str]) -> list[str]:
        """The names that are whole blocks, in the order given."""
        if self.marker and not any(re.match(self.marker, name) for name in names):
            return []
        return [name for name in names if re.fullmatch(self.path, name)]

    def label(self, name: str) -> str:
        """A block, or a part of one, by its short label; other names as they are."""
        for beginning, label in self.labels:
            shorter, count = re.subn(f"^(?:{beginning}){END}", label, name)
            if count:
                return shorter
        return name


SWINIR_BLOCKS = BlockNames(
    r"(?:.*\.)?blocks\.\d+",
    ((r"layers\.(\d+)\.residual_group\.blocks\.(\d+)", r"block \1.\2"),),
)
"""Also those of other transformers, which name their blocks in the same way."""

RESTORMER_BLOCKS = BlockNames(
    r"(?:encoder_level\d+|latent|decoder_level\d+|refinement)\.\d+",
    (
        (r"(encoder|decoder)_level(\d+)\.(\d+)", r"\1 \2.\3"),
        (r"(latent|refinement)\.(\d+)", r"\1 \2"),
    ),
)

RNAN_BLOCKS = BlockNames(
    r"body_nl_low\.0|body\.\d+|body_nl_high\.0",
    ((r"body_nl_(low|high)\.0", r"block \1"),),
    marker=r"body_nl_low\.",
)

RIDNET_BLOCKS = BlockNames(r"b\d+", ((r"b(\d+)", r"block \1"),))

ALL = (SWINIR_BLOCKS, RESTORMER_BLOCKS, RNAN_BLOCKS, RIDNET_BLOCKS)
"""DnCNN and FFDNet are plain stacks of convolutions, without blocks."""


def select(names: Sequence[str]) -> list[str]:
    """The layers of one network that are whole blocks, in the order given.

    >>> select(["patch_embed", "latent.0", "latent.0.attn", "output"])
    ['latent.0']
    """
    return next((blocks for scheme in ALL if (blocks := scheme.select(names))), [])


def label(name: str) -> str:
    """A layer's short label: a block by its place, anything else in full.

    >>> label("layers.1.residual_group.blocks.3"), label("decoder_level2.0.ffn"), label("model.0")
    ('block 1.3', 'decoder 2.0.ffn', 'model.0')
    """
    return next((short for known in ALL if (short := known.label(name)) != name), name)
